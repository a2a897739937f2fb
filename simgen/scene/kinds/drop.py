"""Where parts start to fall: scattered over free spots and onto piles, poured, tipped out, fed, or laid into nests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from simgen.assets.parts.model import PartModel
from simgen.scene.kinds.setting import BARE, Nest, Setting
from simgen.spec.geometry import about_x, about_z, pose, vec3
from simgen.spec.types import Pose

DROP_M = 0.0005  # parts start this far above where they would lie
FREE_SPOT_TRIES = 20
GRAVITY_M_S2 = 9.81
NARROWEST_DEG = 3  # steps of the turns in which the narrowest box of a lying part is looked for
LONG = 0.8  # a fastener is long when it is this much higher than it is wide; it can stand, or lie
_Laid = tuple[Float64[np.ndarray, "3 3"], float, bool]  # world from part, radius of what it covers, whether on a pile


@dataclass(frozen=True, kw_only=True)
class DropArea:
    """A rectangle of the work surface round the origin, and how parts are laid on it."""

    half_m: tuple[float, float]  # half of its sides
    upstream_m: float  # how far against the belt's run the rectangle is moved
    standing_share: float  # of long fasteners
    pile_share: float  # of parts that fall onto an earlier one
    setting: Setting = BARE  # what stands there


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

    def __post_init__(self) -> None:
        self._solid = _Solid(self.area)

    def next_pose(self, model: PartModel, rng: np.random.Generator, *, near: bool = False) -> Pose:
        lay = self._fastener if model.rests is None else self._at_rest
        rotation, radius_m, piled = lay(model, rng)
        x, y, clear = self._beside(radius_m, rng) if near and self._circles else self._free_spot(radius_m, rng)
        if piled:
            x, y = self._on_a_pile(rng)
        lift_m = 0.0 if clear and not piled else 0.03 + 0.004 * len(self._circles) + model.radius_m
        if not self._solid.is_clear(x, y, radius_m):
            lift_m = max(lift_m, self._solid.top_m + DROP_M)
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
        """A spot clear of earlier parts if a few draws find one, or of what is solid alone; and whether it is clear."""
        spot: tuple[float, float] | None = None
        for _ in range(FREE_SPOT_TRIES):
            x, y = (float(rng.uniform(-half, half)) for half in self.area.half_m)
            if self._is_clear(x, y, radius_m):
                return x, y, True
            spot = (x, y) if spot is None or self._solid.is_clear(x, y, radius_m) else spot
        assert spot is not None
        return *spot, False

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
        return self._solid.is_clear(x, y, radius_m) and all(
            math.hypot(x - cx, y - cy) > radius_m + r for cx, cy, r in self._circles
        )

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
        x, y = self._spot(radius_m, rng)
        under = [top for cx, cy, r, top in self._balls if math.hypot(x - cx, y - cy) < radius_m + r]
        top_m = max(under, default=0.0) + 2 * radius_m
        self._balls.append((x, y, radius_m, top_m))
        return pose(rotation, np.array([x, y, top_m - radius_m]))

    def _spot(self, radius_m: float, rng: np.random.Generator) -> tuple[float, float]:
        x, y = (float(rng.uniform(-1, 1)) * max(half - radius_m, 0.0) for half in self.area.half_m)
        return x, y


@dataclass
class Tipped(Poured):
    """As poured, round the middles of heaps."""

    def _spot(self, radius_m: float, rng: np.random.Generator) -> tuple[float, float]:
        heaps = self.area.setting.heaps
        if not heaps:
            return super()._spot(radius_m, rng)
        heap = heaps[int(rng.integers(len(heaps)))]
        drawn = [middle + heap.spread_m * float(rng.normal()) for middle in heap.middle_m]
        x, y = (float(np.clip(v, -half, half)) for v, half in zip(drawn, self.area.half_m, strict=True))
        return x, y


@dataclass
class Fed:
    """Each part at the feeder's mouth, in any orientation, when the one before has fallen out of its way."""

    area: DropArea
    starts_s: list[float] = field(default_factory=list)  # of the parts so far, since the others fall
    _radius_m: float = 0.0  # of the last one

    def next_pose(self, model: PartModel, rng: np.random.Generator, *, near: bool = False) -> Pose:
        feed, rotation, radius_m = self.area.setting.feed, random_rotation(rng), model.radius_m
        if feed is None:
            raise ValueError("this area has no feeder")
        planned_s = feed.starts_s[min(len(self.starts_s), len(feed.starts_s) - 1)]
        fallen_s = math.sqrt(2 * (self._radius_m + radius_m) / GRAVITY_M_S2)
        self.starts_s.append(max(planned_s, self.starts_s[-1] + fallen_s) if self.starts_s else planned_s)
        self._radius_m = radius_m
        half_m = min(feed.half_width_m, max(self.area.half_m[1] - radius_m, 0.0))
        x, y, z = feed.at_m
        return pose(rotation, np.array([x, y + float(rng.uniform(-half_m, half_m)), z + radius_m]))


@dataclass
class Nested:
    """Each part into the next nest, lying along it, either way round. What does not fit starts above the ribs."""

    area: DropArea
    _filled: int = 0

    def next_pose(self, model: PartModel, rng: np.random.Generator, *, near: bool = False) -> Pose:
        nests = self.area.setting.nests
        if self._filled >= len(nests):
            raise ValueError(f"this tray has {len(nests)} nests, and all are filled")
        nest = nests[self._filled]
        self._filled += 1
        half_turn, over = (math.pi * float(rng.integers(2)) for _ in range(2))
        lying = lying_rotation(model) if not _is_flat(model) else about_x(over) @ lying_rotation(model)
        for tilt_rad in (nest.tilt_rad, 0.0):
            rotation = np.asarray(about_z(half_turn + tilt_rad) @ lying)
            low, high = _box_m(model, rotation)
            fits = _fits_in(high - low, nest)
            if fits:
                break
        x, y = (middle - (low[i] + high[i]) / 2 for i, middle in enumerate(nest.middle_m))
        return pose(rotation, np.array([x, y, (0.0 if fits else nest.rib_m) + DROP_M - low[2]]))


class _Solid:
    """What is solid on the work surface, when parts start to fall."""

    def __init__(self, area: DropArea) -> None:
        setting = area.setting
        self.top_m = max((body.size_m[2] for body in setting.solid), default=0.0)
        self._upstream_m = area.upstream_m
        self._boxes = [
            (body.world_from_body.position_m[:2], _yaw_rad(body.world_from_body), body.size_m[:2],
             setting.loop_m if body.rides else math.inf)
            for body in setting.solid
        ]  # fmt: skip

    def is_clear(self, x: float, y: float, radius_m: float) -> bool:
        """Whether a circle of the area touches none of it."""
        for (cx, cy), yaw, (long_m, wide_m), loop_m in self._boxes:
            dx, dy = x - self._upstream_m - cx, y - cy
            if loop_m < math.inf:
                dx = (dx + loop_m / 2) % loop_m - loop_m / 2
            along, across = dx * math.cos(yaw) + dy * math.sin(yaw), dy * math.cos(yaw) - dx * math.sin(yaw)
            if math.hypot(max(abs(along) - long_m / 2, 0.0), max(abs(across) - wide_m / 2, 0.0)) <= radius_m:
                return False
        return True


def _yaw_rad(world_from_body: Pose) -> float:
    """Of a body that is turned about the vertical alone."""
    _, _, z, w = world_from_body.rotation_xyzw
    return 2 * math.atan2(z, w)


def _fits_in(size_m: Float64[np.ndarray, "3"], nest: Nest) -> bool:
    return bool(size_m[0] <= nest.inside_m[0] and size_m[1] <= nest.inside_m[1])


def _box_m(
    model: PartModel, rotation: Float64[np.ndarray, "3 3"]
) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3"]]:
    turned = model.corners_m @ rotation.T
    return turned.min(axis=0), turned.max(axis=0)


def _is_flat(model: PartModel) -> bool:
    """Whether it is a fastener that lies either way up, as a nut and a washer do."""
    return model.rests is None and not _is_long(model)


def _is_long(model: PartModel) -> bool:
    height_m = float(np.ptp(model.vertices_m[:, 2]))
    return height_m > LONG * 2 * float(np.abs(model.vertices_m[:, :2]).max())


def lying_rotation(model: PartModel) -> Float64[np.ndarray, "3 3"]:
    """As the part lies most often, with its longer side along x: the narrowest of its boxes, to `NARROWEST_DEG`."""
    if model.rests is None:
        return np.asarray(about_z(math.pi / 2) @ about_x(math.pi / 2)) if _is_long(model) else np.eye(3)
    lying = max(model.rests, key=lambda rest: rest.probability).rotation
    turns = [about_z(math.radians(degrees)) @ lying for degrees in range(0, 180, NARROWEST_DEG)]
    sizes = [np.subtract(*_box_m(model, turn)[::-1]) for turn in turns]
    best = min(range(len(turns)), key=lambda k: (round(sizes[k][1], 9), k))
    return np.asarray(turns[best])


def lying_size_m(model: PartModel) -> tuple[float, float, float]:
    """Length, width and height of a part that lies as in `lying_rotation`."""
    low, high = _box_m(model, lying_rotation(model))
    return vec3(high - low)


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
