"""Colour filters that overlap, and the matrix with which the camera takes their overlap out again.

The matrix amplifies noise and makes it coloured, which is why it is here: without noise the two undo each other.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]
_NEIGHBOURS = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])  # whose light leaks into red, green, blue


def sensor_from_light(share: float) -> Float64[np.ndarray, "3 3"]:
    """What the sensor's channels see of linear sRGB; every row sums to one, so that grey stays grey."""
    return (1 - share) * np.eye(3) + share * _NEIGHBOURS


def crosstalk(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """A share of each channel's light comes from its neighbours in the spectrum."""
    if sensor.crosstalk == 0:
        return linear
    return np.asarray(cv2.transform(linear, sensor_from_light(sensor.crosstalk)), np.float32)


def colour_matrix(balanced: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """The inverse of `crosstalk`, after white balance as in every raw converter."""
    if sensor.crosstalk == 0:
        return balanced
    return np.asarray(cv2.transform(balanced, np.linalg.inv(sensor_from_light(sensor.crosstalk))), np.float32)
