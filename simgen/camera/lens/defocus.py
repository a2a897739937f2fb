"""Defocus of a thin lens: what lies at another depth than the one in focus is spread over a disc.

A lens of focal length f and aperture D = f / N, focused on depth s, draws a point at depth d as a disc of diameter
D * |d - s| / d * f / (s - f) on the sensor (Potmesil and Chakravarty, "A lens and aperture camera model for synthetic
image generation", SIGGRAPH 1981). A camera's focal length in pixels is measured with the lens in focus: f s / (s - f),
by the size of a pixel. In pixels the disc is therefore D * focal_px * |1 / s - 1 / d|.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from simgen.spec.frames import Frame
from simgen.spec.scene import CameraSpec

SHARP_PX = 1.0  # a disc as wide as this is not told from a pixel
MOST_LAYERS = 32


def circle_of_confusion_px(
    depth_m: Float32[np.ndarray, "h w"] | Float64[np.ndarray, "*n"], camera: CameraSpec
) -> Float64[np.ndarray, "*n"]:
    """Diameter of the disc that a point at each depth is spread over; negative in front of what is in focus.

    Raises:
        ValueError: the lens is focused nearer than its focal length.
    """
    if camera.f_number == 0:
        return np.zeros(np.shape(depth_m))
    if not camera.focus_m > camera.focal_length_m > 0 or camera.f_number < 0:
        raise ValueError(
            f"no lens of {camera.focal_length_m * 1000:.4g} mm at f/{camera.f_number:g} is focused on "
            f"{camera.focus_m:.4g} m: that must be further away than its focal length, and both above 0"
        )
    aperture_m = camera.focal_length_m / camera.f_number
    with np.errstate(divide="ignore"):
        return np.asarray(aperture_m * camera.focal_px * (1 / camera.focus_m - 1 / np.asarray(depth_m, float)))


def defocus(frame: Frame, camera: CameraSpec) -> Frame:
    """The frame as the lens draws it. Ids and depth stay: they are what a pixel's middle ray meets first.

    The picture is cut into layers of like discs, which are spread and laid over one another from far to near, so that
    something sharp in front stays sharp before a soft ground, and something soft in front lets the ground shine through
    its edge. What of the ground hides there is not known: what is seen round it, within a disc's reach, stands for it.
    """
    discs = circle_of_confusion_px(frame.depth_m, camera)
    if np.abs(discs).max(initial=0.0) <= SHARP_PX:
        return frame
    most = float(max(frame.depth_m.shape))
    discs = np.clip(discs, -most, most)
    layer = _layers(discs)
    light = np.zeros((*discs.shape, 4), np.float32)  # the last is how much of a pixel the layers so far cover
    for number in np.unique(layer)[::-1]:
        inside = layer == number
        shown = np.dstack([frame.linear, np.ones(discs.shape, np.float32)]) * inside[..., None].astype(np.float32)
        diameter_px = abs(float(discs[inside].mean()))
        spread = _spread(shown, diameter_px)
        light = _went_on(light, diameter_px) * (1 - spread[..., 3:])
        light += spread
    linear = light[..., :3] / np.maximum(light[..., 3:], np.float32(1e-6))
    return replace(frame, linear=np.asarray(linear, np.float32))


def _layers(discs: Float64[np.ndarray, "h w"]) -> np.ndarray:
    """A layer's number for each pixel, growing with depth: one for all that is sharp, others a pixel wide."""
    step = max(1.0, float(np.ptp(discs)) / MOST_LAYERS)
    return np.asarray(np.sign(discs) * np.ceil(np.maximum(np.abs(discs) - SHARP_PX, 0) / step), np.int64)


def _spread(shown: Float32[np.ndarray, "h w 4"], diameter_px: float) -> Float32[np.ndarray, "h w 4"]:
    if diameter_px <= SHARP_PX:
        return shown
    kernel = _disc(round(diameter_px, 1))
    spread = cv2.filter2D(shown, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.maximum(spread, 0), np.float32)  # long kernels go through a Fourier transform, which rounds


def _went_on(light: Float32[np.ndarray, "h w 4"], reach_px: float) -> Float32[np.ndarray, "h w 4"]:
    """Layers with what they lack, within reach, filled by the mean of what there is round it."""
    if reach_px <= SHARP_PX or not light[..., 3].any():
        return light
    side = 2 * int(np.ceil(reach_px / 2)) + 1
    round_it = np.maximum(cv2.blur(light, (side, side), borderType=cv2.BORDER_REPLICATE), 0)
    filled = round_it / np.maximum(round_it[..., 3:], np.float32(1e-6))
    known = round_it[..., 3:] > 1e-4
    return np.asarray(np.where(known, light + (1 - light[..., 3:]) * filled, light), np.float32)


@lru_cache(maxsize=64)
def _disc(diameter_px: float) -> Float32[np.ndarray, "k k"]:
    """A disc's share in each pixel, summing to one; a pixel that its edge crosses has a part of it."""
    half = int(np.ceil((diameter_px - 1) / 2))
    reach = np.hypot(*np.mgrid[-half : half + 1, -half : half + 1])
    kernel = np.clip(diameter_px / 2 + 0.5 - reach, 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)
