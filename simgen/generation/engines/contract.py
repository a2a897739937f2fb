"""The interface of an engine: what it gets, and the events that it yields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from simgen.dataset.format.manifest import Request, ShardEntry
from simgen.dataset.store.locations import Location
from simgen.spec.frames import RenderedClip

SCENE_LIMIT_S = 600.0  # a scene takes seconds; one that takes this long hangs

Maker = Callable[[Any, int, int], RenderedClip]


@dataclass(frozen=True)
class Plan:
    """All that an engine needs to make any shard of a data set. Its functions must be picklable.

    `make(config, seed, index)` makes a scene. `machinery(config)` describes the renderer of the machine on which it is
    called, as `Request.renderer` does. A worker with another description would make other bytes. Clips that are in the
    data set `earlier` are copied from there (`simgen.generation.grow`). `contents` are the files that scenes are made
    of, by their place in the data set (`simgen.dataset.contents`).
    """

    request: Request
    config: Any
    make: Maker
    scene_limit_s: float = SCENE_LIMIT_S
    machinery: Callable[[Any], str] | None = None
    earlier: Location | None = None
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)


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
    """A worker cannot write its shard, so the run must end."""

    message: str


@dataclass(frozen=True)
class ShardAgain:
    """A worker died over a shard. It will be made again, so the scenes that were reported of it no longer count."""

    name: str
    reason: str
    made: int
    frames: int
    lost: int


Report = SceneBegun | SceneMade | SceneLost | ShardMade | ShardFailed  # from a worker
Event = SceneMade | SceneLost | ShardMade | ShardAgain  # to the caller of the engine


@runtime_checkable
class Engine(Protocol):
    """Makes shards of a plan in the existing folder `out`, and yields events. Closing the iterator ends all work.

    `shards` is advanced when a worker is free. Where it ends early, shards in progress are still finished. ShardMade
    means that the complete shard is in `out`. `workers` is how many shards are made at a time; None leaves it to the
    engine. The bytes do not depend on the engine or on `workers`.

    Raises:
        EngineError: a shard cannot be written (the disk is full), or workers die and no scene is to blame.
    """

    def __call__(self, plan: Plan, out: Location, shards: Iterable[int], workers: int | None) -> Iterator[Event]: ...
