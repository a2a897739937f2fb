"""The uniform block of the lamps, with the projection of each lamp's shadow map."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

from simgen.assets.light import card, checked_lamps, softbox_radiance
from simgen.renderers.gl import layout
from simgen.renderers.gl.shadows import Spheres
from simgen.spec.scene import LampSpec, SceneSpec

KINDS = {"directional": 0.0, "spot": 1.0, "softbox": 2.0}  # numbers of the shaders
_WIDEST_RAD = 1.25  # half the field of view of a lamp's shadow map


def lamp_block(spec: SceneSpec, casters: Spheres) -> np.ndarray:
    """The lamps' uniform block. Each shadow map covers the stage and the casters above it."""
    block = np.zeros(1, layout.LAMPS)
    radius = math.hypot(*spec.stage.size_m) / 2
    near = np.linalg.norm(casters.centres_m[:, :2], axis=1) < 2 * radius + 0.5
    tops = (casters.centres_m[:, 2] + casters.radii_m)[near]
    top = float(np.clip(max([0.02, *tops.tolist()]), 0.02, 1.0))
    for i, lamp in enumerate(checked_lamps(spec)):
        matrix, across_m, per_m, range_m = _shadow_map(lamp, radius, top)
        toward, up = np.asarray(lamp.toward), np.asarray(lamp.up)
        light = softbox_radiance(lamp) if lamp.kind == "softbox" else np.asarray(lamp.rgb)
        diameter = math.sqrt(lamp.size_m[0] * lamp.size_m[1] * (4 / math.pi if lamp.kind == "softbox" else 1))
        block["place"][0, i] = (*lamp.position_m, KINDS[lamp.kind])
        block["toward"][0, i] = (*toward, math.cos(lamp.half_angle_rad))
        block["right"][0, i] = (*np.cross(up, toward), lamp.size_m[0] / 2)
        block["up"][0, i] = (*up, lamp.size_m[1] / 2)
        block["light"][0, i] = (*light, diameter)
        slant = max(abs(float(toward[2])), 0.2)
        block["scale"][0, i] = (across_m, per_m, range_m, (top + 0.02) / slant)
        block["clip_from_world"][0, i] = matrix.T
    from_lamps = card(spec.light) - np.asarray(spec.light.key_rgb) * spec.light.direction[2] - spec.light.ambient_rgb
    block["card"] = (*from_lamps, len(spec.light.lamps or ()))
    return block


def _shadow_map(
    lamp: LampSpec, radius_m: float, top_m: float
) -> tuple[Float64[np.ndarray, "4 4"], float, float, float]:
    """A lamp's shadow map: clip_from_world, its width at distance 0, its width per metre, its range.

    It covers the sphere around the stage up to 1.25 rad to each side, or a spot's cone.
    """
    toward, up, place = (np.asarray(v, np.float64) for v in (lamp.toward, lamp.up, lamp.position_m))
    axes = np.stack([np.cross(up, toward), up, toward])
    centre = axes @ (np.array([0.0, 0.0, top_m / 2]) - place)
    sphere = math.hypot(radius_m, top_m / 2)
    range_m = float(centre[2]) + sphere + 0.5
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = axes, -axes @ place
    if lamp.kind == "directional":
        half = sphere + float(np.abs(centre[:2]).max())
        clip = np.array([[1 / half, 0, 0, 0], [0, 1 / half, 0, 0], [0, 0, 2 / range_m, -1], [0, 0, 0, 1.0]])
        return clip @ view, 2 * half, 0.0, range_m
    distance = max(float(np.linalg.norm(centre)), 1e-3)
    off = math.acos(float(np.clip(centre[2] / distance, -1, 1)))
    angle = off + (math.asin(sphere / distance) if distance > sphere else math.pi / 2)
    half_angle = min(angle, _WIDEST_RAD, lamp.half_angle_rad if lamp.kind == "spot" else _WIDEST_RAD)
    tangent, close = math.tan(half_angle), 0.02
    depth = range_m - close
    clip = np.array(
        [
            [1 / tangent, 0, 0, 0],
            [0, 1 / tangent, 0, 0],
            [0, 0, (range_m + close) / depth, -2 * range_m * close / depth],
            [0, 0, 1.0, 0],
        ]
    )
    return clip @ view, 0.0, 2 * tangent, range_m
