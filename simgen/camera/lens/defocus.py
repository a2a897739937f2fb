"""Defocus of a thin lens: a point that is out of focus is spread over a disc.

A lens of focal length f and aperture D = f / N, focused at depth s, images a point at depth d as a disc of diameter
D * |d - s| / d * f / (s - f) on the sensor (Potmesil and Chakravarty, "A lens and aperture camera model for synthetic
image generation", SIGGRAPH 1981). A camera's focal length in pixels is calibrated with the lens in focus: it is
f s / (s - f), divided by the size of a pixel. In pixels the disc is therefore D * focal_px * |1 / s - 1 / d|.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from simgen.spec.frames import Frame
from simgen.spec.scene import CameraSpec

SHARP_PX = 1.0  # a disc up to this wide counts as in focus
MAX_LAYERS = 32


def circle_of_confusion_px(
    depth_m: Float32[np.ndarray, "h w"] | Float64[np.ndarray, "*n"], camera: CameraSpec
) -> Float64[np.ndarray, "*n"]:
    """Diameter of a point's disc at each depth; negative in front of the focused depth.

    Raises:
        ValueError: the lens is focused nearer than its focal length, or the f-number is negative.
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
    """The frame with its light blurred by depth. The ground truth stays: it is of the ray through the pixel's centre.

    The image is split into layers of similar disc size. The layers are blurred and composited from far to near: a
    sharp object stays sharp in front of a blurred background, and the background shows through the edge of a blurred
    object. The hidden background there is unknown, so the visible background within a disc's reach is used for it.
    """
    discs = circle_of_confusion_px(frame.depth_m, camera)
    if np.abs(discs).max(initial=0.0) <= SHARP_PX:
        return frame
    limit_px = float(max(frame.depth_m.shape))
    discs = np.clip(discs, -limit_px, limit_px)
    layers = _layers(discs)
    channels = frame.linear.shape[2]
    light = np.zeros((*discs.shape, channels + 1), np.float32)  # the last channel is the coverage of the layers so far
    for number in np.unique(layers)[::-1]:
        inside = layers == number
        masked = np.dstack([frame.linear, np.ones(discs.shape, np.float32)]) * inside[..., None].astype(np.float32)
        diameter_px = abs(float(discs[inside].mean()))
        spread = _spread(masked, diameter_px)
        light = _filled(light, diameter_px) * (1 - spread[..., channels:])
        light += spread
    linear = light[..., :channels] / np.maximum(light[..., channels:], np.float32(1e-6))
    return replace(frame, linear=np.asarray(linear, np.float32))


def _layers(discs: Float64[np.ndarray, "h w"]) -> np.ndarray:
    """Each pixel's layer, numbered from near to far: 0 for all sharp pixels, the others about a pixel of disc apart."""
    step = max(1.0, float(np.ptp(discs)) / MAX_LAYERS)
    return np.asarray(np.sign(discs) * np.ceil(np.maximum(np.abs(discs) - SHARP_PX, 0) / step), np.int64)


def _spread(layer: Float32[np.ndarray, "h w c"], diameter_px: float) -> Float32[np.ndarray, "h w c"]:
    if diameter_px <= SHARP_PX:
        return layer
    kernel = _disc(round(diameter_px, 1))
    spread = cv2.filter2D(layer, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.maximum(spread, 0), np.float32)  # OpenCV's Fourier transform of large kernels rounds


def _filled(light: Float32[np.ndarray, "h w c"], reach_px: float) -> Float32[np.ndarray, "h w c"]:
    """The layers with pixels of low coverage filled from the mean of covered pixels within reach."""
    if reach_px <= SHARP_PX or not light[..., -1].any():
        return light
    side = 2 * int(np.ceil(reach_px / 2)) + 1
    nearby = np.maximum(cv2.blur(light, (side, side), borderType=cv2.BORDER_REPLICATE), 0)
    filled = nearby / np.maximum(nearby[..., -1:], np.float32(1e-6))
    covered = nearby[..., -1:] > 1e-4
    return np.asarray(np.where(covered, light + (1 - light[..., -1:]) * filled, light), np.float32)


@lru_cache(maxsize=64)
def _disc(diameter_px: float) -> Float32[np.ndarray, "k k"]:
    """A disc as a kernel that sums to one, anti-aliased at its edge."""
    half = int(np.ceil((diameter_px - 1) / 2))
    reach = np.hypot(*np.mgrid[-half : half + 1, -half : half + 1])
    kernel = np.clip(diameter_px / 2 + 0.5 - reach, 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)
