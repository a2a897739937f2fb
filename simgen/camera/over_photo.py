"""The camera's picture of rendered parts that stand on a photograph.

A renderer gives a layer of four channels: the light of parts and occluders, and the share of the photo's light that is
seen beside them (`simgen.spec.frames.Frame`). In linear light, where 1 is full scale, the picture is

    photo * seen(share) + seen(light)

and `seen` is the lens: motion blur, blur and chromatic aberration. So parts and the edges of shadows get the sharpness
of the preset's camera, and the photo passes untouched, because it has been through a camera already. The noise of the
sensor is added where parts cover the photo. Sharpening is an unsharp mask of which the photo's own share is taken out
again, so that parts get it, with the halo beside them. Where no part and no shadow is near, the picture is the photo's
own bytes.

This is the layered form of differential rendering (Debevec, "Rendering Synthetic Objects into Real Scenes", SIGGRAPH
1998): shadows multiply the photo, since a shadow takes away a share of the light whatever the ground's colour is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from simgen.camera.sensor import Light, quantized, through
from simgen.spec.scene import SensorSpec

# What a pixel does to the light that reaches it: without white balance, which the layer gets before.
_PIXEL = (
    "crosstalk", "mosaic", "response", "dark_current", "noise", "offsets", "convert", "demosaic", "colour_matrix",
    "denoise",
)  # fmt: skip
_LENS = ("motion_blur", "blur")
SHARPEN_SIGMA_PX = 1.5  # of the unsharp mask, as in `simgen.camera.sensor.processing`
LEAST_SHARPEN = 0.05  # as there
FILL_SIGMA_PX = 4.0


@dataclass(frozen=True)
class Backdrop:
    """A photo as it is shown, in the picture's size."""

    light: Float32[np.ndarray, "h w 3"]  # linear, by the power law of the sensor's `gamma`
    local: Float32[np.ndarray, "h w"]  # the brightness of what stands there, 1 on average


def develop_over(
    backdrop: Backdrop, layer: Float32[np.ndarray, "h w 4"], is_covered: Bool[np.ndarray, "h w"], sensor: SensorSpec,
    frame: int,
) -> UInt8[np.ndarray, "h w 3"]:  # fmt: skip
    """The 8-bit RGB picture, before compression.

    Args:
        is_covered: the pixels that show a part or an occluder.
        frame: number of the frame, for the noise.
    """
    lit = np.dstack([_as_recorded(layer[..., :3], backdrop, sensor, frame), layer[..., 3]])
    light, share = _colour_fringes(through(_LENS, lit, sensor, frame), sensor, frame)
    picture = np.clip(backdrop.light * share + light, 0, 1).astype(np.float32)
    if not is_covered.any():
        return quantized(through(("tone",), picture, sensor, frame))
    soft = _soft(is_covered, sensor)[..., None]
    picture += _pixel_noise(picture, sensor, frame) * soft
    display = through(("tone",), picture, sensor, frame)
    if sensor.sharpen >= LEAST_SHARPEN:
        shadowed = backdrop.light * _under_parts(share, is_covered, sensor)
        display += _unsharp(display, sensor) - _unsharp(through(("tone",), shadowed, sensor, frame), sensor) * (
            1 - soft
        )
    return quantized(display)


def _as_recorded(linear: Light, backdrop: Backdrop, sensor: SensorSpec, frame: int) -> Light:
    """The layer's light in the units of the finished picture."""
    gains = np.asarray(sensor.white_balance) * (sensor.exposure * sensor.gain)
    balanced = cv2.transform(linear, np.diag(gains)).astype(np.float32)
    coloured = through(("vignetting", "saturation"), balanced, sensor, frame)
    return np.asarray(coloured * backdrop.local[..., None], np.float32)


def _colour_fringes(layer: Float32[np.ndarray, "h w 4"], sensor: SensorSpec, frame: int) -> tuple[Light, Light]:
    """Light and share after the lens' lateral chromatic aberration."""
    light, share = layer[..., :3], layer[..., 3:]
    if sensor.lateral_ca == (0.0, 0.0):
        return light, share
    light, share = (
        through(("chromatic_aberration",), np.ascontiguousarray(one), sensor, frame)
        for one in (light, np.repeat(share, 3, axis=2))
    )
    return light, share


def _pixel_noise(picture: Light, sensor: SensorSpec, frame: int) -> Light:
    """What the pixels and their read-out add to the picture."""
    return np.asarray(through(_PIXEL, picture / np.float32(sensor.gain), sensor, frame) - picture, np.float32)


def _unsharp(display: Light, sensor: SensorSpec) -> Light:
    """What unsharp masking adds to display values."""
    smooth = cv2.GaussianBlur(display, (0, 0), SHARPEN_SIGMA_PX, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.addWeighted(display, sensor.sharpen, smooth, -sensor.sharpen, 0), np.float32)


def _under_parts(share: Light, is_covered: Bool[np.ndarray, "h w"], sensor: SensorSpec) -> Light:
    """The share of the photo's light as if parts were glass: under them it is that of the ground beside them."""
    reach = 2 * int(np.ceil(2.5 * sensor.blur_sigma_px + sensor.motion_blur_px / 2)) + 3
    near = cv2.dilate(is_covered.astype(np.uint8), np.ones((reach, reach), np.uint8))[..., None]
    bare = np.where(near, np.float32(0), np.float32(1)) * np.ones_like(share)
    seen, weight = (cv2.GaussianBlur(one, (0, 0), FILL_SIGMA_PX).reshape(share.shape) for one in (share * bare, bare))
    return np.where(near, (seen + 1e-3) / (weight + 1e-3), share).astype(np.float32)


def _soft(is_covered: Bool[np.ndarray, "h w"], sensor: SensorSpec) -> Float32[np.ndarray, "h w"]:
    """Where the noise is that of the rendered camera: 1 on parts, 0 on the photo, as soft as the lens."""
    sigma = max(sensor.blur_sigma_px, 0.5)
    return np.asarray(
        cv2.GaussianBlur(is_covered.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32
    )
