"""manifest.json: the request, the categories, and the shards with their checksums."""

from __future__ import annotations

import io
import json
import tarfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, overload

import numpy as np

from simgen.dataset.format.coco_json import jsons_in
from simgen.dataset.format.json_stream import object_items
from simgen.dataset.format.plain import convert, from_plain
from simgen.dataset.store.files import MAX_JSON_BYTES, check_plain, write_atomically
from simgen.dataset.store.locations import Location
from simgen.spec.errors import ShardError

DATA_SET_FORMAT = "simgen-data-set/1"
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2 * 2**30
MAX_SCENES = 10**12
MACHINE_FAILED = ("its worker ", "its machine ")  # how such a reason begins; others begin with the name of an exception


@dataclass(frozen=True, kw_only=True)
class Request:
    """Everything that decides the bytes of a data set, on one kind of machine."""

    simgen: str  # the version that made it
    preset: str
    config: Mapping[str, Any]  # complete: with all that the preset inherits and --set changed
    seed: int
    scenes: int
    shard_scenes: int
    renderer: str = ""  # its name, vendor and version; empty in data sets of earlier versions

    @property
    def shards(self) -> int:
        """Their number."""
        return -(-self.scenes // self.shard_scenes)

    def scenes_of(self, shard: int) -> range:
        """The scenes of a shard, with those that could not be made."""
        return range(shard * self.shard_scenes, min(self.scenes, (shard + 1) * self.shard_scenes))


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A scene that could not be made. It is missing in its shard."""

    index: int
    reason: str

    @property
    def may_succeed(self) -> bool:
        """Whether the machine failed, not the scene: memory, time or a disk. `--resume` makes such a scene again."""
        return self.reason.startswith(MACHINE_FAILED)


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """A shard in the manifest."""

    name: str
    sha256: str
    bytes: int
    first_scene: int
    clips: int
    frames: int
    quarantined: tuple[Quarantined, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The table of contents of a data set. A folder without one is not a finished data set."""

    format: str
    request: Request
    categories: tuple[str, ...]  # sorted; the position is the class index
    shards: Sequence[ShardEntry]  # by their number

    @property
    def clips(self) -> int:
        return sum(shard.clips for shard in self.shards)

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        return tuple(scene for shard in self.shards for scene in shard.quarantined)


class ShardTable(Sequence[ShardEntry]):
    """The entries of a manifest as columns: 72 bytes for a shard in place of 500. Reads like a tuple."""

    def __init__(self, entries: Iterable[ShardEntry] = ()) -> None:
        self.numbers, self.sizes, self.first_scenes, self.clips, self.frames = (array("q") for _ in range(5))
        self._digests = bytearray()
        self._lost: dict[int, tuple[Quarantined, ...]] = {}  # by the position in this table; few shards have any
        for entry in entries:
            self.append(entry)

    def append(self, entry: ShardEntry) -> None:
        """Append an entry.

        Raises:
            ValueError: its name is not that of a shard, its digest is no sha256, or a number is out of range.
        """
        self._add(entry.name, entry.sha256, entry.bytes, entry.first_scene, entry.clips, entry.frames)
        if entry.quarantined:
            "".join(scene.reason for scene in entry.quarantined).encode()  # a ValueError where it cannot be printed
            self._lost[len(self) - 1] = entry.quarantined

    def append_plain(self, plain: Any) -> None:
        """Append an entry from parsed JSON.

        Raises:
            ValueError: as `append`, or a key is missing, unknown or of another type.
        """
        if type(plain) is dict and plain.keys() == _ENTRY_TYPES.keys() and not plain["quarantined"]:
            values = _entry_values(plain)  # the fast path, for nearly every shard: a fifth of the time
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
        """The position of each entry with quarantined scenes, and these scenes."""
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


def write_manifest(path: Location, manifest: Manifest) -> None:
    """Write a manifest atomically.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(path, _manifest_chunks(manifest))


def _manifest_chunks(manifest: Manifest) -> Iterator[bytes]:
    """JSON with one line for each shard."""
    head = {"format": manifest.format, "request": asdict(manifest.request), "categories": manifest.categories}
    text = json.dumps(head, indent=1, sort_keys=True, allow_nan=False)
    yield text.removesuffix("\n}").encode() + b',\n "shards": ['
    for i, entry in enumerate(manifest.shards):
        line = json.dumps(vars(entry), sort_keys=True, separators=(",", ":"), default=vars)
        yield f"{',' if i else ''}\n  {line}".encode()
    yield b"\n ]\n}\n"


def read_manifest(path: Location) -> Manifest:
    """Read a manifest. Its shards are parsed one at a time, so memory stays small for any number of them.

    Raises:
        ShardError: there is none, or it is not of this format.
    """
    try:
        check_plain(path, MAX_MANIFEST_BYTES)
        with path.open("rb") as file, io.TextIOWrapper(file, encoding="utf-8") as text:
            return _parsed(text)
    except FileNotFoundError:
        photos = jsons_in(path.parent) if isinstance(path, Path) else []
        hint = f"; for labelled photos give their JSON file: {', '.join(photos)}" if photos else ""
        raise ShardError(f"{path.parent}: no {path.name}, so no finished simgen data set{hint}") from None
    except OSError as error:
        raise ShardError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise ShardError(f"{path}: not a manifest: {error}") from error


@dataclass(frozen=True, kw_only=True)
class _Head:
    """A manifest without its shards."""

    format: str
    request: Request
    categories: tuple[str, ...]


def _parsed(file: io.TextIOWrapper) -> Manifest:
    """The manifest in a file. Only one shard at a time is held as JSON."""
    plain: dict[str, Any] = {}
    table = ShardTable()
    for key, value, is_shard in object_items(file, "shards", MAX_JSON_BYTES):
        if is_shard:
            table.append_plain(value)
        elif key == "format" and value != DATA_SET_FORMAT:
            plain = {key: value}
            break  # another format, whose shards may be anything
        else:
            plain[key] = value
    if plain.get("format") != DATA_SET_FORMAT:
        raise ValueError(f"its format is {plain.get('format')!r:.60}, this reads {DATA_SET_FORMAT!r}")
    if plain.pop("shards", None) != []:
        raise ValueError("Manifest.shards: needs a list")
    head = convert(_Head, plain, "Manifest")
    if list(head.categories) != sorted(set(head.categories)):
        raise ValueError(f"Manifest.categories: needs each name once, sorted, got {list(head.categories)!r:.200}")
    json.dumps(plain, ensure_ascii=False).encode()  # raises where a text holds half of a surrogate pair
    _check_table(head.request, table)
    return Manifest(format=head.format, request=head.request, categories=head.categories, shards=table)


def _check_table(request: Request, table: ShardTable) -> None:
    """Check that the shards fit the request: in order, each once, each with its own scenes.

    Raises:
        ValueError: one does not fit. Names the first.
    """
    size, scenes = request.shard_scenes, request.scenes
    if not (1 <= size <= MAX_SCENES and 1 <= scenes <= MAX_SCENES):
        raise ValueError(f"Manifest.request: {scenes!s:.40} scenes, {size!s:.40} a shard")
    number, first, clips, frames, stored = (
        np.frombuffer(column, np.int64)
        for column in (table.numbers, table.first_scenes, table.clips, table.frames, table.sizes)
    )
    number = np.minimum(number, request.shards)  # so that products stay in range; these are refused below
    expected = np.minimum(scenes, (number + 1) * size) - number * size
    for row, lost in table.all_lost():
        expected[row] -= len({scene.index for scene in lost if scene.index in request.scenes_of(int(number[row]))})
    wrong = (first != number * size) | (clips != expected) | (frames < clips) | (number >= request.shards)
    wrong[1:] |= number[1:] <= number[:-1]
    wrong |= frames > stored // tarfile.BLOCKSIZE  # so no count is larger than what is there
    if wrong.any():
        entry = table[int(np.flatnonzero(wrong)[0])]
        raise ValueError(
            f"Manifest.shards: {entry.name} with {entry.clips} clips and {len(entry.quarantined)} scenes left out, "
            f"from scene {entry.first_scene} on, {entry.frames} frames, {entry.bytes} bytes, does not fit {scenes} "
            f"scenes, {size} a shard, or its position here"
        )
