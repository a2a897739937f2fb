"""Lens distortion of a rendered frame. Light and ground truth move alike; labels use the same formula.

A renderer draws with a pinhole camera. It draws a larger image, which holds all that the distorted image shows. That
image is then resampled: light with a cubic filter, ground truth (depth, ids, normals) from the nearest pixel, which is
within half a pixel of the light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from simgen.camera.lens import brown_conrady
from simgen.spec.frames import Frame
from simgen.spec.scene import CameraSpec
from simgen.spec.types import Distortion

STEP_PX = 8  # margins are multiples of this, so that scenes share a renderer's buffers
MAX_SCALE = 2.0  # of the rendered image's width and height, compared with the distorted image


def pinhole(camera: CameraSpec) -> tuple[CameraSpec, Callable[[Frame], Frame]]:
    """The pinhole camera to render with, and the function that turns its frame into the frame behind the lens.

    Raises:
        ValueError: the distortion has no inverse over the whole image, or needs too large a rendered image.
    """
    if camera.distortion == brown_conrady.NONE:
        return camera, lambda frame: frame
    size = (camera.width_px, camera.height_px)
    ideal = _ideal_px(size, camera.focal_px, camera.centre_px, camera.distortion)
    low = np.floor(np.minimum(ideal.min(axis=(0, 1)) - 2, 0) / STEP_PX) * STEP_PX
    high = np.ceil((np.maximum(ideal.max(axis=(0, 1)) + 2, size) - size) / STEP_PX) * STEP_PX + size
    width, height = (int(n) for n in high - low)
    if width > MAX_SCALE * size[0] or height > MAX_SCALE * size[1]:
        raise ValueError(
            f"the lens distortion {camera.distortion} shows what only a picture of {width} x {height} pixels holds "
            f"without distortion, for {size[0]} x {size[1]}: use smaller coefficients, or a longer focal length"
        )
    centre = (camera.centre_px[0] - float(low[0]), camera.centre_px[1] - float(low[1]))
    drawn = replace(camera, width_px=width, height_px=height, centre_px=centre, distortion=brown_conrady.NONE)
    x, y = ((ideal[..., axis] - low[axis] - 0.5).astype(np.float32) for axis in (0, 1))

    def behind_the_lens(frame: Frame) -> Frame:
        truth: dict[str, Any] = {name: _nearest(values, x, y) for name, values in frame.truth().items()}
        return replace(frame, linear=np.maximum(_sampled(frame.linear, x, y, cv2.INTER_CUBIC), np.float32(0)), **truth)

    return drawn, behind_the_lens


@lru_cache(maxsize=2)
def _ideal_px(
    size: tuple[int, int], focal_px: float, centre_px: tuple[float, float], distortion: Distortion
) -> Float64[np.ndarray, "h w 2"]:
    """Where each pixel's centre would be without distortion, (x, y) in pixels."""
    columns, rows = np.meshgrid(*(np.arange(n) + 0.5 for n in size))
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    ideal = brown_conrady.undistort((pixels - centre_px) / focal_px, distortion) * focal_px + centre_px
    ideal.setflags(write=False)
    return ideal.reshape(size[1], size[0], 2)


def _sampled(
    picture: Float32[np.ndarray, "h w *c"], x: Float32[np.ndarray, "a b"], y: Float32[np.ndarray, "a b"], how: int
) -> Float32[np.ndarray, "a b *c"]:
    return np.asarray(cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _nearest(picture: np.ndarray, x: Float32[np.ndarray, "a b"], y: Float32[np.ndarray, "a b"]) -> np.ndarray:
    columns = np.clip(np.rint(x).astype(np.int64), 0, picture.shape[1] - 1)
    rows = np.clip(np.rint(y).astype(np.int64), 0, picture.shape[0] - 1)
    return np.ascontiguousarray(picture[rows, columns])
