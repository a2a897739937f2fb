"""Which parts there are and where each is let go."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from simgen.assets.parts import PARTS, PartModel, Size, part_family, part_model
from simgen.scene.config import KindKnobs, PartsKnobs, TextureKnobs
from simgen.scene.sampling.surfaces import draw_surface
from simgen.spec.geometry import about_x, about_z, pose
from simgen.spec.knobs import Choice
from simgen.spec.scene import FamilySize, PartSpec, StageSpec
from simgen.spec.types import Pose

DROP_M = 0.0005  # parts are let go this far above where they would lie


@dataclass
class _Ground:
    """Where parts have been put: circles on the stage."""

    half_m: tuple[float, float]
    circles: list[tuple[float, float, float]]
    poured: bool = False  # as into a bin: each part above all those that it would touch on its way down
    tops_m: list[float] = field(default_factory=list)  # of what has been poured

    def pour(self, x: float, y: float, radius_m: float) -> float:
        """The height at which a part is let go clear of those under it, as the middle of a ball round it."""
        under = [
            top
            for (cx, cy, r), top in zip(self.circles, self.tops_m, strict=True)
            if math.hypot(x - cx, y - cy) < radius_m + r
        ]
        self.circles.append((x, y, radius_m))
        self.tops_m.append(max(under, default=0.0) + 2 * radius_m)
        return self.tops_m[-1] - radius_m

    def free_spot(self, radius_m: float, rng: np.random.Generator, tries: int = 20) -> tuple[float, float, bool]:
        """A spot clear of earlier ones if one turns up in `tries` draws, and whether it is clear."""
        for _ in range(tries):
            x, y = (float(rng.uniform(-half, half)) for half in self.half_m)
            if all(math.hypot(x - cx, y - cy) > radius_m + r for cx, cy, r in self.circles):
                return x, y, True
        return x, y, False


def sizes(kind: str, knobs: KindKnobs) -> list[str]:
    """The designations of `kind` that lie in the range of `knobs`."""
    family = part_family(kind)

    def within(size: Size) -> bool:
        in_length = size.length_mm is None or knobs.length_mm.low <= size.length_mm <= knobs.length_mm.high
        return knobs.diameter_mm.low <= size.diameter_mm <= knobs.diameter_mm.high and in_length

    found = [size.designation for size in family.sizes if within(size)]
    if not found:
        wanted = f"{knobs.diameter_mm} mm, {knobs.length_mm} mm"
        raise ValueError(f"parts.kinds.{kind}: {family.standard} has no size in {wanted}")
    return found


def draw_parts(
    knobs: PartsKnobs,
    texture: TextureKnobs,
    stage: StageSpec,
    belt_run_m: float,
    poured: bool,
    rng: np.random.Generator,
    textures: np.random.Generator,
) -> tuple[PartSpec, ...]:
    count, spread = knobs.count.draw(rng), knobs.spread.draw(rng)
    stands, piles = knobs.standing_share.draw(rng), knobs.pile_share.draw(rng)
    kinds = Choice({kind: k.weight for kind, k in knobs.kinds.items()})
    every = Choice({name: finish.weight for name, finish in texture.finishes.items()})
    half_m = (spread * stage.size_m[0] / 2 + belt_run_m / 2, spread * stage.size_m[1] / 2)
    ground = _Ground(half_m, [], poured=poured)
    parts = []
    for i in range(count):
        kind = kinds.draw(rng)
        options = sizes(kind, knobs.kinds[kind])
        source = FamilySize(kind, options[int(rng.integers(len(options)))])
        model = part_model(source)
        density, friction = knobs.density_kg_m3.draw(rng), knobs.friction.draw(rng)
        finish = (knobs.kinds[kind].finishes or every).draw(textures)
        parts.append(
            PartSpec(
                source=source,
                category=PARTS[kind].category,
                mass_kg=density * model.volume_m3,
                friction=friction,
                material=draw_surface(texture.finishes[finish], textures),
                world_from_part=_let_go(model, ground, i, stands, piles, belt_run_m / 2, rng),
            )
        )
    return tuple(parts)


def _let_go(
    model: PartModel, ground: _Ground, i: int, stands: float, piles: float, upstream_m: float, rng: np.random.Generator
) -> Pose:
    """Where a part is let go: just above the stage on a free spot, or above an earlier part; or poured."""
    if ground.poured:
        rotation = _orientation(True, True, True, rng)
        x, y = (float(rng.uniform(-1, 1)) * max(half - model.radius_m, 0.0) for half in ground.half_m)
        return pose(rotation, np.array([x, y, ground.pour(x, y, model.radius_m)]))
    height_m = float(np.ptp(model.vertices_m[:, 2]))
    is_long = height_m > 0.8 * 2 * float(np.abs(model.vertices_m[:, :2]).max())
    upright = rng.uniform() < stands if is_long else True
    piled = bool(ground.circles) and rng.uniform() < piles
    rotation = _orientation(upright, is_long, piled, rng)
    x, y, clear = ground.free_spot(_footprint(model, upright), rng)
    if piled:
        cx, cy, reach = ground.circles[int(rng.integers(len(ground.circles)))]
        angle, away = rng.uniform(0, math.tau), rng.uniform(0.3, 1.0) * reach
        x, y = cx + away * math.cos(angle), cy + away * math.sin(angle)
        x, y = (float(np.clip(v, -half, half)) for v, half in zip((x, y), ground.half_m, strict=True))
    ground.circles.append((x, y, _footprint(model, upright)))
    lift = 0.0 if clear and not piled else 0.03 + 0.004 * i + model.radius_m
    z = lift + DROP_M - float((model.vertices_m @ rotation.T)[:, 2].min())
    return pose(rotation, np.array([x - upstream_m, y, z]))


def _footprint(model: PartModel, upright: bool) -> float:
    """Radius of the circle that a part covers on the stage."""
    return float(np.linalg.norm(model.vertices_m[:, :2], axis=1).max()) if upright else model.radius_m


def _orientation(upright: bool, is_long: bool, tumbling: bool, rng: np.random.Generator) -> np.ndarray:
    """A rotation: any at all when tumbling; else the part's axis upright (flat parts either way up) or lying."""
    yaw, spin, flip = rng.uniform(0, math.tau), rng.uniform(0, math.tau), rng.uniform() < 0.5
    if tumbling:
        tilt = math.acos(rng.uniform(-1, 1))
    else:
        tilt = (math.pi if flip and not is_long else 0.0) if upright else math.pi / 2
    return np.asarray(about_z(yaw) @ about_x(tilt) @ about_z(spin))
