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

_Thing = TypeVar("_Thing", PartSpec, BodySpec)


def draw_colour(knobs: ColourKnobs, rng: np.random.Generator) -> Vec3:
    hue, saturation, value = knobs.hue_deg.draw(rng), knobs.saturation.draw(rng), knobs.value.draw(rng)
    return linear_from_hsv(hue, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))


def draw_surface(knobs: SurfaceKnobs, rng: np.random.Generator) -> MaterialSpec:
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
    def surface(plain: MaterialSpec, knobs: MatterSurfaceKnobs | None, name: str) -> MaterialSpec:
        return _matter(knobs, stream, name, 1)[0] if knobs else plain

    return replace(
        stage,
        top=surface(stage.top, knobs.top, "top"),
        sides=surface(stage.sides, knobs.sides, "sides"),
        floor=surface(stage.floor, knobs.floor, "floor"),
    )


def draw_matter(
    things: tuple[_Thing, ...], knobs: MatterSurfaceKnobs | None, stream: Streams, name: str
) -> tuple[_Thing, ...]:
    if not knobs:
        return things
    made = _matter(knobs, stream, name, len(things))
    return tuple(replace(thing, material=material) for thing, material in zip(things, made, strict=True))


def _matter(knobs: MatterSurfaceKnobs, stream: Streams, name: str, count: int) -> list[MaterialSpec]:
    wear, rng = draw_wear(knobs.wear, knobs.wear_size_m, stream(f"matter.{name}.wear")), stream(f"matter.{name}")
    return [draw_material(knobs.materials.draw(rng), rng, wear) for _ in range(count)]
