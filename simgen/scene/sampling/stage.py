"""The stage: its size, materials, sheets and legs."""

from __future__ import annotations

import math

import numpy as np

from simgen.scene.config import StageKnobs, TextureKnobs
from simgen.scene.sampling.surfaces import draw_colour, draw_surface
from simgen.spec.geometry import pose
from simgen.spec.scene import BodySpec, SheetSpec, StageSpec
from simgen.spec.types import Metres, Radians, Vec3

THINNEST_LEG_M = 0.02


def draw_stage(
    knobs: StageKnobs, texture: TextureKnobs, rng: np.random.Generator, textures: np.random.Generator
) -> StageSpec:
    """The stage without its kind, and without procedural materials."""
    size = (knobs.length_m.draw(rng), knobs.width_m.draw(rng))
    thickness, below = knobs.thickness_m.draw(rng), knobs.floor_below_m.draw(rng)
    return StageSpec(
        size_m=size,
        thickness_m=Metres(thickness),
        floor_below_m=Metres(below),
        belt_speed_m_s=knobs.belt_speed_m_s.draw(rng),
        top=draw_surface(texture.top, textures),
        sides=draw_surface(texture.sides, textures),
        floor=draw_surface(texture.floor, textures),
        sheets=_draw_sheets(knobs, texture, size, rng, textures),
    )


def _draw_sheets(
    knobs: StageKnobs,
    texture: TextureKnobs,
    stage_m: tuple[float, float],
    rng: np.random.Generator,
    textures: np.random.Generator,
) -> tuple[SheetSpec, ...]:
    layout, count, size_m = knobs.sheets.draw(rng), knobs.sheet_count.draw(rng), knobs.sheet_size_m.draw(rng)
    if layout == "none":
        return ()
    if layout == "covering":
        return _draw_covering(stage_m, size_m, draw_colour(texture.sheet_colour, textures), rng)
    if layout == "scattered":
        return tuple(
            _draw_scattered(stage_m, size_m, draw_colour(texture.sheet_colour, textures), rng) for _ in range(count)
        )
    raise ValueError(f"stage.sheets: no layout {layout!r}; there are 'none', 'scattered', 'covering'")


def _draw_scattered(stage_m: tuple[float, float], size_m: float, rgb: Vec3, rng: np.random.Generator) -> SheetSpec:
    return SheetSpec(
        centre_m=(
            float(rng.uniform(-0.45, 0.45) * stage_m[0]),
            float(rng.uniform(-0.45, 0.45) * stage_m[1]),
        ),
        size_m=(size_m, size_m * float(rng.uniform(0.6, 0.8))),
        yaw_rad=Radians(float(rng.uniform(0, math.tau))),
        rgb=rgb,
    )


def _draw_covering(
    stage_m: tuple[float, float], size_m: float, rgb: Vec3, rng: np.random.Generator
) -> tuple[SheetSpec, ...]:
    """Sheets of one colour that cover the stage, with gaps and overlaps of a few millimetres."""
    step = (size_m, size_m * 0.707)
    counts = [max(1, math.ceil(s / d)) for s, d in zip(stage_m, step, strict=True)]
    sheets = []
    for i in range(counts[0]):
        for j in range(counts[1]):
            x, y = ((n - (c - 1) / 2) * d for n, c, d in zip((i, j), counts, step, strict=True))
            jitter = rng.normal(0, 0.002, 3)
            shade = float(rng.uniform(0.96, 1.04))
            sheets.append(
                SheetSpec(
                    centre_m=(float(x + jitter[0]), float(y + jitter[1])),
                    size_m=(step[0] * 1.01, step[1] * 1.01),
                    yaw_rad=Radians(float(jitter[2])),
                    rgb=(rgb[0] * shade, rgb[1] * shade, rgb[2] * shade),
                )
            )
    return tuple(sheets)


def draw_legs(stage: StageSpec, thick_m: float) -> tuple[BodySpec, ...]:
    """Four square legs under the corners of the stage, down to the floor."""
    length = stage.floor_below_m - stage.thickness_m
    if thick_m < THINNEST_LEG_M or length <= 0:
        return ()
    x, y = ((size - thick_m) / 2 for size in stage.size_m)
    below = -stage.thickness_m - length / 2
    return tuple(
        BodySpec(
            shape="box",
            size_m=(thick_m, thick_m, length),
            material=stage.sides,
            world_from_body=pose(np.eye(3), np.array([across * x, along * y, below])),
            velocity_m_s=(0.0, 0.0, 0.0),
        )
        for across in (-1, 1)
        for along in (-1, 1)
    )
