"""The environment that metal reflects: a map by direction, blurred for each of a few roughnesses."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.assets import surroundings as environments
from simgen.renderers.lookup import look_up
from simgen.spec.scene import GlowSpec, LightSpec
from simgen.spec.types import Vec3

WIDTH, HEIGHT = 128, 64  # azimuth from -pi; elevation from straight up to straight down
ROUGHNESSES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_PAD = 32  # columns repeated at both sides, since azimuth wraps


class Environment:
    """Radiance by direction and roughness."""

    def __init__(self, light: LightSpec, floor_rgb: Vec3) -> None:
        sharp = _picture(light, floor_rgb)
        levels = [_blurred(sharp, roughness) for roughness in ROUGHNESSES]
        self._levels = np.stack(levels)

    def radiance(
        self, direction: Float32[np.ndarray, "n 3"], roughness: Float32[np.ndarray, "n"]
    ) -> Float32[np.ndarray, "n 3"]:
        """Reflected radiance, interpolated bilinearly in direction and linearly in roughness."""
        x = (np.arctan2(direction[:, 1], direction[:, 0]) / (2 * np.pi) + 0.5) * WIDTH - 0.5 + _PAD
        y = np.arccos(np.clip(direction[:, 2], -1, 1)) / np.pi * HEIGHT - 0.5
        level = np.clip(roughness, 0, 1) * (len(ROUGHNESSES) - 1)
        lower = np.minimum(level.astype(np.int64), len(ROUGHNESSES) - 2)
        reflected = np.empty_like(direction)
        for i in np.unique(lower):
            chosen = lower == i
            share = (level[chosen] - i)[:, None]
            low, high = (look_up(self._levels[j], x[chosen], y[chosen], cv2.BORDER_REPLICATE) for j in (i, i + 1))
            reflected[chosen] = low * (1 - share) + high * share
        return reflected


def _picture(light: LightSpec, floor_rgb: Vec3) -> Float32[np.ndarray, "64 128 3"]:
    elevation = (0.5 - (np.arange(HEIGHT) + 0.5) / HEIGHT) * np.pi
    azimuth = ((np.arange(WIDTH) + 0.5) / WIDTH - 0.5) * 2 * np.pi
    horizon, zenith = np.asarray(light.horizon_rgb), np.asarray(light.zenith_rgb)
    height = np.clip(np.sin(elevation), 0, 1)[:, None]
    rows = horizon * (1 - height) + zenith * height
    rows[elevation < 0] = np.asarray(floor_rgb) * np.asarray(light.ambient_rgb) * 0.7
    picture = np.repeat(rows[:, None, :], WIDTH, axis=1)
    if light.environment:
        above = cv2.resize(environments.picture(light.environment), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        picture[elevation > 0] = above[elevation > 0]
        return picture.astype(np.float32)
    for glow in light.glows:
        picture[_inside(glow, elevation, azimuth)] += glow.radiance
    return picture.astype(np.float32)


def _inside(glow: GlowSpec, elevation: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    turn = np.abs((azimuth - glow.azimuth_rad + np.pi) % (2 * np.pi) - np.pi) * np.cos(glow.elevation_rad)
    across = turn < glow.width_rad / 2
    up = (np.abs(elevation - glow.elevation_rad) < glow.height_rad / 2) & (elevation > 0)
    return np.asarray(up[:, None] & across[None, :])


def _blurred(sharp: Float32[np.ndarray, "64 128 3"], roughness: float) -> Float32[np.ndarray, "64 192 3"]:
    """Blur as wide as a GGX lobe: about alpha = roughness squared (in radians, one sigma)."""
    wrapped = np.concatenate([sharp[:, -_PAD:], sharp, sharp[:, :_PAD]], axis=1)
    sigma_px = max(roughness**2 * 0.9 * HEIGHT / np.pi, 0.4)
    return np.asarray(cv2.GaussianBlur(wrapped, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE), np.float32)
