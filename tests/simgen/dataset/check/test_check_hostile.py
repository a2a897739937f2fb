"""Files that were changed after they were made, by chance or on purpose: each is named, none is followed."""

import json
import os
import shutil
import struct
import tracemalloc
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.data.shards import read_shards
from simgen.dataset.check import check, check_data_set, page
from simgen.dataset.check.pictures import PictureError, decoded
from simgen.dataset.format import archive, manifest
from simgen.dataset.format.archive import clip_members, write_shard
from simgen.dataset.format.clip_index import INDEX
from simgen.dataset.format.manifest import MANIFEST, read_manifest, write_manifest
from simgen.dataset.format.reader import DataSet
from simgen.spec.errors import ShardError
from tests.simgen import clips
from tests.simgen.generation.test_generate import in_this_process, run

SHARD = "shard-00001.tar"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    out = tmp_path_factory.mktemp("sound")
    run(out, engine=in_this_process, scenes=3, shard_scenes=1)
    assert check_data_set(DataSet(out)).lines == []
    return out


@pytest.fixture
def copied(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "copy")


def members(change=lambda clip: clip):
    """What the second shard holds, after a change to its clip."""
    return clip_members(change(clips.make(None, 5, 1)))


def sealed(folder, content):
    """Write the second shard anew, with a manifest that agrees: what is wrong is inside."""
    manifest = read_manifest(folder / MANIFEST)
    digest, size = write_shard(folder / SHARD, content)
    entries = [replace(e, sha256=digest, bytes=size) if e.name == SHARD else e for e in manifest.shards]
    write_manifest(folder / MANIFEST, replace(manifest, shards=tuple(entries)))


def jpeg(image):
    return cv2.imencode(".jpg", image)[1].tobytes()


def with_picture(t, data):
    def change(clip):
        return replace(clip, jpegs=tuple(data if k == t else one for k, one in enumerate(clip.jpegs)))

    return members(change)


def swapped(name, data):
    return [(key, data if key.endswith(name) else content) for key, content in members()]


def bomb(width, height):
    """A PNG of a few bytes whose header promises a giant."""
    return png(struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0))


def moved(clip):
    frames = list(clip.labels.frames)
    pose = replace(frames[1].parts[0].camera_from_part, position_m=(0.0, 0.0, 9.0))
    parts = (replace(frames[1].parts[0], camera_from_part=pose), *frames[1].parts[1:])
    frames[1] = replace(frames[1], parts=parts)
    return replace(clip, labels=replace(clip.labels, frames=tuple(frames)))


def late(clip):
    frames = (clip.labels.frames[0], replace(clip.labels.frames[1], time_s=0.0))
    return replace(clip, labels=replace(clip.labels, frames=frames))


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def misled(folder, place, offset):
    """An index whose offset number `place` is wrong."""
    DataSet(folder).write_index()
    raw = bytearray((folder / INDEX).read_bytes())
    raw[64 + 8 * place : 72 + 8 * place] = offset.to_bytes(8, "little")
    (folder / INDEX).write_bytes(raw)


def png(header):
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + tag + d + struct.pack(">I", zlib.crc32(tag + d)) for tag, d in chunks
    )


def with_number(text):
    return members()[0][1].replace(b'"settle_s":0.2', b'"settle_s":' + text)


def edit_shard(folder, **changes):
    shards = json.loads((folder / MANIFEST).read_text())["shards"]
    edit_manifest(folder, shards=[{**one, **changes} if one["name"] == SHARD else one for one in shards])


def edit_manifest(folder, **changes):
    plain = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**plain, **changes}))


GREY = jpeg(np.full((clips.HEIGHT, clips.WIDTH, 3), 90, np.uint8))
WHITE = jpeg(np.where(np.arange(clips.WIDTH)[None, :, None] < 2, 0, 255).repeat(clips.HEIGHT, 0).repeat(3, 2))
OTHER = clips.make(None, 5, 0).jpegs[0]
BRIGHTER = jpeg(cv2.convertScaleAbs(cv2.imdecode(np.frombuffer(OTHER, np.uint8), 1), alpha=1, beta=3))
LARGE = jpeg(np.random.default_rng(0).integers(0, 255, (50, 60, 3)).astype(np.uint8))

CORRUPTIONS = {  # how, the kind that is reported, and what of its line
    "a bit flips": (lambda f: flip(f / SHARD, -1), "checksum", f"{SHARD}: is not the file"),
    "a bit flips in the ids": (lambda f: flip(f / SHARD, _inside(f, "f000.ids.png") + 60), "file", "'f000.ids.png'"),
    "a bit flips in a header": (lambda f: flip(f / SHARD, _inside(f, "f000.jpg") - 512), "file", "damaged header"),
    "a shard is cut": (lambda f: os.truncate(f / SHARD, 5000), "file", f"{SHARD}: cut short at offset"),
    "a shard is gone": (lambda f: (f / SHARD).unlink(), "file", f"{SHARD}: cannot be read: No such file"),
    "a shard is another's": (
        lambda f: shutil.copy(f / "shard-00000.tar", f / SHARD), "manifest", "holds clip 0 where clip 1 belongs"),
    "a shard is a pipe": (lambda f: ((f / SHARD).unlink(), os.mkfifo(f / SHARD)), "file", "is no plain file"),
    "a shard is not listed": (
        lambda f: edit_manifest(f, shards=json.loads((f / MANIFEST).read_text())["shards"][:2]),
        "manifest", "lists 2 shards where 3 belong"),
    "a frame count is wrong": (
        lambda f: edit_shard(f, frames=3), "manifest", "holds 2 frames, the manifest says 3"),
    "a shard is another's and the manifest agrees": (
        lambda f: sealed(f, clip_members(clips.make(None, 5, 0))), "manifest", "holds clip 0 where clip 1 belongs"),
    "the index leads elsewhere": (
        lambda f: misled(f, 2, 512), "index", "shard-00001.tar: bytes 512 to"),
    "a header of the ids is short": (
        lambda f: sealed(f, swapped("f000.ids.png", png(b"\0" * 12))), "file", "header of 12 bytes, 13 belong"),
    "a box is beyond all numbers": (
        lambda f: sealed(f, swapped("json", with_number(b"1" + b"0" * 400))), "file", "'json' of clip 1 is damaged"),
    "a number is not one": (
        lambda f: sealed(f, swapped("json", with_number(b"NaN"))), "file", "'json' of clip 1 is damaged"),
    "half of a surrogate pair": (
        lambda f: sealed(f, swapped("json", members()[0][1].replace(b'"M8"', b'"\\ud800"'))), "schema", "the id that"),
    "a category is not listed": (lambda f: edit_manifest(f, categories=["bolt"]), "category", "not in the manifest"),
    "a clip lacks a picture": (
        lambda f: sealed(f, [m for m in members() if "f001.jpg" not in m[0]]), "schema", "1 have pictures"),
    "a picture is no picture": (lambda f: sealed(f, with_picture(0, b"GIF89a")), "picture", "6 bytes that are no"),
    "a picture is cut": (lambda f: sealed(f, with_picture(0, OTHER[:60])), "picture", "frame 0: 60 bytes that"),
    "a picture has another size": (lambda f: sealed(f, with_picture(1, LARGE)), "picture", "are not all of the size"),
    "a picture is a bomb": (
        lambda f: sealed(f, with_picture(0, bomb(60000, 60000))), "picture", "refused: "),
    "ids are a bomb": (lambda f: sealed(f, swapped("f000.ids.png", bomb(60000, 60000))), "file", "of a sensible size"),
    "a picture is blank": (lambda f: sealed(f, with_picture(1, GREY)), "blank", "frame 1: blank"),
    "a picture is white": (lambda f: sealed(f, with_picture(1, WHITE)), "saturated", "pixels are black or white"),
    "a picture is another clip's": (
        lambda f: sealed(f, with_picture(1, OTHER)), "duplicate", "the same picture as shard-00000.tar: clip 0: fram"),
    "a picture is nearly another clip's": (
        lambda f: sealed(f, with_picture(1, BRIGHTER)), "near-duplicate", "looks as shard-00000.tar: clip 0: frame 0"),
    "a picture stays": (
        lambda f: sealed(f, with_picture(1, clips.make(None, 5, 1).jpegs[0])), "frozen", "the same picture as"),
    "a part jumps": (lambda f: sealed(f, members(moved)), "track", "part 0 jumps by 9.00 m in 0.100 s"),
    "time stands": (lambda f: sealed(f, members(late)), "track", "is frame 1 at 0 s, after frame 0 at 0 s"),
    "a key is missing": (lambda f: sealed(f, swapped("json", _without_labels())), "file", "'json' of clip 1"),
    "a spec is changed": (
        lambda f: sealed(f, swapped("json", _with_another_spec())), "schema", "its spec does not give the id"),
    "the json is deep": (lambda f: sealed(f, swapped("json", b"[" * 500_000)), "file", "'json' of clip 1 is damaged"),
    "a name leads out": (lambda f: sealed(f, [*members(), ("../x.json", b"")]), "file", "is no name for a member"),
    "a name is absolute": (lambda f: sealed(f, [*members(), ("/etc/x.json", b"")]), "file", "is no name for a member"),
    "a name stands twice": (lambda f: sealed(f, [*members(), *members()[:1]]), "file", "stands twice"),
}  # fmt: skip


def _inside(folder, member):
    return next(iter(DataSet(folder).table(1).values())).members[member].offset


def _with_another_spec():
    meta = json.loads(members()[0][1])
    meta["spec"]["settle_s"] += 0.5
    return json.dumps(meta).encode()


def _without_labels():
    meta = json.loads(members()[0][1])
    del meta["labels"]
    return json.dumps(meta).encode()


def test_there_are_more_than_fifteen_ways():
    assert len(CORRUPTIONS) == 35


@pytest.mark.parametrize("way", CORRUPTIONS)
def test_each_corruption_is_caught(copied, way):
    spoil, kind, text = CORRUPTIONS[way]
    spoil(copied)
    report = check_data_set(DataSet(copied))
    problems = [str(problem) for problem in report.problems if problem.kind == kind]
    assert any(text in line for line in problems), report.lines
    json.loads(report.to_json())
    assert "<h1>" in page(report)


def test_a_clip_json_that_is_too_large_is_refused_unread(copied, monkeypatch):
    monkeypatch.setattr(archive, "MAX_JSON_BYTES", 1000)
    (line, *_) = check_data_set(DataSet(copied)).lines
    assert "more than the 1000 that are read" in line


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: shutil.copy(f / "shard-00000.tar", f / SHARD),
        lambda f: sealed(f, clip_members(clips.make(None, 5, 0))),
        lambda f: edit_shard(f, frames=3),
    ],
)
@pytest.mark.parametrize("indexed", [False, True])
def test_the_reader_takes_no_clip_twice_and_none_that_the_manifest_does_not_list(copied, spoil, indexed):
    """A clip in two places would be trained on and tested with."""
    spoil(copied)
    if indexed:
        (copied / INDEX).unlink(missing_ok=True)
        with pytest.raises(ShardError, match=f"{SHARD}: holds"):
            DataSet(copied).write_index()
        return
    with pytest.raises(ShardError, match=f"{SHARD}: holds"):
        list(DataSet(copied))
    with pytest.raises(DataError, match=f"{SHARD}: holds"):
        read_shards(copied)


def test_an_offset_between_two_members_of_a_clip_is_refused(sound, tmp_path):
    """The clip before it would lose its last pictures, the clip after it would begin with them."""
    run(tmp_path, engine=in_this_process, scenes=3, shard_scenes=3)
    clip = DataSet(tmp_path)[0]
    misled(tmp_path, 1, clip.members["f001.ids.png"].offset - 512)
    data = DataSet(tmp_path)
    for number in (0, 1):
        with pytest.raises(ShardError, match="are no clip"):
            data[number]
    assert data[2].index == 2
    assert check_data_set(data).counts == {"index": 1}


def test_a_manifest_that_claims_a_billion_scenes_is_refused_for_the_bytes_it_lists(copied):
    plain = json.loads((copied / MANIFEST).read_text())
    plain["request"].update(scenes=10**9, shard_scenes=10**9)
    first = {**plain["shards"][0], "clips": 10**9, "frames": 10**9}
    for claims in ({}, {"bytes": 2**60}):
        (copied / MANIFEST).write_text(json.dumps({**plain, "shards": [{**first, **claims}]}))
        tracemalloc.start()
        with pytest.raises(ShardError, match="does not fit" if not claims else "holds 1 clips, the manifest says"):
            DataSet(copied).clip(10**9 - 1)
        assert tracemalloc.get_traced_memory()[1] < 20e6
        tracemalloc.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {"categories": ["nut", "bolt", "washer"]},
        {"categories": ["bolt", "bolt"]},
        {"categories": ["bolt\ud800"]},
    ],
)
def test_categories_are_sorted_and_can_be_printed(copied, changes):
    """The position is the class index: exchanged, every bolt would be a nut."""
    edit_manifest(copied, **changes)
    with pytest.raises(ShardError, match="not a manifest"):
        DataSet(copied)


@pytest.mark.parametrize("content", [b"[" * 500_000, b'{"format": ' + b'{"a":' * 300_000, b"\xff\xfe"])
def test_a_manifest_that_is_no_manifest_is_refused(copied, content):
    (copied / MANIFEST).write_bytes(content)
    with pytest.raises(ShardError, match="not a manifest"):
        check(copied)


def test_a_manifest_that_is_too_large_or_a_pipe_is_refused_unread(copied, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "MAX_MANIFEST_BYTES", 10)
        with pytest.raises(ShardError, match="more than the 10 that are read"):
            check(copied)
    (copied / MANIFEST).unlink()
    os.mkfifo(copied / MANIFEST)
    with pytest.raises(ShardError, match="no plain file"):
        check(copied)


@pytest.mark.parametrize("size", [(60000, 60000), (2**31 - 1, 2**31 - 1), (20000, 6000)])
def test_a_picture_bomb_is_refused_by_its_header(size):
    with pytest.raises(PictureError, match="refused"):
        decoded(bomb(*size))


def test_labels_unlike_the_rest_are_reported(tmp_path):
    """One box in two hundred is a hundred times as large; a data set whose sizes spread evenly has none."""
    from simgen.dataset.check.report import Picture
    from simgen.dataset.check.statistics import Statistics

    rng = np.random.default_rng(0)
    picture = Picture(tmp_path)
    for odd in (False, True):
        statistics = Statistics()
        for i in range(200):
            side = float(np.exp(rng.uniform(np.log(10), np.log(20)))) * (10 if odd and i == 77 else 1)
            statistics.add("bolt", (0.0, 0.0, side, side), f"frame {i}", picture)
            statistics.add("nut", (0.0, 0.0, side, side), f"frame {i}", picture) if i < 40 else None
        problems = list(statistics.outliers())
        assert [problem.where for problem in problems] == (["frame 77"] if odd else [])
        assert not any(problem.is_error for problem in problems)


def test_the_page_draws_the_offender_and_runs_nothing(copied):
    sealed(copied, members(moved))
    edit_manifest(copied, categories=["<script>alert(1)</script>", "bolt"])
    text = page(check_data_set(DataSet(copied)))
    assert text.count("data:image/jpeg;base64,") >= 2
    assert "<script" not in text
    assert "part 0 jumps by" in text


def test_the_report_as_json(copied):
    (copied / SHARD).unlink()
    plain = json.loads(check_data_set(DataSet(copied)).to_json())
    assert plain["format"] == "simgen-check/1"
    assert (plain["clips"], plain["frames"], plain["errors"], plain["warnings"]) == (2, 4, 1, 0)
    assert plain["counts"] == {"file": 1}
    assert plain["problems"] == [
        {"kind": "file", "error": True, "where": SHARD, "text": "cannot be read: No such file or directory"}
    ]
    assert sum(plain["labels"].values()) == 8
