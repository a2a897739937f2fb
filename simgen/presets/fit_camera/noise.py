"""Noise as a function of light, from single pictures that were processed and compressed.

In blocks of 16 pixels the residual under Immerkaer's mask is taken, which even shading leaves at zero; of each band of
brightness the quietest quarter of blocks counts, as texture only adds (C. Liu et al., "Noise Estimation from a Single
Image", CVPR 2006). What tone curve, sharpening, 8 bits and JPEG made of the noise is undone by measuring simulated flat
fields that went through the same: the standard deviation is that of the light that shows as much. A line is fitted to
the variances, a * I + b, shot noise over read noise (A. Foi et al., "Practical Poissonian-Gaussian Noise Modeling and
Fitting for Single-Image Raw-Data", IEEE TIP 17(10), 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32, Float64
from scipy.optimize import nnls

from simgen.camera.sensor import decode, develop, expose
from simgen.presets.fit_camera.edges import GAMMA
from simgen.spec.scene import SensorSpec
from simgen.spec.types import Radians

BLOCK = 16
QUIETEST = 0.25  # quantile of the blocks of a band
BANDS = np.linspace(0.06, 0.94, 12)  # limits of the bands, in display values
FEWEST_BLOCKS = 40
DEVIATIONS_DN = np.geomspace(0.3, 24, 10)  # of the calibration's flat fields, in display codes
_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
_FIELD_PX = 128
_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # JPEG's luma, which chroma subsampling does not change
LUMA_POWER = float((_WEIGHTS**2).sum())  # variance of brightness over that of three independent channels

Luma = Float32[np.ndarray, "h w"]


@dataclass(frozen=True)
class Blocks:
    """Mean brightness and residual, in display codes, of the blocks of one picture."""

    luma: Float64[np.ndarray, " n"]
    residual: Float64[np.ndarray, " n"]


@dataclass(frozen=True)
class NoiseCurve:
    light: Float64[np.ndarray, " k"]  # linear
    deviation: Float64[np.ndarray, " k"]  # of linear light; NaN: hidden by compression
    ceiling: Float64[np.ndarray, " k"]  # the largest deviation that compression would hide


@dataclass(frozen=True)
class NoiseModel:
    """Without denoising: variance = light / full_well_e + (read_noise_e / full_well_e)^2, white being 1."""

    full_well_e: float
    read_noise_e: float
    hidden: bool  # no band shows noise: the numbers are upper limits

    def deviation(self, light: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
        return np.sqrt(light / self.full_well_e + (self.read_noise_e / self.full_well_e) ** 2)


def luma(image: np.ndarray) -> Luma:
    """Brightness of an RGB picture in 0..1."""
    return np.asarray(image @ _WEIGHTS / np.float32(255), np.float32)


def residual(picture: Luma) -> Luma:
    """Immerkaer's filter: white noise keeps its deviation, even shading becomes 0."""
    return np.asarray(cv2.filter2D(picture, -1, _MASK), np.float32)


def blocks(picture: Luma) -> Blocks:
    """Means and residuals of the 8 x 8 blocks of JPEG. Clipped blocks are left out."""
    squared = (255 * residual(picture)) ** 2
    rows, columns = (n // BLOCK for n in picture.shape)
    means, squares, low, high = (
        how(values[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK), axis=(1, 3)).ravel()
        for how, values in ((np.mean, picture), (np.mean, squared), (np.min, picture), (np.max, picture))
    )
    is_unclipped = (low > 1.5 / 255) & (high < 253.5 / 255)
    return Blocks(means[is_unclipped].astype(float), np.sqrt(squares[is_unclipped]).astype(float))


def banded(measured: Blocks, quantile: float = QUIETEST) -> Float64[np.ndarray, " 11"]:
    """The residual of the quiet blocks of each brightness band; NaN in a band with too few blocks."""
    band = np.digitize(measured.luma, BANDS) - 1
    return np.array(
        [
            np.quantile(inside, quantile) if len(inside := measured.residual[band == k]) >= FEWEST_BLOCKS else np.nan
            for k in range(len(BANDS) - 1)
        ]
    )


def flat_camera(full_well_e: float, sharpen: float, quality: int | None) -> SensorSpec:
    """A simulated camera with the processing of the photographed one after its sensor, and nothing else."""
    return SensorSpec(
        exposure=1.0, white_balance=(1.0, 1.0, 1.0), vignetting=0.0, blur_sigma_px=0.0, motion_blur_px=0.0,
        motion_angle_rad=Radians(0.0), full_well_e=full_well_e, read_noise_e=1e-6, denoise=0.0, sharpen=sharpen,
        saturation=1.0, gamma=GAMMA, jpeg_quality=quality or 100, seed=0,
    )  # fmt: skip


@lru_cache(maxsize=8)
def calibration(sharpen: float, quality: int | None) -> Float64[np.ndarray, "11 10"]:
    """The residual of each band after processing and JPEG, for light with each of `DEVIATIONS_DN`."""
    table = []
    for middle in (BANDS[:-1] + BANDS[1:]) / 2:
        light = float(middle**GAMMA)
        field = np.full((_FIELD_PX, _FIELD_PX, 3), light, np.float32)
        row = []
        for deviation in DEVIATIONS_DN / 255 * slope(middle):
            sensor = flat_camera(light / float(deviation) ** 2, sharpen, quality)
            shown = decode(expose(field, sensor, 0)) if quality else develop(field, sensor, 0)
            row.append(float(np.quantile(blocks(luma(shown)).residual, QUIETEST)) if _unclipped(shown) else np.nan)
        table.append(row)
    measured = np.array(table)
    measured.setflags(write=False)
    return measured


def _unclipped(shown: np.ndarray) -> bool:
    return len(blocks(luma(shown)).residual) >= FEWEST_BLOCKS


def slope(display: float) -> float:
    """The step of linear light for a step of display value."""
    return float(GAMMA * display ** (GAMMA - 1))


def noise_curve(quiet: Float64[np.ndarray, " 11"], table: Float64[np.ndarray, "11 10"]) -> NoiseCurve:
    """Deviations of linear light, from the residuals of the bands."""
    middles = (BANDS[:-1] + BANDS[1:]) / 2
    deviation, ceiling = np.full(len(middles), np.nan), np.full(len(middles), np.nan)
    for k, middle in enumerate(middles):
        known = ~np.isnan(table[k])
        seen = known & (np.nan_to_num(table[k]) > 0.05)  # a field of one single code carries no information
        if np.isnan(quiet[k]) or np.count_nonzero(seen) < 2:
            continue
        scale = slope(float(middle)) / 255
        ceiling[k] = DEVIATIONS_DN[seen][0] * scale
        rising = np.maximum.accumulate(table[k][seen])
        if quiet[k] > rising[0]:
            deviation[k] = np.interp(np.log(quiet[k]), np.log(rising), DEVIATIONS_DN[seen]) * scale
    return NoiseCurve(middles**GAMMA, deviation, ceiling)


def noise_model(curve: NoiseCurve) -> NoiseModel | None:
    """The line through the variances of a curve; None where no band has enough blocks."""
    shown = ~np.isnan(curve.deviation)
    hidden = np.count_nonzero(shown) < 2
    values = curve.ceiling if hidden else curve.deviation
    used = ~np.isnan(values)
    if np.count_nonzero(used) < 2:
        return None
    light, variance = curve.light[used], values[used] ** 2
    weight = 1 / variance  # the error of a variance grows with it
    (a, b), _ = nnls(np.column_stack([light, np.ones_like(light)]) * weight[:, None], variance * weight)
    full_well = 1 / max(a, 1e-6)
    return NoiseModel(float(full_well), float(max(np.sqrt(b) * full_well, 0.1)), bool(hidden))
