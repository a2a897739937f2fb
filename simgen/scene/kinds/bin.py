"""A bin: parts poured between four walls that are drawn, and solid at their inner faces."""

from __future__ import annotations

import numpy as np

from simgen.scene.config.stage import StageKnobs
from simgen.scene.kinds.drop import Poured
from simgen.scene.kinds.model import SceneKind, SolidBox, Stock, enclosure, stands_still
from simgen.scene.kinds.setting import Setting
from simgen.spec.geometry import pose
from simgen.spec.scene import BodySpec, StageSpec


def _fits(knobs: StageKnobs) -> bool:
    return knobs.wall_height_m.high > 0


def _solid(stage: StageSpec) -> tuple[SolidBox, ...]:
    return enclosure(stage, open_ends=False)


def furnish(stage: StageSpec, knobs: StageKnobs, parts: Stock, rng: np.random.Generator) -> Setting:
    """Four walls round the stage, of the material of its sides. Their inner faces are its edges."""
    height_m, thick_m = knobs.wall_height_m.draw(rng), knobs.wall_thickness_m.draw(rng)
    x, y = ((size + thick_m) / 2 for size in stage.size_m)
    tall_m, middle_m = height_m + stage.thickness_m, (height_m - stage.thickness_m) / 2
    ends = [((side * x, 0.0), (thick_m, stage.size_m[1], tall_m)) for side in (-1.0, 1.0)]
    sides = [((0.0, side * y), (stage.size_m[0] + 2 * thick_m, thick_m, tall_m)) for side in (-1.0, 1.0)]
    walls = tuple(
        BodySpec(
            shape="box",
            size_m=size_m,
            material=stage.sides,
            world_from_body=pose(np.eye(3), np.array([*centre_m, middle_m])),
            velocity_m_s=(0.0, 0.0, 0.0),
        )
        for centre_m, size_m in (*ends, *sides)
    )
    return Setting(walls=walls)


BIN = SceneKind(fits=_fits, drop=Poured, furnish=furnish, solid=_solid, surface_speed_m_s=stands_still)
