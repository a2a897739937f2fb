"""Which worker makes which shard, and what follows when a worker dies. The same for every engine.

A worker reports each scene as it begins and ends, so the scene that killed it is known. The shard is then made again.
A scene that kills its worker twice is left out. So is a scene that twice takes longer than `Plan.scene_limit_s`. A
later run makes both again, since the machine may be to blame: see `Quarantined.may_succeed`. Where a whole machine was
lost, no scene is blamed.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from simgen.dataset.format.manifest import shard_name
from simgen.generation.engines.contract import (
    Event,
    Plan,
    Report,
    SceneBegun,
    SceneLost,
    SceneMade,
    ShardAgain,
    ShardFailed,
)
from simgen.spec.errors import EngineError

STRIKES = 2  # how often a scene may kill its worker before it is left out
LOSSES = 8  # how many machines may be lost over one shard


@dataclass(frozen=True)
class Task:
    """A shard to make."""

    shard: int
    skip: dict[int, str]  # scenes that kill their worker, with the reason


@dataclass
class Watch:
    """The progress of a shard that a worker is making."""

    task: Task
    plan: Plan
    scene: int | None = None  # the scene that the worker is making now
    since: float = 0.0  # when it began, by the monotonic clock
    begun: int = 0  # scenes of this shard so far
    made: int = 0
    frames: int = 0
    lost: int = 0
    overran: bool = False

    @property
    def name(self) -> str:
        return shard_name(self.task.shard)

    def note(self, report: Report) -> Iterator[Event]:
        """Count a report, and yield what the caller of the engine should hear.

        Raises:
            EngineError: the shard cannot be written.
        """
        if isinstance(report, ShardFailed):
            raise EngineError(report.message)
        if isinstance(report, SceneBegun):
            self.scene, self.begun, self.since = report.index, self.begun + 1, time.monotonic()
            return
        self.scene = None
        if isinstance(report, SceneMade):
            self.made, self.frames = self.made + 1, self.frames + report.frames
        elif isinstance(report, SceneLost):
            self.lost += 1
        yield report

    def overruns(self) -> bool:
        """Whether the current scene has taken longer than the limit. Remembered, to name the cause later."""
        late = self.scene is not None and time.monotonic() - self.since > self.plan.scene_limit_s
        self.overran = self.overran or late
        return late


def seconds_to_timeout(watches: Iterable[Watch]) -> float | None:
    """Seconds until the first scene reaches its limit. None while no scene is being made."""
    limits = [watch.since + watch.plan.scene_limit_s for watch in watches if watch.scene is not None]
    return max(0.0, min(limits) - time.monotonic()) if limits else None


@dataclass
class Dispatcher:
    """Hands out shards. Shards whose worker died come first."""

    plan: Plan
    fresh: Iterator[int]  # shards that nobody has begun; the next one is taken when a worker is free
    again: deque[Task] = field(default_factory=deque)
    skip: dict[int, str] = field(default_factory=dict)
    strikes: Counter[tuple[str, int]] = field(default_factory=Counter)

    def next(self) -> Watch | None:
        """The next shard to make; None where all have been handed out."""
        if self.again:
            return Watch(self.again.popleft(), self.plan)
        number = next(self.fresh, None)
        return None if number is None else Watch(Task(number, {}), self.plan)

    def worker_died(self, watch: Watch, how: str, started: bool) -> ShardAgain:
        """Blame the scene that a dead worker was making, and hand out its shard again.

        Args:
            how: what happened, to be read after "a worker": "was killed by signal 9".
            started: whether the worker had begun any scene in its life.

        Raises:
            EngineError: a worker died over this shard before, and no scene is to blame.
        """
        if watch.overran:
            how = f"took longer than {self.plan.scene_limit_s:g} s"
        culprit, where = ("shard", watch.task.shard), "between two scenes"
        if watch.scene is not None:
            culprit, where = ("scene", watch.scene), f"at scene {watch.scene}"
        elif not started:
            where = "before its first scene: its messages stand above"
        self.strikes[culprit] += 1
        if self.strikes[culprit] >= STRIKES:
            if watch.scene is None:
                raise EngineError(f"{watch.name}: a worker {how} {where}, {STRIKES} times")
            self.skip[watch.scene] = f"its worker {how}, {STRIKES} times"
        return self._again(watch, f"a worker {how} {where}")

    def machine_lost(self, watch: Watch, how: str) -> ShardAgain:
        """Hand out again the shard of a machine that was lost.

        Raises:
            EngineError: this happened `LOSSES` times over one shard, which is no accident.
        """
        self.strikes["loss", watch.task.shard] += 1
        if self.strikes["loss", watch.task.shard] >= LOSSES:
            raise EngineError(f"{watch.name}: {how}, {LOSSES} times")
        return self._again(watch, how)

    def _again(self, watch: Watch, reason: str) -> ShardAgain:
        self.again.appendleft(Task(watch.task.shard, dict(self.skip)))
        return ShardAgain(watch.name, reason, watch.made, watch.frames, watch.lost)
