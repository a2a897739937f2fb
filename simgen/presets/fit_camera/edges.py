"""The sharpness of a picture: the spread of its edges, and the blur and the sharpening that cause it.

Many edges are superposed at a quarter of a pixel, as ISO 12233 does with a slanted edge. Here they are the edges of the
picture's own content, so only straight, isolated, unclipped steps count, and of these the sharpest. Softer ones are out
of focus or shadows. A Gaussian blur in linear light, the tone curve and unsharp masking in display
values, which are the simulated camera's own effects, are fitted to the median edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

GAMMA = 2.2
REACH = 8  # pixels to either side of an edge
FLAT = 4  # of these, at each end, must be flat
NEAR = 3  # pixels to either side that locate an edge; more would only add noise
STEP = 0.16  # smallest step, of display white
SHARPEST = 0.3  # share of the edges that is used
MOST = 4000
FEWEST = 30
BIN_PX = 0.25
UNSHARP_SIGMA_PX = 1.5  # of simgen.camera.sensor.processing.sharpen
PHASES = 16  # subpixel positions of a modelled edge

Luma = Float32[np.ndarray, "h w"]
Profiles = Float64[np.ndarray, "n 17"]
POSITIONS_PX = np.arange(-REACH, REACH + 1) * 1.0
CENTRES_PX = np.arange(-5, 5 + BIN_PX / 2, BIN_PX)


@dataclass(frozen=True)
class Sharpness:
    blur_sigma_px: float  # of a Gaussian lens, the pixel itself not counted
    sharpen: float  # as SensorSpec.sharpen
    rise_px: float  # from 10 to 90 % of the step
    edges: int


def sharpness(luma: Luma) -> Sharpness | None:
    """Blur and sharpening of a picture in 0..1, or None where it has too few clean edges."""
    profiles = np.concatenate([_profiles(luma), _profiles(np.ascontiguousarray(luma.T))])
    profiles = profiles[_clean(profiles)]
    if len(profiles) < FEWEST:
        return None
    dark, bright = profiles[:, :FLAT].mean(axis=1), profiles[:, -FLAT:].mean(axis=1)
    steps = _steps(profiles)
    middle, width = _middle(steps), _crossing(steps, 0.8) - _crossing(steps, 0.2)
    is_kept = (np.abs(middle) < 1.5) & (width > 0)
    if np.count_nonzero(is_kept) < FEWEST:
        return None
    is_kept &= width <= np.quantile(width[is_kept], SHARPEST)
    spread = _superposed(steps[is_kept], middle[is_kept])
    sigmas, sharpens, models = _models(*(round(float(np.median(level[is_kept])), 1) for level in (dark, bright)))
    best = int(np.nanmean((models - spread) ** 2, axis=1).argmin())
    return Sharpness(float(sigmas[best]), float(sharpens[best]), _rise(spread), int(np.count_nonzero(is_kept)))


def _profiles(luma: Luma) -> Profiles:
    """Rows of pixels across the steepest upright edges, from dark to bright."""
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0)
    along = cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    steep = np.abs(across)
    is_edge = (steep > STEP) & (np.abs(along) < 0.17 * steep)
    is_edge[:, 1:-1] &= (steep[:, 1:-1] >= steep[:, :-2]) & (steep[:, 1:-1] > steep[:, 2:])
    is_edge[:, :REACH] = is_edge[:, -REACH:] = False
    rows, columns = _thinned(np.argwhere(is_edge)).T
    profiles = np.asarray(luma[rows[:, None], columns[:, None] + np.arange(-REACH, REACH + 1)], float)
    falls = across[rows, columns] < 0
    profiles[falls] = profiles[falls, ::-1]
    return profiles


def _thinned(pixels: Int64[np.ndarray, "n 2"]) -> Int64[np.ndarray, "m 2"]:
    """A subset, spread over the picture, so that a large picture costs no more than a small one."""
    return pixels[:: max(1, -(-len(pixels) // (10 * MOST)))]


def _clean(profiles: Profiles) -> Bool[np.ndarray, " n"]:
    """Which profiles are steps between two flat, unclipped levels."""
    low, high = profiles[:, :FLAT], profiles[:, -FLAT:]
    step = high.mean(axis=1) - low.mean(axis=1)
    uneven = np.maximum(np.ptp(low, axis=1), np.ptp(high, axis=1))
    unclipped = (profiles.max(axis=1) < 0.98) & (profiles.min(axis=1) > 0.02)
    return np.asarray((step > STEP) & (uneven < 0.15 * step) & unclipped)


def _middle(steps: Profiles) -> Float64[np.ndarray, " n"]:
    """The position of a step in pixels from the middle of its profile, from the share that is dark.

    This is exact for an edge narrower than a pixel, where the crossing of a level depends on the pixel grid.
    """
    return np.asarray((0.5 - steps[:, REACH - NEAR : REACH + NEAR + 1]).sum(axis=1), float)


def _crossing(steps: Profiles, level: float) -> Float64[np.ndarray, " n"]:
    """Where a profile first crosses a level, in pixels from its middle."""
    above = steps > level
    first = np.clip(above.argmax(axis=1), 1, None)
    row = np.arange(len(steps))
    before, after = steps[row, first - 1], steps[row, first]
    share = (level - before) / np.where(after > before, after - before, 1.0)
    return np.asarray(first - 1 + np.clip(share, 0, 1) - REACH, float)


def _steps(profiles: Profiles) -> Profiles:
    """Profiles in linear light, scaled so that the means of their ends are 0 and 1."""
    light = profiles**GAMMA
    dark, bright = light[:, :FLAT].mean(axis=1), light[:, -FLAT:].mean(axis=1)
    return np.asarray((light - dark[:, None]) / (bright - dark)[:, None])


def _bins(middle: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, "n 17"]:
    """The bin of `CENTRES_PX` for each pixel of profiles with these middles. Some are outside."""
    return np.asarray(np.rint((POSITIONS_PX[None] - middle[:, None] - CENTRES_PX[0]) / BIN_PX), int)


def _superposed(steps: Profiles, middle: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " b"]:
    """The median of all profiles in bins of a quarter of a pixel; NaN in an empty bin."""
    bins = _bins(middle)
    filled = [steps[bins == i] for i in range(len(CENTRES_PX))]
    return np.array([np.median(v) if len(v) else np.nan for v in filled])


def _rise(spread: Float64[np.ndarray, " b"]) -> float:
    known = ~np.isnan(spread)
    edge = np.maximum.accumulate(spread[known])
    return float(np.interp(0.9, edge, CENTRES_PX[known]) - np.interp(0.1, edge, CENTRES_PX[known]))


@lru_cache(maxsize=32)
def _models(
    dark: float, bright: float
) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, " m"], Float64[np.ndarray, "m b"]]:
    """The edges that the simulated camera makes of a step between two display values, for each blur and sharpening."""
    sharpens = np.arange(0, 2.01, 0.1)
    sigmas = np.arange(0.2, 3.51, 0.05)
    offsets = np.arange(-2 * REACH, 2 * REACH + 1)[None] - np.linspace(-0.5, 0.5, PHASES, endpoint=False)[:, None]
    covered = np.clip(offsets + 0.5, 0, 1)  # the bright share of each pixel, for each subpixel position
    light = dark**GAMMA + (bright**GAMMA - dark**GAMMA) * covered
    models = []
    for sigma in sigmas:
        edge = _smooth(light, float(sigma)) ** (1 / GAMMA)
        halo = edge - _smooth(edge, UNSHARP_SIGMA_PX)
        shown = np.clip(edge + sharpens[:, None, None] * halo, 0, 1)[..., REACH:-REACH]
        steps = _steps(shown.reshape(-1, shown.shape[-1]))
        models.append(_means(steps, len(sharpens)))
    return np.repeat(sigmas, len(sharpens)), np.tile(sharpens, len(sigmas)), np.concatenate(models)


def _smooth(rows: Float64[np.ndarray, "p n"], sigma: float) -> Float64[np.ndarray, "p n"]:
    """Blur along rows with the kernel of the simulated lens, which is no true Gaussian below half a pixel."""
    return np.asarray(cv2.GaussianBlur(rows, (0, 0), sigma, sigmaY=1e-6, borderType=cv2.BORDER_REPLICATE))


def _means(steps: Profiles, kinds: int) -> Float64[np.ndarray, "k b"]:
    """As `_superposed`, but the mean, for `kinds` sets of equally many profiles."""
    bins = _bins(_middle(steps))
    inside = (bins >= 0) & (bins < len(CENTRES_PX))
    kind = np.repeat(np.arange(kinds), len(steps) // kinds)[:, None]
    indices, size = (bins + kind * len(CENTRES_PX))[inside], kinds * len(CENTRES_PX)
    count = np.bincount(indices, minlength=size)
    means = np.bincount(indices, steps[inside], size) / np.where(count > 0, count, np.nan)
    return np.asarray(means.reshape(kinds, -1))
