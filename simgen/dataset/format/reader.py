"""The data set's format: a folder of tar shards and a manifest. numpy and the standard library only.

    manifest.json            what was asked for, the categories, each shard's sha256 and size, the scenes left out
    shard-00000.tar ...      shard k holds scenes [k*S, (k+1)*S) in order; `webdataset` reads it as it is
    index.bin                where each clip begins (`simgen.dataset.format.clip_index`); there where `simgen index` was
    asked for it

A shard is a plain ustar archive without times or owners. A scene's members stand together and share its key, which is
the scene's index in six digits:

    000041.json              {"format", "index", "id", "depth_unit_m", "spec", "labels"}: a SceneSpec and its Labels
    000041.f000.jpg          frame 0 as the camera gives it
    000041.f000.ids.png      16 bit grey: 0 background, 65535 clutter, else track_id + 1
    000041.f000.depth.png    16 bit grey: depth along the optical axis in 0.1 mm; 0 where nothing is nearer than 6.55 m
    000041.f000.flow.png     where labels.flow asked for it: 16 bit grey, twice as high: flow to the next frame, above
                             to the right and below downwards, in 1/64 px over 32768; 0 where there is none, or > 511 px

Nothing here is trusted on reading: a member that is a link, leaves the folder, is too large or runs past the archive's
end is a `ShardError` that names the shard and the offset.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import struct
import tarfile
import types as builtin_types
import zlib
from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, TypeVar, Union, get_args, get_origin, get_type_hints, overload

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt16

from simgen.dataset.format import clip_index as by_index
from simgen.dataset.format.json_stream import object_items
from simgen.dataset.store.locations import Place, RemotePath, place
from simgen.spec.types import BACKGROUND, CLUTTER, Labels, RenderedClip, SceneSpec, stored_fields

DATA_SET_FORMAT = "simgen-data-set/1"
CLIP_FORMAT = "simgen-clip/1"
MANIFEST = "manifest.json"
DEPTH_UNIT_M = 0.0001
MAX_MEMBER_BYTES = 256 * 2**20  # a frame of 8192 x 8192 pixels with 16 bits stays under it
MAX_JSON_BYTES = 64 * 2**20  # of a clip: a thousand parts in a hundred frames stay under it
MAX_MANIFEST_BYTES = 2 * 2**30
MAX_KEPT_MEMBERS = 200_000  # whose places a reader keeps in memory at once, some 60 MB
FLOW_UNIT_PX = 1 / 64
_STILL_CODE = 32768  # of a flow of 0
_CLUTTER_CODE = 65535
_MEMBER_NAME = re.compile(r"(\d{6,12})\.([a-z0-9]+(?:\.[a-z0-9]+)*)")
_PLAIN_NAME = re.compile(rb"[0-9a-z.]+")
_EMPTY_HEADER = tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)  # differs from any of ours in name, size and sum
_EMPTY_SUM = int(_EMPTY_HEADER[148:154], 8) - sum(_EMPTY_HEADER[124:135])
T = TypeVar("T")


class ShardError(Exception):
    """A data set that is damaged, unfinished or not of this format. Says which file, where in it, and what is wrong."""


# ---------------------------------------------------------------------------------------------- the manifest


@dataclass(frozen=True, kw_only=True)
class Request:
    """What decides a data set's bytes, on one kind of machine."""

    simgen: str  # the version that made it
    preset: str
    config: Mapping[str, Any]  # the whole config, with what the preset inherits and what --set changed
    seed: int
    scenes: int
    shard_scenes: int
    renderer: str = ""  # its name, vendor and version; empty in data sets of before this was noted

    @property
    def shards(self) -> int:
        return -(-self.scenes // self.shard_scenes)

    def scenes_of(self, shard: int) -> range:
        return range(shard * self.shard_scenes, min(self.scenes, (shard + 1) * self.shard_scenes))


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A scene that could not be made and is not in its shard."""

    index: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    name: str
    sha256: str
    bytes: int
    first_scene: int
    clips: int
    frames: int
    quarantined: tuple[Quarantined, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The table of contents. A folder without one is not a finished data set."""

    format: str
    request: Request
    categories: tuple[str, ...]  # sorted; a category's place is its class index
    shards: Sequence[ShardEntry]  # by their number

    @property
    def clips(self) -> int:
        return sum(shard.clips for shard in self.shards)

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        return tuple(scene for shard in self.shards for scene in shard.quarantined)


class ShardTable(Sequence[ShardEntry]):
    """Entries of a manifest in columns: 72 bytes a shard, where as many objects take 500. Reads like a tuple."""

    def __init__(self, entries: Iterable[ShardEntry] = ()) -> None:
        self.numbers, self.sizes, self.first_scenes, self.clips, self.frames = (array("q") for _ in range(5))
        self._digests = bytearray()
        self._lost: dict[int, tuple[Quarantined, ...]] = {}  # by the place in this table; few shards have any
        for entry in entries:
            self.append(entry)

    def append(self, entry: ShardEntry) -> None:
        """Add an entry behind the others.

        Raises:
            ValueError: its name is none for a shard, its digest is no sha256, or a number is out of range.
        """
        self._add(entry.name, entry.sha256, entry.bytes, entry.first_scene, entry.clips, entry.frames)
        if entry.quarantined:
            self._lost[len(self) - 1] = entry.quarantined

    def append_plain(self, plain: Any) -> None:
        """Add what JSON made of an entry.

        Raises:
            ValueError: as `append`, or a key or a type is not what an entry has.
        """
        if type(plain) is dict and plain.keys() == _ENTRY_TYPES.keys() and not plain["quarantined"]:
            values = _entry_values(plain)  # nearly every shard, at a fifth of the time
            if tuple(map(type, values)) == _PLAIN_TYPES and type(plain["quarantined"]) is list:
                return self._add(*values)
        self.append(from_plain(ShardEntry, plain))

    def _add(self, name: str, sha256: str, size: int, first_scene: int, clips: int, frames: int) -> None:
        number = int(name[6:-4]) if name[6:-4].isdecimal() else -1
        if name != shard_name(number) or number >= 2**62:
            raise ValueError(f"{name!r} is no name for a shard")
        digest = bytes.fromhex(sha256)
        if (
            len(digest) != 32
            or min(size, first_scene, clips, frames) < 0
            or max(size, first_scene, clips, frames) >= 2**62
        ):
            raise ValueError(f"{name}: sha256 {sha256!r:.80}, {size} bytes, {clips} clips, {frames} frames")
        self._digests += digest
        self.numbers.append(number)
        self.sizes.append(size)
        self.first_scenes.append(first_scene)
        self.clips.append(clips)
        self.frames.append(frames)

    def lost(self, i: int) -> tuple[Quarantined, ...]:
        return self._lost.get(i, ())

    def all_lost(self) -> Iterator[tuple[int, tuple[Quarantined, ...]]]:
        """The place of each entry that has quarantined scenes, and these."""
        return iter(self._lost.items())

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, i: int) -> ShardEntry: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[ShardEntry, ...]: ...
    def __getitem__(self, i: int | slice) -> ShardEntry | tuple[ShardEntry, ...]:
        if isinstance(i, slice):
            return tuple(self[k] for k in range(*i.indices(len(self))))
        number = self.numbers[i]
        i %= len(self)
        return ShardEntry(
            name=shard_name(number),
            sha256=self._digests[32 * i : 32 * i + 32].hex(),
            bytes=self.sizes[i],
            first_scene=self.first_scenes[i],
            clips=self.clips[i],
            frames=self.frames[i],
            quarantined=self.lost(i),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ShardTable of {len(self)} shards"


_ENTRY_TYPES = {
    "name": str, "sha256": str, "bytes": int, "first_scene": int, "clips": int, "frames": int, "quarantined": list,
}  # fmt: skip
_PLAIN_TYPES = tuple(_ENTRY_TYPES.values())[:-1]
_entry_values = itemgetter(*tuple(_ENTRY_TYPES)[:-1])


def shard_name(number: int) -> str:
    return f"shard-{number:05d}.tar"


def write_manifest(path: Place, manifest: Manifest) -> None:
    write_atomically(path, _manifest_chunks(manifest))


def _manifest_chunks(manifest: Manifest) -> Iterator[bytes]:
    """JSON with a line for each shard."""
    head = {"format": manifest.format, "request": asdict(manifest.request), "categories": manifest.categories}
    text = json.dumps(head, indent=1, sort_keys=True, allow_nan=False)
    yield text.removesuffix("\n}").encode() + b',\n "shards": ['
    for i, entry in enumerate(manifest.shards):
        line = json.dumps(vars(entry), sort_keys=True, separators=(",", ":"), default=vars)
        yield f"{',' if i else ''}\n  {line}".encode()
    yield b"\n ]\n}\n"


def read_manifest(path: Place) -> Manifest:
    """The manifest at `path`.

    Raises:
        ShardError: there is none, or it is not of this format.
    """
    try:
        _check_plain(path, MAX_MANIFEST_BYTES)
        with path.open("rb") as file, io.TextIOWrapper(file, encoding="utf-8") as text:
            return _parsed(text)
    except FileNotFoundError:
        raise ShardError(f"{path.parent}: no {path.name}, so no finished simgen data set") from None
    except (ValueError, AttributeError, OSError, RecursionError) as error:
        raise ShardError(f"{path}: not a manifest: {error}") from error


@dataclass(frozen=True, kw_only=True)
class _Head:
    """A manifest without its shards."""

    format: str
    request: Request
    categories: tuple[str, ...]


def _parsed(file: io.TextIOWrapper) -> Manifest:
    """A manifest, of which one shard's entry at a time is held as JSON."""
    plain: dict[str, Any] = {}
    table = ShardTable()
    for key, value, is_shard in object_items(file, "shards", MAX_JSON_BYTES):
        if is_shard:
            table.append_plain(value)
        elif key == "format" and value != DATA_SET_FORMAT:
            plain = {key: value}
            break  # of another format, whose shards may be anything
        else:
            plain[key] = value
    if plain.get("format") != DATA_SET_FORMAT:
        raise ValueError(f"its format is {plain.get('format')!r:.60}, this reads {DATA_SET_FORMAT!r}")
    if plain.pop("shards", None) != []:
        raise ValueError("Manifest.shards: needs a list")
    head = _convert(_Head, plain, "Manifest")
    _check_table(head.request, table)
    return Manifest(format=head.format, request=head.request, categories=head.categories, shards=table)


def _check_table(request: Request, table: ShardTable) -> None:
    """Are these shards of `request`, in order, each once, with the scenes that are theirs?

    Raises:
        ValueError: they are not; names the first that is not.
    """
    size, scenes = request.shard_scenes, request.scenes
    if size < 1 or scenes < 1:
        raise ValueError(f"Manifest.request: {scenes} scenes, {size} a shard")
    number, first, clips, frames = (
        np.frombuffer(column, np.int64) for column in (table.numbers, table.first_scenes, table.clips, table.frames)
    )
    due = np.minimum(scenes, (number + 1) * size) - number * size
    for at, lost in table.all_lost():
        due[at] -= len({scene.index for scene in lost if scene.index in request.scenes_of(int(number[at]))})
    wrong = (first != number * size) | (clips != due) | (frames < clips) | (number >= request.shards)
    wrong[1:] |= number[1:] <= number[:-1]
    if wrong.any():
        entry = table[int(np.flatnonzero(wrong)[0])]
        raise ValueError(
            f"Manifest.shards: {entry.name} with {entry.clips} clips and {len(entry.quarantined)} scenes left out, "
            f"from scene {entry.first_scene} on, does not fit {scenes} scenes, {size} a shard, or its place in the list"
        )


def from_plain(kind: type[T], plain: Any) -> T:
    """What `dataclasses.asdict` and JSON made of a value of `kind`, back as that value.

    Raises:
        ValueError: a key or a type is not what `kind` has; says where. A field with a default may be missing.
    """
    return _convert(kind, plain, kind.__name__)  # type: ignore[no-any-return]


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _convert(kind: Any, plain: Any, where: str) -> Any:
    kind = getattr(kind, "__supertype__", kind)  # NewType
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _convert_dataclass(kind, plain, where)
    if origin in (Union, builtin_types.UnionType):  # X | None
        return None if plain is None else _convert(args[0], plain, where)
    if origin is tuple and isinstance(plain, list):
        kinds = [args[0]] * len(plain) if args[1:] == (...,) else args
        if len(kinds) == len(plain):
            return tuple(_convert(k, p, f"{where}[{i}]") for i, (k, p) in enumerate(zip(kinds, plain, strict=True)))
    elif kind is float and type(plain) in (int, float):
        return float(plain)
    elif type(plain) is (dict if origin is Mapping else kind):
        return plain
    raise ValueError(f"{where}: needs {kind}, got {plain!r:.60}")


def _convert_dataclass(kind: Any, plain: Any, where: str) -> Any:
    names = {f.name for f in fields(kind)}
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    if not isinstance(plain, dict) or not needed <= plain.keys() <= names:
        got = sorted(plain) if isinstance(plain, dict) else plain
        raise ValueError(f"{where}: needs the keys {sorted(needed)}, got {got!r:.200}")
    hints = _hints(kind)
    return kind(**{name: _convert(hints[name], plain[name], f"{where}.{name}") for name in names & plain.keys()})


# ------------------------------------------------------------------------------------- 16 bit grey PNG, lossless


def encode_png(grey: UInt16[np.ndarray, "h w"], level: int = 1) -> bytes:
    """A PNG whose rows are all stored as differences to the row above, which numpy does and undoes at once."""
    height, width = grey.shape
    pixels = grey.astype(">u2").view(np.uint8).reshape(height, 2 * width)
    rows = np.empty((height, 1 + 2 * width), np.uint8)
    rows[:, 0] = 2  # filter type "up"
    rows[:1, 1:] = pixels[:1]
    np.subtract(pixels[1:], pixels[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, level)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in chunks
    )


def decode_png(png: bytes) -> UInt16[np.ndarray, "h w"]:
    """What `encode_png` was given.

    Raises:
        ValueError: the file is damaged, or was not written by `encode_png`.
    """
    chunks = dict(_png_chunks(png))
    if not {b"IHDR", b"IDAT", b"IEND"} <= chunks.keys():
        raise ValueError("a PNG without header, pixels or end")
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    size = height * (1 + 2 * width)
    if kind != [16, 0, 0, 0, 0] or not 0 < size <= MAX_MEMBER_BYTES:
        raise ValueError(f"not a 16 bit grey PNG of a sensible size: {width} x {height}, {kind}")
    try:
        raw = zlib.decompressobj().decompress(chunks[b"IDAT"], size + 1)
    except zlib.error as error:
        raise ValueError(f"damaged pixels: {error}") from error
    if len(raw) != size:
        raise ValueError(f"{len(raw)} bytes of pixels where {size} belong")
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + 2 * width)
    if not (rows[:, 0] == 2).all():
        raise ValueError("rows are filtered in another way than simgen does")
    pixels = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8)
    return pixels.view(">u2").astype(np.uint16)


def _png_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    if png[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG")
    at = 8
    while at < len(png):
        if at + 12 > len(png):
            raise ValueError(f"the PNG ends inside a chunk at byte {at}")
        (size,) = struct.unpack_from(">I", png, at)
        tag, data, crc = png[at + 4 : at + 8], png[at + 8 : at + 8 + size], png[at + 8 + size : at + 12 + size]
        if crc != struct.pack(">I", zlib.crc32(tag + data)):
            raise ValueError(f"damaged PNG chunk {tag!r} at byte {at}")
        yield tag, data
        at += 12 + size


def encode_ids(ids: Int32[np.ndarray, "h w"]) -> bytes:
    return encode_png(np.where(ids == CLUTTER, _CLUTTER_CODE, ids - BACKGROUND).astype(np.uint16))


def decode_ids(png: bytes) -> Int32[np.ndarray, "h w"]:
    codes = decode_png(png).astype(np.int32)
    return np.where(codes == _CLUTTER_CODE, CLUTTER, codes + BACKGROUND).astype(np.int32)


def encode_depth(depth_m: Float32[np.ndarray, "h w"]) -> bytes:
    with np.errstate(invalid="ignore"):
        units = np.rint(depth_m / DEPTH_UNIT_M)
    return encode_png(np.where(units <= 65535, units, 0).astype(np.uint16))


def decode_depth(png: bytes) -> Float32[np.ndarray, "h w"]:
    units = decode_png(png)
    return np.where(units == 0, np.inf, units * DEPTH_UNIT_M).astype(np.float32)


def encode_flow(flow_px: Float32[np.ndarray, "h w 2"]) -> bytes:
    """As KITTI's flow (Menze and Geiger 2015), in one channel: 32768 + 64 px, 0 where there is none."""
    with np.errstate(invalid="ignore"):
        units = np.rint(flow_px / FLOW_UNIT_PX) + _STILL_CODE
        known = ((units > 0) & (units <= 65535)).all(axis=-1, keepdims=True)
    codes = np.where(known, units, 0).astype(np.uint16)
    return encode_png(np.concatenate([codes[..., 0], codes[..., 1]]))


def decode_flow(png: bytes) -> Float32[np.ndarray, "h w 2"]:
    codes = decode_png(png)
    if codes.shape[0] % 2:
        raise ValueError(f"a flow picture is twice as high as the frame, not {codes.shape[0]} pixels")
    half = codes.shape[0] // 2
    both = np.stack([codes[:half], codes[half:]], axis=-1).astype(np.float32)
    known = (both > 0).all(axis=-1, keepdims=True)
    return np.where(known, (both - _STILL_CODE) * FLOW_UNIT_PX, np.nan).astype(np.float32)


# ----------------------------------------------------------------------------------------------------- writing


def clip_members(clip: RenderedClip) -> list[tuple[str, bytes]]:
    """The names and bytes that a clip is stored as, in the order of storage."""
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


def write_shard(path: Place, members: Iterable[tuple[str, bytes]]) -> tuple[str, int]:
    """Write an archive that appears under its name only when it is whole and on the disk. Returns (sha256, bytes)."""
    with shard_sink(path) as sink:
        for name, data in members:
            add_member(sink, name, data)
    return sink.sha256, sink.size


@contextmanager
def shard_sink(path: Place) -> Iterator[Sink]:
    """An archive to add members to; it appears under its name when the block has ended, whole and on the disk."""
    with atomically(path) as sink:
        yield sink
        sink.write(bytes(2 * tarfile.BLOCKSIZE))


def add_member(sink: Sink, name: str, data: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(data)
    sink.write(header.tobuf(tarfile.USTAR_FORMAT))
    sink.write(data)
    sink.write(bytes(-len(data) % tarfile.BLOCKSIZE))


def write_atomically(path: Place, chunks: Iterable[bytes]) -> tuple[str, int]:
    """Write a file as `atomically` does. Returns (sha256, bytes)."""
    with atomically(path) as sink:
        for chunk in chunks:
            sink.write(chunk)
    return sink.sha256, sink.size


@dataclass
class Sink:
    """Counts what is written to a file."""

    file: IO[bytes]
    size: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        return str(self._digest.hexdigest())

    def write(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)


@contextmanager
def atomically(path: Place) -> Iterator[Sink]:
    """A file that appears under its name when the block has ended, whole and on the disk.

    Nothing is left behind if the block or the disk fails.
    """
    with path.uploading() if isinstance(path, RemotePath) else _renamed(path) as file:
        yield Sink(file)


@contextmanager
def _renamed(path: Path) -> Iterator[IO[bytes]]:
    """A name of this process's own, synced and renamed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the rename itself reaches the disk with the folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def file_sha256(path: Place) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


# ----------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Member:
    """Where in its archive a member's bytes lie."""

    offset: int
    size: int


@dataclass(frozen=True)
class StoredClip:
    """A clip in a shard. Reads what it is asked for, keeps nothing."""

    path: Place  # of the shard
    index: int  # of the scene
    members: Mapping[str, Member]  # by what follows the key: "json", "f000.jpg", ...

    @property
    def frames(self) -> int:
        return sum(name.endswith(".jpg") for name in self.members)

    def read(self, name: str) -> bytes:
        """The bytes of a member such as "f000.jpg".

        Raises:
            ShardError: the clip has no such member, or the file has become shorter.
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
        """The clip's JSON, as it stands."""
        try:
            if (member := self.members.get("json")) and member.size > MAX_JSON_BYTES:
                raise ValueError(f"{member.size} bytes, more than the {MAX_JSON_BYTES} that are read")
            meta = json.loads(self.read("json"))
            if meta["format"] != CLIP_FORMAT or meta["index"] != self.index:
                raise ValueError(f"it says {meta['format']!r}, index {meta['index']}")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self.damaged("json", error) from error
        return meta  # type: ignore[no-any-return]

    def labels(self) -> Labels:
        return self._typed(Labels, "labels")

    def spec(self) -> SceneSpec:
        return self._typed(SceneSpec, "spec")

    def jpeg(self, frame: int) -> bytes:
        return self.read(f"f{frame:03d}.jpg")

    def ids(self, frame: int) -> Int32[np.ndarray, "h w"]:
        """Which part is seen at each pixel: a track_id, BACKGROUND or CLUTTER."""
        name = f"f{frame:03d}.ids.png"
        try:
            return decode_ids(self.read(name))
        except ValueError as error:
            raise self.damaged(name, error) from error

    def depth_m(self, frame: int) -> Float32[np.ndarray, "h w"]:
        """Metres along the optical axis, inf where there is nothing near."""
        name = f"f{frame:03d}.depth.png"
        try:
            return decode_depth(self.read(name))
        except ValueError as error:
            raise self.damaged(name, error) from error

    @property
    def has_flow(self) -> bool:
        """Whether flow was written with it (`labels.flow`)."""
        return "f000.flow.png" in self.members

    def flow_px(self, frame: int) -> Float32[np.ndarray, "h w 2"]:
        """Displacement (right, down) to the next frame; NaN where there is none, as in the last frame.

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
        """The error to raise for a member that cannot be understood."""
        return ShardError(f"{self.path}: {name!r} of clip {self.index} is damaged: {error}")


def scan_shard(path: Place) -> dict[int, StoredClip]:
    """The clips of an archive by their scene's index, found by reading its headers alone.

    Raises:
        ShardError: the file is missing, cut short, or holds what no shard may hold.
    """
    found: dict[int, dict[str, Member]] = {}
    try:
        for name, member in _scan(path):
            match = _MEMBER_NAME.fullmatch(name)
            if not match:
                raise ShardError(f"{path}: {name!r} before offset {member.offset} is no name for a member of a shard")
            clip = found.setdefault(int(match[1]), {})
            if match[2] in clip:
                raise ShardError(f"{path}: {name!r} stands twice, again at offset {member.offset}")
            clip[match[2]] = member
    except OSError as error:
        raise ShardError(f"{path}: cannot be read: {error.strerror}") from error
    return {index: StoredClip(path, index, members) for index, members in found.items()}


def _check_plain(path: Place, limit_bytes: int | None = None) -> int:
    """A file's bytes. Refuse a pipe, which would never end, a device, a folder, and what is too large to be read."""
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise ShardError(f"{path}: is no plain file")
    if limit_bytes is not None and info.st_size > limit_bytes:
        raise ShardError(f"{path}: {info.st_size} bytes, more than the {limit_bytes} that are read")
    return info.st_size


def _scan(path: Place, at: int = 0) -> Iterator[tuple[str, Member]]:
    """The members from a header's offset on."""
    end = _check_plain(path)
    with path.open("rb") as file:
        file.seek(at)
        while True:
            block = file.read(tarfile.BLOCKSIZE)
            if len(block) < tarfile.BLOCKSIZE:
                raise ShardError(f"{path}: cut short at offset {at + len(block)}: the archive has no end mark")
            if not any(block):
                return
            name, size = _header(path, block, at)
            member = Member(at + tarfile.BLOCKSIZE, size)
            if member.offset + size > end:
                missing = member.offset + size - end
                raise ShardError(f"{path}: cut short at offset {end}: {missing} bytes of {name!r} are missing")
            yield name, member
            at = _after(member)
            file.seek(at)


def _after(member: Member) -> int:
    """Where the next header is."""
    return member.offset + member.size + -member.size % tarfile.BLOCKSIZE


def _plain_header(block: bytes) -> tuple[str, int] | None:
    """Name and size if the header is as `add_member` writes it: six times as fast as `tarfile`, which judges others."""
    same = all(block[a:b] == _EMPTY_HEADER[a:b] for a, b in ((100, 124), (135, 148), (154, 512)))
    name, size, told = block[:100].rstrip(b"\0"), block[124:135], block[148:154]
    if not (same and _PLAIN_NAME.fullmatch(name) and size.isdigit() and told.isdigit()):
        return None
    try:
        found, right = int(size, 8), int(told, 8) == _EMPTY_SUM + sum(name) + sum(size)
    except ValueError:
        return None
    return (name.decode("ascii"), found) if right and found <= MAX_MEMBER_BYTES else None


def _header(path: Place, block: bytes, at: int) -> tuple[str, int]:
    """A member's name and size."""
    if (plain := _plain_header(block)) is not None:
        return plain
    try:
        header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise ShardError(f"{path}: damaged header at offset {at}: {error}") from error
    if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ShardError(f"{path}: {header.name!r} at offset {at} is no plain file (tar type {header.type!r})")
    if not 0 <= header.size <= MAX_MEMBER_BYTES:
        limit = f"more than the {MAX_MEMBER_BYTES} that a member may have"
        raise ShardError(f"{path}: {header.name!r} at offset {at} claims {header.size} bytes, {limit}")
    return header.name, header.size


@dataclass
class DataSet:
    """A finished data set. Safe to pickle and to share between processes: it holds no open file.

    `len()` counts clips and `[i]` is the i-th of them in the order of scenes; `clip(index)` asks by the scene's index.
    Where `write_index` left an index, a clip is found by it: one look, and nothing is kept in memory. Without one the
    headers of a shard are scanned when a clip of it is first asked for, and the tables that were used last are kept.

    Raises:
        ShardError: there is no manifest, it is not of this format, or the index is not of it.
    """

    folder: Place
    manifest: Manifest = field(init=False)
    _starts: Int64[np.ndarray, " n"] = field(init=False, repr=False)  # clips before each shard, and all of them
    _numbers: Int64[np.ndarray, " m"] = field(init=False, repr=False)  # of the shards
    _indexed: bool = field(init=False, repr=False)
    _tables: dict[int, dict[int, StoredClip]] = field(init=False, repr=False, default_factory=dict)  # last used last
    _kept: int = field(init=False, repr=False, default=0)  # members in them

    def __post_init__(self) -> None:
        self.folder = place(self.folder)
        self.manifest = read_manifest(self.folder / MANIFEST)
        shards = self.manifest.shards
        table = shards if isinstance(shards, ShardTable) else ShardTable(shards)
        self._starts = np.concatenate([[0], np.cumsum(np.frombuffer(table.clips, np.int64))])
        self._numbers = np.array(table.numbers, np.int64)
        self._indexed = self._find_index()

    @property
    def categories(self) -> tuple[str, ...]:
        return self.manifest.categories

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, i: int) -> StoredClip:
        if not 0 <= i < len(self):
            raise IndexError(f"clip {i} of a data set of {len(self)} clips")
        shard = int(np.searchsorted(self._starts, i, side="right")) - 1
        return self._clip(shard, i - int(self._starts[shard]))

    def __iter__(self) -> Iterator[StoredClip]:
        for shard in range(len(self.manifest.shards)):
            yield from self.table(shard).values()

    def clip(self, index: int) -> StoredClip:
        """The clip of the scene numbered `index`.

        Raises:
            ShardError: there is no such scene, or it was quarantined.
        """
        request = self.manifest.request
        if not 0 <= index < request.scenes:
            raise ShardError(f"{self.folder}: no scene {index}; there are 0 to {request.scenes - 1}")
        number = index // request.shard_scenes
        shard = int(np.searchsorted(self._numbers, number))
        if shard == len(self._numbers) or self._numbers[shard] != number:
            raise ShardError(f"{self.folder}: {shard_name(number)}, of scene {index}, is not in the manifest")
        lost = {scene.index: scene.reason for scene in self.manifest.shards[shard].quarantined}
        if index in lost:
            raise ShardError(f"{self.folder}: scene {index} could not be made: {lost[index]}")
        return self._clip(shard, _scenes(request, number, lost).index(index))

    def table(self, shard: int) -> dict[int, StoredClip]:
        """The clips of a shard by their scene's index, in order."""
        if shard in self._tables:
            self._tables[shard] = self._tables.pop(shard)
            return self._tables[shard]
        entry = self.manifest.shards[shard]
        path = self.folder / entry.name
        clips = scan_shard(path)
        if len(clips) != entry.clips:
            raise ShardError(f"{path}: holds {len(clips)} clips, the manifest says {entry.clips}")
        self._kept += _members(clips)
        while self._tables and self._kept > MAX_KEPT_MEMBERS:
            self._kept -= _members(self._tables.pop(next(iter(self._tables))))
        self._tables[shard] = clips
        return clips

    def _clip(self, shard: int, place: int) -> StoredClip:
        if not self._indexed or shard in self._tables:
            return next(islice(self.table(shard).values(), place, None))
        entry = self.manifest.shards[shard]
        path, by = self.folder / entry.name, self.folder / by_index.INDEX
        number = int(self._numbers[shard])
        scene = _scenes(self.manifest.request, number, {lost.index for lost in entry.quarantined})[place]
        try:
            with by.open("rb") as file:
                start, end = by_index.span(file, int(self._starts[shard]) + shard + place)
            size = path.stat().st_size
            found = _clip_between(path, start, end) if size == entry.bytes else None
        except ValueError as error:
            raise ShardError(f"{by}: {error}") from error
        except OSError as error:
            raise ShardError(f"{error.filename or path}: cannot be read: {error.strerror}") from error
        if found is None:
            raise ShardError(f"{path}: has {size} bytes, the manifest says {entry.bytes}: it was changed since")
        if found.index != scene:
            raise ShardError(f"{by}: leads to clip {found.index} of {path} where clip {scene} belongs: {_ANEW}")
        return found

    # -------------------------------------------------------------------------------------------- the index

    def _find_index(self) -> bool:
        """Whether there is an index.

        Raises:
            ShardError: there is one, but not of this manifest.
        """
        path = self.folder / by_index.INDEX
        try:
            _check_plain(path)
            with path.open("rb") as file:
                by_index.check(file, bytes.fromhex(file_sha256(self.folder / MANIFEST)), self._places)
        except FileNotFoundError:
            return False
        except (ValueError, OSError) as error:
            raise ShardError(f"{path}: {error}: {_ANEW}") from error
        return True

    @property
    def _places(self) -> int:
        """In an index: each clip's beginning, and each shard's end."""
        return len(self) + len(self._numbers)

    def write_index(self, step: Callable[[], None] = lambda: None) -> Place:
        """Scan every shard's headers and leave an index beside the manifest. `step` is called after each shard.

        Raises:
            ShardError: a shard is damaged, its clips do not stand one behind the other, or the disk refuses.
        """

        def places() -> Iterator[list[int]]:
            for shard, entry in enumerate(self.manifest.shards):
                yield _spans(self.folder / entry.name, scan_shard(self.folder / entry.name), self._due(shard))
                step()

        of_manifest = bytes.fromhex(file_sha256(self.folder / MANIFEST))
        path = self.folder / by_index.INDEX
        try:
            write_atomically(path, by_index.chunks(of_manifest, self._places, places()))
        except OSError as error:
            raise ShardError(f"{path}: cannot be written: {error.strerror}") from error
        self._indexed = True
        return path

    def _due(self, shard: int) -> list[int]:
        """The scenes that a shard holds."""
        lost = {scene.index for scene in self.manifest.shards[shard].quarantined}
        return _scenes(self.manifest.request, int(self._numbers[shard]), lost)


def forget_index(folder: Place) -> None:
    """Remove a data set's index, of whatever data set it is.

    Raises:
        ShardError: it cannot be removed.
    """
    try:
        (folder / by_index.INDEX).unlink(missing_ok=True)
    except OSError as error:
        raise ShardError(f"{folder / by_index.INDEX}: cannot be removed: {error.strerror}") from error


_ANEW = "remove it, or make it anew with `simgen index`"


def _scenes(request: Request, number: int, lost: Container[int]) -> list[int]:
    return [scene for scene in request.scenes_of(number) if scene not in lost]


def _members(clips: Mapping[int, StoredClip]) -> int:
    return sum(len(clip.members) for clip in clips.values())


def _spans(path: Place, clips: Mapping[int, StoredClip], due: list[int]) -> list[int]:
    """Where each clip of a shard begins, and where the last one ends."""
    places = [0]
    for clip in clips.values():
        members = list(clip.members.values())
        there = [members[0].offset - tarfile.BLOCKSIZE, *map(_after, members)]
        if any(one.offset - tarfile.BLOCKSIZE != at for one, at in zip(members, there, strict=False)) or (
            there[0] != places[-1]
        ):
            raise ShardError(f"{path}: the members of clip {clip.index} do not stand together, so it has no place")
        places.append(there[-1])
    if list(clips) != due:
        raise ShardError(f"{path}: its {len(clips)} clips are not the {len(due)} of the manifest, in their order")
    return places


def _clip_between(path: Place, start: int, end: int) -> StoredClip:
    """The clip whose headers and bytes fill a shard between two offsets.

    Raises:
        ValueError: no clip does.
    """
    members: dict[str, Member] = {}
    scene, last = -1, start
    try:
        for name, member in _scan(path, start):
            match = _MEMBER_NAME.fullmatch(name)
            if match is None or (members and int(match[1]) != scene) or match[2] in members:
                break
            scene, last = int(match[1]), _after(member)
            members[match[2]] = member
            if last >= end:
                break
    except ShardError as error:
        raise ValueError(f"leads to offset {start}, where no clip begins ({error}): {_ANEW}") from error
    if last != end or not members:
        raise ValueError(f"leads to bytes {start} to {end} of {path}, which are no clip: {_ANEW}")
    return StoredClip(path, scene, members)
