"""A shard as a tar archive, without pictures: any members, and any index of their places."""

import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simgen.dataset.format import clip_index
from simgen.dataset.format.archive import after, clip_between, scan_shard, write_shard
from simgen.spec.errors import ShardError

NAMES = st.sampled_from(["json", "f000.jpg", "f000.ids.png", "f001.jpg"])
CLIPS = st.dictionaries(
    st.integers(0, 10**9), st.dictionaries(NAMES, st.binary(max_size=1200), min_size=1), min_size=1, max_size=4
)
MANIFEST = bytes(range(32))


def written(path: Path, clips: dict[int, dict[str, bytes]]) -> Path:
    write_shard(path, [(f"{i:06d}.{name}", data) for i, clip in clips.items() for name, data in clip.items()])
    return path


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clips=CLIPS)
def test_members_come_back_and_tarfile_agrees(tmp_path_factory: Any, clips: dict[int, dict[str, bytes]]) -> None:
    path = written(tmp_path_factory.mktemp("shard") / "a.tar", clips)
    stored = scan_shard(path)
    assert {i: {name: clip.read(name) for name in clip.members} for i, clip in stored.items()} == clips
    with tarfile.open(path) as archive:
        named = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert named == {f"{i:06d}.{name}": data for i, clip in clips.items() for name, data in clip.items()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clips=CLIPS)
def test_a_clip_is_found_between_its_offsets_and_nowhere_else(
    tmp_path_factory: Any, clips: dict[int, dict[str, bytes]]
) -> None:
    clips = {i: {"json": b"{}", **{name: clip[name] for name in clip if name != "json"}} for i, clip in clips.items()}
    path = written(tmp_path_factory.mktemp("shard") / "a.tar", clips)
    stored = scan_shard(path)
    start = 0
    for i, clip in stored.items():
        end = after(list(clip.members.values())[-1])
        for cut in [after(member) for member in clip.members.values()][:-1]:  # a clip that ends or begins too early
            for wrong in ((start, cut), (cut, end)):
                with pytest.raises(ValueError, match="no clip"):
                    clip_between(path, *wrong)
        assert clip_between(path, start, end) == clip
        for wrong in ((start, end - 1), (start, end + 512), (start + 1, end)):
            with pytest.raises(ValueError, match="no clip"):
                clip_between(path, *wrong)
        start = end
        assert clip.index == i


def test_a_member_that_the_clip_lacks_is_named_with_those_it_has(tmp_path: Path) -> None:
    clip = scan_shard(written(tmp_path / "a.tar", {41: {"json": b"{}", "f000.jpg": b"jpg"}}))[41]
    with pytest.raises(ShardError, match=r"clip 41 has no 'f001.jpg'; it has \['f000.jpg', 'json'\]"):
        clip.jpeg(1)


def test_a_file_that_shrank_after_the_scan_is_reported(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tar", {41: {"json": b"x" * 600}})
    clip = scan_shard(path)[41]
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ShardError, match="ends inside 'json' of clip 41, at offset 512"):
        clip.read("json")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b'{"format": "simgen-clip/1"}', b'{"format": "simgen-clip/1", "index": 40}',
             b'{"format": "simgen-clip/2", "index": 41}', b"[" * 100_000, b"\xff"],
)  # fmt: skip
def test_a_clip_whose_json_is_of_another_kind_is_damaged(tmp_path: Path, text: bytes) -> None:
    clip = scan_shard(written(tmp_path / "a.tar", {41: {"json": text}}))[41]
    with pytest.raises(ShardError, match="'json' of clip 41 is damaged"):
        clip.meta()


# --------------------------------------------------------------------------------------------------- the index


def index(places: list[list[int]], count: int | None = None) -> bytes:
    total = sum(map(len, places)) if count is None else count
    return b"".join(clip_index.chunks(MANIFEST, total, places))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(places=st.lists(st.lists(st.integers(0, 2**63), min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_span_of_an_index_is_found(tmp_path_factory: Any, places: list[list[int]]) -> None:
    path, flat = tmp_path_factory.mktemp("index") / "index.bin", [place for shard in places for place in shard]
    path.write_bytes(index(places))
    with path.open("rb") as file:
        clip_index.check(file, MANIFEST, len(flat))
        assert [clip_index.span(file, k) for k in range(len(flat) - 1)] == list(pairwise(flat))
        with pytest.raises(ValueError, match=f"ends at place {len(flat) - 1}"):
            clip_index.span(file, len(flat) - 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an index of this format"),
        (index([[0, 512]])[:63], "not an index of this format"),
        (b"simgen-index/2" + index([[0, 512]])[14:], "not an index of this format"),
        (index([[0, 512]])[:-1], "has 79 bytes, expected 80"),
        (index([[0, 512]]) + b"\0", "has 81 bytes, expected 80"),
        (index([[0, 512]], count=3), "is of another manifest"),
        (index([[0, 512]]).replace(MANIFEST, bytes(32)), "is of another manifest"),
    ],
    ids=["empty", "half a head", "another version", "cut", "longer", "another count", "another manifest"],
)
def test_an_index_that_is_cut_or_of_something_else_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "index.bin").write_bytes(data)
    with (tmp_path / "index.bin").open("rb") as file, pytest.raises(ValueError, match=message):
        clip_index.check(file, MANIFEST, 2)
