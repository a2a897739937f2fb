"""A data set from a plan: find the missing shards, have an engine make them, write the manifest when all are there.

Finished shards are listed in `manifest.partial.json`, the journal. A killed run loses only the shards in progress, and
`resume` ends with the same bytes. Files of anything but a data set of the same request are never changed.

`out` may be a URL (`simgen.dataset.store.locations`). There the journal is uploaded every few seconds and at the end of
a run, so a killed run may also lose the shards of those seconds. Shards of an earlier run are recognized by name and
size alone, because such a store never shows partial objects. `simgen check` verifies the bytes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path

from simgen.dataset.contents import write_contents
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
from simgen.generation.grow import earlier, forget_earlier, grown, reopen
from simgen.spec.differences import differences
from simgen.spec.errors import BudgetSpent, EngineError, GenerateError, Interrupted, ShardError

PARTIAL = "manifest.partial.json"
MAX_SHARD_SCENES = 16
HOPELESS = 8  # so many scenes failed and none was made: the run ends
REMOTE_JOURNAL_S = 5.0  # least time between two uploads of the journal; more where an upload takes long
_TEMPORARY = re.compile(r"\.(shard-\d+\.tar|manifest(\.partial)?\.json)\.\d+\.tmp")


@dataclass(frozen=True)
class Kept:
    """A valid shard of an earlier run, which is not made again."""

    entry: ShardEntry


Listener = Callable[[Event | Kept], None]


def default_shard_scenes(scenes: int) -> int:
    """Scenes in a shard. It depends on the number of scenes alone, since the bytes must not depend on the workers.

    At most 16: a shard then has some tens of MB, and making it again costs about a minute. Fewer where there would be
    less than 16 shards, so that all workers finish at about the same time.
    """
    return max(1, min(MAX_SHARD_SCENES, -(-scenes // MAX_SHARD_SCENES)))


def run_plan(
    plan: Plan,
    categories: tuple[str, ...],
    out: Location,
    *,
    workers: int | None = None,
    resume: bool = False,
    on_event: Listener = lambda event: None,
    engine: Engine = processes,
    budget: Budget | None = None,
    only: range | None = None,
) -> Manifest:
    """Make the data set of `plan` in the folder or URL `out`.

    Args:
        categories: of all parts that the scenes may contain. The class index is the position in sorted order.
        workers: how many shards are made at a time; None leaves it to the engine. The bytes do not depend on it.
        resume: continue a run of the same request in `out`. A finished data set of fewer scenes grows. Scenes that an
            earlier run lost because its machine failed (`Quarantined.may_succeed`) are made again.
        on_event: called for each scene and shard.
        only: a slice: make these shards alone. There is no manifest then; `simgen.generation.join` joins slices.
        budget: no shard begins once it is spent. Shards in progress are finished.

    Raises:
        GenerateError: `out` holds something else, the disk is full, every scene fails, or workers die without a cause.
        Interrupted: Ctrl-C.
        BudgetSpent: the budget ended before the data set was finished.
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
            if before is not None and before.request.scenes < request.scenes:
                if only is not None:
                    raise GenerateError(f"{out}: a slice cannot grow; render the new scenes into another folder")
                before = grown(out, before, request, tuple(_whole(out, before)), PARTIAL)
            elif before is not None and (out / MANIFEST).exists():
                if not any(scene.may_succeed for scene in before.quarantined):
                    (out / PARTIAL).unlink(missing_ok=True)  # of a run that was killed between the two
                    forget_earlier(out)
                    return before
                reopen(out, before, PARTIAL)
            plan = replace(plan, earlier=earlier(out, request))
            empty = Manifest(format=DATA_SET_FORMAT, request=request, categories=tuple(sorted(categories)), shards=())
            return _fill(plan, out, before or empty, workers, on_event, engine, budget or Budget(), only)
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
    on_event: Listener,
    engine: Engine,
    budget: Budget,
    only: range | None,
) -> Manifest:
    done = {entry.name: entry for entry in _whole(out, manifest)}
    for entry in done.values():
        on_event(Kept(entry))
    wanted = only or range(plan.request.shards)
    missing = [k for k in wanted if shard_name(k) not in done]
    made, lost = sum(entry.clips for entry in done.values()), 0
    journal = _Journal(out, manifest)
    journal.write(done)
    write_contents(out, plan.contents)
    spending = _Spending(budget, sum(entry.bytes for entry in done.values()), len(done))
    events = engine(plan, out, spending.allowed(missing), workers)
    try:
        for event in events:
            made, lost = made + isinstance(event, SceneMade), lost + isinstance(event, SceneLost)
            if isinstance(event, SceneLost) and not made and lost == min(HOPELESS, plan.request.scenes):
                raise GenerateError(f"none of the first {lost} scenes can be made: {event.reason}")
            if isinstance(event, ShardMade):
                done[event.entry.name] = event.entry
                spending.finish(event.entry)
                journal.note(done)
            on_event(event)
    finally:
        close = getattr(events, "close", None)
        if close:
            close()
        manifest = journal.settle(done)
    if any(shard_name(k) not in done for k in missing):
        finished = f"{len(done)} of {len(wanted)} shards are there"
        raise BudgetSpent(f"{out}: the budget is spent: {finished}; the same command with --resume goes on")
    if len(done) < plan.request.shards:
        return manifest  # a slice
    sweep(out)
    write_manifest(out / MANIFEST, manifest)
    (out / PARTIAL).unlink()
    forget_earlier(out)
    return manifest


@dataclass
class _Spending:
    """Yields shards while the budget lasts, and adds up what they cost."""

    budget: Budget
    size: int  # bytes of all finished shards
    finished: int  # number of shards
    began: float = field(default_factory=time.monotonic)
    since: dict[str, float] = field(default_factory=dict)  # start of each shard in progress
    took_s: float = 0.0  # by all shards of this run
    made: int = 0  # shards of this run

    def allowed(self, shards: Iterable[int]) -> Iterator[int]:
        for number in shards:
            now = time.monotonic()
            a_shard_s, a_shard = self.took_s / max(1, self.made), self.size / max(1, self.finished)
            size = self.size + a_shard * len(self.since)
            if not self.budget.allows(now - self.began, a_shard_s, size, a_shard):
                return
            self.since[shard_name(number)] = now
            yield number

    def finish(self, entry: ShardEntry) -> None:
        self.took_s, self.made = self.took_s + time.monotonic() - self.since.pop(entry.name), self.made + 1
        self.size, self.finished = self.size + entry.bytes, self.finished + 1


@dataclass
class _Journal:
    """The list of finished shards. Written after each shard in a folder; less often at a URL, where each change is an
    upload of the whole list."""

    out: Location
    manifest: Manifest
    next_write: float = 0.0  # no earlier, by the monotonic clock
    written: bool = True

    def note(self, done: Mapping[str, ShardEntry]) -> None:
        self.written = False
        if time.monotonic() >= self.next_write:
            self.write(done)

    def write(self, done: Mapping[str, ShardEntry]) -> None:
        began = time.monotonic()
        shards = tuple(sorted(done.values(), key=lambda entry: entry.first_scene))
        self.manifest = replace(self.manifest, shards=shards)
        write_manifest(self.out / PARTIAL, self.manifest)
        self.written, now = True, time.monotonic()
        if not isinstance(self.out, Path):
            self.next_write = now + max(REMOTE_JOURNAL_S, 20 * (now - began))

    def settle(self, done: Mapping[str, ShardEntry]) -> Manifest:
        if not self.written:
            self.write(done)
        return self.manifest


def _whole(out: Location, manifest: Manifest) -> Iterator[ShardEntry]:
    """The shards of a journal that are not made again: whole files, and no scene that may succeed now."""
    size = sizes(out)
    for entry in manifest.shards:
        same = size.get(entry.name) == entry.bytes and not any(scene.may_succeed for scene in entry.quarantined)
        if same and (not isinstance(out, Path) or file_sha256(out / entry.name) == entry.sha256):
            yield entry


# ------------------------------------------------------------------------------------ what the folder holds


def _make_folder(out: Location) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise GenerateError(f"{out}: is a file, or lies in one; --out needs a folder") from None


def locked(out: Location) -> AbstractContextManager[None]:
    """Lock the folder against other runs. A URL has no locks."""
    if not isinstance(out, Path):
        return nullcontext()
    return held(out, GenerateError(f"{out}: another run is writing here"))


def _inspect(out: Location, request: Request, resume: bool) -> Manifest | None:
    """The manifest or journal that a run of the same request, or of fewer scenes, left here; None in an empty folder.

    Raises:
        GenerateError: the folder holds something else or more scenes, or `resume` is False and it holds this data set.
    """
    names = sorted(sizes(out))
    stored = next((name for name in (MANIFEST, PARTIAL) if name in names), None)
    if stored:
        before = _of_same_request(out / stored, request)
        if not resume:
            state = "finished; --resume accepts it" if stored == MANIFEST else "unfinished; add --resume to go on"
            if before.request.scenes < request.scenes:
                state = f"of {before.request.scenes} scenes; --resume grows it to {request.scenes}"
            raise GenerateError(f"{out}: holds this data set already, {state}")
    elif other := [name for name in names if not _TEMPORARY.fullmatch(name)]:
        shown = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
        raise GenerateError(f"{out}: holds other files ({shown}); --out needs an empty or a new folder")
    sweep(out)
    return before if stored else None


def sweep(out: Location) -> None:
    """Remove the temporary files of killed workers, which may write for a moment after their run has ended."""
    for name in sizes(out):
        if _TEMPORARY.fullmatch(name):
            (out / name).unlink(missing_ok=True)


def _of_same_request(path: Location, request: Request) -> Manifest:
    try:
        before = read_manifest(path)
    except ShardError as error:
        raise GenerateError(f"{error}; choose another folder") from None
    asked = request if before.request.renderer else replace(request, renderer="")
    differing = list(islice(differences(asdict(before.request), asdict(asked)), 4))
    if {d.path for d in differing} in ({"scenes"}, {"scenes", "shard_scenes"}):
        if before.request.scenes < asked.scenes:
            return before
        raise GenerateError(
            f"{path.parent}: holds {before.request.scenes} scenes of this data set and cannot shrink to "
            f"{asked.scenes}; choose another folder, or --scenes {before.request.scenes} or more"
        )
    if differing:
        shown = [f"{d.path} is {d.before!r:.60} there, {d.after!r:.60} was requested" for d in differing[:3]]
        more = "; ..." if len(differing) > 3 else ""
        raise GenerateError(f"{path.parent}: holds another data set: {'; '.join(shown)}{more}")
    return before
