"""A data set from a plan: which shards are missing, who makes them, and the manifest when all are there.

The folder's progress is journalled in `manifest.partial.json`, so that a run that was killed loses the shards in flight
alone and `resume` ends with the same bytes. Nothing but a data set of the same request is ever touched.

`out` may be a URL (`simgen.dataset.store.locations`). There the journal is sent every few seconds and when a run ends,
so that a run that was killed may lose the shards of those seconds too; and what an earlier run left is known by its
name and size, which a store that shows whole objects alone vouches for: `simgen check` reads the bytes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path

from simgen.dataset.format.manifest import (
    DATA_SET_FORMAT,
    MANIFEST,
    Manifest,
    Request,
    ShardEntry,
    read_manifest,
    shard_name,
    write_manifest,
)
from simgen.dataset.store.files import file_sha256
from simgen.dataset.store.locations import Location, sizes
from simgen.dataset.store.lock import held
from simgen.generation.budget import Budget
from simgen.generation.engines import Engine, Event, Plan, SceneLost, SceneMade, ShardMade, processes
from simgen.spec.differences import differences
from simgen.spec.errors import BudgetSpent, EngineError, GenerateError, Interrupted, ShardError

PARTIAL = "manifest.partial.json"
MAX_SHARD_SCENES = 16
HOPELESS = 8  # scenes lost with none made: the fault is not in the scenes
REMOTE_JOURNAL_S = 5.0  # between two journals at a URL, and more where sending one takes long
_TEMPORARY = re.compile(r"\.(shard-\d+\.tar|manifest(\.partial)?\.json)\.\d+\.tmp")


@dataclass(frozen=True)
class Kept:
    """A shard of an earlier run that is whole and is not made again."""

    entry: ShardEntry


Tell = Callable[[Event | Kept], None]


def default_shard_scenes(scenes: int) -> int:
    """Scenes in a shard, which depends on their number alone, as the bytes must not know the workers.

    At most 16: making one again costs about a minute, and it takes some tens of MB. Fewer where there would be under
    16 shards, so that workers end together.
    """
    return max(1, min(MAX_SHARD_SCENES, -(-scenes // MAX_SHARD_SCENES)))


def run_plan(
    plan: Plan,
    categories: tuple[str, ...],
    out: Location,
    *,
    workers: int | None = None,
    resume: bool = False,
    tell: Tell = lambda event: None,
    engine: Engine = processes,
    budget: Budget | None = None,
    only: range | None = None,
) -> Manifest:
    """Make the data set that `plan` asks for, in the folder `out`.

    Args:
        categories: every category that the plan's scenes may hold; a class index is the place in their sorted order.
        workers: how many make shards at a time; None leaves it to the engine. The bytes do not depend on it.
        resume: go on with what a run of the same request left in `out`.
        tell: is called for each scene and shard.
        only: a slice: these shards and no others, for `simgen.generation.join` to bring together; the journal
            stays as it is then.
        budget: shards begin only while it allows them; those that have begun are finished.

    Raises:
        GenerateError: `out` holds something else, the disk is full, every scene fails, a worker dies without a cause.
        Interrupted: Ctrl-C.
        BudgetSpent: `budget` is.
    """
    request = plan.request
    if request.scenes < 1 or request.shard_scenes < 1 or (workers is not None and workers < 1):
        asked = f"{request.scenes} scenes, {request.shard_scenes} a shard, {workers} workers"
        raise GenerateError(f"needs at least one scene, one scene a shard and one worker, got {asked}")
    if only is not None and not 0 <= only.start < only.stop <= request.shards:
        raise GenerateError(f"shards {only.start}:{only.stop}: there are {request.shards}, 0:{request.shards}")
    try:
        _make_folder(out)
        with locked(out):
            before = _inspect(out, request, resume)
            if before is not None and (out / MANIFEST).exists():
                (out / PARTIAL).unlink(missing_ok=True)  # of a run that was killed between the two
                return before
            empty = Manifest(format=DATA_SET_FORMAT, request=request, categories=tuple(sorted(categories)), shards=())
            return _fill(plan, out, before or empty, workers, tell, engine, budget or Budget(), only)
    except KeyboardInterrupt:
        raise Interrupted(f"{out}: stopped; the same command with --resume goes on") from None
    except (OSError, EngineError) as error:
        text = f"cannot write {error.filename or out}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise GenerateError(f"{text}; finished shards stay, and the same command with --resume goes on") from error


def _fill(
    plan: Plan,
    out: Location,
    manifest: Manifest,
    workers: int | None,
    tell: Tell,
    engine: Engine,
    budget: Budget,
    only: range | None,
) -> Manifest:
    done = {entry.name: entry for entry in _whole(out, manifest)}
    for entry in done.values():
        tell(Kept(entry))
    wanted = only or range(plan.request.shards)
    missing = [k for k in wanted if shard_name(k) not in done]
    made, lost = sum(entry.clips for entry in done.values()), 0
    journal = _Journal(out, manifest)
    journal.write(done)
    purse = _Purse(budget, sum(entry.bytes for entry in done.values()), len(done))
    events = engine(plan, out, purse.allowed(missing), workers)
    try:
        for event in events:
            made, lost = made + isinstance(event, SceneMade), lost + isinstance(event, SceneLost)
            if isinstance(event, SceneLost) and not made and lost == min(HOPELESS, plan.request.scenes):
                raise GenerateError(f"none of the first {lost} scenes can be made: {event.reason}")
            if isinstance(event, ShardMade):
                done[event.entry.name] = event.entry
                purse.pay(event.entry)
                journal.note(done)
            tell(event)
    finally:
        close = getattr(events, "close", None)
        if close:
            close()
        manifest = journal.settle(done)
    if any(shard_name(k) not in done for k in missing):
        there = f"{len(done)} of {len(wanted)} shards are there"
        raise BudgetSpent(f"{out}: the budget is spent: {there}; the same command with --resume goes on")
    if len(done) < plan.request.shards:
        return manifest  # a slice
    _sweep(out)
    write_manifest(out / MANIFEST, manifest)
    (out / PARTIAL).unlink()
    return manifest


@dataclass
class _Purse:
    """Hands out shards while the budget lasts."""

    budget: Budget
    size: int  # bytes of finished shards
    finished: int  # shards
    began: float = field(default_factory=time.monotonic)
    since: dict[str, float] = field(default_factory=dict)  # when each shard in flight was handed out
    took_s: float = 0.0  # by the shards of this run together
    made: int = 0  # of them

    def allowed(self, shards: Iterable[int]) -> Iterator[int]:
        for number in shards:
            now = time.monotonic()
            a_shard_s, a_shard = self.took_s / max(1, self.made), self.size / max(1, self.finished)
            size = self.size + a_shard * len(self.since)
            if not self.budget.allows(now - self.began, a_shard_s, size, a_shard):
                return
            self.since[shard_name(number)] = now
            yield number

    def pay(self, entry: ShardEntry) -> None:
        self.took_s, self.made = self.took_s + time.monotonic() - self.since.pop(entry.name), self.made + 1
        self.size, self.finished = self.size + entry.bytes, self.finished + 1


@dataclass
class _Journal:
    """What is finished, kept beside it. In a folder after each shard; at a URL, where all of it is sent anew each time,
    not so often that it takes more than a small part of the time."""

    out: Location
    manifest: Manifest
    due: float = 0.0  # not before, by the monotonic clock
    written: bool = True

    def note(self, done: Mapping[str, ShardEntry]) -> None:
        self.written = False
        if time.monotonic() >= self.due:
            self.write(done)

    def write(self, done: Mapping[str, ShardEntry]) -> None:
        began = time.monotonic()
        shards = tuple(sorted(done.values(), key=lambda entry: entry.first_scene))
        self.manifest = replace(self.manifest, shards=shards)
        write_manifest(self.out / PARTIAL, self.manifest)
        self.written, now = True, time.monotonic()
        if not isinstance(self.out, Path):
            self.due = now + max(REMOTE_JOURNAL_S, 20 * (now - began))

    def settle(self, done: Mapping[str, ShardEntry]) -> Manifest:
        if not self.written:
            self.write(done)
        return self.manifest


def _whole(out: Location, manifest: Manifest) -> Iterator[ShardEntry]:
    """The shards of a journal that are there as it says."""
    there = sizes(out)
    for entry in manifest.shards:
        same = there.get(entry.name) == entry.bytes
        if same and (not isinstance(out, Path) or file_sha256(out / entry.name) == entry.sha256):
            yield entry


# ------------------------------------------------------------------------------------ what the folder holds


def _make_folder(out: Location) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise GenerateError(f"{out}: is a file, or lies in one; --out needs a folder") from None


def locked(out: Location) -> AbstractContextManager[None]:
    """Keep a second run out of the folder for as long as this one lives. There are no locks at a URL."""
    if not isinstance(out, Path):
        return nullcontext()
    return held(out, GenerateError(f"{out}: another run is writing here"))


def _inspect(out: Location, request: Request, resume: bool) -> Manifest | None:
    """What an earlier run of the same request left here, or None in an empty folder.

    Raises:
        GenerateError: there is something else, or there is something and `resume` was not asked for.
    """
    names = sorted(sizes(out))
    found = next((name for name in (MANIFEST, PARTIAL) if name in names), None)
    if found:
        before = _agreeing(out / found, request)
        if not resume:
            state = "finished; --resume accepts it" if found == MANIFEST else "unfinished; add --resume to go on"
            raise GenerateError(f"{out}: holds this data set already, {state}")
    elif other := [name for name in names if not _TEMPORARY.fullmatch(name)]:
        shown = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
        raise GenerateError(f"{out}: holds other files ({shown}); --out needs an empty or a new folder")
    _sweep(out)
    return before if found else None


def _sweep(out: Location) -> None:
    """Away with what killed workers left, which a worker that outlived its run for a moment may do at any time."""
    for name in sizes(out):
        if _TEMPORARY.fullmatch(name):
            (out / name).unlink(missing_ok=True)


def _agreeing(path: Location, request: Request) -> Manifest:
    try:
        before = read_manifest(path)
    except ShardError as error:
        raise GenerateError(f"{error}; choose another folder") from None
    asked = request if before.request.renderer else replace(request, renderer="")
    if differing := list(islice(differences(asdict(before.request), asdict(asked)), 4)):
        shown = [f"{d.path} is {d.before!r:.60} there, {d.after!r:.60} was requested" for d in differing[:3]]
        more = "; ..." if len(differing) > 3 else ""
        raise GenerateError(f"{path.parent}: holds another data set: {'; '.join(shown)}{more}")
    return before
