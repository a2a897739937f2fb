"""Make a stored scene again, and list what differs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from simgen import __version__
from simgen.dataset.check.pictures import decoded
from simgen.dataset.format.archive import clip_members
from simgen.dataset.format.png16 import decode_png
from simgen.dataset.format.reader import DataSet
from simgen.generation.engines import Maker
from simgen.spec.differences import differences

SHOWN_KEYS = 3  # of the JSON keys that differ; the others are counted


@dataclass(frozen=True)
class Replay:
    """The result of a replay."""

    members: int
    differences: tuple[str, ...]  # a line for each member that differs


def replay_scene(data: DataSet, index: int, config: Any, make: Maker, renderer: str = "") -> Replay:
    """Compare scene `index` of a data set with what `make(config, seed, index)` makes now.

    Args:
        renderer: of this machine, as `machinery` describes it. It is named where members differ.

    Raises:
        ShardError: the data set has no such scene, or is damaged.
    """
    stored = data.clip(index)
    before = {f"{index:06d}.{name}": stored.read(name) for name in stored.members}
    after = dict(clip_members(make(config, data.manifest.request.seed, index)))
    lines = [
        f"{name}: {_difference(name, before.get(name), after.get(name))}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]
    drawn_by = data.manifest.request.renderer
    if lines and renderer and drawn_by and drawn_by != renderer:
        lines.append(f"the data set was drawn by {drawn_by}, this is {renderer}")
    if lines and data.manifest.request.simgen != __version__:
        lines.append(f"the data set was made by simgen {data.manifest.request.simgen}, this is {__version__}")
    return Replay(len(before.keys() | after.keys()), tuple(lines))


def _difference(name: str, before: bytes | None, after: bytes | None) -> str:
    if before is None or after is None:
        return "is stored, but is not made any more" if after is None else "is made now, but is not stored"
    try:
        if name.endswith(".json"):
            return _keys(json.loads(before), json.loads(after))
        read = decoded if name.endswith(".jpg") else decode_png
        return _pixels(read(before), read(after))
    except ValueError as error:
        return f"cannot be compared: {error}"


def _pixels(before: np.ndarray, after: np.ndarray) -> str:
    if before.shape != after.shape:
        return f"shape {before.shape} stored, {after.shape} now"
    apart = np.abs(before.astype(np.int64) - after)
    if not apart.any():
        return "the same pixels in other bytes"
    differing = (apart.reshape(*apart.shape[:2], -1) > 0).any(-1).sum()
    return f"{differing} of {apart.shape[0] * apart.shape[1]} pixels differ, by {apart.max()} at most"


def _keys(before: Any, after: Any) -> str:
    changes = list(differences(before, after))
    if not changes:
        return "the same values in other bytes"
    more = f" and {len(changes) - SHOWN_KEYS} more" if len(changes) > SHOWN_KEYS else ""
    return "; ".join(f"{d.path} is {d.before!r:.40} stored, {d.after!r:.40} now" for d in changes[:SHOWN_KEYS]) + more
