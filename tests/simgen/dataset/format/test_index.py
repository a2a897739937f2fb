"""Clip K by the index is clip K by a scan; an index that is not of the data set beside it is never believed."""

import json
import pickle
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from simgen.cli.common import app
from simgen.dataset.format import clip_index as index
from simgen.dataset.format import reader
from simgen.dataset.format.archive import clip_members, scan_shard, write_shard
from simgen.dataset.format.manifest import MANIFEST, ShardEntry, ShardTable, read_manifest, shard_name, write_manifest
from simgen.dataset.format.reader import DataSet
from simgen.spec.errors import ShardError
from tests.simgen.dataset.format.test_shards import manifest


@pytest.fixture
def folder(tmp_path):
    write_manifest(tmp_path / MANIFEST, manifest(tmp_path, counts=(2, 0, 1)))
    return tmp_path


@pytest.fixture
def indexed(folder):
    DataSet(folder).write_index()
    return folder


def content(clip):
    return clip.path.name, clip.index, {name: clip.read(name) for name in clip.members}


def no_scan(path):
    raise AssertionError(f"{path} was scanned")


def test_every_clip_is_found_by_the_index_as_by_a_scan(folder, monkeypatch):
    scanned = [content(clip) for clip in DataSet(folder)]
    DataSet(folder).write_index()
    monkeypatch.setattr(reader, "scan_shard", no_scan)
    data = pickle.loads(pickle.dumps(DataSet(folder)))
    assert [content(data[i]) for i in range(len(data))] == scanned
    assert [content(data.clip(scene)) for scene in (0, 1, 6)] == scanned
    assert data._tables == {}
    with pytest.raises(ShardError, match="scene 4 could not be made: why"):
        data.clip(4)
    with pytest.raises(ShardError, match="no scene 7; scenes are 0 to 6"):
        data.clip(7)


def test_the_command_makes_it_anew_whatever_lies_there(folder):
    (folder / index.INDEX).write_bytes(b"something else")
    result = CliRunner().invoke(app, ["index", str(folder)])
    assert result.exit_code == 0, result.output
    assert f"{folder / index.INDEX}: 3 clips in 3 shards" in result.output
    assert DataSet(folder)[2].index == 6


def test_an_index_that_cannot_be_written_or_removed_is_an_error_of_a_line(folder, monkeypatch):
    def full(path, chunks):
        raise OSError(28, "No space left on device")

    (folder / index.INDEX).write_bytes(b"of another manifest")
    monkeypatch.setattr(reader, "write_atomically", full)
    result = CliRunner().invoke(app, ["index", str(folder)])
    assert (result.exit_code, len(result.output.strip().splitlines())) == (2, 1)
    assert "index.bin: cannot be written: No space left on device" in result.output
    assert (folder / index.INDEX).read_bytes() == b"of another manifest"  # the disk was full: what was there stays
    monkeypatch.undo()
    (folder / index.INDEX).unlink()
    (folder / index.INDEX).mkdir()
    result = CliRunner().invoke(app, ["index", str(folder)])
    assert result.exit_code == 2
    assert "index.bin: cannot be written: Is a directory" in result.output


def foreign(folder):
    """The manifest of another data set with as many clips: its config differs."""
    before = read_manifest(folder / MANIFEST)
    write_manifest(folder / MANIFEST, replace(before, request=replace(before.request, seed=6)))


def swap_places(folder):
    """Entries 0 and 1 of the first shard, sound in themselves, in the wrong order."""
    raw = bytearray((folder / index.INDEX).read_bytes())
    ends = [int.from_bytes(raw[64 + 8 * k : 72 + 8 * k], "little") for k in range(3)]
    raw[64:72] = ends[1].to_bytes(8, "little")
    raw[72:80] = ends[2].to_bytes(8, "little")
    (folder / index.INDEX).write_bytes(raw)


AT_ONCE = {
    "of another manifest": (foreign, "is of another manifest"),
    "cut": (lambda f: _cut(f / index.INDEX), "bytes, expected 112"),
    "empty": (lambda f: (f / index.INDEX).write_bytes(b""), "is not an index of this format"),
    "something else": (lambda f: (f / index.INDEX).write_bytes(bytes(200)), "is not an index of this format"),
    "a folder": (lambda f: ((f / index.INDEX).unlink(), (f / index.INDEX).mkdir()), "is no plain file"),
}


def _cut(path):
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize("way", AT_ONCE)
def test_a_foreign_or_damaged_index_is_refused_when_the_data_set_is_opened(indexed, way):
    spoil, text = AT_ONCE[way]
    spoil(indexed)
    with pytest.raises(ShardError, match=text):
        DataSet(indexed)


def test_a_shard_that_was_changed_since_is_reported(indexed):
    data = DataSet(indexed)
    path = indexed / "shard-00000.tar"
    path.write_bytes(path.read_bytes() + bytes(512))
    with pytest.raises(ShardError, match=r"shard-00000.tar: has \d+ bytes, the manifest says"):
        data[0]
    path.unlink()
    with pytest.raises(ShardError, match="cannot be read: No such file"):
        data[0]


def test_a_shard_of_the_same_size_with_other_clips_is_reported(indexed):
    """Of 3 scenes each; the first two clips are as long as they were, and are others."""
    data = DataSet(indexed)
    path = indexed / "shard-00000.tar"
    raw = path.read_bytes()
    start = data[1].members["json"].offset - 512
    path.write_bytes(raw[start:-1024] + raw[:start] + raw[-1024:])
    with pytest.raises(ShardError, match="leads to"):
        data[0]


def test_a_place_that_leads_astray_is_reported(indexed):
    swap_places(indexed)
    data = DataSet(indexed)
    with pytest.raises(ShardError, match=r"leads to clip 1 of .*, expected clip 0"):
        data[0]
    raw = bytearray((indexed / index.INDEX).read_bytes())
    raw[64:72] = (700).to_bytes(8, "little")
    (indexed / index.INDEX).write_bytes(raw)
    with pytest.raises(ShardError, match="leads to offset 700, where no clip begins"):
        data[0]


def test_a_shard_whose_clips_are_mixed_has_no_index(tmp_path):
    """`webdataset` would not read it either."""
    whole = manifest(tmp_path, counts=(2, 0, 1))
    members = [m for k in range(2) for m in clip_members(shards_clip(k))]
    members.insert(1, members.pop(8))
    digest, size = write_shard(tmp_path / "shard-00000.tar", members)
    first = replace(whole.shards[0], sha256=digest, bytes=size)
    write_manifest(tmp_path / MANIFEST, replace(whole, shards=(first, *whole.shards[1:])))
    with pytest.raises(ShardError, match="are not consecutive"):
        DataSet(tmp_path).write_index()
    assert not (tmp_path / index.INDEX).exists()


def shards_clip(k):
    from tests.simgen import clips

    return clips.make(None, 5, k)


def test_tables_are_dropped_when_they_grow_and_those_used_last_stay(folder, monkeypatch):
    monkeypatch.setattr(reader, "MAX_CACHED_MEMBERS", 14)  # a clip has 7
    data = DataSet(folder)
    scans = []
    scan = scan_shard
    monkeypatch.setattr(reader, "scan_shard", lambda path: scans.append(path.name) or scan(path))
    for i in (0, 1, 0, 2, 2, 0):
        data[i]
    assert scans == ["shard-00000.tar", "shard-00002.tar", "shard-00000.tar"]
    assert data._cached_members == 14


# ------------------------------------------------------------------------------------------ the manifest behind it


def test_a_table_reads_like_the_tuple_of_its_entries(tmp_path):
    entries = manifest(tmp_path).shards
    table = ShardTable(entries)
    assert table == entries == tuple(table)
    assert (len(table), table[-1], table[1:]) == (3, entries[-1], entries[1:])
    assert table != entries[:2]
    assert pickle.loads(pickle.dumps(table)) == entries
    with pytest.raises(IndexError):
        table[3]


def test_a_manifest_has_a_line_for_each_shard_and_is_read_in_any_layout(folder):
    text = (folder / MANIFEST).read_text()
    plain = json.loads(text)
    assert list(plain) == ["categories", "format", "request", "shards"]
    assert sum('"name"' in line for line in text.splitlines()) == len(plain["shards"]) == 3
    for layout in ({"indent": 1, "sort_keys": True}, {"separators": (",", ":")}, {"indent": 4}):
        reordered = {key: plain[key] for key in ("shards", "categories", "request", "format")}
        (folder / "other.json").write_text(json.dumps(reordered, **layout))
        assert read_manifest(folder / "other.json") == read_manifest(folder / MANIFEST)


def shard_changes(k, **changes):
    def change(plain):
        plain["shards"][k].update(changes)

    return change


UNFIT = {
    "a number stands twice": shard_changes(1, name="shard-00000.tar", first_scene=0),
    "out of order": lambda plain: plain["shards"].reverse(),
    "another first scene": shard_changes(1, first_scene=4),
    "too many clips": shard_changes(0, clips=3),
    "too few clips": shard_changes(0, clips=1),
    "fewer frames than clips": shard_changes(0, frames=1),
    "lost elsewhere": shard_changes(0, quarantined=[{"index": 6, "reason": "why"}]),
    "lost twice": shard_changes(1, quarantined=[{"index": 3, "reason": "why"}] * 3),
    "beyond the last": shard_changes(2, name="shard-00003.tar", first_scene=9, clips=0, frames=0),
    "no sha256": shard_changes(0, sha256="00"),
    "no hexadecimal": shard_changes(0, sha256="z" * 64),
    "negative": shard_changes(0, bytes=-1),
    "giant": shard_changes(0, bytes=2**70),
    "a truth value": shard_changes(0, clips=True),
    "a key more": shard_changes(0, link="x"),
    "no list": lambda plain: plain.update(shards={}),
    "not there": lambda plain: plain.pop("shards"),
    "a number": lambda plain: plain.update(shards=0),
    "no scenes": lambda plain: plain["request"].update(scenes=0),
    "no shard size": lambda plain: plain["request"].update(shard_scenes=0),
}


@pytest.mark.parametrize("way", UNFIT)
def test_entries_that_do_not_fit_the_request_are_refused(folder, way):
    plain = json.loads((folder / MANIFEST).read_text())
    UNFIT[way](plain)
    (folder / MANIFEST).write_text(json.dumps(plain))
    with pytest.raises(ShardError, match="not a manifest"):
        read_manifest(folder / MANIFEST)


def test_a_hundred_thousand_shards_are_joined_in_their_order(tmp_path):
    """Names sort by their digits only up to shard 99999."""
    from simgen.generation.join import _in_order

    table = {name: (tmp_path, entry(number)) for number in (100_000, 99_999, 7) for name in [shard_name(number)]}
    assert [one.first_scene for one in _in_order(table)] == [7, 99_999, 100_000]


def entry(number):
    return ShardEntry(
        name=shard_name(number), sha256="0" * 64, bytes=1, first_scene=number, clips=1, frames=1, quarantined=()
    )


def test_copies_of_an_indexed_data_set_are_read_by_their_own_index(indexed, tmp_path_factory):
    copy = shutil.copytree(indexed, tmp_path_factory.mktemp("copy") / "x")
    assert DataSet(copy)[0].path.parent == copy
