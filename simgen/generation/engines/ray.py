"""The engine of a Ray cluster: each shard is one task.

A task is a generator. It yields what a local worker sends through its pipe, and ends with its shard. Ray must not
repeat a task by itself: `dispatch` decides, from the scene at which a task died, what is left out, as on one machine.
The shard of a machine that was lost is made on another one, and no scene is blamed.

By default there are as many tasks at a time as the cluster has CPUs, counted again as nodes join and leave. A cluster
that grows on demand grows only with more tasks than that, so give it `workers`.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from simgen import __version__
from simgen.dataset.format.manifest import ShardEntry
from simgen.dataset.store.locations import Location
from simgen.generation.engines.contract import Event, Plan, Report, ShardFailed, ShardMade
from simgen.generation.engines.dispatch import Dispatcher, Task, Watch, seconds_to_timeout
from simgen.generation.engines.local import RECYCLE_SCENES
from simgen.generation.engines.shard import one_thread, report_shard
from simgen.scene.quiet import quiet_stderr
from simgen.spec.errors import EngineError
from simgen.spec.install import install_hint

COUNT_EVERY_S = 5.0  # between two counts of the cluster's CPUs
GRACE_S = 5.0  # for a cancelled task to remove its files
VISIBLE_WITHIN_S = 20.0  # until a file that another machine wrote to a shared disk is visible here


# ------------------------------------------------------------------------------------------------ in a task


def serve(pickled_plan: bytes, version: str, out: Location, task: Task) -> Iterator[Report]:
    """What a task runs. The plan is unpickled here, so that the modules that it imports see one thread.

    A cancelled task ends its process: an interrupted import cannot be repeated in the same process, and Ray would give
    the process to the next task.
    """
    try:
        one_thread()
        with quiet_stderr():
            plan: Plan = pickle.loads(pickled_plan)
        if problem := _unlike(plan, version):
            yield ShardFailed(f"{socket.gethostname()}: {problem}; a run needs machines of one kind")
            return
        for report in report_shard(plan, out, task.shard, task.skip):
            if isinstance(report, ShardFailed):
                report = replace(report, message=f"{socket.gethostname()}: {report.message}")
            yield report
    except KeyboardInterrupt:
        sys.exit()


def _unlike(plan: Plan, version: str) -> str:
    """Why this machine would make other bytes than the machine that started the run; empty if it would not."""
    if version != __version__:
        return f"simgen is {__version__} here and {version} where the run was started"
    if plan.machinery and plan.request.renderer:
        try:
            here = plan.machinery(plan.config)
        except RuntimeError as error:
            return f"cannot draw: {error}"
        if here != plan.request.renderer:
            return f"draws with {here!r}, where the data set is drawn with {plan.request.renderer!r}"
    return ""


# ------------------------------------------------------------------------------------------------ in the driver


@dataclass
class _Tasks:
    """The tasks of a run."""

    ray: Any  # the module
    dispatcher: Dispatcher
    out: Location
    workers: int | None
    tasks: dict[Any, Watch] = field(default_factory=dict)  # by the generator that Ray returned
    cpus: int = 1
    counted: float = -math.inf

    def __post_init__(self) -> None:
        plan = self.dispatcher.plan
        calls = max(1, RECYCLE_SCENES // plan.request.shard_scenes)
        self.remote = self.ray.remote(
            num_cpus=1,
            max_retries=0,
            max_calls=calls,
            num_returns="streaming",
            scheduling_strategy="SPREAD",
            _generator_backpressure_num_objects=1,  # a scene begins after its SceneBegun has arrived here
        )(serve)
        self.plan = self.ray.put(pickle.dumps(plan))

    def run(self) -> Iterator[Event]:
        while self._submit():
            timeout_s = seconds_to_timeout(self.tasks.values())
            wait_s = COUNT_EVERY_S if timeout_s is None else min(timeout_s, COUNT_EVERY_S)
            ready, _ = self.ray.wait(list(self.tasks), timeout=wait_s, fetch_local=False)
            if ready:
                every = len(self.tasks)
                ready, _ = self.ray.wait(list(self.tasks), num_returns=every, timeout=0, fetch_local=False)
            self._cancel_overdue()
            for generator in ready:
                yield from self._receive(generator)

    def _submit(self) -> bool:
        """Start tasks while there is room. Returns whether any is running."""
        while len(self.tasks) < self._room():
            watch = self.dispatcher.next()
            if watch is None:
                break
            self.tasks[self.remote.remote(self.plan, __version__, self.out, watch.task)] = watch
        return bool(self.tasks)

    def _room(self) -> int:
        if self.workers is not None:
            return self.workers
        if time.monotonic() - self.counted > COUNT_EVERY_S:
            self.cpus, self.counted = int(self.ray.cluster_resources().get("CPU", 0)), time.monotonic()
        return max(1, self.cpus)

    def _cancel_overdue(self) -> None:
        for generator, watch in self.tasks.items():
            if not watch.overran and watch.overruns():
                self.ray.cancel(generator, force=True)

    def _receive(self, generator: Any) -> Iterator[Event]:
        """Take the next report of a task, or the way in which it ended without its shard."""
        watch = self.tasks[generator]
        try:
            report = self.ray.get(next(generator))
        except StopIteration:
            yield self._died(generator, "ended before its shard was made")
        except self.ray.exceptions.RayError as error:
            yield self._failed(generator, error)
        else:
            if isinstance(report, ShardMade):
                del self.tasks[generator]
                self._wait_until_visible(report.entry)
            yield from watch.note(report)

    def _failed(self, generator: Any, error: Exception) -> Event:
        errors = self.ray.exceptions
        if isinstance(error, errors.NodeDiedError):
            return self.dispatcher.machine_lost(self._remove(generator), "its machine was lost")
        if isinstance(error, errors.WorkerCrashedError | errors.TaskCancelledError):
            return self._died(generator, "died")
        if isinstance(error, errors.OutOfMemoryError):
            return self._died(generator, "was ended by Ray, as memory was short")
        if isinstance(error, errors.RayTaskError):
            cause = getattr(error, "cause", error)
            return self._died(generator, "raised " + " ".join(f"{type(cause).__name__}: {cause}".split())[:300])
        raise EngineError(f"Ray: {' '.join(str(error).split())[:500]}") from error

    def _died(self, generator: Any, how: str) -> Event:
        watch = self._remove(generator)
        return self.dispatcher.worker_died(watch, how, started=watch.begun > 0)

    def _remove(self, generator: Any) -> Watch:
        watch = self.tasks.pop(generator)
        self._clear(watch)
        return watch

    def _wait_until_visible(self, entry: ShardEntry) -> None:
        """Wait for a shard of another machine. Without a shared disk, the same path is another folder there."""
        if not isinstance(self.out, Path):
            return
        path, deadline = self.out / entry.name, time.monotonic() + VISIBLE_WITHIN_S
        while not (path.is_file() and path.stat().st_size == entry.bytes):
            if time.monotonic() > deadline:
                raise EngineError(
                    f"{path}: was made on another machine and is not visible on this one: "
                    "--out needs a folder that all machines share, or a URL such as s3://bucket/data"
                )
            os.listdir(self.out)  # makes a network file system refresh
            time.sleep(0.2)

    def _clear(self, watch: Watch) -> None:
        """Remove the temporary file of a task that has died."""
        if isinstance(self.out, Path):
            for part in self.out.glob(f".{watch.name}.*.tmp"):
                part.unlink(missing_ok=True)

    def close(self) -> None:
        """End every task, and remove their unfinished shards."""
        left = list(self.tasks)
        for force in (False, True):
            for generator in left:  # without a scene it has no files, and may still be importing
                self.ray.cancel(generator, force=force or not self.tasks[generator].begun)
            if left:
                ends = {generator.completed(): generator for generator in left}
                _, running = self.ray.wait(list(ends), num_returns=len(ends), timeout=GRACE_S, fetch_local=False)
                left = [ends[end] for end in running]
        for watch in self.tasks.values():
            self._clear(watch)


@contextmanager
def _connected(address: str | None, workers: int | None) -> Iterator[Any]:
    """Connect to the cluster at `address`, or at RAY_ADDRESS, or start one on this machine for this run.

    An existing connection of this process is used, and stays open.
    """
    try:
        ray = import_module("ray")
    except ImportError:
        raise EngineError(f"the engine ray needs Ray: {install_hint('ray')}") from None
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own = address is None and not os.environ.get("RAY_ADDRESS")
    asked: dict[str, Any] = {"address": "local", "num_cpus": workers} if own else {"address": address}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**asked, include_dashboard=False, logging_level="WARNING", configure_logging=True)
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        where = "on this machine" if own else f"at {address or os.environ['RAY_ADDRESS']}"
        text = " ".join(str(error).split())[:300]
        raise EngineError(f"no Ray cluster {where}: {type(error).__name__}: {text}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # ray.init replaces it
    try:
        yield ray
    finally:
        ray.shutdown()


def on_ray(
    plan: Plan, out: Location, shards: Iterable[int], workers: int | None = None, *, address: str | None = None
) -> Iterator[Event]:
    """The engine of a Ray cluster. `out` is a folder that all its machines share, or a URL."""
    with _connected(address, workers) as ray:
        running = _Tasks(ray, Dispatcher(plan, iter(shards)), out, workers)
        try:
            yield from running.run()
        finally:
            running.close()
