"""Bodies that are no parts: clutter around the stage, and occluders between camera and parts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from simgen.scene.config import ClutterKnobs, TextureKnobs
from simgen.scene.sampling.surfaces import draw_surface
from simgen.spec.geometry import about_x, about_z, pose
from simgen.spec.scene import BodySpec, MaterialSpec, StageSpec

BAND_THICKNESS_M = 0.0008  # more than the depth buffer's step at a metre


def draw_clutter(
    knobs: ClutterKnobs,
    texture: TextureKnobs,
    stage: StageSpec,
    rng: np.random.Generator,
    textures: np.random.Generator,
) -> tuple[tuple[BodySpec, ...], tuple[BodySpec, ...]]:
    """Clutter, and occluders."""
    count, occluders = knobs.count.draw(rng), knobs.occluders.draw(rng)
    clutter = tuple(
        _draw_clutter_body(knobs, draw_surface(texture.clutter, textures), stage, rng) for _ in range(count)
    )
    occluding = tuple(
        _draw_occluder(knobs, draw_surface(texture.clutter, textures), stage, rng) for _ in range(occluders)
    )
    return clutter, occluding


def _draw_clutter_body(
    knobs: ClutterKnobs, material: MaterialSpec, stage: StageSpec, rng: np.random.Generator
) -> BodySpec:
    """A box or a cylinder that stands on the floor around the stage."""
    sx, sy, sz = (knobs.size_m.draw(rng) for _ in range(3))
    shape = "cylinder" if rng.uniform() < 0.4 else "box"
    reach, angle = knobs.ring_m.draw(rng), rng.uniform(0, math.tau)
    direction = np.array([math.cos(angle), math.sin(angle)])
    to_edge = min(s / 2 / max(abs(d), 1e-9) for s, d in zip(stage.size_m, direction, strict=True))
    x, y = direction * (to_edge + reach + max(sx, sy) / 2)
    yaw = about_z(rng.uniform(0, math.tau))
    return BodySpec(
        shape=shape,
        size_m=(sx, sx if shape == "cylinder" else sy, sz),
        material=material,
        world_from_body=pose(yaw, np.array([x, y, sz / 2 - stage.floor_below_m])),
        velocity_m_s=(0.0, 0.0, 0.0),
    )


def draw_bands(
    knobs: ClutterKnobs, texture: TextureKnobs, clutter: tuple[BodySpec, ...], rng: np.random.Generator
) -> tuple[BodySpec, ...]:
    """Bands of other colours around clutter, as on printed packaging, bottles and cans."""
    return tuple(
        _draw_band(body, thickness_m=BAND_THICKNESS_M * (i + 1), material=draw_surface(texture.clutter, rng), rng=rng)
        for body in clutter
        for i in range(knobs.bands.draw(rng))
    )


def _draw_band(body: BodySpec, thickness_m: float, material: MaterialSpec, rng: np.random.Generator) -> BodySpec:
    sx, sy, sz = body.size_m
    height = sz * float(rng.uniform(0.08, 0.5))
    up = float(rng.uniform(-0.5, 0.5)) * (sz + 2 * thickness_m - height)  # the topmost covers the lid too
    x, y, z = body.world_from_body.position_m
    return replace(
        body,
        size_m=(sx + 2 * thickness_m, sy + 2 * thickness_m, height),
        material=material,
        world_from_body=replace(body.world_from_body, position_m=(x, y, z + up)),
    )


def _draw_occluder(knobs: ClutterKnobs, material: MaterialSpec, stage: StageSpec, rng: np.random.Generator) -> BodySpec:
    """A bar or a box above the stage, which moves or stands still."""
    size = knobs.occluder_size_m.draw(rng)
    height, speed = knobs.occluder_height_m.draw(rng), knobs.occluder_speed_m_s.draw(rng)
    x, y = (float(rng.uniform(-0.5, 0.5) * s) for s in stage.size_m)
    angle = rng.uniform(0, math.tau)
    return BodySpec(
        shape="cylinder" if rng.uniform() < 0.3 else "box",
        size_m=(size, size, size * float(rng.uniform(0.5, 3.0))),
        material=material,
        world_from_body=pose(
            about_z(rng.uniform(0, math.tau)) @ about_x(rng.uniform(0, math.pi)), np.array([x, y, height])
        ),
        velocity_m_s=(speed * math.cos(angle), speed * math.sin(angle), 0.0),
    )
