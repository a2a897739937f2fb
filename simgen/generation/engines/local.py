"""Shards made by worker processes on this machine.

A worker is told one shard at a time. Workers are spawned, not forked, and replaced after a while: PyBullet keeps some
of what it loads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from simgen.dataset.store.locations import Location
from simgen.generation.engines.contract import Event, Plan, ShardMade
from simgen.generation.engines.dispatch import Dealer, Watch, patience_s
from simgen.generation.engines.shard import ONE_THREAD, one_thread, report_shard
from simgen.scene.quiet import quiet_stderr

RECYCLE_SCENES = 256  # after which a worker is replaced: memory stays flat whatever PyBullet keeps


# ------------------------------------------------------------------------------------------------ in a worker


def _serve(connection: Connection, out: Location) -> None:
    """A worker's life: a plan, then shards. It ends with None from the parent, or with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    one_thread()
    try:
        with quiet_stderr():
            plan = connection.recv()
        while (task := connection.recv()) is not None:
            for report in report_shard(plan, out, task.shard, task.skip):
                connection.send(report)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


# ------------------------------------------------------------------------------------------------ in the parent


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    watch: Watch | None = None  # of the shard that it is at
    scenes: int = 0  # that it finished the shards of in its life


@dataclass
class _Crew:
    dealer: Dealer
    out: Location
    size: int
    workers: list[_Worker] = field(default_factory=list)

    def run(self) -> Iterator[Event]:
        while self._employ():
            watches = [worker.watch for worker in self.workers if worker.watch]
            ready = wait([worker.connection for worker in self.workers], timeout=patience_s(watches))
            self._end_what_hangs()
            for worker in [w for w in self.workers if w.connection in ready]:
                try:
                    report = worker.connection.recv()
                except (EOFError, OSError):
                    yield from self._bury(worker)
                else:
                    assert worker.watch is not None
                    yield from worker.watch.heed(report)
                    if isinstance(report, ShardMade):
                        self._rest(worker, worker.watch)

    def _employ(self) -> bool:
        """Give every idle worker a shard, hire while there are shards and room, and answer whether anyone works."""
        while len(busy := [worker for worker in self.workers if worker.watch]) < self.size:
            watch = self.dealer.next()
            if watch is None:
                return bool(busy)
            idle = next((worker for worker in self.workers if worker.watch is None), None)
            if idle is None:
                self.workers.append(idle := _hire(self.dealer.plan, self.out))
            idle.watch = watch
            _tell(idle.connection, watch.task)
        return True

    def _end_what_hangs(self) -> None:
        """Their connections then say that they are dead."""
        for worker in self.workers:
            if worker.watch and worker.watch.overruns():
                worker.process.kill()

    def _rest(self, worker: _Worker, watch: Watch) -> None:
        """Its shard is made. It waits for another, or goes."""
        worker.watch, worker.scenes = None, worker.scenes + watch.begun
        if worker.scenes >= RECYCLE_SCENES:
            self.dismiss(worker)

    def dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        _tell(worker.connection, None)
        worker.connection.close()
        worker.process.join()

    def _bury(self, worker: _Worker) -> Iterator[Event]:
        self.workers.remove(worker)
        self._end(worker)
        if worker.watch is not None:
            started = worker.scenes + worker.watch.begun > 0
            yield self.dealer.bury(worker.watch, _cause(worker.process.exitcode), started)

    def close(self) -> None:
        """End every worker at once; unfinished shards vanish with them."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            self._end(worker)

    def _end(self, worker: _Worker) -> None:
        worker.connection.close()
        worker.process.join()
        if isinstance(self.out, Path):
            for part in self.out.glob(f".shard-*.{worker.process.pid}.tmp"):
                part.unlink(missing_ok=True)


def _tell(connection: Connection, what: object) -> None:
    """A worker that is dead hears nothing; its end of the connection says so when it is read."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(what)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit status {code}"


def _hire(plan: Plan, out: Location) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, out), daemon=True)
    with _environment({name: "1" for name in ONE_THREAD}):
        process.start()
    theirs.close()
    _tell(ours, plan)
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


def processes(plan: Plan, out: Location, shards: Iterable[int], workers: int | None = None) -> Iterator[Event]:
    """The engine of one machine: so many worker processes, or one."""
    crew = _Crew(Dealer(plan, iter(shards)), out, workers or 1)
    try:
        yield from crew.run()
        for worker in list(crew.workers):
            crew.dismiss(worker)
    finally:
        crew.close()
