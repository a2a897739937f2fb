"""Slices of a data set, joined, are the data set."""

import json
import os

import pytest

from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.format.reader import DataSet
from simgen.generation import run as generate
from simgen.generation.join import join
from simgen.generation.run import PARTIAL
from simgen.spec.errors import GenerateError
from tests.simgen import clips
from tests.simgen.generation.test_generate import contents, in_this_process, plan


def a_slice(out, shards, **asked):
    return generate.run_plan(plan(**asked), clips.CATEGORIES, out, engine=in_this_process, only=shards)


@pytest.fixture
def slices(tmp_path):
    """Two folders with the four shards of a data set of seven scenes."""
    parts = [tmp_path / "a", tmp_path / "b"]
    for part, shards in zip(parts, (range(3), range(3, 4)), strict=True):
        manifest = a_slice(part, shards)
        assert [entry.first_scene for entry in manifest.shards] == [2 * k for k in shards]
        assert not (part / MANIFEST).exists()
    return parts


def whole(folder):
    generate.run_plan(plan(), clips.CATEGORIES, folder, engine=in_this_process)
    return contents(folder)


def fail(*_):
    raise OSError("another disk")


@pytest.mark.parametrize("links", [True, False])
def test_joined_slices_are_the_bytes_of_one_run(tmp_path, slices, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", fail)
    steps = []
    manifest = join(tmp_path / "out", slices[::-1], lambda: steps.append(1))
    assert contents(tmp_path / "out") == whole(tmp_path / "whole")
    assert len(steps) == 4
    assert manifest.clips == len(DataSet(tmp_path / "out")) == 7


def test_overlapping_slices_and_a_whole_data_set_join_too(tmp_path, slices):
    a_slice(tmp_path / "c", range(1, 4))
    expected = whole(tmp_path / "whole")
    join(tmp_path / "one", [*slices, tmp_path / "c"])
    join(tmp_path / "two", [tmp_path / "whole"])
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == expected


def test_a_slice_goes_on_where_it_was_stopped(tmp_path, slices):
    before = {name: (slices[0] / name).stat().st_mtime_ns for name in contents(slices[0]) if name.endswith("tar")}
    (slices[0] / "shard-00001.tar").unlink()
    with pytest.raises(GenerateError, match="unfinished; add --resume to go on"):
        a_slice(slices[0], range(3))
    generate.run_plan(plan(), clips.CATEGORIES, slices[0], engine=in_this_process, only=range(3), resume=True)
    kept = [name for name, when in before.items() if (slices[0] / name).stat().st_mtime_ns == when]
    assert sorted(kept) == ["shard-00000.tar", "shard-00002.tar"]
    join(tmp_path / "out", slices)
    assert contents(tmp_path / "out") == whole(tmp_path / "whole")


def test_a_join_that_was_stopped_is_finished(tmp_path, slices):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        join(tmp_path / "out", slices, stop)
    assert not (tmp_path / "out" / MANIFEST).exists()
    join(tmp_path / "out", slices)
    assert contents(tmp_path / "out") == whole(tmp_path / "whole")


def test_what_a_killed_join_left_is_removed(tmp_path, slices):
    out = tmp_path / "out"
    out.mkdir()
    for name in (".shard-00001.tar.7.tmp", ".manifest.json.7.tmp"):
        (out / name).write_bytes(b"half")
    join(out, slices)
    assert contents(out) == whole(tmp_path / "whole")


def test_missing_shards_are_named_as_slices(tmp_path, slices):
    with pytest.raises(GenerateError, match="3 of 4 shards are in none of the folders: 0:3"):
        join(tmp_path / "out", slices[1:])
    a_slice(tmp_path / "c", range(1, 2))
    with pytest.raises(GenerateError, match=r"2 of 4 shards .*: 0:1, 2:3"):
        join(tmp_path / "out", [slices[1], tmp_path / "c"])
    assert not (tmp_path / "out").exists()


def test_slices_of_different_data_sets_are_refused(tmp_path, slices):
    a_slice(tmp_path / "c", range(1), seed=6)
    with pytest.raises(GenerateError, match=r"of different data sets: seed is 5 and 6$"):
        join(tmp_path / "out", [*slices, tmp_path / "c"])


def test_a_damaged_a_missing_and_a_differing_shard_are_reported(tmp_path, slices):
    shard = slices[0] / "shard-00001.tar"
    good = shard.read_bytes()
    shard.write_bytes(good[:-1] + b"?")
    with pytest.raises(GenerateError, match=r"shard-00001.tar: is damaged"):
        join(tmp_path / "out", slices)
    shard.unlink()
    with pytest.raises(GenerateError, match=r"shard-00001.tar: is missing"):
        join(tmp_path / "out", slices)
    shard.write_bytes(good)
    a_slice(tmp_path / "c", range(1, 2))
    journal = json.loads((tmp_path / "c" / PARTIAL).read_text())
    journal["shards"][0]["sha256"] = "0" * 64
    (tmp_path / "c" / PARTIAL).write_text(json.dumps(journal))
    with pytest.raises(
        GenerateError, match=r"shard-00001.tar is not the same in .*: made on different kinds of machines"
    ):
        join(tmp_path / "out", [*slices, tmp_path / "c"])
    join(tmp_path / "out", slices)
    assert contents(tmp_path / "out") == whole(tmp_path / "whole")


def test_a_folder_that_holds_other_things_is_left_alone(tmp_path, slices):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    with pytest.raises(GenerateError, match=r"holds other files \(thesis.txt\)"):
        join(tmp_path / "out", slices)
    with pytest.raises(GenerateError, match="holds neither a data set nor a slice"):
        join(tmp_path / "new", [tmp_path / "out"])


@pytest.mark.parametrize("shards", [range(0), range(3, 5), range(2, 1), range(-1, 2)])
def test_a_slice_that_is_not_there_is_refused(tmp_path, shards):
    with pytest.raises(GenerateError, match=r"there are 4, 0:4"):
        a_slice(tmp_path, shards)
