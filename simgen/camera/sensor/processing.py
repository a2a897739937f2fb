"""What the camera's processor does after the sensor: white balance, smoothing, saturation, tone curve, sharpening."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.spec.colour import LUMINANCE
from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]


def white_balance(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    height, width, _ = linear.shape
    gains = np.tile(np.asarray(sensor.white_balance, np.float32), width)  # along whole rows: numpy is slow on threes
    return np.asarray(linear.reshape(height, 3 * width) * gains, np.float32).reshape(linear.shape)


def denoise(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Smoothing that eats fine texture with the noise: a share of a small Gaussian."""
    if sensor.denoise < 0.05:
        return linear
    smooth = cv2.GaussianBlur(linear, (0, 0), 0.9, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.addWeighted(linear, 1 - sensor.denoise, smooth, sensor.denoise, 0), np.float32)


def saturation(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Away from, or towards, the grey of the same luminance."""
    mix = sensor.saturation * np.eye(3) + (1 - sensor.saturation) * np.tile(LUMINANCE, (3, 1))
    return np.asarray(cv2.transform(linear, mix), np.float32)


def tone(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """A power law; from here on values are what a display gets."""
    return np.asarray(np.power(np.clip(linear, 0, 1), np.float32(1 / sensor.gamma)), np.float32)


def sharpen(display: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Unsharp masking, with the halos that cheap cameras leave round edges."""
    if sensor.sharpen < 0.05:
        return display
    smooth = cv2.GaussianBlur(display, (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.addWeighted(display, 1 + sensor.sharpen, smooth, -sensor.sharpen, 0), np.float32)
