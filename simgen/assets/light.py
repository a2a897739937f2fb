"""Light in numbers: irradiance of lamps on a level card, and flicker of lamps on the mains."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

from simgen.spec.scene import FlickerSpec, LampSpec, LightSpec, SceneSpec
from simgen.spec.types import MAX_LAMPS

LAMP_KINDS = ("directional", "spot", "softbox")
SPOT_EDGE = 0.2  # of a spot's cone, in cosines, over which its light falls off; as in gl/shaders/shade.frag


def form_factor(half_width_m: float, half_height_m: float, distance_m: float) -> float:
    """Form factor of a rectangle for a small parallel element on its axis (Howell's catalogue, B-4, four times)."""
    a, b = half_width_m / distance_m, half_height_m / distance_m
    p, q = math.hypot(1, a), math.hypot(1, b)
    return 4 * (a / p * math.atan(b / p) + b / q * math.atan(a / q)) / (2 * math.pi)


def softbox_radiance(lamp: LampSpec) -> Float64[np.ndarray, "3"]:
    """Radiance of a softbox whose irradiance on a card that faces it at 1 m is the lamp's `rgb`."""
    return np.asarray(lamp.rgb) / form_factor(lamp.size_m[0] / 2, lamp.size_m[1] / 2, 1.0)


def on_level_card(lamp: LampSpec) -> Float64[np.ndarray, "3"]:
    """Irradiance of a lamp on a level card at the world's origin, without shadows."""
    away, toward = np.asarray(lamp.position_m), np.asarray(lamp.toward)
    if lamp.kind == "directional":
        return np.asarray(np.asarray(lamp.rgb) * max(-toward[2], 0.0))
    distance = float(np.linalg.norm(away))
    ray = away / distance
    if lamp.kind == "spot":
        outer = math.cos(lamp.half_angle_rad)
        share = float(np.clip((-ray @ toward - outer) / (SPOT_EDGE * (1 - outer)), 0, 1))
        falls = max(float(ray[2]), 0.0) / distance**2 * share * share * (3 - 2 * share)
        return np.asarray(np.asarray(lamp.rgb) * falls)
    return softbox_radiance(lamp) * max(_lambert(lamp), 0.0)


def _lambert(lamp: LampSpec) -> float:
    """A softbox's form factor at the origin, facing up (Lambert 1760), for one that is all above the horizon."""
    away, toward, up = (np.asarray(v) for v in (lamp.position_m, lamp.toward, lamp.up))
    right = np.cross(up, toward) * lamp.size_m[0] / 2
    high = up * lamp.size_m[1] / 2
    if away @ toward >= 0:
        return 0.0
    corners = [away + i * right + j * high for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    units = [np.maximum(c, (-np.inf, -np.inf, 0.0)) / np.linalg.norm(c) for c in corners]
    total = 0.0
    for a, b in zip(units, [*units[1:], units[0]], strict=True):
        across = np.cross(a, b)
        size = float(np.linalg.norm(across))
        total += math.atan2(size, float(a @ b)) * float(across[2]) / max(size, 1e-12)
    return abs(total) / (2 * math.pi)


def card(light: LightSpec) -> Float64[np.ndarray, "3"]:
    """Radiance of a level white card in the middle of the stage, without shadows."""
    steady = np.asarray(light.key_rgb) * light.direction[2] + np.asarray(light.ambient_rgb)
    return np.asarray(sum((on_level_card(lamp) for lamp in light.lamps or ()), steady))


def flicker_gain(flicker: FlickerSpec, middle_s: float, exposure_s: float) -> float:
    """Brightness of an exposure, relative to the mean. The light is 1 + depth cos(2 pi 2 mains t + phase).

    An exposure averages the light, which reduces the swing by a sinc: to 0 for whole half periods of the mains.

    Args:
        flicker: of the lamps.
        middle_s: middle of the exposure, since the start of the clip.
        exposure_s: length of the exposure.
    """
    per_s = 2 * flicker.mains_hz
    swing = flicker.depth * float(np.sinc(per_s * exposure_s))
    return 1 + swing * math.cos(2 * math.pi * per_s * middle_s + flicker.phase_rad)


def checked_lamps(spec: SceneSpec) -> tuple[LampSpec, ...]:
    """The spec's lamps, all valid.

    Raises:
        ValueError: the spec has too many lamps, or an invalid one.
    """
    lamps = spec.light.lamps or ()
    if len(lamps) > MAX_LAMPS:
        raise ValueError(f"light.lamps: {len(lamps)} of them; the pbr renderer takes {MAX_LAMPS} beside the key light")
    for i, lamp in enumerate(lamps):
        if lamp.kind not in LAMP_KINDS:
            raise ValueError(f"light.lamps[{i}]: no kind {lamp.kind!r}; there are {sorted(LAMP_KINDS)}")
        axes = np.array([lamp.toward, lamp.up])
        if np.abs(axes @ axes.T - np.eye(2)).max() > 1e-3:
            raise ValueError(f"light.lamps[{i}]: toward and up must be unit vectors at a right angle")
        if min(lamp.size_m) <= 0 or min(lamp.rgb) < 0 or not 0 < lamp.half_angle_rad < math.pi / 2:
            raise ValueError(f"light.lamps[{i}]: needs a size above 0, no negative light, a cone of 0..pi/2")
    return lamps
