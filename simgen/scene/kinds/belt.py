"""A belt that runs along +x: parts scattered over it ride with it, through its open ends.

Over it may stand guides, a gate and a diverter, all at rest in the world; on it may ride cleats. Each is a solid box.
Bridges stand above it, so high that no part touches them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from simgen.scene.config.stage import BeltKnobs, BridgeKnobs, StageKnobs
from simgen.scene.kinds.drop import Scattered
from simgen.scene.kinds.model import SceneKind, SolidBox, Stock, enclosure, runs
from simgen.scene.kinds.setting import Setting, bar
from simgen.spec.scene import BodySpec, StageSpec
from simgen.spec.types import Metres

THICK_M = 0.02  # of a gate, along the belt's run
PLATE_M = 0.008  # of a diverter
RAIL_M = 0.012  # of a guide
CLEAT_M = 0.006
SLAB_M, POST_M = 0.012, 0.01  # thickness of a bridge and of its posts
BEYOND_M = 1.0  # how far guides reach beyond both ends of the stage, where parts come from
SMOOTH, GRIPPING = 0.1, 0.6  # friction of what slides along, and of what carries


def _fits(knobs: StageKnobs) -> bool:
    return knobs.has_speed


def _solid(stage: StageSpec) -> tuple[SolidBox, ...]:
    return enclosure(stage, open_ends=True)


def furnish(stage: StageSpec, knobs: StageKnobs, parts: Stock, rng: np.random.Generator) -> Setting:
    """Guides, gate, diverter and cleats, as the belt's knobs say."""
    if knobs.belt is None:
        return Setting()
    own = knobs.belt
    guided, gated, diverts, cleated = (
        rng.uniform() < chance for chance in (own.guide_share, own.gate_share, own.diverter_share, own.cleat_share)
    )
    inset_m, height_m, gate_m = own.guide_inset_m.draw(rng), own.bar_height_m.draw(rng), own.gate_at_m.draw(rng)
    half_m = max(stage.size_m[1] / 2 - (inset_m + RAIL_M if guided else 0.0), 0.01)
    plate = _diverter(stage, own, half_m, height_m, rng)
    cleats = _cleats(stage, own, half_m, rng)
    walls: list[BodySpec] = []
    if guided:
        size_m = (stage.size_m[0] + 2 * BEYOND_M, RAIL_M, height_m)
        walls += [bar(stage, size_m, (0.0, side * (half_m + RAIL_M / 2)), friction=SMOOTH) for side in (-1.0, 1.0)]
    if gated and not cleated:
        walls.append(bar(stage, (THICK_M, 2 * half_m, height_m), (gate_m, 0.0)))
    if diverts and not cleated:
        walls.append(plate)
    return Setting(
        walls=tuple(walls),
        riding=cleats if cleated else (),
        loop_m=stage.size_m[0],
        half_width_m=half_m if guided else None,
        above=_bridges(stage, own.bridges, rng),
    )


def _bridges(stage: StageSpec, knobs: BridgeKnobs | None, rng: np.random.Generator) -> tuple[BodySpec, ...]:
    """Slabs on posts beside the belt. A slab goes on over the belt's edge, so that it hides what a slanting look sees
    below it.
    """
    bodies: list[BodySpec] = []
    for _ in range(knobs.count.draw(rng) if knobs else 0):
        assert knobs is not None
        at_m, run_m, clear_m = knobs.at_m.draw(rng), knobs.run_m.draw(rng), knobs.clear_m.draw(rng)
        reach, side = min(knobs.reach.draw(rng), 1.0), -1.0 if rng.uniform() < 0.5 else 1.0
        outside_m = side * (stage.size_m[1] / 2 + clear_m)
        inside_m = -outside_m if reach >= 1 else side * stage.size_m[1] * (0.5 - reach)
        slab = (run_m, abs(outside_m - inside_m), SLAB_M)
        bodies.append(_raised(bar(stage, slab, (at_m, (outside_m + inside_m) / 2)), clear_m))
        for y in (outside_m,) if reach < 1 else (outside_m, inside_m):
            bodies.append(bar(stage, (run_m, POST_M, clear_m), (at_m, y)))
    return tuple(replace(body, friction=None) for body in bodies)


def _raised(body: BodySpec, by_m: float) -> BodySpec:
    x, y, z = body.world_from_body.position_m
    return replace(body, world_from_body=replace(body.world_from_body, position_m=(x, y, Metres(z + by_m))))


def _diverter(stage: StageSpec, knobs: BeltKnobs, half_m: float, height_m: float, rng: np.random.Generator) -> BodySpec:
    """A plate from one side of the belt, slanting with its run towards the other side."""
    at_m, slant = knobs.diverter_at_m.draw(rng), math.radians(knobs.diverter_deg.draw(rng))
    reach_m = knobs.diverter_reach.draw(rng) * 2 * half_m
    side = -1.0 if rng.uniform() < 0.5 else 1.0
    middle_m = (at_m + reach_m / math.tan(slant) / 2, side * (half_m - reach_m / 2))
    return bar(stage, (reach_m / math.sin(slant), PLATE_M, height_m), middle_m, -side * slant, friction=SMOOTH)


def _cleats(stage: StageSpec, knobs: BeltKnobs, half_m: float, rng: np.random.Generator) -> tuple[BodySpec, ...]:
    """Bars across the belt, evenly spaced over the stage's length, so that they go round with it."""
    pitch_m, height_m, phase = knobs.cleat_pitch_m.draw(rng), knobs.cleat_height_m.draw(rng), rng.uniform()
    count = max(1, round(stage.size_m[0] / pitch_m))
    across_m = [((k + phase) / count - 0.5) * stage.size_m[0] for k in range(count)]
    size_m = (CLEAT_M, 2 * half_m, height_m)
    return tuple(bar(stage, size_m, (x, 0.0), friction=GRIPPING, rides=True) for x in across_m)


BELT = SceneKind(fits=_fits, drop=Scattered, furnish=furnish, solid=_solid, surface_speed_m_s=runs)
