"""Crosstalk of overlapping colour filters, and the camera's matrix that corrects it.

Without noise the two cancel. With noise the matrix amplifies it and makes it coloured, as in real cameras.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]
_NEIGHBOURS = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])  # what leaks into red, green, blue


def sensor_from_light(share: float) -> Float64[np.ndarray, "3 3"]:
    """The matrix from linear sRGB to the sensor's channels; each row sums to one, so that grey stays grey."""
    return (1 - share) * np.eye(3) + share * _NEIGHBOURS


def crosstalk(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Each channel gets a share of its light from its spectral neighbours."""
    if sensor.crosstalk == 0:
        return linear
    return np.asarray(cv2.transform(linear, sensor_from_light(sensor.crosstalk)), np.float32)


def colour_matrix(balanced: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """The inverse of `crosstalk`, applied after white balance as in raw converters."""
    if sensor.crosstalk == 0:
        return balanced
    return np.asarray(cv2.transform(balanced, np.linalg.inv(sensor_from_light(sensor.crosstalk))), np.float32)
