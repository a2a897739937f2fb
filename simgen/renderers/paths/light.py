"""A spec's light as what shines in a path tracer's world. Numpy alone.

A world has one sky, where `pbr` has a picture that metal mirrors and an irradiance that matt surfaces get, which the
spec may set apart. Here the irradiance decides, since exposures go by it: where the picture gives less than the ambient
light the rest comes evenly from above, where it gives more it is dimmed, as in `gl/environment.irradiance`. What a
shadow leaves of the key light (`shadow_strength` under 1) comes evenly from above too, and `occlusion_strength` has no
say. Units: a white card under irradiance 1 has radiance 1, so that physical irradiance is pi times that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from simgen.assets import light as lighting
from simgen.assets.surroundings.model import level_irradiance
from simgen.renderers import sky as surroundings
from simgen.spec.scene import LampSpec, LightSpec, SceneSpec
from simgen.spec.types import Vec3

FAR_M = 1000.0  # to discs that stand for directional lights
SPOTS = 8  # that stand for the disc of a spot lamp
ROWS_BELOW = 3  # of the sky, under the horizon
_THINNEST_RAD = 1e-3


@dataclass(frozen=True)
class Disc:
    """Far away, facing the scene."""

    toward: Vec3  # unit vector to it
    half_angle_rad: float
    radiance: Float64[np.ndarray, "3"]


@dataclass(frozen=True)
class Panel:
    """A rectangle that shines to one side: its centre, half its sides along two unit vectors, where it looks."""

    lamp: LampSpec
    radiance: Float64[np.ndarray, "3"]


@dataclass(frozen=True)
class Spot:
    place_m: Float64[np.ndarray, "3"]
    lamp: LampSpec
    intensity: Float64[np.ndarray, "3"]  # watts a steradian, times pi
    full_rad: float  # half the cone in which it is brightest


@dataclass(frozen=True)
class Shining:
    sky: Float32[np.ndarray, "128 256 3"]  # by azimuth from -pi and polar angle
    discs: tuple[Disc, ...]
    panels: tuple[Panel, ...]
    spots: tuple[Spot, ...]


def shining(spec: SceneSpec) -> Shining:
    """Everything that shines, of lamps that `simgen.renderers.gl.lamps.checked` has checked."""
    light = spec.light
    discs = [] if not any(light.key_rgb) else [_disc(light.direction, light.source_angle_rad, _shaded(light))]
    lamps = light.lamps or ()
    for lamp in lamps:
        if lamp.kind == "directional":
            x, y, z = lamp.toward
            angle = lamp.size_m[0] / max(float(np.linalg.norm(lamp.position_m)), 1e-6)
            discs.append(_disc((-x, -y, -z), angle, np.asarray(lamp.rgb)))
    return Shining(
        sky=sky(spec),
        discs=tuple(disc for disc in discs if disc.radiance.any()),
        panels=tuple(Panel(lamp, lighting.softbox_radiance(lamp)) for lamp in lamps if lamp.kind == "softbox"),
        spots=tuple(spot for lamp in lamps if lamp.kind == "spot" for spot in _spots(lamp)),
    )


def sky(spec: SceneSpec) -> Float32[np.ndarray, "128 256 3"]:
    """Radiance by direction; a little below the horizon, where the floor ends, the floor's own on average.

    Further down there is the floor, and nothing is sent to look for light there.
    """
    light = spec.light
    seen = surroundings.picture(light)
    above, below = seen[..., :3].astype(np.float64), seen[..., 3:].copy()
    level, ambient = level_irradiance(above.astype(np.float32)), np.asarray(light.ambient_rgb)
    share = float(min(1.0, *(ambient / np.maximum(level, 1e-9))))
    spread = np.maximum(ambient - share * level, 0) + np.asarray(light.key_rgb) * light.direction[2] * (
        1 - light.shadow_strength
    )
    floor = np.asarray(spec.stage.floor.rgb) * lighting.card(light)
    below[surroundings.HEIGHT // 2 + ROWS_BELOW :] = 0
    return np.asarray((share * above + spread) * (seen[..., 3:] == 0) + floor * below, np.float32)


def _shaded(light: LightSpec) -> Float64[np.ndarray, "3"]:
    return np.asarray(light.key_rgb, np.float64) * light.shadow_strength


def _disc(toward: Vec3, angle_rad: float, irradiance: Float64[np.ndarray, "3"]) -> Disc:
    half = min(max(angle_rad, _THINNEST_RAD), 3.0) / 2
    return Disc(toward, half, irradiance / math.sin(half) ** 2)


def _spots(lamp: LampSpec) -> list[Spot]:
    """Point lights on a sunflower over the lamp's disc (Vogel 1979), which share its light."""
    outer = math.cos(lamp.half_angle_rad)
    full = math.acos(outer + lighting.SPOT_EDGE * (1 - outer))
    up, toward = np.asarray(lamp.up), np.asarray(lamp.toward)
    right = np.cross(up, toward)
    places = []
    for i in range(SPOTS):
        away, turn = lamp.size_m[0] / 2 * math.sqrt((i + 0.5) / SPOTS), i * 2.39996323
        places.append(np.asarray(lamp.position_m) + away * (math.cos(turn) * right + math.sin(turn) * up))
    intensity = np.asarray(lamp.rgb) * math.pi / SPOTS
    return [Spot(np.asarray(place, np.float64), lamp, intensity, full) for place in places]
