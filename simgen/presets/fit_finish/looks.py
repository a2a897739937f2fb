"""The appearance of one part in a picture, in a few numbers that depend little on exposure, background and shape.

Light is linear (the codes to the power 2.2, because the camera's tone curve is unknown). Numbers are natural
logarithms. The part is the area inside its outline with its holes, as outlines drawn by hand are. The background is a
ring around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float64

from simgen.spec.colour import LUMINANCE
from simgen.spec.frames import Image

FEATURES = {
    "brightness": "mean light over the ground's",
    "spread": "standard deviation of the light's logarithm",
    "highlights": "brightest twentieth over the median",
    "shadows": "median over the darkest twentieth",
    "red": "red over green",
    "blue": "blue over green",
}
TINTS = [list(FEATURES).index(name) for name in ("red", "blue")]
SMALLEST_PX = 80  # smaller parts show little of their finish
GAMMA = 2.2
RING_PX = (3, 7)  # distance from the outline: the ring of background
_DARK = 0.004  # added before a logarithm
_FEWEST = 30  # usable pixels of a ring
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Look:
    """The appearance of one part."""

    category: str
    features: Float64[np.ndarray, " f"]  # in the order of FEATURES
    ground: Float64[np.ndarray, "2"]  # its red over green and blue over green


def look(image: Image, inside: Bool[np.ndarray, "h w"], parts: Bool[np.ndarray, "h w"], category: str) -> Look | None:
    """The appearance of a part; None if it is too small, or other parts cover the background around it.

    Args:
        image: RGB.
        inside: the pixels of this part, its holes filled.
        parts: the pixels of all parts.
    """
    ys, xs = np.nonzero(inside)
    if len(ys) < SMALLEST_PX:
        return None
    wide = RING_PX[1] + 2
    window = np.s_[max(ys.min() - wide, 0) : ys.max() + wide + 1, max(xs.min() - wide, 0) : xs.max() + wide + 1]
    mask = inside[window].astype(np.uint8)
    near, far = (cv2.dilate(mask, _SQUARE, iterations=px) > 0 for px in RING_PX)
    ring = far & ~near & ~parts[window]
    core = cv2.erode(mask, _SQUARE) > 0  # an outline's own pixels are half ground
    if ring.sum() < _FEWEST or core.sum() < SMALLEST_PX / 2:
        return None
    linear = ((image[window].astype(np.float64) + 1) / 256) ** GAMMA
    part, ground = linear[core], linear[ring]
    light = np.log(part @ LUMINANCE + _DARK)
    dark, middle, bright = np.quantile(light, [0.05, 0.5, 0.95])
    brightness = np.log((part @ LUMINANCE).mean() + _DARK) - np.log(np.median(ground @ LUMINANCE) + _DARK)
    numbers = [brightness, light.std(), bright - middle, middle - dark, *_tint(part)]
    return Look(category, np.array(numbers), _tint(ground))


def _tint(linear: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "2"]:
    red, green, blue = np.log(linear.mean(axis=0) + _DARK)
    return np.array([red - green, blue - green])
