"""The data set's format: a folder of tar shards and a manifest. numpy and the standard library only.

    manifest.json            what was asked for, the categories, each shard's sha256 and size, the scenes left out
    shard-00000.tar ...      shard k holds scenes [k*S, (k+1)*S) in order; `webdataset` reads it as it is

A shard is a plain ustar archive without times or owners. A scene's members stand together and share its key, which is
the scene's index in six digits:

    000041.json              {"format", "index", "id", "depth_unit_m", "spec", "labels"}: a SceneSpec and its Labels
    000041.f000.jpg          frame 0 as the camera gives it
    000041.f000.ids.png      16 bit grey: 0 background, 65535 clutter, else track_id + 1
    000041.f000.depth.png    16 bit grey: depth along the optical axis in 0.1 mm; 0 where nothing is nearer than 6.55 m

Nothing here is trusted on reading: a member that is a link, leaves the folder, is too large or runs past the archive's
end is a `ShardError` that names the shard and the offset.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import struct
import tarfile
import types as builtin_types
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from jaxtyping import Float32, Int32, UInt16

from simgen.places import Place, RemotePath, place
from simgen.types import BACKGROUND, CLUTTER, Labels, RenderedClip, SceneSpec, stored_fields

DATA_SET_FORMAT = "simgen-data-set/1"
CLIP_FORMAT = "simgen-clip/1"
MANIFEST = "manifest.json"
DEPTH_UNIT_M = 0.0001
MAX_MEMBER_BYTES = 256 * 2**20  # a frame of 8192 x 8192 pixels with 16 bits stays under it
MAX_JSON_BYTES = 64 * 2**20  # of a clip: a thousand parts in a hundred frames stay under it
MAX_MANIFEST_BYTES = 2 * 2**30
MAX_INDEXED_SHARDS = 1024  # whose member tables a reader keeps in memory at once
_CLUTTER_CODE = 65535
_MEMBER_NAME = re.compile(r"(\d{6,12})\.([a-z0-9]+(?:\.[a-z0-9]+)*)")
_SHARD_NAME = re.compile(r"shard-\d{5,}\.tar")
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
    shards: tuple[ShardEntry, ...]

    @property
    def clips(self) -> int:
        return sum(shard.clips for shard in self.shards)

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        return tuple(scene for shard in self.shards for scene in shard.quarantined)


def shard_name(number: int) -> str:
    return f"shard-{number:05d}.tar"


def write_manifest(path: Place, manifest: Manifest) -> None:
    write_atomically(path, [(json.dumps(asdict(manifest), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()])


def read_manifest(path: Place) -> Manifest:
    """The manifest at `path`.

    Raises:
        ShardError: there is none, or it is not of this format.
    """
    try:
        _check_plain(path, MAX_MANIFEST_BYTES)
        plain = json.loads(path.read_bytes())
        if plain.get("format") != DATA_SET_FORMAT:
            raise ShardError(f"{path}: its format is {plain.get('format')!r}, this reads {DATA_SET_FORMAT!r}")
        manifest = from_plain(Manifest, plain)
    except FileNotFoundError:
        raise ShardError(f"{path.parent}: no {path.name}, so no finished simgen data set") from None
    except (ValueError, AttributeError, OSError, RecursionError) as error:
        raise ShardError(f"{path}: not a manifest: {error}") from error
    for shard in manifest.shards:
        if not _SHARD_NAME.fullmatch(shard.name):
            raise ShardError(f"{path}: {shard.name!r} is no name for a shard")
    return manifest


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


def _scan(path: Place) -> Iterator[tuple[str, Member]]:
    end = _check_plain(path)
    with path.open("rb") as file:
        at = 0
        while True:
            block = file.read(tarfile.BLOCKSIZE)
            if len(block) < tarfile.BLOCKSIZE:
                raise ShardError(f"{path}: cut short at offset {at + len(block)}: the archive has no end mark")
            if not any(block):
                return
            header = _header(path, block, at)
            member = Member(at + tarfile.BLOCKSIZE, header.size)
            if member.offset + member.size > end:
                missing = member.offset + member.size - end
                raise ShardError(f"{path}: cut short at offset {end}: {missing} bytes of {header.name!r} are missing")
            yield header.name, member
            at = member.offset + header.size + -header.size % tarfile.BLOCKSIZE
            file.seek(at)


def _header(path: Place, block: bytes, at: int) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise ShardError(f"{path}: damaged header at offset {at}: {error}") from error
    if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ShardError(f"{path}: {header.name!r} at offset {at} is no plain file (tar type {header.type!r})")
    if not 0 <= header.size <= MAX_MEMBER_BYTES:
        limit = f"more than the {MAX_MEMBER_BYTES} that a member may have"
        raise ShardError(f"{path}: {header.name!r} at offset {at} claims {header.size} bytes, {limit}")
    return header


@dataclass
class DataSet:
    """A finished data set. Safe to pickle and to share between processes: it holds no open file.

    `len()` counts clips and `[i]` is the i-th of them in the order of scenes; `clip(index)` asks by the scene's index.
    A shard's headers are scanned when a clip of it is first asked for, and its table is kept.
    """

    folder: Place
    manifest: Manifest = field(init=False)
    _starts: list[int] = field(init=False, repr=False)  # clips before each shard, and all of them
    _tables: dict[str, dict[int, StoredClip]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = place(self.folder)
        self.manifest = read_manifest(self.folder / MANIFEST)
        self._starts = np.cumsum([0, *(shard.clips for shard in self.manifest.shards)]).tolist()

    @property
    def categories(self) -> tuple[str, ...]:
        return self.manifest.categories

    def __len__(self) -> int:
        return self.manifest.clips

    def __getitem__(self, i: int) -> StoredClip:
        if not 0 <= i < len(self):
            raise IndexError(f"clip {i} of a data set of {len(self)} clips")
        shard = int(np.searchsorted(self._starts, i, side="right")) - 1
        return list(self.table(shard).values())[i - self._starts[shard]]

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
        table = self.table(index // request.shard_scenes)
        if index not in table:
            reasons = {scene.index: scene.reason for scene in self.manifest.quarantined}
            raise ShardError(f"{self.folder}: scene {index} could not be made: {reasons.get(index, 'no reason noted')}")
        return table[index]

    def table(self, shard: int) -> dict[int, StoredClip]:
        """The clips of a shard by their scene's index, in order."""
        entry = self.manifest.shards[shard]
        if entry.name not in self._tables:
            path = self.folder / entry.name
            clips = scan_shard(path)
            if len(clips) != entry.clips:
                raise ShardError(f"{path}: holds {len(clips)} clips, the manifest says {entry.clips}")
            while len(self._tables) >= MAX_INDEXED_SHARDS:
                del self._tables[next(iter(self._tables))]
            self._tables[entry.name] = clips
        return self._tables[entry.name]
