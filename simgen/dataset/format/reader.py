"""The format of a data set: a folder of tar shards and a manifest. Needs numpy and the standard library alone.

    manifest.json            the request, the categories, the sha256 and size of each shard, the scenes left out
    shard-00000.tar ...      shard k holds scenes [k*S, (k+1)*S) in order; `webdataset` can read it
    photos/                  optional: the photographs behind the parts, named by their sha256
    index.bin                optional: the offset of each clip (`format.clip_index`), written by `simgen index`
    meshes/SHA256.glb        of imported parts alone: the file of each, by its sha256, which the config names

A shard is a plain ustar archive without times or owners. The members of a scene are consecutive. Their names begin with
the index of the scene, in six digits:

    000041.json              {"format", "index", "id", "depth_unit_m", "spec", "labels"}: a SceneSpec and its Labels
    000041.f000.jpg          frame 0, as the camera delivers it
    000041.f000.ids.png      16 bit grey: 0 background, 65535 clutter, else track_id + 1
    000041.f000.depth.png    16 bit grey: depth along the optical axis in 0.1 mm; 0 beyond 6.55 m
    000041.f000.flow.png     with labels.flow: 16 bit grey, twice as high: flow to the next frame, rightward in the
                             upper half, downward in the lower: 32768 + 64 px; 0 where unknown or over 511 px

On reading, nothing is trusted: a member that is a link, leaves the folder, is too large or runs past the end of the
archive raises a `ShardError` that names the shard and the offset.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, pairwise

import numpy as np
from jaxtyping import Int64

from simgen.dataset.format import clip_index as by_index
from simgen.dataset.format.archive import REBUILD, StoredClip, after, clip_between, scan_shard
from simgen.dataset.format.manifest import MANIFEST, Manifest, ShardTable, read_manifest, shard_name
from simgen.dataset.store.files import check_plain, file_sha256, write_atomically
from simgen.dataset.store.locations import Location, location
from simgen.spec.errors import ShardError

MAX_CACHED_MEMBERS = 200_000  # of all cached tables: some 60 MB


class DataSet:
    """A finished data set, for reading. It holds no open file, so it may be pickled and shared between processes.

    `len()` counts the clips. `data[i]` is the i-th clip in the order of scenes, `clip(index)` the clip of a scene.
    With an index (`write_index`) a clip is found with one read and nothing is cached. Without one, the headers of a
    shard are scanned when a clip of it is first read, and the tables that were used last are cached.

    Raises:
        ShardError: there is no manifest, it is not of this format, or the index does not belong to it.

    >>> data = DataSet("out/belt")
    >>> len(data), data.categories
    (6, ('bolt', 'nut', 'washer'))
    >>> clip = data[0]
    >>> clip.frames, clip.ids(0).shape, clip.labels().frames[0].parts[0].category
    (2, (96, 128), 'nut')
    """

    def __init__(self, folder: Location | str, use_index: bool = True) -> None:
        self.folder: Location = location(folder)
        self.manifest: Manifest = read_manifest(self.folder / MANIFEST)
        shards = self.manifest.shards
        table = shards if isinstance(shards, ShardTable) else ShardTable(shards)
        clips = np.frombuffer(table.clips, np.int64)
        self._starts: Int64[np.ndarray, " n"] = np.concatenate([[0], np.cumsum(clips)])  # clips before each shard
        self._numbers: Int64[np.ndarray, " m"] = np.array(table.numbers, np.int64)  # of the shards
        self._tables: dict[int, dict[int, StoredClip]] = {}  # the last one was used last
        self._cached_members = 0  # in the tables
        self._indexed: bool = use_index and self._find_index()

    def __repr__(self) -> str:
        return f"DataSet({str(self.folder)!r})"

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
        """The clip of scene `index`.

        Raises:
            ShardError: there is no such scene, or it was quarantined.
        """
        request = self.manifest.request
        if not 0 <= index < request.scenes:
            raise ShardError(f"{self.folder}: no scene {index}; scenes are 0 to {request.scenes - 1}")
        number = index // request.shard_scenes
        shard = int(np.searchsorted(self._numbers, number))
        if shard == len(self._numbers) or self._numbers[shard] != number:
            raise ShardError(f"{self.folder}: {shard_name(number)}, of scene {index}, is not in the manifest")
        lost = {scene.index: scene.reason for scene in self.manifest.shards[shard].quarantined}
        if index in lost:
            raise ShardError(f"{self.folder}: scene {index} could not be made: {lost[index]}")
        place = index - request.scenes_of(number).start - sum(scene < index for scene in lost)
        return self._clip(shard, place)

    def table(self, shard: int) -> dict[int, StoredClip]:
        """The clips of the shard at position `shard` of the manifest, by their scene's index, in order.

        Raises:
            ShardError: the shard is damaged, or its clips and frames are not those of the manifest.
        """
        if shard in self._tables:
            self._tables[shard] = self._tables.pop(shard)
            return self._tables[shard]
        entry = self.manifest.shards[shard]
        path = self.folder / entry.name
        clips = scan_shard(path)
        if problem := self.unfit(shard, clips):
            raise ShardError(f"{path}: {problem}")
        self._cached_members += _members(clips)
        while self._tables and self._cached_members > MAX_CACHED_MEMBERS:
            self._cached_members -= _members(self._tables.pop(next(iter(self._tables))))
        self._tables[shard] = clips
        return clips

    def _clip(self, shard: int, place: int) -> StoredClip:
        if not self._indexed or shard in self._tables:
            return next(islice(self.table(shard).values(), place, None))
        entry = self.manifest.shards[shard]
        path, by = self.folder / entry.name, self.folder / by_index.INDEX
        try:
            with by.open("rb") as file:
                start, end = by_index.span(file, int(self._starts[shard]) + shard + place)
            size = path.stat().st_size
            clip = clip_between(path, start, end) if size == entry.bytes else None
        except ValueError as error:
            raise ShardError(f"{by}: {error}") from error
        except OSError as error:
            raise ShardError(f"{error.filename or path}: cannot be read: {error.strerror}") from error
        if clip is None:
            raise ShardError(f"{path}: has {size} bytes, the manifest says {entry.bytes}: it was changed since")
        scene = next(islice(self._scenes_in(shard), place, None))
        if clip.index != scene:
            raise ShardError(f"{by}: leads to clip {clip.index} of {path}, expected clip {scene}: {REBUILD}")
        return clip

    def unfit(self, shard: int, clips: Mapping[int, StoredClip]) -> str:
        """Why these clips of a file are not those that the manifest lists for a shard; empty where they are."""
        entry = self.manifest.shards[shard]
        if len(clips) != entry.clips:
            return f"holds {len(clips)} clips, the manifest says {entry.clips}"
        for stored, scene in zip(clips, self._scenes_in(shard), strict=False):
            if stored != scene:
                return f"holds clip {stored} where clip {scene} belongs: it is another shard, or was changed"
        frames = sum(clip.frames for clip in clips.values())
        return f"holds {frames} frames, the manifest says {entry.frames}" if frames != entry.frames else ""

    def _scenes_in(self, shard: int) -> Iterator[int]:
        """The scenes that a shard must hold, in their order. One by one: their number comes from the file."""
        lost = {scene.index for scene in self.manifest.shards[shard].quarantined}
        return (scene for scene in self.manifest.request.scenes_of(int(self._numbers[shard])) if scene not in lost)

    # -------------------------------------------------------------------------------------------- the index

    def _find_index(self) -> bool:
        """Whether there is an index.

        Raises:
            ShardError: it belongs to another manifest, or is damaged.
        """
        path = self.folder / by_index.INDEX
        try:
            check_plain(path)
            with path.open("rb") as file:
                by_index.check(file, bytes.fromhex(file_sha256(self.folder / MANIFEST)), self._index_length)
        except FileNotFoundError:
            return False
        except (ValueError, OSError) as error:
            raise ShardError(f"{path}: {error}: {REBUILD}") from error
        return True

    @property
    def _index_length(self) -> int:
        """The number of offsets in an index: one for each clip, and one for the end of each shard."""
        return len(self) + len(self._numbers)

    def write_index(self, step: Callable[[], None] = lambda: None) -> Location:
        """Scan the headers of every shard, and write an index beside the manifest. `step` is called after each shard.

        Raises:
            ShardError: a shard is damaged, the members of a clip are not consecutive, or the index cannot be written.
        """

        def offsets() -> Iterator[list[int]]:
            for shard, entry in enumerate(self.manifest.shards):
                yield _offsets(self.folder / entry.name, self.table(shard))
                step()

        of_manifest = bytes.fromhex(file_sha256(self.folder / MANIFEST))
        path = self.folder / by_index.INDEX
        try:
            write_atomically(path, by_index.chunks(of_manifest, self._index_length, offsets()))
        except OSError as error:
            raise ShardError(f"{path}: cannot be written: {error.strerror}") from error
        self._indexed = True
        return path

    def wrong_index(self, shard: int, clips: Mapping[int, StoredClip]) -> str:
        """Why the index does not lead to these clips of a shard; empty where it does, or there is no index."""
        if not self._indexed:
            return ""
        expected = _offsets(self.folder / self.manifest.shards[shard].name, clips)
        first = int(self._starts[shard]) + shard
        with (self.folder / by_index.INDEX).open("rb") as file:
            for place, (start, end) in enumerate(pairwise(expected)):
                if (got := by_index.span(file, first + place)) != (start, end):
                    return f"bytes {got[0]} to {got[1]} for clip {place} of the shard, which has {start} to {end}"
        return ""


def _members(clips: Mapping[int, StoredClip]) -> int:
    return sum(len(clip.members) for clip in clips.values())


def _offsets(path: Location, clips: Mapping[int, StoredClip]) -> list[int]:
    """The offset of each clip of a shard, and of the end of the last one."""
    offsets = [0]
    for clip in clips.values():
        members = list(clip.members.values())
        starts = [members[0].offset - tarfile.BLOCKSIZE, *map(after, members)]
        if any(one.offset - tarfile.BLOCKSIZE != start for one, start in zip(members, starts, strict=False)) or (
            starts[0] != offsets[-1]
        ):
            raise ShardError(f"{path}: the members of clip {clip.index} are not consecutive, so it cannot be indexed")
        offsets.append(starts[-1])
    return offsets
