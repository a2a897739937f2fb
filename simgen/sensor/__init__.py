"""What the camera does to the light, in the order in which it happens. One file per effect, one row in `EFFECTS`.

An effect takes linear light (after `tone`, display values), where 1 is full scale, and returns the same shape. Noise is
drawn from the seed in the spec and the frame's number, so the same spec gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from simgen.sensor import lens, noise, processing
from simgen.types import SensorSpec

Light = Float32[np.ndarray, "h w 3"]
Effect = Callable[[Light, SensorSpec, np.random.Generator], Light]

EFFECTS: dict[str, Effect] = {  # applied from first to last
    "exposure": lens.exposure,
    "vignetting": lens.vignetting,
    "motion_blur": lens.motion_blur,
    "blur": lens.blur,
    "noise": noise.noise,
    "white_balance": processing.white_balance,
    "denoise": processing.denoise,
    "saturation": processing.saturation,
    "tone": processing.tone,
    "sharpen": processing.sharpen,
}


def develop(linear: Light, sensor: SensorSpec, frame: int) -> UInt8[np.ndarray, "h w 3"]:
    """Linear light to an 8-bit RGB image, before compression."""
    rng = np.random.default_rng([sensor.seed, frame])
    image = linear
    for effect in EFFECTS.values():
        image = effect(image, sensor, rng)
    return np.asarray(np.rint(np.clip(image, 0, 1) * np.float32(255)), np.uint8)


def expose(linear: Light, sensor: SensorSpec, frame: int) -> bytes:
    """Linear light to the JPEG file that the camera would deliver; the compression is the last effect."""
    image = develop(linear, sensor, frame)
    ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg_quality])
    if not ok:
        raise RuntimeError(f"OpenCV could not encode an image of shape {image.shape} as JPEG")
    return bytes(data)


def decode(jpeg: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """RGB of an encoded image.

    Raises:
        ValueError: the bytes are no image.
    """
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{len(jpeg)} bytes that are no image OpenCV can read")
    return np.ascontiguousarray(image[..., ::-1])
