"""Procedural textures: seamless square tiles of values in [-1, 1] with features up to `FEATURE_PX` wide.

A surface's albedo is its colour times `1 + contrast * value`. A new texture is a function and a row of `TEXTURES`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.renderers.lookup import look_up
from simgen.spec.scene import MaterialSpec

TILE_PX = 256
FEATURE_PX = 8  # texels across the largest feature
VARIANTS = 8  # different tiles of each texture
BRUSHED_ANISOTROPY = 0.8  # of brushed metal: its lobe is 3.6 times as wide across the grooves as along them

Tile = Float32[np.ndarray, "256 256"]


def plain(rng: np.random.Generator) -> Tile:
    """No pattern: 0 everywhere."""
    return np.zeros((TILE_PX, TILE_PX), np.float32)


def noise(rng: np.random.Generator) -> Tile:
    """Blotches at four scales, each half as strong as the one above it (value noise)."""
    octaves = [_smooth(rng, FEATURE_PX * 4 / 2**k, FEATURE_PX * 4 / 2**k) * 0.5**k for k in range(4)]
    return _spread(np.sum(octaves, axis=0))


def grain(rng: np.random.Generator) -> Tile:
    """Long streaks in one direction, as in wood."""
    return _spread(_smooth(rng, 64.0, 2.0) + 0.6 * _smooth(rng, 32.0, 6.0))


def brushed(rng: np.random.Generator) -> Tile:
    """Fine scratches in one direction."""
    return _spread(_smooth(rng, 40.0, 0.6))


def speckle(rng: np.random.Generator) -> Tile:
    """Stone chips in a matrix, as in granite and printed floors."""
    chips = _smooth(rng, FEATURE_PX / 3, FEATURE_PX / 3)
    light, dark = np.quantile(chips, [0.8, 0.15])
    tile = np.where(chips > light, 0.8, np.where(chips < dark, -1.0, 0.0)).astype(np.float32)
    return np.asarray(np.clip(_soften(tile) + 0.15 * noise(rng), -1, 1), np.float32)


def terrazzo(rng: np.random.Generator) -> Tile:
    """Sparse stones of three sizes, dark and light, in a fine-grained matrix."""
    tile = 0.12 * rng.standard_normal((TILE_PX, TILE_PX))
    for sigma, share in ((0.9, 0.06), (1.8, 0.04), (3.5, 0.02)):
        stones = _smooth(rng, sigma, sigma)
        dark, light = np.quantile(stones, [share, 1 - share * 0.6])
        tile = np.where(stones < dark, rng.uniform(-1.0, -0.4), np.where(stones > light, rng.uniform(0.3, 0.9), tile))
    return np.asarray(np.clip(_soften(tile.astype(np.float32)), -1, 1), np.float32)


def printed(rng: np.random.Generator) -> Tile:
    """Printed packaging: rectangles, discs, bars and lines that look like text."""
    tile = np.full((TILE_PX, TILE_PX), rng.uniform(-0.3, 0.5), np.float32)
    for _ in range(10):
        x, y, w, h = (int(v) for v in (*rng.integers(0, TILE_PX, 2), *rng.integers(12, 110, 2)))
        value = float(rng.uniform(-1, 1))
        if rng.uniform() < 0.3:
            cv2.circle(tile, (x, y), w // 2, value, -1)
        else:
            cv2.rectangle(tile, (x, y), (x + w, y + h), value, -1)
    for _ in range(12):
        x, y, letter, line = (int(v) for v in (*rng.integers(0, TILE_PX - 40, 2), *rng.integers(3, 14, 2)))
        value, end = float(rng.uniform(-1, 1)), int(rng.integers(40, 140))
        while x < end:
            wide = int(rng.integers(1, letter + 1))
            cv2.rectangle(tile, (x, y), (x + wide, y + line), value, -1 if rng.uniform() < 0.6 else 1)
            x += wide + int(rng.integers(1, letter + 1))
    return _soften(tile)


def lettered(rng: np.random.Generator) -> Tile:
    """Printed cartons: a few words, signs and strokes of different sizes on a plain background."""
    tile = np.zeros((TILE_PX, TILE_PX), np.float32)
    value = float(rng.choice([-1.0, -1.0, -0.6, 0.8]))  # mostly dark print
    for _ in range(int(rng.integers(4, 9))):
        mark = np.zeros((TILE_PX, TILE_PX), np.uint8)
        LETTERINGS[int(rng.choice(len(LETTERINGS), p=[0.5, 0.2, 0.3]))](mark, rng)
        mark = np.roll(mark.T if rng.uniform() < 0.25 else mark, tuple(rng.integers(0, TILE_PX, 2)), (0, 1))
        tile = np.where(mark > 0, np.float32(value), tile)
    return _soften(tile)


GLYPHS = (  # letters as strokes between 3 x 3 points; OpenCV's own fonts differ from version to version
    "068", "02 17", "2068 35", "06 28 35", "6082", "0268", "618 35", "072", "08 26", "06 238", "60428", "206 35",
    "17", "0682", "02860", "60253", "203586", "042 47", "027", "0258 35 86",
)  # fmt: skip


def _word(mark: np.ndarray, rng: np.random.Generator) -> None:
    """A word of 2 to 10 letters."""
    height = float(np.exp(rng.uniform(np.log(8), np.log(48))))
    wide, thickness = height * float(rng.uniform(0.5, 0.9)), max(1, round(height * float(rng.uniform(0.08, 0.25))))
    for k in range(int(rng.integers(2, 11))):
        corner = np.array([4 + k * (wide + 1.6 * thickness), TILE_PX / 2])
        for stroke in GLYPHS[int(rng.integers(len(GLYPHS)))].split():
            points = [corner + np.array([int(n) % 3, int(n) // 3]) * [wide / 2, height / 2] for n in stroke]
            cv2.polylines(mark, [np.rint(points).astype(np.int32)], False, 1, thickness)


def _sign(mark: np.ndarray, rng: np.random.Generator) -> None:
    """A frame with a symbol in it, as "this side up" or a logo."""
    wide, high = (int(v) for v in rng.integers(14, 60, 2))
    cv2.rectangle(mark, (20, 20), (20 + wide, 20 + high), 1, int(rng.integers(1, 4)))
    x, y = 20 + wide // 2, 20 + high // 2
    if rng.uniform() < 0.5:
        cv2.arrowedLine(mark, (x, 20 + high - 3), (x, 24), 1, int(rng.integers(1, 4)), tipLength=0.4)
    else:
        cv2.ellipse(mark, (x, y), (max(2, wide // 4), max(2, high // 4)), 0, 0, 360, 1, int(rng.integers(-1, 3)) or 1)


def _stroke(mark: np.ndarray, rng: np.random.Generator) -> None:
    """A bar or a bent line."""
    start = np.array([TILE_PX // 2, TILE_PX // 2], float)
    angle, wide = float(rng.uniform(0, 2 * np.pi)), int(rng.integers(1, 12))
    for _ in range(int(rng.integers(1, 4))):
        end = start + float(rng.uniform(12, 50)) * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(mark, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])), 1, wide)
        start, angle = end, angle + float(rng.normal(0, 0.4))


LETTERINGS = (_word, _sign, _stroke)


def stripes(rng: np.random.Generator) -> Tile:
    """Printed bands and rectangles, as boxes and labels look from a distance."""
    edges = np.sort(rng.integers(0, TILE_PX, 24))
    values = rng.uniform(-1, 1, 25)
    rows = values[np.searchsorted(edges, np.arange(TILE_PX))]
    columns = rng.permutation(values)[np.searchsorted(edges, np.arange(TILE_PX))]
    tile = np.where(rng.uniform(size=(1, TILE_PX)) < 0.5, rows[:, None], columns[None, :])
    return _soften(tile.astype(np.float32))


def weave(rng: np.random.Generator) -> Tile:
    """The regular relief of a fabric or PVC belt, with irregular wear."""
    y, x = np.mgrid[:TILE_PX, :TILE_PX] * (2 * np.pi / FEATURE_PX)
    return _spread((np.sin(x) * np.sin(y)).astype(np.float32) + 0.6 * noise(rng))


TEXTURES: dict[str, Callable[[np.random.Generator], Tile]] = {
    "brushed": brushed,
    "grain": grain,
    "lettered": lettered,
    "noise": noise,
    "plain": plain,
    "printed": printed,
    "speckle": speckle,
    "stripes": stripes,
    "terrazzo": terrazzo,
    "weave": weave,
}


@cache
def tile(texture: str, variant: int) -> Tile:
    """A tile of a row of `TEXTURES`; cached, so that scenes share it.

    Raises:
        KeyError: the texture is unknown.
    """
    if texture not in TEXTURES:
        raise KeyError(f"no texture {texture!r}; there are {sorted(TEXTURES)}")
    return TEXTURES[texture](np.random.default_rng(variant))


def sample_pattern(
    material: MaterialSpec, u_m: Float32[np.ndarray, "n"], v_m: Float32[np.ndarray, "n"]
) -> Float32[np.ndarray, "n"]:
    """The texture's value at surface coordinates in metres, repeated endlessly. The seed selects tile and origin."""
    values, u, v = _on_tile(material, u_m, v_m)
    return look_up(values, u, v, cv2.BORDER_WRAP)


def pattern_grid(
    material: MaterialSpec, u_m: Float32[np.ndarray, "w"], v_m: Float32[np.ndarray, "h"]
) -> Float32[np.ndarray, "h w"]:
    """`sample_pattern` on a grid: at each column's u and each row's v."""
    values, u, v = _on_tile(material, u_m, v_m)
    columns, rows = np.tile(u, (len(v), 1)), np.repeat(v[:, None], len(u), axis=1)
    return np.asarray(cv2.remap(values, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def placed_tile(material: MaterialSpec) -> tuple[Tile, tuple[int, int], float]:
    """The material's tile, its column and row at the surface's origin, and the size of a texel in metres."""
    seed, variant = divmod(material.texture_seed, VARIANTS)
    at_origin = (seed % TILE_PX, seed // TILE_PX % TILE_PX)
    return tile(material.texture, variant), at_origin, material.texture_scale_m / FEATURE_PX


def _on_tile(
    material: MaterialSpec, u_m: Float32[np.ndarray, "n"], v_m: Float32[np.ndarray, "m"]
) -> tuple[Tile, Float32[np.ndarray, "n"], Float32[np.ndarray, "m"]]:
    """The material's tile, and surface coordinates as its columns and rows."""
    values, at_origin, texel_m = placed_tile(material)
    u, v = (
        np.mod(c * np.float32(1 / texel_m) + np.float32(offset), np.float32(TILE_PX))
        for c, offset in zip((u_m, v_m), at_origin, strict=True)
    )
    return values, u, v


def _smooth(rng: np.random.Generator, sigma_x: float, sigma_y: float) -> Tile:
    """White noise filtered by a Gaussian that wraps at the tile's edges, with unit variance."""
    white = rng.standard_normal((TILE_PX, TILE_PX))
    frequency = np.fft.fftfreq(TILE_PX)
    kernel = np.exp(-2 * np.pi**2 * ((frequency[None, :] * sigma_x) ** 2 + (frequency[:, None] * sigma_y) ** 2))
    blurred = np.fft.ifft2(np.fft.fft2(white) * kernel).real
    return np.asarray(blurred / blurred.std(), np.float32)


def _soften(tile_: Tile) -> Tile:
    """Anti-aliasing by a small blur that wraps at the edges."""
    wrapped = np.pad(tile_, 2, mode="wrap")
    return np.asarray(cv2.GaussianBlur(wrapped, (3, 3), 0.7)[2:-2, 2:-2], np.float32)


def _spread(tile_: np.ndarray) -> Tile:
    """Normalized to mean 0 with two standard deviations at 1, and clipped."""
    return np.asarray(np.clip((tile_ - tile_.mean()) / (2 * tile_.std() + 1e-9), -1, 1), np.float32)
