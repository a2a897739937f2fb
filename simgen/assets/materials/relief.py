"""Seamless square fields of numbers, from which the tiles of materials and of wear are made.

A field is TILE_PX by TILE_PX and goes on without a seam at its edges: columns are u, rows are v, one side is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32
from scipy.spatial import cKDTree

TILE_PX = 512

Field = Float32[np.ndarray, "512 512"]


@dataclass(frozen=True)
class Relief:
    """The fields of a tile: brightness -1..1, share of the second substance 0..1, height in any unit."""

    value: Field
    mask: Field
    height: Field


def flat() -> Field:
    return np.zeros((TILE_PX, TILE_PX), np.float32)


def _power(along_u: float, along_v: float) -> Float32[np.ndarray, "512 257"]:
    """Power spectrum, of sum 1, of white noise after a Gaussian filter with these sigmas in sides of the tile."""
    u, v = np.arange(TILE_PX // 2 + 1), np.fft.fftfreq(TILE_PX) * TILE_PX
    passed_u, passed_v = (np.exp(-4 * np.pi**2 * (f * s) ** 2) for f, s in ((u, along_u), (v, along_v)))
    power = np.outer(passed_v, passed_u)
    power[0, 0] = 0.0
    return np.asarray(power / max(float(power.sum()), 1e-12), np.float32)


def _coloured(rng: np.random.Generator, power: Float32[np.ndarray, "512 257"]) -> Field:
    """Gaussian noise of unit variance with a power spectrum."""
    white = rng.standard_normal((2, *power.shape), dtype=np.float32)
    noise = np.fft.irfft2((white[0] + 1j * white[1]) * np.sqrt(power), s=(TILE_PX, TILE_PX))
    return unit(noise)


def smooth(rng: np.random.Generator, along_u: float, along_v: float) -> Field:
    """Noise of unit variance, smoothed by a Gaussian with these sigmas in sides of the tile."""
    return _coloured(rng, _power(along_u, along_v))


def cloud(rng: np.random.Generator, largest: float, octaves: int = 5, keep: float = 0.55) -> Field:
    """Noise of several sizes: each octave has half the size of the one before, and `keep` times its strength."""
    powers = [_power(largest / 2**k, largest / 2**k) * np.float32(keep ** (2 * k)) for k in range(octaves)]
    return _coloured(rng, np.asarray(sum(powers), np.float32))


def unit(field: np.ndarray) -> Field:
    """Scale a field to zero mean and unit variance."""
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-9), np.float32)


def spread(field: np.ndarray) -> Field:
    """Scale a field to zero mean and two standard deviations at 1, clipped to -1..1."""
    return np.asarray(np.clip(unit(field) / 2, -1, 1), np.float32)


def above(field: np.ndarray, share: float, soft: float = 0.08) -> Field:
    """1 where the field is among its highest `share`, 0 elsewhere, over an edge of `soft` standard deviations."""
    if share <= 0:
        return flat()
    level = float(np.quantile(field, 1 - min(share, 1.0)))
    return np.asarray(np.clip((field - level) / max(soft * float(field.std()), 1e-9) + 0.5, 0, 1), np.float32)


def cells(rng: np.random.Generator, count: int) -> tuple[Field, Field]:
    """Voronoi cells on a torus: a number 0..1 for each cell, and the distance to the nearest border, in sides."""
    points = rng.uniform(size=(count, 2))
    copies = np.concatenate([points + np.array([i, j]) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    tone = np.tile(rng.uniform(size=count), 9).astype(np.float32)
    texels = (np.stack(np.meshgrid(np.arange(TILE_PX), np.arange(TILE_PX)), axis=-1).reshape(-1, 2) + 0.5) / TILE_PX
    distance, nearest = cKDTree(copies).query(texels, k=2)
    shape = (TILE_PX, TILE_PX)
    border = (distance[:, 1] - distance[:, 0]) / 2
    return tone[nearest[:, 0]].reshape(shape), np.asarray(border.reshape(shape), np.float32)


def softened(field: np.ndarray, sigma_px: float) -> Field:
    """A field after a Gaussian filter that wraps around the tile's edges."""
    pad = int(np.ceil(4 * sigma_px)) + 1
    wrapped = np.pad(np.asarray(field, np.float32), pad, mode="wrap")
    return np.asarray(cv2.GaussianBlur(wrapped, (0, 0), sigma_px)[pad:-pad, pad:-pad], np.float32)


def grid() -> tuple[Field, Field]:
    """u and v of every texel's middle, in sides of the tile."""
    middles = ((np.arange(TILE_PX) + 0.5) / TILE_PX).astype(np.float32)
    u, v = np.meshgrid(middles, middles)
    return u, v


def rises(height: Field) -> tuple[Field, Field, float]:
    """Rise of the height from texel to texel along u and v, and the root mean square of both together."""
    du = (np.roll(height, -1, axis=1) - np.roll(height, 1, axis=1)) / 2
    dv = (np.roll(height, -1, axis=0) - np.roll(height, 1, axis=0)) / 2
    return du, dv, float(np.sqrt(np.mean(du**2 + dv**2)))


def slopes(height: Field) -> tuple[Field, Field]:
    """Slopes of the height along u and v, scaled to a root mean square of 1; 0 for a flat field."""
    du, dv, size = rises(height)
    return (du / size, dv / size) if size > 1e-9 else (flat(), flat())
