"""Engines make the shards of a data set, on one machine or many. One file for each engine, one interface for all.

contract.py   the interface of an engine            dispatch.py       which worker makes which shard; dead workers
shard.py      makes one shard                       local.py, ray.py  the engines
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from simgen.generation.engines.contract import (
    SCENE_LIMIT_S,
    Engine,
    Event,
    Maker,
    Plan,
    SceneBegun,
    SceneLost,
    SceneMade,
    ShardAgain,
    ShardMade,
)
from simgen.generation.engines.local import processes
from simgen.generation.engines.ray import on_ray
from simgen.generation.engines.shard import make_shard
from simgen.spec.errors import EngineError
from simgen.spec.install import install_hint

__all__ = [
    "ENGINES",
    "SCENE_LIMIT_S",
    "Engine",
    "Event",
    "Maker",
    "Plan",
    "SceneBegun",
    "SceneLost",
    "SceneMade",
    "ShardAgain",
    "ShardMade",
    "choose_engine",
    "make_shard",
    "processes",
]


def _local(address: str | None) -> Engine:
    if address is not None:
        raise EngineError(f"the engine local runs on this machine alone and has no address, got {address!r}")
    return processes


def _ray(address: str | None) -> Engine:
    if find_spec("ray") is None:
        raise EngineError(f"the engine ray needs Ray, which is not installed: {install_hint('ray')}")
    return partial(on_ray, address=address)


ENGINES: dict[str, Callable[[str | None], Engine]] = {"local": _local, "ray": _ray}


def choose_engine(name: str, address: str | None = None) -> Engine:
    """The engine called `name`. `address` is that of a cluster.

    Raises:
        EngineError: there is no such engine, it has no addresses, or it needs a package that is not installed.
    """
    if name not in ENGINES:
        raise EngineError(f"no engine {name!r}; there are {sorted(ENGINES)}")
    return ENGINES[name](address)
