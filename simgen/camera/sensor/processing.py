"""The camera's processor after the sensor: white balance, denoising, saturation, tone curve, sharpening."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.spec.colour import LUMINANCE
from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]


def white_balance(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Each channel times its gain."""
    height, width, _ = linear.shape
    gains = np.tile(
        np.asarray(sensor.white_balance, np.float32), width
    )  # for whole rows: numpy broadcasts slowly over an axis of 3
    return np.asarray(linear.reshape(height, 3 * width) * gains, np.float32).reshape(linear.shape)


def denoise(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """A mix with a small Gaussian blur, which removes noise and fine texture."""
    if sensor.denoise < 0.05:
        return linear
    smooth = cv2.GaussianBlur(linear, (0, 0), 0.9, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.addWeighted(linear, 1 - sensor.denoise, smooth, sensor.denoise, 0), np.float32)


def saturation(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Colours moved away from (above 1) or towards (below 1) the grey of the same luminance."""
    mix = sensor.saturation * np.eye(3) + (1 - sensor.saturation) * np.tile(LUMINANCE, (3, 1))
    return np.asarray(cv2.transform(linear, mix), np.float32)


def tone(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """The power law 1 / `gamma`. From here on values are display values."""
    return np.asarray(np.power(np.clip(linear, 0, 1), np.float32(1 / sensor.gamma)), np.float32)


def sharpen(display: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Unsharp masking, with the halos that cheap cameras show around edges."""
    if sensor.sharpen < 0.05:
        return display
    smooth = cv2.GaussianBlur(display, (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.addWeighted(display, 1 + sensor.sharpen, smooth, -sensor.sharpen, 0), np.float32)
