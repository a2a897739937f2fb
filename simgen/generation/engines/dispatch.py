"""Who gets which shard, and what it means when one dies over it: the same for every engine.

A maker reports each scene as it begins and ends, so one that dies names the scene that killed it. Its shard is made
again, and a scene that kills twice is left out; so is one that takes longer than `Plan.scene_limit_s`. Where a whole
machine was lost, no scene is to blame.
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

STRIKES = 2  # times that a scene may kill its worker before it is left out
LOSSES = 8  # machines that may be lost over one shard


@dataclass(frozen=True)
class Task:
    shard: int
    skip: dict[int, str]  # scenes known to kill, with the reason


@dataclass
class Watch:
    """What is known of a shard that is being made."""

    task: Task
    plan: Plan
    scene: int | None = None  # that its maker is at
    since: float = 0.0  # when it began that scene, by the monotonic clock
    begun: int = 0  # scenes of this shard
    made: int = 0
    frames: int = 0
    lost: int = 0
    overran: bool = False

    @property
    def name(self) -> str:
        return shard_name(self.task.shard)

    def heed(self, report: Report) -> Iterator[Event]:
        """Take note of a report, and pass on what others should know.

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
        """Whether its scene has taken too long, asked now."""
        late = self.scene is not None and time.monotonic() - self.since > self.plan.scene_limit_s
        self.overran = self.overran or late
        return late


def patience_s(watches: Iterable[Watch]) -> float | None:
    """Until the first of them would overrun; None while no scene is being made."""
    limits = [watch.since + watch.plan.scene_limit_s for watch in watches if watch.scene is not None]
    return max(0.0, min(limits) - time.monotonic()) if limits else None


@dataclass
class Dealer:
    """Deals shards, those first whose makers died."""

    plan: Plan
    fresh: Iterator[int]  # shards that nobody has begun; asked for one when somebody is free for it
    again: deque[Task] = field(default_factory=deque)
    skip: dict[int, str] = field(default_factory=dict)
    strikes: Counter[tuple[str, int]] = field(default_factory=Counter)

    def next(self) -> Watch | None:
        if self.again:
            return Watch(self.again.popleft(), self.plan)
        number = next(self.fresh, None)
        return None if number is None else Watch(Task(number, {}), self.plan)

    def bury(self, watch: Watch, how: str, started: bool) -> ShardAgain:
        """The maker of a shard died. Note the scene that did it, and have the shard made again.

        Args:
            how: it died, after "a worker".
            started: whether it had got as far as a scene in its life.

        Raises:
            EngineError: this happened before, and no scene is to blame.
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

    def mourn(self, watch: Watch, how: str) -> ShardAgain:
        """A machine was lost with all that it was at. Have the shard made elsewhere.

        Raises:
            EngineError: this happened too often to be chance.
        """
        self.strikes["loss", watch.task.shard] += 1
        if self.strikes["loss", watch.task.shard] >= LOSSES:
            raise EngineError(f"{watch.name}: {how}, {LOSSES} times")
        return self._again(watch, how)

    def _again(self, watch: Watch, reason: str) -> ShardAgain:
        self.again.appendleft(Task(watch.task.shard, dict(self.skip)))
        return ShardAgain(watch.name, reason, watch.made, watch.frames, watch.lost)
