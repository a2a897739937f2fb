"""Photographs of the empty place, which scenes show behind their parts (`simgen.spec.scene.PhotoSpec`).

Their bytes are in `simgen.spec.contents`, by their sha256. Light is linear, by the power law of a display's `gamma`.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from simgen.spec.colour import LUMINANCE
from simgen.spec.contents import content
from simgen.spec.errors import BadPhoto
from simgen.spec.picture import decoded
from simgen.spec.scene import PhotoSpec

GAMMA = 2.2  # of a photo whose tone curve is unknown
SMALLEST_PX = 64  # a side
FAR = 0.12  # reach of the local brightness, as a share of the diagonal: wider than any part
LOCAL = (0.4, 1.6)  # bounds of the local brightness against the photo's median
_COARSE_PX = 64  # longer side of the picture in which it is computed
_TO_OPPONENT = np.array(  # to a grey axis and two square to it, all of length 1
    [[1, 1, 1], [2, -1, -1], [0, 1, -1]]
) / np.sqrt([[3], [6], [2]])


def photo_pixels(data: bytes) -> UInt8[np.ndarray, "h w 3"] | str:
    """The upright picture in a photo's bytes, or the reason why it cannot be a background."""
    picture = decoded(data)
    if isinstance(picture, str):
        return picture
    height, width = picture.pixels.shape[:2]
    if min(height, width) < SMALLEST_PX:
        return f"{width} x {height} pixels; a background needs {SMALLEST_PX} a side"
    return picture.pixels


def median_light(pixels: UInt8[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "3"]:
    """The median of each channel in linear light."""
    return np.asarray((np.median(pixels.reshape(-1, 3), axis=0) / 255) ** GAMMA, np.float64)


def shown_pixels(photo: PhotoSpec, size_px: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """The photo's crop at a picture's size (width, height), with its own brightness and colours.

    Raises:
        BadPhoto: its bytes cannot be read.
        MissingContent: this process does not have them.
    """
    left, top, width, height = photo.crop_px
    crop = _upright(photo.photo_sha256, photo.name)[top : top + height, left : left + width]
    if (width, height) != size_px:
        smaller = width >= size_px[0] and height >= size_px[1]
        crop = cv2.resize(crop, size_px, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.ascontiguousarray(crop[:, ::-1] if photo.mirrored else crop)


def shown_light(photo: PhotoSpec, size_px: tuple[int, int], gamma: float) -> Float32[np.ndarray, "h w 3"]:
    """The photo in linear light as a scene shows it: cropped, mirrored, brighter or darker, with its colours turned."""
    codes = (np.arange(256, dtype=np.float32) / np.float32(255)) ** np.float32(gamma)
    light = codes[shown_pixels(photo, size_px)]
    if photo.hue_rad:
        light = np.maximum(cv2.transform(light, turned(photo.hue_rad)), np.float32(0))
    return np.asarray(light if photo.gain == 1 else light * np.float32(photo.gain), np.float32)


def turned(hue_rad: float) -> Float64[np.ndarray, "3 3"]:
    """The matrix that turns linear colours about the grey axis. Grey stays grey."""
    c, s = np.cos(hue_rad), np.sin(hue_rad)
    about_grey = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return np.asarray(_TO_OPPONENT.T @ about_grey @ _TO_OPPONENT)


def local_brightness(light: Float32[np.ndarray, "h w 3"], follow: float) -> Float32[np.ndarray, "h w"]:
    """How much brighter than the median the photo is in the wide surroundings of each pixel, to the power `follow`.

    A lamp's pool of light and the lens' vignetting are in the photo. What stands in the dark corner is dark too.
    """
    height, width = light.shape[:2]
    shrink = min(1.0, _COARSE_PX / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA) @ LUMINANCE.astype(np.float32)
    wide = cv2.GaussianBlur(small, (0, 0), FAR * float(np.hypot(*size)), borderType=cv2.BORDER_REPLICATE)
    relative = np.clip(wide / max(float(np.median(small)), 1e-4), *LOCAL) ** np.float32(follow)
    return np.asarray(cv2.resize(relative, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


@lru_cache(maxsize=8)
def _upright(sha256: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
    """The decoded photo, read-only since it is cached."""
    pixels = photo_pixels(content(sha256, name))
    if isinstance(pixels, str):
        raise BadPhoto(f"{name}: {pixels}")
    pixels.setflags(write=False)
    return pixels
