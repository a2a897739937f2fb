"""A data set of imported parts is complete in itself: no file beside it is needed to make a scene of it again."""

import hashlib
import json
import shutil

import pytest

from simgen.assets.cad.packed import write_packed
from simgen.assets.parts import library
from simgen.dataset.check import check
from simgen.dataset.contents import load_contents
from simgen.dataset.export import export
from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.format.reader import DataSet
from simgen.generation.clip import make_clip
from simgen.generation.engines import processes
from simgen.generation.join import join
from simgen.generation.plan import make_plan
from simgen.generation.replay import replay_scene
from simgen.generation.run import run_plan
from simgen.presets.read import load_config, stored_config
from simgen.spec import contents
from simgen.spec.errors import GenerateError, MissingContent, ShardError
from tests.simgen.assets.cad.packed_parts import packed_box
from tests.simgen.generation.test_generate import in_this_process
from tests.simgen.imported import packed_channel

SET = ["parts.only=[box, channel]", "parts.count=8"]


def config_with(folder, **sizes):
    """A config whose parts are a box and a channel, from files in a folder."""
    folder.mkdir(exist_ok=True)
    for packed in (packed_box(**sizes), packed_channel()):
        (folder / f"{packed.name}.glb").write_bytes(write_packed(packed))
    kinds = ", ".join(f"{name}: {{weight: 1, mesh: {folder / name}.glb}}" for name in ("box", "channel"))
    return load_config("tiny", [f"parts.kinds={{{kinds}}}", *SET])


def hashes_in(data):
    """The sha256 of each imported part, sorted."""
    kinds = data.manifest.request.config["parts"]["kinds"].values()
    return sorted(knobs["mesh"]["sha256"] for knobs in kinds)


def made(config, out, *, engine=in_this_process, scenes=2, **more):
    plan, categories = make_plan(config, scenes=scenes, seed=3, shard_scenes=1)
    return run_plan(plan, categories, out, engine=engine, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set, and the folder of the files that are gone again."""
    root = tmp_path_factory.mktemp("imported")
    made(config_with(root / "parts"), root / "data")
    shutil.rmtree(root / "parts")
    return root / "data"


@pytest.fixture
def forgetful(monkeypatch):
    """A process that knows no imported part."""
    monkeypatch.setattr(contents, "_KEPT", {})
    library.packed_part.cache_clear()


def test_it_holds_each_part_once_by_its_content(whole):
    data = DataSet(whole)
    hashes = hashes_in(data)
    files = sorted((whole / "meshes").iterdir())
    assert [file.name for file in files] == [f"{sha256}.glb" for sha256 in hashes]
    assert len(files) == 2
    assert [hashlib.sha256(file.read_bytes()).hexdigest() for file in files] == hashes
    assert data.categories == ("box", "profile")
    assert str(whole.parent) not in (whole / MANIFEST).read_text()
    assert check(whole).errors == 0


def test_a_scene_is_made_again_without_the_files(whole, forgetful):
    data = DataSet(whole)
    with pytest.raises(MissingContent):
        contents.content(hashes_in(data)[0], "a part")
    load_contents(data)
    result = replay_scene(data, 1, stored_config(data.manifest.request.config), make_clip)
    assert result.members > 4
    assert not result.differences


def test_a_worker_process_gets_the_parts_with_its_plan(whole, tmp_path):
    made(config_with(tmp_path / "parts"), tmp_path / "data", engine=processes, workers=1)
    assert read(tmp_path / "data") == read(whole)


def read(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_changed_mesh_is_another_data_set(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "data")
    other = config_with(tmp_path / "parts", size_m=(0.03, 0.02, 0.011))
    with pytest.raises(GenerateError, match=r"holds another data set: config\.parts\.kinds\.box\.mesh\.sha256 is"):
        made(other, tmp_path / "data", resume=True)
    made(config_with(tmp_path / "parts"), tmp_path / "data", resume=True)


def test_slices_are_joined_with_their_parts(whole, tmp_path):
    config = config_with(tmp_path / "parts")
    slices = [tmp_path / "0", tmp_path / "1"]
    for number, folder in enumerate(slices):
        made(config, folder, only=range(number, number + 1))
    join(tmp_path / "whole", slices)
    assert read(tmp_path / "whole") == read(whole)
    (tmp_path / "whole" / MANIFEST).unlink()
    join(tmp_path / "whole", slices)  # as after a join that was killed
    assert read(tmp_path / "whole") == read(whole)


def test_a_missing_or_changed_part_is_named(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "data")
    one, other = sorted((tmp_path / "data" / "meshes").iterdir())
    one.unlink()
    other.write_bytes(other.read_bytes() + b" ")
    report = check(tmp_path / "data")
    assert [(problem.kind, problem.where) for problem in report.problems] == [
        ("file", f"meshes/{one.name}"),
        ("file", f"meshes/{other.name}"),
    ]
    assert "is missing: " in report.problems[0].text
    assert "its sha256 differs" in report.problems[1].text
    with pytest.raises(ShardError, match=r"is missing: .*which the scenes need; copy it back"):
        load_contents(DataSet(tmp_path / "data"))
    one.write_bytes((whole / "meshes" / one.name).read_bytes())
    with pytest.raises(ShardError, match="its sha256 differs"):
        load_contents(DataSet(tmp_path / "data"))


def test_bop_has_their_meshes_in_millimetres_and_their_symmetries(whole, tmp_path, forgetful):
    exported = export(DataSet(whole), "bop", tmp_path / "bop")
    listing = json.loads((tmp_path / "bop" / "objects.json").read_text())
    infos = json.loads((tmp_path / "bop" / "models" / "models_info.json").read_text())
    assert exported.counts["models"] == len(listing) == 2
    numbers = {row["name"]: number for number, row in listing.items()}
    box, channel = infos[numbers["box"]], infos[numbers["channel"]]
    assert [round(box[f"size_{axis}"], 3) for axis in "xyz"] == [30, 20, 10]
    assert len(box["symmetries_discrete"]) == 3
    assert len(channel["symmetries_discrete"]) == 1
    assert len(list((tmp_path / "bop" / "models").glob("obj_*.ply"))) == 2
