"""Veiling glare: light that lens and barrel scatter over the whole image, which brightens its dark parts."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]
REACH = 0.25  # standard deviation of the scattered light, as a share of the image's diagonal
_SHORT_SIDE_PX = 24  # of the image in which the scattered light is computed: it is very smooth


def glare(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """A share `glare` of the light is spread widely; a uniform image stays as it is.

    A small black patch in a white field then has about `glare` of the white: the veiling glare index of ISO 9358.
    """
    if sensor.glare == 0:
        return linear
    height, width = linear.shape[:2]
    shrink = min(1.0, _SHORT_SIDE_PX / min(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(small, (0, 0), REACH * float(np.hypot(*size)), borderType=cv2.BORDER_REFLECT)
    veil = cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR).reshape(linear.shape)
    return np.asarray(cv2.addWeighted(linear, 1 - sensor.glare, veil, sensor.glare, 0), np.float32)
