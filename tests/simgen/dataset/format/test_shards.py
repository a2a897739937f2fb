"""A shard gives back what was put in, says what is broken, and trusts nothing."""

import io
import json
import subprocess
import sys
import tarfile
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simgen.dataset.format.archive import clip_members, scan_shard, write_shard
from simgen.dataset.format.manifest import (
    DATA_SET_FORMAT,
    MANIFEST,
    Manifest,
    Quarantined,
    Request,
    ShardEntry,
    shard_name,
    write_manifest,
)
from simgen.dataset.format.plain import from_plain
from simgen.dataset.format.png16 import (
    DEPTH_UNIT_M,
    MAX_MEMBER_BYTES,
    decode_depth,
    decode_ids,
    decode_png,
    encode_depth,
    encode_ids,
    encode_png,
)
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.files import file_sha256
from simgen.spec.errors import ShardError
from simgen.spec.frames import Labels
from simgen.spec.scene import SceneSpec
from simgen.spec.text.stored import stored_fields
from simgen.spec.types import BACKGROUND, CLUTTER
from tests.simgen import clips


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "shard-00000.tar"
    write_shard(path, (m for k in range(3) for m in clip_members(clips.make(None, 5, k))))
    return path


def test_a_clip_comes_back_as_it_was(shard):
    result = scan_shard(shard)
    assert list(result) == [0, 1, 2]
    for index, stored in result.items():
        made = clips.make(None, 5, index)
        assert (stored.spec(), stored.labels(), stored.frames) == (made.spec, made.labels, 2)
        assert stored.spec().id == made.spec.id == stored.meta()["id"]
        for t in range(2):
            assert stored.jpeg(t) == made.jpegs[t]
            assert np.array_equal(stored.ids(t), made.ids[t])
            np.testing.assert_allclose(stored.depth_m(t), made.depth_m[t], atol=DEPTH_UNIT_M / 2)


def test_same_clips_same_bytes_and_nothing_else_in_the_folder(tmp_path):
    results = [write_shard(tmp_path / f"{n}.tar", clip_members(clips.make(None, 5, 0))) for n in "ab"]
    assert results[0] == results[1] == (file_sha256(tmp_path / "a.tar"), (tmp_path / "a.tar").stat().st_size)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "b.tar"]


def test_a_shard_that_fails_half_way_leaves_nothing(tmp_path):
    def members():
        yield "000000.json", b"{}"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_shard(tmp_path / "a.tar", members())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves the file open
def test_webdataset_and_tarfile_read_it_as_it_is(shard):
    import webdataset

    samples = list(webdataset.WebDataset(str(shard), shardshuffle=False))
    assert [s["__key__"] for s in samples] == ["000000", "000001", "000002"]
    assert samples[1]["f001.jpg"] == scan_shard(shard)[1].jpeg(1)
    assert json.loads(samples[2]["json"])["index"] == 2
    with tarfile.open(shard) as archive:
        assert len(archive.getnames()) == 3 * (1 + 2 * 3)


@given(arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-2, 65533)))
def test_ids_survive(ids):
    assert {BACKGROUND, CLUTTER} == {-1, -2}
    assert np.array_equal(decode_ids(encode_ids(ids)), ids)


def test_other_programs_read_the_pngs():
    import cv2

    grey = np.random.default_rng(0).integers(0, 65536, (7, 5)).astype(np.uint16)
    png = encode_png(grey)
    assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), grey)


def test_depth_that_16_bits_do_not_hold_reads_as_nothing():
    depth = np.array([[0.5, 6.5535, 6.6, np.inf, 1e30]], np.float32)
    back = decode_depth(encode_depth(depth))
    assert np.allclose(back[0, :2], depth[0, :2])
    assert np.isinf(back[0, 2:]).all()


def test_a_damaged_png_is_reported_from_a_good_one():
    png = encode_png(np.zeros((4, 4), np.uint16))
    for at in range(len(png)):
        with pytest.raises(ValueError, match=r"."):
            decode_png(png[:at] + bytes([png[at] ^ 1]) + png[at + 1 :])
        with pytest.raises(ValueError, match=r"."):
            decode_png(png[:at])


def test_every_cut_of_a_shard_is_found(shard):
    whole = shard.read_bytes()
    for size in [0, 1, 511, 512, 700, *range(1024, len(whole) - 512, 1024), len(whole) - 1024]:
        shard.write_bytes(whole[:size])
        with pytest.raises(ShardError, match=r"shard-00000.tar: cut short at offset \d+"):
            scan_shard(shard)


def test_a_damaged_header_is_named_with_its_offset(shard):
    found = scan_shard(shard)[1].members["f000.jpg"]
    data = bytearray(shard.read_bytes())
    data[found.offset - 512 + 130] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ShardError, match=rf"damaged header at offset {found.offset - 512}"):
        scan_shard(shard)


def test_damaged_pixels_are_named_with_their_clip(shard):
    result = scan_shard(shard)[1].members["f000.ids.png"]
    data = bytearray(shard.read_bytes())
    data[result.offset + 50] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ShardError, match=r"'f000.ids.png' of clip 1 is damaged"):
        scan_shard(shard)[1].ids(0)


HOSTILE = {
    "absolute": ({"name": "/000000.json"}, "no name for a member"),
    "out of the folder": ({"name": "../000000.json"}, "no name for a member"),
    "in a folder": ({"name": "a/000000.json"}, "no name for a member"),
    "symbolic link": ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "no plain file"),
    "hard link": ({"type": tarfile.LNKTYPE, "linkname": "000000.json"}, "no plain file"),
    "device": ({"type": tarfile.CHRTYPE}, "no plain file"),
    "folder": ({"type": tarfile.DIRTYPE}, "no plain file"),
    "pax header": ({"type": tarfile.XHDTYPE}, "no plain file"),
    "too large": ({"size": MAX_MEMBER_BYTES + 1}, "more than the"),
    "negative": ({"size": -1}, "more than the"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused(tmp_path, case):
    changes, message = HOSTILE[case]
    member = tarfile.TarInfo("000000.json")
    for name, value in changes.items():
        setattr(member, name, value)
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(ShardError, match=message):
        scan_shard(tmp_path / "a.tar")


def test_a_member_that_stands_twice_is_refused(tmp_path):
    write_shard(tmp_path / "a.tar", [("000000.json", b"1"), ("000000.json", b"2")])
    with pytest.raises(ShardError, match="stands twice"):
        scan_shard(tmp_path / "a.tar")


def test_specs_and_labels_survive_json():
    clip = clips.make(None, 1, 2)
    for value, kind in ((clip.spec, SceneSpec), (clip.labels, Labels)):
        plain = json.loads(json.dumps(value, default=stored_fields))
        assert from_plain(kind, plain) == value
        del plain[next(iter(plain))]  # the last ones may be left out: older data sets have none
        with pytest.raises(ValueError, match="needs the keys"):
            from_plain(kind, plain)


def test_a_spec_of_before_the_physical_sensor_reads_with_that_sensor_off():
    spec = clips.make(None, 1, 2).spec
    plain = json.loads(spec.to_json())
    for name in [name for name in plain["sensor"] if name in ("gain", "lateral_ca", "demosaic", "adc_bits")]:
        del plain["sensor"][name]
    assert len(plain["sensor"]) == len(asdict(spec.sensor)) - 4
    assert from_plain(SceneSpec, plain) == spec
    plain["sensor"]["gian"] = 2.0
    with pytest.raises(ValueError, match=r"SceneSpec\.sensor: needs the keys"):
        from_plain(SceneSpec, plain)


def manifest(folder, counts=(2, 0, 1)):
    """A data set of seven scenes in shards of three, some of them left out."""
    entries = []
    for k, count in enumerate(counts):
        name = shard_name(k)
        made = [clips.make(None, 5, 3 * k + j) for j in range(count)]
        digest, size = write_shard(folder / name, (m for clip in made for m in clip_members(clip)))
        lost = tuple(Quarantined(index=i, reason="why") for i in range(3 * k + count, min(7, 3 * k + 3)))
        entries.append(ShardEntry(
            name=name, sha256=digest, bytes=size, first_scene=3 * k, clips=count, frames=2 * count, quarantined=lost
        ))  # fmt: skip
    request = Request(simgen="0", preset="p", config={"a": {"b": 1}}, seed=5, scenes=7, shard_scenes=3)
    return Manifest(format=DATA_SET_FORMAT, request=request, categories=clips.CATEGORIES, shards=tuple(entries))


def test_a_data_set_counts_what_is_there_and_finds_scenes_by_index(tmp_path):
    write_manifest(tmp_path / MANIFEST, manifest(tmp_path))
    data = DataSet(tmp_path)
    assert data.manifest == manifest(tmp_path)
    assert [c.index for c in data] == [data[i].index for i in range(len(data))] == [0, 1, 6]
    assert data.clip(6).meta()["index"] == 6
    with pytest.raises(IndexError):
        data[3]
    with pytest.raises(ShardError, match="scene 4 could not be made: why"):
        data.clip(4)
    with pytest.raises(ShardError, match="no scene 7; scenes are 0 to 6"):
        data.clip(7)


def test_a_folder_without_manifest_or_with_another_is_refused(tmp_path):
    with pytest.raises(ShardError, match="no finished simgen data set"):
        DataSet(tmp_path)
    good = asdict(manifest(tmp_path))
    for change, message in (
        ({"format": "other/1"}, "its format is 'other/1'"),
        ({"categories": 3}, "Manifest.categories: needs"),
        ({"shards": [asdict(replace(manifest(tmp_path).shards[0], name="../../etc/shard-00000.tar"))]}, "is no name"),
    ):
        (tmp_path / MANIFEST).write_text(json.dumps({**good, **change}))
        with pytest.raises(ShardError, match=message):
            DataSet(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ShardError, match="not a manifest"):
        DataSet(tmp_path)


def test_reading_needs_numpy_and_the_standard_library_alone():
    code = (
        "import sys, simgen.dataset.format.reader; "
        "sys.exit(bool({'cv2', 'pybullet', 'pydantic', 'scipy', 'torch', 'yaml', 'PIL'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_archives_have_no_times_owners_or_padding_of_chance(shard):
    with tarfile.open(fileobj=io.BytesIO(shard.read_bytes())) as archive:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in archive} == {(0, 0, 0, "", "", 0o644)}
