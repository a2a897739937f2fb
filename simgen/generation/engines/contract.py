"""What an engine is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from simgen.dataset.format.manifest import Request, ShardEntry
from simgen.dataset.store.locations import Location
from simgen.spec.frames import RenderedClip

SCENE_LIMIT_S = 600.0  # a scene takes seconds; one that takes this long hangs

Maker = Callable[[Any, int, int], RenderedClip]


@dataclass(frozen=True)
class Plan:
    """What an engine needs to make any shard of a data set. Its functions must be picklable.

    `make(config, seed, index)` makes a scene. `machinery(config)` says what draws on the machine it is called on, in
    the words of `Request.renderer`; where a worker's answer is another, its bytes would be too.
    """

    request: Request
    config: Any
    make: Maker
    scene_limit_s: float = SCENE_LIMIT_S
    machinery: Callable[[Any], str] | None = None


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
class ShardFailed:
    """A shard cannot be written where its maker runs, so that the run must end."""

    message: str


@dataclass(frozen=True)
class ShardAgain:
    """A worker died over a shard, which will be made anew: the scenes reported of it count no more."""

    name: str
    reason: str
    made: int
    frames: int
    lost: int


Report = SceneBegun | SceneMade | SceneLost | ShardMade | ShardFailed  # of who makes a shard
Event = SceneMade | SceneLost | ShardMade | ShardAgain  # for who asked for the data set


@runtime_checkable
class Engine(Protocol):
    """Makes shards of a plan in `out`, which exists, and yields what happens. Closing the iterator ends all work.

    `shards` is asked for the next one when somebody is free to make it: where it ends early, what has begun is still
    finished. A shard is reported as made when it stands whole in `out`. `workers` is how many are made at a time; None
    leaves it to the engine. The bytes depend on neither engine nor workers.

    Raises:
        EngineError: a shard cannot be written (the disk is full), or workers die where no scene is to blame.
    """

    def __call__(self, plan: Plan, out: Location, shards: Iterable[int], workers: int | None) -> Iterator[Event]: ...
