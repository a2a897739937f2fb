"""Join slices of one data set, made in separate folders on any machines, into one folder with one manifest.

A slice is the result of `simgen render --shards 0:100`: shards, and a journal with the request of the data set. The
bytes of a shard depend on the request alone, so the joined data set equals that of a single run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

from simgen.dataset.contents import FOLDERS, read_contents, write_contents
from simgen.dataset.format.manifest import MANIFEST, Manifest, ShardEntry, read_manifest, write_manifest
from simgen.dataset.store.files import file_sha256, write_atomically
from simgen.dataset.store.locations import Location, sizes
from simgen.generation.run import PARTIAL, locked, sweep
from simgen.spec.differences import differences
from simgen.spec.errors import GenerateError

CHUNK_BYTES = 2**20


def join(out: Location, parts: Sequence[Location], step: Callable[[], None] = lambda: None) -> Manifest:
    """Collect the shards of `parts` in `out`, by hard links where the disk allows, and write the manifest.

    Args:
        out: a new or empty folder, or the folder of an interrupted `join` of the same parts.
        step: called after each shard.

    Raises:
        GenerateError: the parts are of different data sets, a shard is missing, damaged, or differs between two parts.
    """
    journals = {part: read_manifest(_journal(part)) for part in parts}
    first = _one_request(journals)
    shards = _shards(journals)
    if missing := first.request.shards - len(shards):
        numbers = (entry.first_scene // first.request.shard_scenes for _, entry in shards.values())
        slices = ", ".join(f"{gap.start}:{gap.stop}" for gap in islice(_gaps(numbers, first.request.shards), 8))
        raise GenerateError(f"{missing} of {first.request.shards} shards are in none of the folders: {slices}")
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        sweep(out)
        _check_folder(out, shards)
        for name, (part, entry) in sorted(shards.items()):
            _link_or_copy(part / name, out / name, entry)
            step()
        write_contents(out, read_contents(next(iter(journals)), first.request.config))
        manifest = replace(first, shards=tuple(_in_order(shards)))
        write_manifest(out / MANIFEST, manifest)
    return manifest


def _journal(part: Location) -> Location:
    journal = next((part / name for name in (MANIFEST, PARTIAL) if (part / name).is_file()), None)
    if journal is None:
        raise GenerateError(f"{part}: holds neither a data set nor a slice of one")
    return journal


def _one_request(journals: dict[Location, Manifest]) -> Manifest:
    (where, first), *others = journals.items()
    for part, journal in others:
        if differing := list(islice(differences(asdict(first.request), asdict(journal.request)), 3)):
            shown = "; ".join(f"{d.path} is {d.before!r:.60} and {d.after!r:.60}" for d in differing)
            raise GenerateError(f"{where} and {part} are of different data sets: {shown}")
    return first


def _shards(journals: dict[Location, Manifest]) -> dict[str, tuple[Location, ShardEntry]]:
    shards: dict[str, tuple[Location, ShardEntry]] = {}
    for part, journal in journals.items():
        for entry in journal.shards:
            listed = shards.setdefault(entry.name, (part, entry))
            if listed[1] != entry:
                raise GenerateError(
                    f"{entry.name} is not the same in {listed[0]} and {part}: made on different kinds of machines?"
                )
    return shards


def _in_order(shards: dict[str, tuple[Location, ShardEntry]]) -> list[ShardEntry]:
    """By their scenes: names of more than five digits sort otherwise."""
    return sorted((entry for _, entry in shards.values()), key=lambda entry: entry.first_scene)


def _gaps(numbers: Iterable[int], end: int) -> Iterator[range]:
    """The ranges of numbers below `end` that are not among `numbers`."""
    begin = 0
    for number in sorted([*numbers, end]):
        if number > begin:
            yield range(begin, number)
        begin = number + 1


def _check_folder(out: Location, shards: dict[str, tuple[Location, ShardEntry]]) -> None:
    other = [name for name in sizes(out) if name not in {*shards, *FOLDERS} and not name.startswith(".shard-")]
    if other:
        raise GenerateError(
            f"{out}: holds other files ({', '.join(sorted(other)[:3])}); join into an empty or new folder"
        )


def _link_or_copy(source: Location, target: Location, entry: ShardEntry) -> None:
    """Link or copy a shard, whole or not at all, after its bytes were compared with its journal."""
    if target.is_file() and target.stat().st_size == entry.bytes and file_sha256(target) == entry.sha256:
        return
    if not source.is_file():
        raise GenerateError(f"{source}: is missing, but the journal of its folder lists it")
    if (file_sha256(source), source.stat().st_size) != (entry.sha256, entry.bytes):
        raise GenerateError(f"{source}: is damaged: its bytes are not those of its journal; render that slice again")
    if not _linked(source, target):
        digest, _ = write_atomically(target, _chunks(source))
        if digest != entry.sha256:
            target.unlink()
            raise GenerateError(f"{source}: changed while it was copied")


def _linked(source: Location, target: Location) -> bool:
    """Try a hard link. Returns False where the file system has none, or the paths are on different disks."""
    if not (isinstance(source, Path) and isinstance(target, Path)):
        return False
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        os.link(source, part)
        os.replace(part, target)
    except OSError:
        part.unlink(missing_ok=True)
        return False
    return True


def _chunks(path: Location) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
