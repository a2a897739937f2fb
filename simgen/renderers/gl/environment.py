"""Image-based light: irradiance, prefiltered radiance, and the tables that the shaders need.

Environment maps are as in `simgen.renderers.sky`: azimuth by polar angle, with a fourth channel that is 1 below the
horizon.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from simgen.renderers.sky import HEIGHT, WIDTH, picture
from simgen.spec.scene import LightSpec, SceneSpec
from simgen.spec.types import Radians

LEVELS = 5  # of roughness 0, 1/4, 1/2, 3/4 and 1, each half as wide as the one before
NORMALS = (16, 32)  # rows and columns of the table of irradiance
RESPONSE = 32  # cosines by roughnesses
FLOOR_HALF_M, FLOOR_CELLS = 2.5, 64
_SAMPLES = 1024


def _directions(height: int, width: int) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n"]]:
    """Direction of each texel's centre, and the texel's solid angle."""
    polar = (np.arange(height) + 0.5) / height * np.pi
    azimuth = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    flat, turn = (a.ravel() for a in np.meshgrid(polar, azimuth, indexing="ij"))
    toward = np.stack([np.sin(flat) * np.cos(turn), np.sin(flat) * np.sin(turn), np.cos(flat)], axis=1)
    return toward, np.sin(flat) * (2 * np.pi**2 / (height * width))


@cache
def _cosine_operator() -> Float32[np.ndarray, "n m"]:
    """The matrix from an environment map of a quarter of the size to irradiance / pi by surface normal."""
    toward, solid = _directions(HEIGHT // 4, WIDTH // 4)
    normals, _ = _directions(*NORMALS)
    return np.asarray(np.maximum(normals @ toward.T, 0) * solid / np.pi, np.float32)


def irradiance(sky: Float32[np.ndarray, "128 256 4"], light: LightSpec) -> Float32[np.ndarray, "h w 4"]:
    """Irradiance by surface normal, from above the horizon. A level card gets the spec's ambient light.

    Where the environment map gives less than that, the rest comes evenly from above; where it gives more, it is dimmed.
    """
    small = sky.reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 4).mean(axis=(1, 3)).reshape(-1, 4)[:, :3]
    toward, solid = _directions(HEIGHT // 4, WIDTH // 4)
    level = (np.maximum(toward[:, 2], 0) * solid / np.pi) @ small
    ambient = np.asarray(light.ambient_rgb)
    share = float(min(1.0, *(ambient / np.maximum(level, 1e-9))))
    normals, _ = _directions(*NORMALS)
    rest = np.maximum(ambient - share * level, 0) * ((1 + normals[:, 2:]) / 2)
    table = np.ones((*NORMALS, 4), np.float32)
    table[..., :3] = (share * (_cosine_operator() @ small) + rest).reshape(*NORMALS, 3)
    return table


@cache
def response() -> Float32[np.ndarray, "32 32 2"]:
    """Split sum (Karis 2013): scale and bias of a rough mirror's reflectance, by roughness (rows) and cosine (columns).

    Sampled from GGX's distribution of normals, with height-correlated Smith masking (Heitz 2014, eq. 99).
    """
    u, turn = (np.arange(_SAMPLES) + 0.5) / _SAMPLES, 2 * np.pi * _radical_inverse(_SAMPLES)
    roughness = np.maximum((np.arange(RESPONSE) + 0.5) / RESPONSE, 0.03)
    a2 = (roughness**4)[:, None, None]
    nov = ((np.arange(RESPONSE) + 0.5) / RESPONSE)[None, :, None]
    cosine = np.sqrt((1 - u) / (1 + (a2 - 1) * u))
    sine = np.sqrt(1 - cosine**2)
    voh = np.maximum(np.sqrt(1 - nov**2) * sine * np.cos(turn) + nov * cosine, 1e-6)
    nol = 2 * voh * cosine - nov
    above = nol > 0
    nol = np.maximum(nol, 1e-6)
    both = nol * np.sqrt(nov**2 * (1 - a2) + a2) + nov * np.sqrt(nol**2 * (1 - a2) + a2)
    weight = np.where(above, 2 * nol * nov / both * voh / (cosine * nov), 0.0)
    grazing = (1 - voh) ** 5
    return np.stack([(weight * (1 - grazing)).mean(axis=2), (weight * grazing).mean(axis=2)], axis=-1).astype(
        np.float32
    )


def _radical_inverse(count: int) -> Float64[np.ndarray, "n"]:
    bits = int(np.log2(count))
    i = np.arange(count)
    return np.asarray(sum(((i >> b) & 1) * 0.5 ** (b + 1) for b in range(bits)), np.float64)


def floor_openness(spec: SceneSpec) -> Float32[np.ndarray, "64 64"]:
    """Share of the sky that is visible from the floor, beside the stage above it and the clutter on it.

    The stage is a rectangle parallel to the floor (form factor of a rectangle to a parallel element: Howell, "A Catalog
    of Radiation Heat Transfer Configuration Factors", B-4). A clutter body counts as a long wall of its height.
    """
    cells = ((np.arange(FLOOR_CELLS) + 0.5) / FLOOR_CELLS - 0.5) * 2 * FLOOR_HALF_M
    x, y = np.meshgrid(cells, cells)
    height = max(spec.stage.floor_below_m - spec.stage.thickness_m, 1e-3)
    (x0, x1), (y0, y1) = ((c - s / 2, c + s / 2) for c, s in zip((-x, -y), spec.stage.size_m, strict=True))
    hidden = sum(
        sign * _corner_factor(a / height, b / height)
        for a, b, sign in ((x1, y1, 1), (x0, y1, -1), (x1, y0, -1), (x0, y0, 1))
    )
    for body in spec.fixtures:
        dx, dy = (
            np.abs(c - p) - s / 2 for c, p, s in zip((x, y), body.world_from_body.position_m, body.size_m, strict=False)
        )
        away = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        hidden = np.maximum(hidden, 0.5 * (1 - away / np.hypot(away, body.size_m[2])))
    return np.asarray(1 - spec.light.occlusion_strength * np.clip(hidden, 0, 1), np.float32)


def _corner_factor(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Form factor of a rectangle from above the element to (a, b), in units of its height; odd in both."""
    p, q = np.sqrt(1 + a * a), np.sqrt(1 + b * b)
    return np.asarray((a / p * np.arctan(b / p) + b / q * np.arctan(a / q)) / (2 * np.pi))


def sky_of(light: LightSpec) -> LightSpec:
    """A cache key: the light with neutral values for all that does not affect its environment map."""
    nothing = (0.0, 0.0, 0.0)
    return replace(
        light, direction=(0.0, 0.0, 1.0), key_rgb=nothing, shadow_strength=0.0, source_angle_rad=Radians(0.0),
        occlusion_strength=0.0, lamps=None, flicker=None,
    )  # fmt: skip


def upload(device: Any, light: LightSpec) -> tuple[Any, Any]:
    """Upload an environment map: textures of radiance by roughness, and of irradiance."""
    sky = picture(light)
    source = device.texture(sky, mipmaps=True, wrap=(True, False))
    levels = device.texture(sky, mipmaps=True, wrap=(True, False), last_level=LEVELS - 1)
    for level in range(1, LEVELS):
        size = (WIDTH >> level, HEIGHT >> level)
        levels.write(device.prefilter(source, size, level / (LEVELS - 1)), level=level)
    return levels, device.texture(irradiance(sky, light), wrap=(True, False))
