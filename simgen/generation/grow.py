"""Grow a data set: `--scenes 400 --resume` in the folder of one of 200 scenes. The bytes are those of 400 at once.

More scenes may mean more scenes in a shard (`simgen.generation.run.default_shard_scenes`). Shards that the larger data
set has too stay where they are. The others move to the folder `.earlier`, and the workers copy their clips from there.
The folder is removed when the data set is finished. A run that is killed between any two steps is continued by the
next `--resume`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from simgen.dataset.format.clip_index import INDEX
from simgen.dataset.format.manifest import MANIFEST, Manifest, Request, ShardEntry, read_manifest, write_manifest
from simgen.dataset.store.files import file_sha256
from simgen.dataset.store.locations import Location
from simgen.spec.errors import GenerateError

EARLIER = ".earlier"


def grown(out: Location, before: Manifest, request: Request, whole: Sequence[ShardEntry], journal: str) -> Manifest:
    """Turn the data set `before` into the beginning of that of `request`, which has more scenes and is else the same.

    Args:
        whole: the shards of `before` whose files are undamaged.
        journal: the name of the journal. It is written before the manifest is removed.

    Raises:
        GenerateError: the data set is being grown already, or is at a URL and needs other shards.
    """
    if (out / MANIFEST).exists():
        forget_earlier(out)
    elif earlier(out, before.request) is not None:
        raise GenerateError(
            f"{out}: is still growing to {before.request.scenes} scenes; finish that first: "
            f"--scenes {before.request.scenes} --resume"
        )
    stay = [entry for entry in whole if _stays(entry, before.request, request)]
    move = [entry for entry in whole if entry not in stay]
    if isinstance(out, Path):
        (out / EARLIER).mkdir(exist_ok=True)
        write_manifest(out / EARLIER / MANIFEST, replace(before, shards=tuple(move)))
    elif request.shard_scenes != before.request.shard_scenes:
        raise GenerateError(
            f"{out}: at a URL a data set grows only with shards of the same size; "
            f"add --shard-scenes {before.request.shard_scenes}"
        )
    after = replace(before, request=request, shards=tuple(stay))
    reopen(out, after, journal)
    return after


def _stays(entry: ShardEntry, before: Request, after: Request) -> bool:
    number = entry.first_scene // before.shard_scenes
    return number < after.shards and before.scenes_of(number) == after.scenes_of(number)


def reopen(out: Location, manifest: Manifest, journal: str) -> None:
    """Turn a finished data set into an unfinished one: a journal in place of the manifest, and no index."""
    write_manifest(out / journal, manifest)
    (out / INDEX).unlink(missing_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)


def earlier(out: Location, request: Request) -> Location | None:
    """The folder of the clips to copy into the data set of `request`; None where there is none.

    Moves what a killed run has not moved. Files that are missing or damaged are struck off its manifest, so that their
    scenes are made again.
    """
    if not isinstance(out, Path) or not (out / EARLIER / MANIFEST).exists():
        return None
    manifest = read_manifest(out / EARLIER / MANIFEST)
    if manifest.request.scenes >= request.scenes:  # of a run that was killed before it began to grow
        forget_earlier(out)
        return None
    whole = []
    for entry in manifest.shards:
        kept = out / EARLIER / entry.name
        if not kept.exists() and _is(out / entry.name, entry):
            os.replace(out / entry.name, kept)
            whole.append(entry)
        elif _is(kept, entry):
            whole.append(entry)
    write_manifest(out / EARLIER / MANIFEST, replace(manifest, shards=tuple(whole)))
    return out / EARLIER if whole else None


def _is(path: Path, entry: ShardEntry) -> bool:
    return path.is_file() and path.stat().st_size == entry.bytes and file_sha256(path) == entry.sha256


def forget_earlier(out: Location) -> None:
    """Remove the folder of copied clips."""
    if isinstance(out, Path):
        shutil.rmtree(out / EARLIER, ignore_errors=True)
