"""Limits of a run, and estimates of the time, disk and memory that it needs."""

from __future__ import annotations

import math
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simgen.dataset.format.archive import clip_members
from simgen.dataset.store.locations import Location
from simgen.generation.engines.contract import Plan

TRIAL_SCENES = 5  # scenes of an estimate, after one that is not counted because it imports modules
START_S = 3.0  # from the command to the first scene
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


@dataclass(frozen=True)
class Budget:
    """The limits of one run. None: no limit."""

    seconds: float | None = None
    bytes: float | None = None

    def allows(self, seconds: float, seconds_a_shard: float, size: float, bytes_a_shard: float) -> bool:
        """Whether another shard may begin, judged by the shards before it.

        Args:
            seconds: time spent so far.
            seconds_a_shard: mean time to make one; 0 while none is finished.
            size: bytes of all finished shards and, estimated, of those in progress.
            bytes_a_shard: mean size; 0 while none is finished.
        """
        in_time = self.seconds is None or seconds + seconds_a_shard < self.seconds
        return in_time and (self.bytes is None or size + bytes_a_shard <= self.bytes)


def parse_budget(text: str) -> Budget:
    """The budget of a text: a time such as 90m, 2h or 1.5d, or a size such as 500MB or 50GB.

    Raises:
        ValueError: the text is neither, or the amount is 0.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-zA-Z]+)\s*", text)
    amount, unit = (float(match[1]), match[2].lower()) if match else (0.0, "")
    if amount > 0 and unit in _UNITS:
        return Budget(seconds=amount * _UNITS[unit])
    if amount > 0 and unit in _BYTES:
        return Budget(bytes=amount * _BYTES[unit])
    raise ValueError(f"{text!r} is no budget: give a time such as 90m or 2h, or a size such as 500MB or 50GB")


@dataclass(frozen=True)
class Estimate:
    """What a run would need, estimated from a few of its scenes."""

    scenes: int
    workers: int
    scene_s: tuple[float, ...]  # time of each trial scene, on one worker
    scene_bytes: tuple[int, ...]
    worker_bytes: int  # resident memory
    free_bytes: int | float  # on the disk of the output folder; infinite at a URL
    budget: Budget = Budget()

    @property
    def seconds(self) -> float:
        return START_S + self.scenes * statistics.fmean(self.scene_s) / self.workers

    @property
    def disk_bytes(self) -> float:
        return self.scenes * statistics.fmean(self.scene_bytes)

    @property
    def affordable(self) -> int:
        """How many of the scenes the budget allows."""
        seconds = math.inf if self.budget.seconds is None else max(0.0, self.budget.seconds - START_S)
        by_time = seconds * self.workers / statistics.fmean(self.scene_s)
        by_size = math.inf if self.budget.bytes is None else self.budget.bytes / statistics.fmean(self.scene_bytes)
        return int(min(self.scenes, by_time, by_size))

    def lines(self) -> list[str]:
        """The estimate as text, one line each for time, disk and memory, and for a budget."""
        low, high = min(self.scene_s), max(self.scene_s)
        free = f" ({size(self.free_bytes)} free)" if math.isfinite(self.free_bytes) else ""
        lines = [
            f"time    about {duration(self.seconds)} with {self.workers} worker{'s' * (self.workers > 1)}"
            f" ({low:.2f} to {high:.2f} s a scene on one; a machine that is busy takes longer)",
            f"disk    about {size(self.disk_bytes)}{free}",
            f"memory  about {size(self.worker_bytes * self.workers)}: {size(self.worker_bytes)} for each worker",
        ]
        if self.budget != Budget():
            rest = "" if self.affordable == self.scenes else "; the rest needs another run, with --resume"
            lines.append(f"budget  enough for about {self.affordable} of {self.scenes} scenes{rest}")
        if self.disk_bytes > self.free_bytes:
            lines.append(f"the disk is too small by {size(self.disk_bytes - self.free_bytes)}")
        return lines


def estimate(
    plan: Plan, out: Location, workers: int, step: Callable[[], None] = lambda: None, budget: Budget = Budget()
) -> Estimate:
    """Make a few scenes, spread over the data set, and write nothing. `step` is called after each.

    No further scene is tried once the time of the budget is spent.

    Raises:
        Exception: what a scene raises.
    """
    request = plan.request
    count = min(TRIAL_SCENES, request.scenes)
    indices = [round(i * (request.scenes - 1) / max(1, count - 1)) for i in range(count)]
    seconds, sizes, start = [], [], time.perf_counter()
    for place, index in enumerate([indices[0], *indices]):
        began = time.perf_counter()
        members = clip_members(plan.make(plan.config, request.seed, index))
        if place:
            seconds.append(time.perf_counter() - began)
            sizes.append(sum(512 + -(-len(data) // 512) * 512 for _, data in members))  # as tar pads them
        step()
        if seconds and time.perf_counter() - start > (budget.seconds or math.inf):
            break
    return Estimate(request.scenes, workers, tuple(seconds), tuple(sizes), peak_bytes(), _free(out), budget)


def _free(out: Location) -> float:
    """Free bytes on the disk of a folder, which need not exist yet. Infinite at a URL, where they are unknown."""
    if not isinstance(out, Path):
        return math.inf
    folder = out.resolve()
    while not folder.exists():
        folder = folder.parent
    return float(shutil.disk_usage(folder).free)


def peak_bytes() -> int:
    """The largest resident size of this process since it began, in bytes."""
    if sys.platform == "linux":  # where ru_maxrss would begin at the peak of the process that started this one
        return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def duration(seconds: float | int) -> str:
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def size(amount: float | int) -> str:
    for unit, length in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if amount >= length:
            return f"{amount / length:.1f} {unit}"
    return f"{amount / 1000:.0f} kB"
