"""Shards made by worker processes. What an engine yields is the same for any number of workers, but for its order.

A worker is told one shard at a time and reports each scene as it begins and ends, so a worker that dies names the scene
that killed it. Its shard is made again, and a scene that kills a worker twice is left out; so is one that takes longer
than `Plan.scene_limit_s`, whose worker is killed for it. Workers are spawned, not forked, and replaced after a while:
PyBullet keeps some of what it loads.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from simgen.quiet import quiet_stderr
from simgen.shards import Quarantined, Request, ShardEntry, clip_members, shard_name, write_shard
from simgen.types import RenderedClip

RECYCLE_SCENES = 256  # after which a worker is replaced: memory stays flat whatever PyBullet keeps
STRIKES = 2  # times that a scene may kill its worker before it is left out
SCENE_LIMIT_S = 600.0  # a scene takes seconds; one that takes this long hangs
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LP_NUM_THREADS")

Maker = Callable[[Any, int, int], RenderedClip]


class EngineError(Exception):
    """The run cannot go on; what is finished stays."""


@dataclass(frozen=True)
class Plan:
    """What an engine needs to make any shard of a data set. `make(config, seed, index)` must be picklable."""

    request: Request
    config: Any
    make: Maker
    scene_limit_s: float = SCENE_LIMIT_S


@dataclass(frozen=True)
class SceneBegun:
    index: int


@dataclass(frozen=True)
class SceneMade:
    index: int
    frames: int


@dataclass(frozen=True)
class SceneLost:
    index: int
    reason: str


@dataclass(frozen=True)
class ShardMade:
    entry: ShardEntry


@dataclass(frozen=True)
class ShardAgain:
    """A worker died over a shard, which will be made anew: the scenes reported of it count no more."""

    name: str
    reason: str
    made: int
    frames: int
    lost: int


Event = SceneMade | SceneLost | ShardMade | ShardAgain
Engine = Callable[[Plan, Path, Iterable[int], int], Iterator[Event]]


# ------------------------------------------------------------------------------------------------ in a worker


@dataclass(frozen=True)
class _Task:
    shard: int
    skip: dict[int, str]  # scenes known to kill, with the reason


@dataclass(frozen=True)
class _Failure:
    message: str


def _serve(connection: Connection, folder: Path) -> None:
    """A worker's life: a plan, then shards. It ends with None from the parent, or with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    _one_thread()
    try:
        with quiet_stderr():
            plan = connection.recv()
        while (task := connection.recv()) is not None:
            try:
                connection.send(ShardMade(make_shard(plan, folder, task.shard, task.skip, connection.send)))
            except (BrokenPipeError, ConnectionResetError):
                return
            except OSError as error:
                connection.send(_Failure(f"cannot write {folder / shard_name(task.shard)}: {error.strerror}"))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def make_shard(
    plan: Plan, folder: Path, number: int, skip: dict[int, str], tell: Callable[[Any], None] = lambda event: None
) -> ShardEntry:
    """Write one shard, holding one clip in memory at a time. A scene that raises is left out.

    Raises:
        OSError: the shard cannot be written; nothing of it is left behind.
    """
    lost: list[Quarantined] = []
    frames: list[int] = []

    def members() -> Iterator[tuple[str, bytes]]:
        for index in plan.request.scenes_of(number):
            tell(SceneBegun(index))
            stored, count, reason = (None, 0, skip[index]) if index in skip else _try(plan, index)
            if stored is None:
                lost.append(Quarantined(index=index, reason=reason))
                tell(SceneLost(index, reason))
                continue
            yield from stored
            frames.append(count)
            tell(SceneMade(index, count))

    name = shard_name(number)
    digest, size = write_shard(folder / name, members())
    return ShardEntry(
        name=name,
        sha256=digest,
        bytes=size,
        first_scene=plan.request.scenes_of(number).start,
        clips=len(frames),
        frames=sum(frames),
        quarantined=tuple(lost),
    )


def _try(plan: Plan, index: int) -> tuple[list[tuple[str, bytes]] | None, int, str]:
    """A scene's members and its number of frames, or None and why there are none."""
    try:
        clip = plan.make(plan.config, plan.request.seed, index)
        return clip_members(clip), len(clip.jpegs), ""
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return None, 0, re.sub(r"0x[0-9a-f]+", "0x", text)[:500]  # addresses differ from run to run


# ------------------------------------------------------------------------------------------------ in the parent


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: _Task | None = None
    scene: int | None = None  # that it is at
    since: float = 0.0  # when it began that scene, by the monotonic clock
    overran: bool = False
    scenes: int = 0  # that it has been given in its life
    made: int = 0  # of its shard, as reported
    frames: int = 0
    lost: int = 0


@dataclass
class _Crew:
    plan: Plan
    folder: Path
    size: int
    fresh: Iterator[int]  # shards that nobody has begun; asked for one when a worker is free for it
    again: deque[_Task] = field(default_factory=deque)
    workers: list[_Worker] = field(default_factory=list)
    skip: dict[int, str] = field(default_factory=dict)
    strikes: Counter[tuple[str, int]] = field(default_factory=Counter)

    def run(self) -> Iterator[Event]:
        while self._employ():
            ready = wait([worker.connection for worker in self.workers], timeout=self._patience_s())
            self._end_what_hangs()
            for worker in [w for w in self.workers if w.connection in ready]:
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    yield from self._bury(worker)
                else:
                    yield from self._heed(worker, message)

    def _employ(self) -> bool:
        """Give every idle worker a shard, hire while there are shards and room, and answer whether anyone works."""
        while len(busy := [worker for worker in self.workers if worker.task]) < self.size:
            task = self._next_task()
            if task is None:
                return bool(busy)
            idle = next((worker for worker in self.workers if worker.task is None), None)
            if idle is None:
                self.workers.append(idle := _hire(self.plan, self.folder))
            idle.task, idle.scene, idle.made, idle.frames, idle.lost = task, None, 0, 0, 0
            try:
                idle.connection.send(idle.task)
            except (BrokenPipeError, ConnectionResetError):
                return True  # it is dead: its connection says so when it is asked
        return True

    def _next_task(self) -> _Task | None:
        if self.again:
            return self.again.popleft()
        number = next(self.fresh, None)
        return None if number is None else _Task(number, {})

    def _patience_s(self) -> float | None:
        """Until the next worker at a scene would have overrun."""
        begun = [worker.since for worker in self.workers if worker.scene is not None]
        return max(0.0, min(begun) + self.plan.scene_limit_s - time.monotonic()) if begun else None

    def _end_what_hangs(self) -> None:
        """Their connections then say that they are dead."""
        for worker in self.workers:
            if worker.scene is not None and time.monotonic() - worker.since > self.plan.scene_limit_s:
                worker.overran = True
                worker.process.kill()

    def _heed(self, worker: _Worker, message: object) -> Iterator[Event]:
        if isinstance(message, SceneBegun):
            worker.scene, worker.scenes, worker.since = message.index, worker.scenes + 1, time.monotonic()
        elif isinstance(message, SceneMade):
            worker.scene, worker.made, worker.frames = None, worker.made + 1, worker.frames + message.frames
            yield message
        elif isinstance(message, SceneLost):
            worker.scene, worker.lost = None, worker.lost + 1
            yield message
        elif isinstance(message, ShardMade):
            worker.task = None
            if worker.scenes >= RECYCLE_SCENES:
                self._dismiss(worker)
            yield message
        elif isinstance(message, _Failure):
            raise EngineError(message.message)

    def _dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.connection.send(None)
        worker.connection.close()
        worker.process.join()

    def _bury(self, worker: _Worker) -> Iterator[Event]:
        """A worker died. Find the scene that did it, and have its shard made again."""
        self.workers.remove(worker)
        self._end(worker)
        how, scene = _cause(worker.process.exitcode), worker.scene
        if worker.overran:
            how = f"took longer than {self.plan.scene_limit_s:g} s"
        if worker.task is None:
            return
        name, culprit = shard_name(worker.task.shard), ("shard", worker.task.shard)
        where = "between two scenes" if worker.scenes else "before its first scene: its messages stand above"
        if scene is not None:
            culprit, where = ("scene", scene), f"at scene {scene}"
        self.strikes[culprit] += 1
        if self.strikes[culprit] >= STRIKES:
            if scene is None:
                raise EngineError(f"{name}: a worker {how} {where}, {STRIKES} times")
            self.skip[scene] = f"its worker {how}, {STRIKES} times"
        self.again.appendleft(_Task(worker.task.shard, dict(self.skip)))
        yield ShardAgain(name, f"a worker {how} {where}", worker.made, worker.frames, worker.lost)

    def close(self) -> None:
        """End every worker at once; unfinished shards vanish with them."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            self._end(worker)

    def _end(self, worker: _Worker) -> None:
        worker.connection.close()
        worker.process.join()
        for part in self.folder.glob(f".shard-*.{worker.process.pid}.tmp"):
            part.unlink(missing_ok=True)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit status {code}"


def _hire(plan: Plan, folder: Path) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, folder), daemon=True)
    with _environment({name: "1" for name in _ONE_THREAD}):
        process.start()
    theirs.close()
    ours.send(plan)
    return _Worker(process, ours)


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def processes(plan: Plan, folder: Path, shards: Iterable[int], workers: int) -> Iterator[Event]:
    """Make `shards` in `folder` with so many worker processes. Closing the iterator ends them.

    `shards` is asked for the next one when a worker is free: where it ends early, what has begun is still finished.

    Raises:
        EngineError: a shard cannot be written (the disk is full), or workers die where no scene is to blame.
    """
    crew = _Crew(plan, folder, workers, iter(shards))
    try:
        yield from crew.run()
        for worker in list(crew.workers):
            crew._dismiss(worker)
    finally:
        crew.close()
