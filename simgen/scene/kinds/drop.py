"""Where parts start to fall: scattered over free spots and onto piles, or poured one above the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from simgen.assets.parts.model import PartModel
from simgen.spec.geometry import about_x, about_z, pose
from simgen.spec.types import Pose

DROP_M = 0.0005  # parts start this far above where they would lie
FREE_SPOT_TRIES = 20
LONG = 0.8  # a fastener is long when it is this much higher than it is wide; it can stand, or lie
_Laid = tuple[Float64[np.ndarray, "3 3"], float, bool]  # world from part, radius of what it covers, whether on a pile


@dataclass(frozen=True, kw_only=True)
class DropArea:
    """A rectangle of the work surface round the origin, and how parts are laid on it."""

    half_m: tuple[float, float]  # half of its sides
    upstream_m: float  # how far against the belt's run the rectangle is moved
    standing_share: float  # of long fasteners
    pile_share: float  # of parts that fall onto an earlier one


@runtime_checkable
class Drop(Protocol):
    """Lays one part after another. It remembers the earlier ones."""

    area: DropArea

    def next_pose(self, model: PartModel, rng: np.random.Generator, *, near: bool = False) -> Pose:
        """`world_from_part` of the next part when it starts to fall; `near`: against an earlier one, if there are any.

        What is poured lies among the others anyhow.
        """


@dataclass
class Scattered:
    """Each part just above a free spot, or some way above an earlier part, onto which it falls."""

    area: DropArea
    _circles: list[tuple[float, float, float]] = field(default_factory=list)  # x, y, radius of what earlier parts cover

    def next_pose(self, model: PartModel, rng: np.random.Generator, *, near: bool = False) -> Pose:
        lay = self._fastener if model.rests is None else self._at_rest
        rotation, radius_m, piled = lay(model, rng)
        x, y, clear = self._beside(radius_m, rng) if near and self._circles else self._free_spot(radius_m, rng)
        if piled:
            x, y = self._on_a_pile(rng)
        lift_m = 0.0 if clear and not piled else 0.03 + 0.004 * len(self._circles) + model.radius_m
        self._circles.append((x, y, radius_m))
        z = lift_m + DROP_M - float((model.corners_m @ rotation.T)[:, 2].min())
        return pose(rotation, np.array([x - self.area.upstream_m, y, z]))

    def _fastener(self, model: PartModel, rng: np.random.Generator) -> _Laid:
        """A fastener stands upright on its z or lies; a flat one lies either way up."""
        height_m = float(np.ptp(model.vertices_m[:, 2]))
        is_long = height_m > LONG * 2 * float(np.abs(model.vertices_m[:, :2]).max())
        upright = rng.uniform() < self.area.standing_share if is_long else True
        piled = self._is_piled(rng)
        rotation = random_rotation(rng) if piled else resting_rotation(rng, upright=upright, either_way_up=not is_long)
        return rotation, footprint_m(model, upright), piled

    def _at_rest(self, model: PartModel, rng: np.random.Generator) -> _Laid:
        """An imported part lies in one of its resting poses, by their probabilities, at any angle."""
        assert model.rests is not None
        lot, yaw, piled = rng.uniform(), rng.uniform(0, math.tau), self._is_piled(rng)
        sums = np.cumsum([rest.probability for rest in model.rests])
        rest = model.rests[min(int(np.searchsorted(sums, lot * sums[-1], side="right")), len(sums) - 1)]
        rotation = random_rotation(rng) if piled else np.asarray(about_z(yaw) @ rest.rotation)
        covered_m = model.radius_m if piled else float(np.hypot(*(model.corners_m @ rest.rotation.T)[:, :2].T).max())
        return rotation, covered_m, piled

    def _is_piled(self, rng: np.random.Generator) -> bool:
        return bool(self._circles) and rng.uniform() < self.area.pile_share

    def _free_spot(self, radius_m: float, rng: np.random.Generator) -> tuple[float, float, bool]:
        """A spot clear of earlier parts if a few draws find one, and whether it is clear."""
        for _ in range(FREE_SPOT_TRIES):
            x, y = (float(rng.uniform(-half, half)) for half in self.area.half_m)
            if self._is_clear(x, y, radius_m):
                return x, y, True
        return x, y, False

    def _beside(self, radius_m: float, rng: np.random.Generator) -> tuple[float, float, bool]:
        """A spot that just clears an earlier part, and whether it is clear of all."""
        for _ in range(FREE_SPOT_TRIES):
            cx, cy, r = self._circles[int(rng.integers(len(self._circles)))]
            angle, away = rng.uniform(0, math.tau), (r + radius_m) * rng.uniform(1.0, 1.05)
            spot = (cx + away * math.cos(angle), cy + away * math.sin(angle))
            x, y = (float(np.clip(v, -half, half)) for v, half in zip(spot, self.area.half_m, strict=True))
            if self._is_clear(x, y, radius_m):
                return x, y, True
        return x, y, False

    def _is_clear(self, x: float, y: float, radius_m: float) -> bool:
        return all(math.hypot(x - cx, y - cy) > radius_m + r for cx, cy, r in self._circles)

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

    def next_pose(self, model: PartModel, rng: np.random.Generator, *, near: bool = False) -> Pose:
        rotation, radius_m = random_rotation(rng), model.radius_m
        x, y = (float(rng.uniform(-1, 1)) * max(half - radius_m, 0.0) for half in self.area.half_m)
        under = [top for cx, cy, r, top in self._balls if math.hypot(x - cx, y - cy) < radius_m + r]
        top_m = max(under, default=0.0) + 2 * radius_m
        self._balls.append((x, y, radius_m, top_m))
        return pose(rotation, np.array([x, y, top_m - radius_m]))


def footprint_m(model: PartModel, upright: bool) -> float:
    """Radius of the circle that a fastener covers on the work surface."""
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
