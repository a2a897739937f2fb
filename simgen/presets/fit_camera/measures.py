"""Statistics of a picture, and the comparison of two sets of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float64

from simgen.presets.fit_camera import edges, noise
from simgen.presets.fit_camera.photos import Photo, read_pictures

NEUTRAL = 0.25  # pixels of lower saturation count as grey
CLIPPED = 254
FEWEST_NEUTRAL = 0.005  # share of the pixels that must be grey
GRID = (12, 18)  # rows and columns of cells whose brightness is measured


@dataclass(frozen=True)
class Measures:
    """The statistics of one picture. `figures` has a number for each of `FIGURES`, NaN where it cannot be measured."""

    name: str
    figures: Mapping[str, float]
    sharpness: edges.Sharpness | None
    blocks: noise.Blocks
    cells: Float64[np.ndarray, "12 18"]  # mean linear light


@dataclass(frozen=True)
class Figure:
    title: str
    unit: str
    knobs: str  # of a preset that change it


FIGURES = {
    "brightness": Figure("brightness, median", "of white", "sensor.exposure, light.*_intensity"),
    "contrast": Figure("contrast, standard deviation", "of white", "light.*, texture.*.contrast, sensor.gamma"),
    "dark": Figure("darkest twentieth", "of white", "sensor.glare, light.ambient_intensity, light.shadow_strength"),
    "bright": Figure("brightest twentieth", "of white", "sensor.exposure"),
    "clipped": Figure("clipped to white", "share", "sensor.exposure, light.glow_intensity"),
    "noise": Figure("quiet blocks' residual", "codes", "sensor.full_well_e, read_noise_e, denoise, jpeg_quality"),
    "rise": Figure("edges' rise from 10 to 90 %", "px", "sensor.blur_sigma_px, sharpen, motion_blur_px"),
    "sharpen": Figure("sharpening that edges show", "share", "sensor.sharpen"),
    "red": Figure("greys' red over green", "ratio", "sensor.white_balance, light.temperature_k"),
    "blue": Figure("greys' blue over green", "ratio", "sensor.white_balance, light.temperature_k"),
    "saturation": Figure("colour saturation, mean", "share", "sensor.saturation, texture.*.colour"),
    "quality": Figure("JPEG quality", "1..100", "sensor.jpeg_quality"),
}


def measure(photo: Photo) -> Measures:
    luma = noise.luma(photo.image)
    sharp, found = edges.sharpness(luma), noise.blocks(luma)
    red, blue = neutral_cast(photo.image)
    hsv_saturation = cv2.cvtColor(photo.image, cv2.COLOR_RGB2HSV)[..., 1]
    dark, middle, bright = np.quantile(luma, [0.05, 0.5, 0.95])
    figures = {
        "brightness": float(middle),
        "contrast": float(luma.std()),
        "dark": float(dark),
        "bright": float(bright),
        "clipped": float((photo.image.min(axis=2) >= CLIPPED).mean()),
        "noise": float(np.quantile(found.residual, noise.QUIETEST)) if len(found.residual) else np.nan,
        "rise": sharp.rise_px if sharp else np.nan,
        "sharpen": sharp.sharpen if sharp else np.nan,
        "red": red,
        "blue": blue,
        "saturation": float(hsv_saturation.mean() / 255),
        "quality": float(photo.jpeg.quality) if photo.jpeg else np.nan,
    }
    cells = cv2.resize(luma**edges.GAMMA, GRID[::-1], interpolation=cv2.INTER_AREA).astype(float)
    return Measures(photo.name, figures, sharp, found, cells)


def neutral_cast(image: np.ndarray) -> tuple[float, float]:
    """Median red and blue over green of nearly grey pixels, in linear light. NaN where there are few."""
    small = image[::2, ::2].reshape(-1, 3).astype(np.float32)
    high, low = small.max(axis=1), small.min(axis=1)
    grey = (high < 250) & (high > 50) & (high - low < NEUTRAL * high)
    if grey.mean() < FEWEST_NEUTRAL:
        return float("nan"), float("nan")
    red, green, blue = (small[grey] ** np.float32(edges.GAMMA)).T
    return float(np.median(red / green)), float(np.median(blue / green))


@dataclass(frozen=True)
class Comparison:
    """One statistic of two sets of pictures."""

    name: str
    reference: Float64[np.ndarray, " n"]
    other: Float64[np.ndarray, " m"]
    distance: float  # between the medians, in half widths of the reference's range from 10 to 90 %; NaN: unknown


def compare_folders(reference: Path, other: Path, most: int = 24) -> list[Comparison]:
    """Compare two folders of pictures or data sets.

    Raises:
        CameraError: one of them has too few pictures, or one that cannot be read.
    """
    return compare(*([measure(photo) for photo in read_pictures(folder, most)] for folder in (reference, other)))


def compare(reference: Sequence[Measures], other: Sequence[Measures]) -> list[Comparison]:
    """Compare every statistic of two sets of pictures."""
    return [_compared(name, values(reference, name), values(other, name)) for name in FIGURES]


def values(pictures: Sequence[Measures], name: str) -> Float64[np.ndarray, " n"]:
    """One statistic of all pictures for which it is known."""
    numbers = np.array([picture.figures[name] for picture in pictures], float)
    return np.asarray(numbers[~np.isnan(numbers)])


def _compared(name: str, reference: Float64[np.ndarray, " n"], other: Float64[np.ndarray, " m"]) -> Comparison:
    if not len(reference) or not len(other):
        return Comparison(name, reference, other, float("nan"))
    middle = float(np.median(reference))
    low, high = np.quantile(reference, [0.1, 0.9])
    half = max(float(high - low) / 2, 0.02 * abs(middle), 1e-3)
    return Comparison(name, reference, other, (float(np.median(other)) - middle) / half)
