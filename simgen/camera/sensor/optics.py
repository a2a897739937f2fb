"""Effects between scene and sensor, on linear light: exposure, vignetting, motion blur, blur."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]


def exposure(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Light times `exposure`."""
    return linear * np.float32(sensor.exposure)


def vignetting(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Light loss that grows with the fourth power of the distance from the middle; `vignetting` in a corner."""
    if sensor.vignetting == 0:
        return linear
    return np.asarray(linear * _falloff(linear.shape, sensor.vignetting), np.float32)


@lru_cache(maxsize=2)
def _falloff(shape: tuple[int, ...], vignetting: float) -> Light:
    """The share of light that remains, repeated for each channel: numpy broadcasts slowly over an axis of 3."""
    height, width, channels = shape
    y = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    radius2 = np.add.outer(y**2, x**2) / 2
    return np.asarray(np.repeat((1 - np.float32(vignetting) * radius2**2)[..., None], channels, axis=2), np.float32)


def motion_blur(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """The mean along a line `motion_blur_px` long, as from a camera that shakes during the exposure."""
    length = sensor.motion_blur_px
    if length < 0.3:
        return linear
    size = 2 * int(np.ceil(length / 2)) + 3
    kernel = np.zeros((size, size), np.float32)
    middle, reach = (size - 1) / 2, length / 2
    dx, dy = np.cos(sensor.motion_angle_rad) * reach, np.sin(sensor.motion_angle_rad) * reach
    for step in np.linspace(-1, 1, 4 * size):
        _splat(kernel, middle + step * dx, middle + step * dy)
    return np.asarray(cv2.filter2D(linear, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.float32)


def _splat(kernel: Float32[np.ndarray, "k k"], x: float, y: float) -> None:
    """Add 1 at (x, y), distributed bilinearly over the four nearest cells."""
    column, row = int(x), int(y)
    fx, fy = x - column, y - row
    kernel[row : row + 2, column : column + 2] += np.outer([1 - fy, fy], [1 - fx, fx]).astype(np.float32)


def blur(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """A Gaussian blur of `blur_sigma_px`, the sharpness of lens and filters. Off below 0.2 pixels."""
    if sensor.blur_sigma_px < 0.2:
        return linear
    sigma = sensor.blur_sigma_px
    return np.asarray(cv2.GaussianBlur(linear, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
