"""What the sensor and the camera's processor do to the light, in physical order. One row of `EFFECTS` for each effect.

Distortion, defocus and motion during the exposure need more than one image: `simgen.generation.exposure` applies them
before. After the effects a whole clip may be compressed as a video.

An effect takes linear light (after `tone`: display values), where 1 is full scale, and returns the same height and
width. From `mosaic` to `demosaic` there is one channel, else three. Noise depends on the spec's seed and the frame's
number; fixed patterns depend on the seed alone. So the same spec gives the same bytes. From `response` to `offsets` the
unit is the full well; after `convert`, 1 is the converter's white.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from simgen.camera.sensor import aberration, bayer, converter, glare, noise, pattern, processing, spectral
from simgen.camera.sensor import optics as lens
from simgen.camera.sensor.video import through_h264
from simgen.spec.frames import Image
from simgen.spec.scene import SensorSpec

Light = Float32[np.ndarray, "h w _"]
Effect = Callable[[Light, SensorSpec, np.random.Generator], Light]

EFFECTS: dict[str, Effect] = {  # applied from first to last
    "exposure": lens.exposure,
    "vignetting": lens.vignetting,
    "chromatic_aberration": aberration.chromatic_aberration,
    "motion_blur": lens.motion_blur,
    "blur": lens.blur,
    "glare": glare.glare,
    "crosstalk": spectral.crosstalk,
    "mosaic": bayer.mosaic,
    "response": pattern.response,
    "dark_current": pattern.dark_current,
    "noise": noise.noise,
    "offsets": pattern.offsets,
    "convert": converter.convert,
    "demosaic": bayer.demosaic,
    "white_balance": processing.white_balance,
    "colour_matrix": spectral.colour_matrix,
    "denoise": processing.denoise,
    "saturation": processing.saturation,
    "tone": processing.tone,
    "sharpen": processing.sharpen,
}


def through(names: Iterable[str], image: Light, sensor: SensorSpec, frame: int) -> Light:
    """The image after these effects, in the order given."""
    rng = np.random.default_rng([sensor.seed, frame])
    for name in names:
        image = EFFECTS[name](image, sensor, rng)
    return image


def raw(linear: Float32[np.ndarray, "h w 3"], sensor: SensorSpec, frame: int) -> UInt16[np.ndarray, "h w _"]:
    """The converter's codes with the black level, as in EMVA 1288. One channel with Bayer filters, else three.

    Raises:
        ValueError: the spec has no converter (`adc_bits` is 0).
    """
    if not sensor.adc_bits:
        raise ValueError("adc_bits is 0: a sensor without a converter has no codes")
    names = list(EFFECTS)
    signal = through(names[: names.index("convert") + 1], linear, sensor, frame)
    black = converter.black_of(sensor)
    return np.asarray(np.rint((signal * (1 - black) + black) * (2**sensor.adc_bits - 1)), np.uint16)


def develop(linear: Float32[np.ndarray, "h w 3"], sensor: SensorSpec, frame: int) -> UInt8[np.ndarray, "h w 3"]:
    """Linear light to an 8-bit RGB image, before compression."""
    return quantized(through(EFFECTS, linear, sensor, frame))


def quantized(display: Light) -> UInt8[np.ndarray, "h w 3"]:
    """Display values in 0..1 as codes of 8 bits."""
    return np.asarray(np.rint(np.clip(display, 0, 1) * np.float32(255)), np.uint8)


def expose(linear: Float32[np.ndarray, "h w 3"], sensor: SensorSpec, frame: int) -> bytes:
    """Linear light to the JPEG file that the camera would deliver."""
    return _jpeg(develop(linear, sensor, frame), sensor)


def expose_clip(frames: Iterable[Float32[np.ndarray, "h w 3"]], sensor: SensorSpec) -> tuple[bytes, ...]:
    """The JPEG files of a clip's frames; with `video_crf` they are frames of the compressed video.

    Raises:
        VideoUnavailable: the spec has a `video_crf`, and PyAV is not installed.
    """
    return compressed([develop(linear, sensor, t) for t, linear in enumerate(frames)], sensor)


def compressed(images: Sequence[Image], sensor: SensorSpec) -> tuple[bytes, ...]:
    """The JPEG files of developed images; with `video_crf` they are frames of the compressed video.

    Raises:
        VideoUnavailable: the spec has a `video_crf`, and PyAV is not installed.
    """
    if sensor.video_crf:
        images = through_h264(images, sensor.video_crf)
    return tuple(_jpeg(image, sensor) for image in images)


def _jpeg(image: Image, sensor: SensorSpec) -> bytes:
    ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg_quality])
    if not ok:
        raise RuntimeError(f"OpenCV could not encode an image of shape {image.shape} as JPEG")
    return bytes(data)


def decode(jpeg: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """RGB of an encoded image.

    Raises:
        ValueError: OpenCV cannot read the bytes as an image.
    """
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{len(jpeg)} bytes that are no image OpenCV can read")
    return np.ascontiguousarray(image[..., ::-1])
