"""The Bayer filters over the pixels (RGGB), and the interpolation of the missing colours.

From `mosaic` to `demosaic` the image has one channel.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]
DEMOSAIC = {"bilinear": cv2.COLOR_BayerRGGB2RGB, "edge_aware": cv2.COLOR_BayerRGGB2RGB_EA}
LOWEST = -0.5  # the value of code 0 in OpenCV's 16 bits; with black_level 0.25 noise goes down to -1/3


def mosaic(linear: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """The channel that each pixel's filter transmits (B. E. Bayer, US patent 3971065, 1976)."""
    if sensor.demosaic == "none":
        return linear
    raw = linear[..., 1:2].copy()
    raw[0::2, 0::2, 0] = linear[0::2, 0::2, 0]
    raw[1::2, 1::2, 0] = linear[1::2, 1::2, 2]
    return raw


def demosaic(raw: Light, sensor: SensorSpec, rng: np.random.Generator) -> Light:
    """Three channels at every pixel, interpolated by OpenCV on 16 bits.

    Raises:
        KeyError: the spec names a method that does not exist.
    """
    if sensor.demosaic == "none":
        return raw
    if sensor.demosaic not in DEMOSAIC:
        raise KeyError(f"no demosaicing {sensor.demosaic!r}; there are none, {', '.join(DEMOSAIC)}")
    step = np.float32((1 - LOWEST) / 65535)
    codes = np.rint((np.clip(raw[..., 0], LOWEST, 1) - np.float32(LOWEST)) / step).astype(np.uint16)
    full = cv2.cvtColor(codes, DEMOSAIC[sensor.demosaic])
    return np.asarray(full * step + np.float32(LOWEST), np.float32)
