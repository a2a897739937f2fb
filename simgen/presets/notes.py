"""What a valid preset is still worth a note for."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from simgen.assets.parts import part_model
from simgen.scene.config import SceneConfig
from simgen.scene.sampling.parts import sources
from simgen.spec.knobs import Uniform

SMALL_PX = 8.0  # below it detectors find little, as COCO counts all below 32 x 32 as small


def notes(config: SceneConfig) -> Iterator[str]:
    """One line for each thing that a user will hardly want."""
    yield from _of_photos(config)
    size_m = typical_size_m(config)
    camera = config.camera
    focal_px, distance_m = _middle(camera.focal_px), _middle(camera.distance_m)
    size_px = focal_px * size_m / distance_m
    if size_px < SMALL_PX:
        yield (
            f"a typical part ({1000 * size_m:.0f} mm) is about {size_px:.1f} px large in the picture, seen from "
            f"{distance_m:.2f} m with {camera.width_px} px of width, and parts below {SMALL_PX:g} px are hardly found: "
            "raise camera.width_px and camera.height_px, or lower camera.distance_m or camera.hfov_deg"
        )


def _of_photos(config: SceneConfig) -> Iterator[str]:
    photo, camera = config.stage.photo, config.camera
    if photo is None:
        return
    if photo.left_out:
        more = f"; and {len(photo.left_out) - 3} more" if len(photo.left_out) > 3 else ""
        yield f"{len(photo.left_out)} photos are left out: {'; '.join(photo.left_out[:3])}{more}"
    low = photo.crop.low
    small = [p for p in photo.pictures if p.width_px * low < camera.width_px or p.height_px * low < camera.height_px]
    if small:
        one = small[0]
        yield (
            f"{len(small)} of {len(photo.pictures)} photos are enlarged, and look soft: {one.name} has "
            f"{one.width_px} x {one.height_px} pixels, of which {low:g} of each side is shown in "
            f"{camera.width_px} x {camera.height_px}"
        )
    if config.stage.belt_speed_m_s.high > 0:
        yield "stage.photo on a belt: the parts move and the photo's belt stands still; good for a plain belt alone"


def typical_size_m(config: SceneConfig) -> float:
    """The side of a square as large as the rectangle around a typical part that lies flat, in metres.

    The mean over the kinds by their weights, each at the middle one of its sizes.
    """
    kinds = {kind: knobs for kind, knobs in config.parts.kinds.items() if knobs.weight > 0}
    sides = []
    for kind, knobs in kinds.items():
        fitting = sources(kind, knobs)
        extents = sorted(np.ptp(part_model(fitting[len(fitting) // 2]).corners_m, axis=0))
        sides.append(math.sqrt(float(extents[1] * extents[2])) * (_middle(knobs.scale) if knobs.scale else 1.0))
    return float(np.average(sides, weights=[knobs.weight for knobs in kinds.values()]))


def _middle(knob: Uniform) -> float:
    return (knob.low + knob.high) / 2
