"""The engine of one machine: worker processes make the shards.

A worker gets one shard at a time. Workers are spawned, not forked. They are replaced after a while, because PyBullet
does not free all memory.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from simgen.dataset.store.locations import Location
from simgen.generation.engines.contract import Event, Plan, ShardMade
from simgen.generation.engines.dispatch import Dispatcher, Watch, seconds_to_timeout
from simgen.generation.engines.shard import ONE_THREAD, one_thread, report_shard
from simgen.scene.quiet import quiet_stderr

GRACE_S = 3.0  # for a terminated worker to end before it is killed; a stopped one (SIGSTOP) never does
RECYCLE_SCENES = 256  # a worker is replaced after so many, so that its memory stays bounded


# ------------------------------------------------------------------------------------------------ in a worker


def _serve(connection: Connection, out: Location) -> None:
    """The main loop of a worker: receive a plan, then shards, until the parent sends None or ends."""
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
    watch: Watch | None = None  # of its current shard; None: idle
    scenes: int = 0  # of the shards that it has finished


@dataclass
class _Pool:
    """The worker processes of a run."""

    dispatcher: Dispatcher
    out: Location
    size: int
    workers: list[_Worker] = field(default_factory=list)

    def run(self) -> Iterator[Event]:
        while self._give_out():
            watches = [worker.watch for worker in self.workers if worker.watch]
            ready = wait([worker.connection for worker in self.workers], timeout=seconds_to_timeout(watches))
            self._kill_overdue()
            for worker in [w for w in self.workers if w.connection in ready]:
                try:
                    report = worker.connection.recv()
                except (EOFError, OSError):
                    yield from self._remove_dead(worker)
                else:
                    assert worker.watch is not None
                    yield from worker.watch.note(report)
                    if isinstance(report, ShardMade):
                        self._finished(worker, worker.watch)

    def _give_out(self) -> bool:
        """Give every idle worker a shard, and start workers while there are shards. Returns whether any is busy."""
        while len(busy := [worker for worker in self.workers if worker.watch]) < self.size:
            watch = self.dispatcher.next()
            if watch is None:
                return bool(busy)
            idle = next((worker for worker in self.workers if worker.watch is None), None)
            if idle is None:
                self.workers.append(idle := _start(self.dispatcher.plan, self.out))
            idle.watch = watch
            _send(idle.connection, watch.task)
        return True

    def _kill_overdue(self) -> None:
        """Kill workers whose scene takes too long. Their closed connections are found by `run`."""
        for worker in self.workers:
            if worker.watch and worker.watch.overruns():
                worker.process.kill()

    def _finished(self, worker: _Worker, watch: Watch) -> None:
        """Mark a worker as idle, and replace it if it has made many scenes."""
        worker.watch, worker.scenes = None, worker.scenes + watch.begun
        if worker.scenes >= RECYCLE_SCENES:
            self.dismiss(worker)

    def dismiss(self, worker: _Worker) -> None:
        """Let an idle worker end."""
        self.workers.remove(worker)
        _send(worker.connection, None)
        worker.connection.close()
        worker.process.join(GRACE_S)
        worker.process.kill()

    def _remove_dead(self, worker: _Worker) -> Iterator[Event]:
        self.workers.remove(worker)
        self._end(worker)
        if worker.watch is not None:
            started = worker.scenes + worker.watch.begun > 0
            yield self.dispatcher.worker_died(worker.watch, _cause(worker.process.exitcode), started)

    def close(self) -> None:
        """End every worker, and remove their unfinished shards. A second Ctrl-C kills what still runs."""
        try:
            for worker in self.workers:
                worker.process.terminate()
            deadline = time.monotonic() + GRACE_S
            for worker in self.workers:
                worker.process.join(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in self.workers:
                worker.process.kill()
            for worker in self.workers:
                self._end(worker)

    def _end(self, worker: _Worker) -> None:
        worker.connection.close()
        worker.process.join(GRACE_S)  # a process that waits for a broken disk does not even end when it is killed
        if isinstance(self.out, Path):
            for part in self.out.glob(f".shard-*.{worker.process.pid}.tmp"):
                part.unlink(missing_ok=True)


def _send(connection: Connection, what: object) -> None:
    """Send to a worker. A dead worker is found when its connection is read, so no error here."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(what)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit status {code}"


def _start(plan: Plan, out: Location) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, out), daemon=True)
    with _environment({name: "1" for name in ONE_THREAD}):
        process.start()
    theirs.close()
    _send(ours, plan)
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
    """The local engine: `workers` processes on this machine, one by default."""
    pool = _Pool(Dispatcher(plan, iter(shards)), out, workers or 1)
    try:
        yield from pool.run()
        for worker in list(pool.workers):
            pool.dismiss(worker)
    finally:
        pool.close()
