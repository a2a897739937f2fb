"""A spec's light as emitters of a path tracer. Numpy alone.

A path tracer has one sky. In `pbr`, the environment that metal reflects and the irradiance of diffuse surfaces may
differ, as the spec says. Here the irradiance decides, since the exposure depends on it: where the environment map gives
less than the ambient light, the rest comes evenly from above; where it gives more, it is dimmed, as in
`gl/environment.irradiance`. The share of the key light that reaches into shadows (`shadow_strength` below 1) comes
evenly from above too, and `occlusion_strength` has no effect. Units: a white card under irradiance 1 has radiance 1, so
physical irradiance is pi times that.
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

FAR_M = 1000.0  # distance of the discs that represent directional lights
SPOTS = 8  # point lights that represent the disc of a spot lamp
ROWS_BELOW = 3  # of the sky below the horizon
_THINNEST_RAD = 1e-3


@dataclass(frozen=True)
class Disc:
    """A distant disc that faces the scene: a directional light."""

    toward: Vec3  # unit vector to it
    half_angle_rad: float
    radiance: Float64[np.ndarray, "3"]


@dataclass(frozen=True)
class Panel:
    """A softbox: a rectangle that emits to one side."""

    lamp: LampSpec
    radiance: Float64[np.ndarray, "3"]


@dataclass(frozen=True)
class Spot:
    """A point light with a cone."""

    position_m: Float64[np.ndarray, "3"]
    lamp: LampSpec
    intensity: Float64[np.ndarray, "3"]  # radiant intensity times pi
    full_rad: float  # half the angle of the cone of full intensity


@dataclass(frozen=True)
class Emitters:
    """All emitters of a scene."""

    sky: Float32[np.ndarray, "128 256 3"]  # by azimuth from -pi and polar angle
    discs: tuple[Disc, ...]
    panels: tuple[Panel, ...]
    spots: tuple[Spot, ...]


def emitters(spec: SceneSpec) -> Emitters:
    """All emitters of a spec whose lamps `simgen.renderers.checks.checked_lamps` has checked."""
    light = spec.light
    discs = [] if not any(light.key_rgb) else [_disc(light.direction, light.source_angle_rad, _shaded(light))]
    lamps = light.lamps or ()
    for lamp in lamps:
        if lamp.kind == "directional":
            x, y, z = lamp.toward
            angle = lamp.size_m[0] / max(float(np.linalg.norm(lamp.position_m)), 1e-6)
            discs.append(_disc((-x, -y, -z), angle, np.asarray(lamp.rgb)))
    return Emitters(
        sky=sky(spec),
        discs=tuple(disc for disc in discs if disc.radiance.any()),
        panels=tuple(Panel(lamp, lighting.softbox_radiance(lamp)) for lamp in lamps if lamp.kind == "softbox"),
        spots=tuple(spot for lamp in lamps if lamp.kind == "spot" for spot in _spots(lamp)),
    )


def sky(spec: SceneSpec) -> Float32[np.ndarray, "128 256 3"]:
    """Radiance by direction. In a few rows below the horizon, beyond the floor's end, it is the floor's mean radiance.

    Further down it is 0, since the floor covers it: the path tracer then draws no light samples there.
    """
    light = spec.light
    environment = surroundings.picture(light)
    above, below = environment[..., :3].astype(np.float64), environment[..., 3:].copy()
    level, ambient = level_irradiance(above.astype(np.float32)), np.asarray(light.ambient_rgb)
    share = float(min(1.0, *(ambient / np.maximum(level, 1e-9))))
    spread = np.maximum(ambient - share * level, 0) + np.asarray(light.key_rgb) * light.direction[2] * (
        1 - light.shadow_strength
    )
    floor = np.asarray(spec.stage.floor.rgb) * lighting.card(light)
    below[surroundings.HEIGHT // 2 + ROWS_BELOW :] = 0
    return np.asarray((share * above + spread) * (environment[..., 3:] == 0) + floor * below, np.float32)


def _shaded(light: LightSpec) -> Float64[np.ndarray, "3"]:
    return np.asarray(light.key_rgb, np.float64) * light.shadow_strength


def _disc(toward: Vec3, angle_rad: float, irradiance: Float64[np.ndarray, "3"]) -> Disc:
    half = min(max(angle_rad, _THINNEST_RAD), 3.0) / 2
    return Disc(toward, half, irradiance / math.sin(half) ** 2)


def _spots(lamp: LampSpec) -> list[Spot]:
    """Point lights on a sunflower pattern over the lamp's disc (Vogel 1979), which share its light."""
    outer = math.cos(lamp.half_angle_rad)
    full = math.acos(outer + lighting.SPOT_EDGE * (1 - outer))
    up, toward = np.asarray(lamp.up), np.asarray(lamp.toward)
    right = np.cross(up, toward)
    positions = []
    for i in range(SPOTS):
        away, turn = lamp.size_m[0] / 2 * math.sqrt((i + 0.5) / SPOTS), i * 2.39996323
        positions.append(np.asarray(lamp.position_m) + away * (math.cos(turn) * right + math.sin(turn) * up))
    intensity = np.asarray(lamp.rgb) * math.pi / SPOTS
    return [Spot(np.asarray(position, np.float64), lamp, intensity, full) for position in positions]
