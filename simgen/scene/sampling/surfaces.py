"""Colours, textures and materials of what is drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from simgen.assets.materials import draw_material, draw_wear
from simgen.scene.config import ColourKnobs, MatterKnobs, MatterSurfaceKnobs, SurfaceKnobs
from simgen.spec.colour import linear_from_hsv
from simgen.spec.knobs import Streams
from simgen.spec.scene import BodySpec, MaterialSpec, PartSpec, StageSpec
from simgen.spec.types import Metres, Vec3

_Body = TypeVar("_Body", PartSpec, BodySpec)


def draw_colour(knobs: ColourKnobs, rng: np.random.Generator) -> Vec3:
    """A linear RGB colour."""
    hue, saturation, value = knobs.hue_deg.draw(rng), knobs.saturation.draw(rng), knobs.value.draw(rng)
    return linear_from_hsv(hue, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))


def draw_surface(knobs: SurfaceKnobs, rng: np.random.Generator) -> MaterialSpec:
    """A surface of one colour and a texture."""
    return MaterialSpec(
        rgb=draw_colour(knobs.colour, rng),
        metallic=knobs.metallic.draw(rng),
        roughness=knobs.roughness.draw(rng),
        texture=knobs.texture.draw(rng),
        texture_scale_m=Metres(knobs.texture_scale_m.draw(rng)),
        contrast=knobs.contrast.draw(rng),
        texture_seed=int(rng.integers(2**31)),
    )


def draw_stage_matter(stage: StageSpec, knobs: MatterKnobs, stream: Streams) -> StageSpec:
    """The stage with procedural materials on the surfaces that have knobs for them."""

    def surface(plain: MaterialSpec, knobs: MatterSurfaceKnobs | None, name: str) -> MaterialSpec:
        return _draw_materials(knobs, stream, name, 1)[0] if knobs else plain

    return replace(
        stage,
        top=surface(stage.top, knobs.top, "top"),
        sides=surface(stage.sides, knobs.sides, "sides"),
        floor=surface(stage.floor, knobs.floor, "floor"),
    )


def draw_matter(
    bodies: tuple[_Body, ...], knobs: MatterSurfaceKnobs | None, stream: Streams, name: str
) -> tuple[_Body, ...]:
    """Parts or bodies with a procedural material each, if there are knobs for them. All of them share their wear."""
    if not knobs:
        return bodies
    materials = _draw_materials(knobs, stream, name, len(bodies))
    return tuple(replace(body, material=material) for body, material in zip(bodies, materials, strict=True))


def _draw_materials(knobs: MatterSurfaceKnobs, stream: Streams, name: str, count: int) -> list[MaterialSpec]:
    wear, rng = draw_wear(knobs.wear, knobs.wear_size_m, stream(f"matter.{name}.wear")), stream(f"matter.{name}")
    return [draw_material(knobs.materials.draw(rng), rng, wear) for _ in range(count)]
