"""One shard: a plain tar archive of clips. On reading, nothing in it is trusted."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from simgen.dataset.format.plain import T, from_plain
from simgen.dataset.format.png16 import (
    DEPTH_UNIT_M,
    MAX_MEMBER_BYTES,
    decode_depth,
    decode_flow,
    decode_ids,
    encode_depth,
    encode_flow,
    encode_ids,
)
from simgen.dataset.store.files import MAX_JSON_BYTES, Sink, atomically, check_plain
from simgen.dataset.store.locations import Location
from simgen.spec.errors import ShardError
from simgen.spec.frames import Labels, RenderedClip
from simgen.spec.scene import SceneSpec
from simgen.spec.text.json_text import parse_json
from simgen.spec.text.stored import stored_fields

REBUILD = "remove it, or write it again with `simgen index`"
CLIP_FORMAT = "simgen-clip/1"
_MEMBER_NAME = re.compile(r"(\d{6,12})\.([a-z0-9]+(?:\.[a-z0-9]+)*)")
_PLAIN_NAME = re.compile(rb"[0-9a-z.]+")
_EMPTY_HEADER = tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)  # our headers differ from it in name, size and checksum
_EMPTY_SUM = int(_EMPTY_HEADER[148:154], 8) - sum(_EMPTY_HEADER[124:135])


def clip_members(clip: RenderedClip) -> list[tuple[str, bytes]]:
    """The files of a clip in a shard, as (name, bytes), in their order."""
    spec = clip.spec
    meta = {
        "format": CLIP_FORMAT,
        "index": spec.index,
        "id": spec.id,
        "depth_unit_m": DEPTH_UNIT_M,
        "spec": spec,
        "labels": clip.labels,
    }
    key = f"{spec.index:06d}"
    text = json.dumps(
        meta, sort_keys=True, allow_nan=False, separators=(",", ":"), default=stored_fields
    )  # asdict is slower
    members = [(f"{key}.json", text.encode())]
    for frame, jpeg in enumerate(clip.jpegs):
        members += [
            (f"{key}.f{frame:03d}.jpg", jpeg),
            (f"{key}.f{frame:03d}.ids.png", encode_ids(clip.ids[frame])),
            (f"{key}.f{frame:03d}.depth.png", encode_depth(clip.depth_m[frame])),
        ]
        if clip.flow_px is not None:
            members.append((f"{key}.f{frame:03d}.flow.png", encode_flow(clip.flow_px[frame])))
    return members


def write_shard(path: Location, members: Iterable[tuple[str, bytes]]) -> tuple[str, int]:
    """Write a shard atomically. Returns (sha256, bytes).

    Raises:
        OSError: it cannot be written.
    """
    with shard_sink(path) as sink:
        for name, data in members:
            add_member(sink, name, data)
    return sink.sha256, sink.size


@contextmanager
def shard_sink(path: Location) -> Iterator[Sink]:
    """An open shard, for `add_member`. It appears at `path`, complete and synced, when the block has ended."""
    with atomically(path, sweep=False) as sink:  # a run removes what is left of all its shards at once
        yield sink
        sink.write(bytes(2 * tarfile.BLOCKSIZE))


def add_member(sink: Sink, name: str, data: bytes) -> None:
    """Append a file to an open shard."""
    header = tarfile.TarInfo(name)
    header.size = len(data)
    sink.write(header.tobuf(tarfile.USTAR_FORMAT))
    sink.write(data)
    sink.write(bytes(-len(data) % tarfile.BLOCKSIZE))


@dataclass(frozen=True)
class Member:
    """The position of a member's bytes in its archive."""

    offset: int
    size: int


@dataclass(frozen=True)
class StoredClip:
    """A clip in a shard. Each call reads from the file; nothing is cached."""

    path: Location  # of the shard
    index: int  # of the scene
    members: Mapping[str, Member]  # by the name after the scene's number: "json", "f000.jpg", ...

    @property
    def frames(self) -> int:
        """The number of frames."""
        return sum(name.endswith(".jpg") for name in self.members)

    def read(self, name: str) -> bytes:
        """The bytes of a member such as "f000.jpg".

        Raises:
            ShardError: the clip has no such member, or the file has become shorter since it was scanned.
        """
        if name not in self.members:
            raise ShardError(f"{self.path}: clip {self.index} has no {name!r}; it has {sorted(self.members)}")
        member = self.members[name]
        with self.path.open("rb") as file:
            file.seek(member.offset)
            data = file.read(member.size)
        if len(data) != member.size:
            raise ShardError(f"{self.path}: ends inside {name!r} of clip {self.index}, at offset {member.offset}")
        return data

    def meta(self) -> dict[str, Any]:
        """The clip's JSON, not converted.

        Raises:
            ShardError: it is damaged, too large, or of another clip.
        """
        try:
            if (member := self.members.get("json")) and member.size > MAX_JSON_BYTES:
                raise ValueError(f"{member.size} bytes, more than the {MAX_JSON_BYTES} that are read")
            meta = parse_json(self.read("json"))
            if meta["format"] != CLIP_FORMAT or meta["index"] != self.index:
                raise ValueError(f"it says {meta['format']!r}, index {meta['index']}")
        except (ValueError, KeyError, TypeError) as error:
            raise self.damaged("json", error) from error
        return meta  # type: ignore[no-any-return]

    def labels(self) -> Labels:
        """The labels of every frame."""
        return self._typed(Labels, "labels")

    def spec(self) -> SceneSpec:
        """The spec that the clip was rendered from."""
        return self._typed(SceneSpec, "spec")

    def jpeg(self, frame: int) -> bytes:
        """The encoded image of a frame."""
        return self.read(f"f{frame:03d}.jpg")

    def ids(self, frame: int) -> Int32[np.ndarray, "h w"]:
        """The id map of a frame: a track_id, BACKGROUND or CLUTTER for each pixel."""
        name = f"f{frame:03d}.ids.png"
        try:
            return decode_ids(self.read(name))
        except ValueError as error:
            raise self.damaged(name, error) from error

    def depth_m(self, frame: int) -> Float32[np.ndarray, "h w"]:
        """Depth in metres along the optical axis; inf beyond 6.55 m."""
        name = f"f{frame:03d}.depth.png"
        try:
            return decode_depth(self.read(name))
        except ValueError as error:
            raise self.damaged(name, error) from error

    @property
    def has_flow(self) -> bool:
        """Whether the clip was written with optical flow (`labels.flow`)."""
        return "f000.flow.png" in self.members

    def flow_px(self, frame: int) -> Float32[np.ndarray, "h w 2"]:
        """Optical flow in pixels (right, down) to the next frame; NaN where it is unknown, as in the last frame.

        Raises:
            ShardError: the clip was written without flow, or is damaged.
        """
        name = f"f{frame:03d}.flow.png"
        try:
            return decode_flow(self.read(name))
        except ValueError as error:
            raise self.damaged(name, error) from error

    def _typed(self, kind: type[T], key: str) -> T:
        try:
            return from_plain(kind, self.meta()[key])
        except (ValueError, KeyError) as error:
            raise self.damaged("json", error) from error

    def damaged(self, name: str, error: Exception) -> ShardError:
        """The error to raise for a damaged member."""
        return ShardError(f"{self.path}: {name!r} of clip {self.index} is damaged: {error}")


def scan_shard(path: Location) -> dict[int, StoredClip]:
    """The clips of a shard by their scene's index. Only the headers are read.

    Raises:
        ShardError: the file is missing or cut short, or has a member that no shard may have.
    """
    clips: dict[int, dict[str, Member]] = {}
    try:
        for name, member in _scan(path):
            match = _MEMBER_NAME.fullmatch(name)
            if not match:
                raise ShardError(f"{path}: {name!r} before offset {member.offset} is no name for a member of a shard")
            clip = clips.setdefault(int(match[1]), {})
            if match[2] in clip:
                raise ShardError(f"{path}: {name!r} stands twice, again at offset {member.offset}")
            clip[match[2]] = member
    except OSError as error:
        raise ShardError(f"{path}: cannot be read: {error.strerror}") from error
    return {index: StoredClip(path, index, members) for index, members in clips.items()}


def _scan(path: Location, offset: int = 0) -> Iterator[tuple[str, Member]]:
    """The members from the header at `offset` on."""
    end = check_plain(path)
    with path.open("rb") as file:
        file.seek(offset)
        while True:
            block = file.read(tarfile.BLOCKSIZE)
            if len(block) < tarfile.BLOCKSIZE:
                raise ShardError(f"{path}: cut short at offset {offset + len(block)}: the archive has no end mark")
            if not any(block):
                return
            name, size = _header(path, block, offset)
            member = Member(offset + tarfile.BLOCKSIZE, size)
            if member.offset + size > end:
                missing = member.offset + size - end
                raise ShardError(f"{path}: cut short at offset {end}: {missing} bytes of {name!r} are missing")
            yield name, member
            offset = after(member)
            file.seek(offset)


def after(member: Member) -> int:
    """The offset of the next header."""
    return member.offset + member.size + -member.size % tarfile.BLOCKSIZE


def _plain_header(block: bytes) -> tuple[str, int] | None:
    """Name and size, if the header is exactly as `add_member` writes it; else None, and `tarfile` must parse it.

    Six times as fast as `tarfile`.
    """
    same = all(block[a:b] == _EMPTY_HEADER[a:b] for a, b in ((100, 124), (135, 148), (154, 512)))
    name, size, checksum = block[:100].rstrip(b"\0"), block[124:135], block[148:154]
    if not (same and _PLAIN_NAME.fullmatch(name) and size.isdigit() and checksum.isdigit()):
        return None
    try:
        size_bytes, sound = int(size, 8), int(checksum, 8) == _EMPTY_SUM + sum(name) + sum(size)
    except ValueError:
        return None
    return (name.decode("ascii"), size_bytes) if sound and size_bytes <= MAX_MEMBER_BYTES else None


def _header(path: Location, block: bytes, offset: int) -> tuple[str, int]:
    """The name and size of a member, from its header."""
    if (plain := _plain_header(block)) is not None:
        return plain
    try:
        header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise ShardError(f"{path}: damaged header at offset {offset}: {error}") from error
    if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ShardError(f"{path}: {header.name!r} at offset {offset} is no plain file (tar type {header.type!r})")
    if not 0 <= header.size <= MAX_MEMBER_BYTES:
        limit = f"more than the {MAX_MEMBER_BYTES} that a member may have"
        raise ShardError(f"{path}: {header.name!r} at offset {offset} claims {header.size} bytes, {limit}")
    return header.name, header.size


def clip_between(path: Location, start: int, end: int) -> StoredClip:
    """The clip whose headers and bytes are exactly those between two offsets of a shard.

    Raises:
        ValueError: there is no such clip.
    """
    members: dict[str, Member] = {}
    scene, last = -1, start
    try:
        for name, member in _scan(path, start):  # to the first member after the clip, which must be of another one
            match = _MEMBER_NAME.fullmatch(name)
            if match is None or (members and int(match[1]) != scene) or match[2] in members or last > end:
                break
            scene, last = int(match[1]), after(member)
            members[match[2]] = member
    except ShardError as error:
        raise ValueError(f"leads to offset {start}, where no clip begins ({error}): {REBUILD}") from error
    if last != end or next(iter(members), "") != "json":
        raise ValueError(f"leads to bytes {start} to {end} of {path}, which are no clip: {REBUILD}")
    return StoredClip(path, scene, members)
