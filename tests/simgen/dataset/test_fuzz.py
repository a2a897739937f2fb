"""Whatever a file holds, its reader answers or raises an error of one line. SIMGEN_FUZZ=5000 tries so many."""

import json
import os
import random
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simgen.dataset.check import check_data_set, page
from simgen.dataset.contact_sheet import contact_sheet
from simgen.dataset.export import EXPORTERS, export
from simgen.dataset.format.clip_index import INDEX
from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.locations import location
from simgen.generation.join import join
from simgen.spec.errors import SimgenError
from tests.simgen import clips
from tests.simgen.dataset.check.test_check_hostile import members, sealed
from tests.simgen.generation.test_generate import in_this_process, run

EXAMPLES = int(os.environ.get("SIMGEN_FUZZ", "10"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
SEEDS = st.integers(0, 2**63)
ODD = [
    None, True, [], {}, "", "\ud800", "\x1b[31m", "../../x", "a" * 300, 0, -1, 2**31, 2**63, 10**12, 10**400, 1e308,
    1e-320, -0.0, float("nan"), float("inf"), [[[]]], {"a": {}}, [0] * 4, "1", "NaN", b"",
]  # fmt: skip


def spoiled(raw: bytes, rng: random.Random) -> bytes:
    """The bytes of a file after an accident or an attack."""
    data = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(data) + 1)
        way = rng.randrange(6)
        if way == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif way == 1:
            del data[at:]
        elif way == 2:
            data[at:at] = rng.choice([b"\0" * 600, b"\xff", b"9" * 400, b'"', b"[" * 20_000, b"-", b"e9", b"\n"])
        elif way == 3:
            del data[at : at + rng.choice([1, 7, 512])]
        elif way == 4:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + 512]
        elif data:
            at, other = at % len(data), rng.randrange(len(data))
            data[at], data[other] = data[other], data[at]
    return bytes(data)


def odd_json(raw: bytes, rng: random.Random) -> bytes:
    """A JSON text in which some values are others."""
    whole = json.loads(raw)
    for _ in range(rng.choice([1, 1, 3])):
        nodes, stack = [], [whole]
        while stack:
            node = stack.pop()
            keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
            nodes += [(node, key) for key in keys]
            stack += [node[key] for key in keys]
        if not nodes:
            break
        node, key = rng.choice(nodes)
        way = rng.randrange(4)
        if way == 0:
            del node[key]
        elif way == 1:
            other, place = rng.choice(nodes)
            node[key] = json.loads(json.dumps(other.get(place) if isinstance(other, dict) else None))
        elif way == 2 and type(node[key]) in (int, float):
            node[key] = rng.choice([-1, 0, 2, 1000, 0.5, 1e9]) * node[key] + rng.choice([0, 1, -1])
        else:
            node[key] = rng.choice(ODD[:-1])
    return json.dumps(whole).encode()


def use(folder: Path) -> None:
    """All that reads a data set."""
    data = DataSet(folder)
    for clip in data:
        clip.labels()
    report = check_data_set(data)
    assert all("\n" not in line and "\x1b" not in line for line in report.lines)
    json.loads(report.to_json())
    page(report)
    contact_sheet(data, 3, 2)
    data[len(data) - 1].ids(0)
    data.clip(1).depth_m(0)
    data.write_index()


def survives(folder: Path, attempt) -> None:
    try:
        attempt()
    except (SimgenError, OSError) as error:
        str(error).encode()
    assert folder.is_dir()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    out = tmp_path_factory.mktemp("sound")
    run(out, engine=in_this_process, scenes=3, shard_scenes=1)
    DataSet(out).write_index()
    use(out)
    return out


@pytest.fixture(scope="module")
def folder(sound, tmp_path_factory):
    return Path(shutil.copytree(sound, tmp_path_factory.mktemp("fuzzed") / "x"))


def restore(folder, sound):
    for path in sound.iterdir():
        if not (folder / path.name).exists() or (folder / path.name).read_bytes() != path.read_bytes():
            (folder / path.name).write_bytes(path.read_bytes())


@pytest.mark.parametrize("name", [MANIFEST, "shard-00001.tar", INDEX])
@FUZZ
@given(seed=SEEDS)
def test_any_bytes_in_any_file_of_a_data_set(sound, folder, name, seed):
    restore(folder, sound)
    (folder / name).write_bytes(spoiled((sound / name).read_bytes(), random.Random(seed)))
    survives(folder, lambda: use(folder))


@FUZZ
@given(seed=SEEDS)
def test_any_value_in_a_manifest(sound, folder, tmp_path_factory, seed):
    restore(folder, sound)
    (folder / INDEX).unlink()
    (folder / MANIFEST).write_bytes(odd_json((sound / MANIFEST).read_bytes(), random.Random(seed)))
    survives(folder, lambda: use(folder))
    out = folder.parent / "joined"
    survives(folder, lambda: join(out, [folder, sound]))
    shutil.rmtree(out, ignore_errors=True)
    survives(folder, lambda: run(folder, engine=in_this_process, scenes=3, shard_scenes=1, resume=True))


@FUZZ
@given(seed=SEEDS)
def test_any_value_in_a_clip(sound, folder, seed):
    """The checksums agree: what is wrong is inside."""
    from hybrid.core.errors import HybridError
    from hybrid.data.shards import read_shards

    restore(folder, sound)
    (folder / INDEX).unlink()
    first, *rest = members()
    sealed(folder, [(first[0], odd_json(first[1], random.Random(seed))), *rest])
    survives(folder, lambda: use(folder))
    for boxes in ("visible", "whole"):
        try:
            read_shards(folder, boxes=boxes)
        except HybridError as error:
            str(error).encode()


@FUZZ
@given(seed=SEEDS)
def test_any_bytes_in_any_member_of_a_clip(sound, folder, seed):
    restore(folder, sound)
    (folder / INDEX).unlink()
    content, rng = members(), random.Random(seed)
    place = rng.randrange(len(content))
    content[place] = (content[place][0], spoiled(content[place][1], rng))
    sealed(folder, content)
    survives(folder, lambda: use(folder))


@pytest.fixture(scope="module")
def exports(sound, tmp_path_factory):
    out = tmp_path_factory.mktemp("exports")
    for format in EXPORTERS:
        export(DataSet(sound), format, out / format)
    return out


@pytest.mark.parametrize("format", sorted(EXPORTERS))
@settings(FUZZ, max_examples=max(8, EXAMPLES // 3))
@given(seed=SEEDS)
def test_any_bytes_in_any_file_of_an_export(exports, format, seed):
    rng, folder = random.Random(seed), exports / format
    texts = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".json", ".txt", ".yaml", ".ini"))
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    path = rng.choice(texts if texts and rng.random() < 0.8 else files)
    raw = path.read_bytes()
    try:
        path.write_bytes(odd_json(raw, rng) if path.suffix == ".json" and rng.random() < 0.6 else spoiled(raw, rng))
        survives(folder, lambda: list(EXPORTERS[format].read(folder)))
    finally:
        path.write_bytes(raw)


@settings(FUZZ, max_examples=4 * EXAMPLES)
@given(st.text("s3gcshttpfile:/[]@.%\0 é\ud800-", max_size=12))
@example("gs://[")
def test_any_text_is_a_folder_a_url_or_an_error(text):
    try:
        assert str(location(text)) is not None
    except OSError as error:
        lines = str(error).splitlines()
    else:
        return
    assert len(lines) == 1


def test_a_box_beyond_all_numbers_in_an_export(exports):
    (path,) = (exports / "coco-vid").rglob("*.json")
    raw = path.read_text()
    try:
        path.write_text(re.sub(r'("bboxes": \[\[)[0-9.]+', r"\g<1>1" + "0" * 400, raw, count=1))
        assert path.read_text() != raw
        with pytest.raises(SimgenError, match="needs a box of four numbers"):
            list(EXPORTERS["coco-vid"].read(exports / "coco-vid"))
    finally:
        path.write_text(raw)


def test_a_sequence_without_the_ending_of_its_pictures_in_an_export(exports):
    (path,) = (exports / "mot").rglob("*/000001/seqinfo.ini")
    raw = path.read_text()
    try:
        path.write_text(raw.replace("imExt=.jpg", "im#Ext=.jpg"))
        with pytest.raises(SimgenError, match="000001: not as MOTChallenge has it: KeyError\\('imExt'\\)"):
            list(EXPORTERS["mot"].read(exports / "mot"))
    finally:
        path.write_text(raw)


def test_the_fuzzer_finds_what_is_there():
    """It changes what it gets, and is the same for the same seed."""
    raw = members()[0][1]
    for change in (spoiled, odd_json):
        results = {change(raw, random.Random(seed)) for seed in range(40)}
        assert len(results) > 30
        assert change(raw, random.Random(7)) == change(raw, random.Random(7))
    assert clips.FRAMES == 2
