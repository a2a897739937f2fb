"""Where parts start to fall: scattered over free spots and onto piles, or poured one above the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Float64

from simgen.assets.parts.model import PartModel
from simgen.spec.geometry import about_x, about_z, pose
from simgen.spec.types import Pose

DROP_M = 0.0005  # parts start this far above where they would lie
FREE_SPOT_TRIES = 20
LONG = 0.8  # a part is long when it is this much higher than it is wide; it can stand, or lie


@dataclass(frozen=True, kw_only=True)
class DropArea:
    """A rectangle of the work surface round the origin, and how parts are laid on it."""

    half_m: tuple[float, float]  # half of its sides
    upstream_m: float  # how far against the belt's run the rectangle is moved
    standing_share: float  # of long parts
    pile_share: float  # of parts that fall onto an earlier one


class Drop(Protocol):
    """Lays one part after another. It remembers the earlier ones."""

    def next_pose(self, model: PartModel, rng: np.random.Generator) -> Pose:
        """`world_from_part` of the next part when it starts to fall."""


@dataclass
class Scattered:
    """Each part just above a free spot, or some way above an earlier part, onto which it falls."""

    area: DropArea
    _circles: list[tuple[float, float, float]] = field(default_factory=list)  # x, y, radius of what earlier parts cover

    def next_pose(self, model: PartModel, rng: np.random.Generator) -> Pose:
        height_m = float(np.ptp(model.vertices_m[:, 2]))
        is_long = height_m > LONG * 2 * float(np.abs(model.vertices_m[:, :2]).max())
        upright = rng.uniform() < self.area.standing_share if is_long else True
        piled = bool(self._circles) and rng.uniform() < self.area.pile_share
        rotation = random_rotation(rng) if piled else resting_rotation(rng, upright=upright, either_way_up=not is_long)
        radius_m = footprint_m(model, upright)
        x, y, clear = self._free_spot(radius_m, rng)
        if piled:
            x, y = self._on_a_pile(rng)
        lift_m = 0.0 if clear and not piled else 0.03 + 0.004 * len(self._circles) + model.radius_m
        self._circles.append((x, y, radius_m))
        z = lift_m + DROP_M - float((model.vertices_m @ rotation.T)[:, 2].min())
        return pose(rotation, np.array([x - self.area.upstream_m, y, z]))

    def _free_spot(self, radius_m: float, rng: np.random.Generator) -> tuple[float, float, bool]:
        """A spot clear of earlier parts if a few draws find one, and whether it is clear."""
        for _ in range(FREE_SPOT_TRIES):
            x, y = (float(rng.uniform(-half, half)) for half in self.area.half_m)
            if all(math.hypot(x - cx, y - cy) > radius_m + r for cx, cy, r in self._circles):
                return x, y, True
        return x, y, False

    def _on_a_pile(self, rng: np.random.Generator) -> tuple[float, float]:
        """A spot over an earlier part, within the area."""
        cx, cy, reach = self._circles[int(rng.integers(len(self._circles)))]
        angle, away = rng.uniform(0, math.tau), rng.uniform(0.3, 1.0) * reach
        spot = (cx + away * math.cos(angle), cy + away * math.sin(angle))
        x, y = (float(np.clip(v, -half, half)) for v, half in zip(spot, self.area.half_m, strict=True))
        return x, y


@dataclass
class Poured:
    """Each part above all earlier ones that it would touch on its way down, in any orientation."""

    area: DropArea
    _balls: list[tuple[float, float, float, float]] = field(default_factory=list)  # x, y, radius, height of the top

    def next_pose(self, model: PartModel, rng: np.random.Generator) -> Pose:
        rotation, radius_m = random_rotation(rng), model.radius_m
        x, y = (float(rng.uniform(-1, 1)) * max(half - radius_m, 0.0) for half in self.area.half_m)
        under = [top for cx, cy, r, top in self._balls if math.hypot(x - cx, y - cy) < radius_m + r]
        top_m = max(under, default=0.0) + 2 * radius_m
        self._balls.append((x, y, radius_m, top_m))
        return pose(rotation, np.array([x, y, top_m - radius_m]))


def footprint_m(model: PartModel, upright: bool) -> float:
    """Radius of the circle that a part covers on the work surface."""
    return float(np.linalg.norm(model.vertices_m[:, :2], axis=1).max()) if upright else model.radius_m


def random_rotation(rng: np.random.Generator) -> Float64[np.ndarray, "3 3"]:
    """Any rotation, all equally likely."""
    yaw, spin, _ = _turns(rng)
    return np.asarray(about_z(yaw) @ about_x(math.acos(rng.uniform(-1, 1))) @ about_z(spin))


def resting_rotation(rng: np.random.Generator, *, upright: bool, either_way_up: bool) -> Float64[np.ndarray, "3 3"]:
    """The part's axis upright or lying, at any angle about the vertical and about itself."""
    yaw, spin, flip = _turns(rng)
    tilt = (math.pi if flip and either_way_up else 0.0) if upright else math.pi / 2
    return np.asarray(about_z(yaw) @ about_x(tilt) @ about_z(spin))


def _turns(rng: np.random.Generator) -> tuple[float, float, bool]:
    return rng.uniform(0, math.tau), rng.uniform(0, math.tau), rng.uniform() < 0.5
