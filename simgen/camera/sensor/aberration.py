"""Lateral chromatic aberration: the lens magnifies red and blue differently from green."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]


def chromatic_aberration(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Red and blue magnified about the image's middle by 1 + `lateral_ca`; green, the reference, stays."""
    if sensor.lateral_ca == (0.0, 0.0):
        return linear
    red, blue = sensor.lateral_ca
    planes = [_magnified(linear[..., 0], red), linear[..., 1], _magnified(linear[..., 2], blue)]
    return np.stack(planes, axis=-1)


def _magnified(plane: Float32[np.ndarray, "h w"], by: float) -> Float32[np.ndarray, "h w"]:
    height, width = plane.shape
    middle, scale = np.array([(width - 1) / 2, (height - 1) / 2]), 1 / (1 + by)
    source_from_target = np.column_stack([np.eye(2) * scale, middle * (1 - scale)])
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP  # linear interpolation would blur these two channels
    warped = cv2.warpAffine(
        np.ascontiguousarray(plane), source_from_target, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    return np.maximum(warped, np.float32(0))  # cubic interpolation goes below 0 beside a highlight
