"""The environment map of a spec's light: a modelled environment, or horizon, zenith and glows.

Columns are the azimuth from -pi, rows the polar angle from straight up. The first three channels are the radiance from
above the horizon. The fourth is 1 below the horizon: the radiance from there differs from surface to surface.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from simgen.assets import surroundings as environments
from simgen.spec.scene import LightSpec

WIDTH, HEIGHT = 256, 128
BRIGHTEST = 60000.0  # below the largest half float, 65504


def picture(light: LightSpec) -> Float32[np.ndarray, "128 256 4"]:
    """Radiance by direction, (h, w, 4) as above. Of horizon, zenith and glows a texel is the mean of 2 by 2 points."""
    if light.environment:
        sky = np.zeros((HEIGHT, WIDTH, 4), np.float32)
        sky[..., :3] = np.minimum(environments.picture(light.environment), BRIGHTEST)
        sky[HEIGHT // 2 :, :, 3] = 1
        return sky
    elevation = (0.5 - (np.arange(2 * HEIGHT) + 0.5) / (2 * HEIGHT)) * np.pi
    azimuth = ((np.arange(2 * WIDTH) + 0.5) / (2 * WIDTH) - 0.5) * 2 * np.pi
    above = elevation > 0
    climb = np.clip(np.sin(elevation), 0, 1)[:, None]
    rows = np.asarray(light.horizon_rgb) * (1 - climb) + np.asarray(light.zenith_rgb) * climb
    sky = np.zeros((2 * HEIGHT, 2 * WIDTH, 4), np.float32)
    sky[above, :, :3] = rows[above, None]
    sky[~above, :, 3] = 1
    for glow in light.glows:
        turn = np.abs((azimuth - glow.azimuth_rad + np.pi) % (2 * np.pi) - np.pi) * np.cos(glow.elevation_rad)
        up = above & (np.abs(elevation - glow.elevation_rad) < glow.height_rad / 2)
        inside = np.outer(up, turn < glow.width_rad / 2)
        sky[inside, :3] += np.asarray(glow.radiance, np.float32)
    return np.asarray(sky.reshape(HEIGHT, 2, WIDTH, 2, 4).mean(axis=(1, 3)), np.float32)
