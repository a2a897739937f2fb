"""The pictures of a page: the camera's own file where there is room for it, and depth in false colours."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from simgen.dataset.check.pictures import PictureError, decoded
from simgen.dataset.format.archive import StoredClip

PAGE_BYTES = 12 * 2**20  # of all pictures together, before base64
DEPTH_WIDTH_PX = 320
THUMBNAIL_PX = 100
QUALITY = 80
LEAST_WIDTH_PX = 160


@dataclass(frozen=True)
class Room:
    """How large a picture may be on a page of so many."""

    bytes_each: int

    @classmethod
    def of(cls, pictures: int) -> Room:
        return cls(PAGE_BYTES // max(1, pictures))

    def fitted(self, jpeg: bytes) -> tuple[str, float]:
        """A picture for the page as a data URI, and its scale: 1 where it is the camera's own file, byte by byte.

        A larger one is made smaller until it fits.

        Raises:
            PictureError: it cannot be decoded.
        """
        image = decoded(jpeg)
        if len(jpeg) <= self.bytes_each:
            return data_uri(jpeg, "jpeg"), 1.0
        width = image.shape[1]
        scale = min(1.0, max(LEAST_WIDTH_PX / width, (self.bytes_each / len(jpeg)) ** 0.5))
        while True:
            small = _resized(image, round(width * scale))
            data = _webp(small)
            if len(data) <= self.bytes_each or small.shape[1] <= LEAST_WIDTH_PX:
                return data_uri(data, "webp"), small.shape[1] / width
            scale *= 0.8


def thumbnail(jpeg: bytes) -> str:
    """A small picture as a data URI.

    Raises:
        PictureError: it cannot be decoded.
    """
    return data_uri(_webp(_resized(decoded(jpeg), THUMBNAIL_PX)), "webp")


def depth_picture(clip: StoredClip, t: int, near_m: float, far_m: float) -> str:
    """Depth in false colours as a data URI: near is red, far is blue, nothing is black."""
    depth_m = clip.depth_m(t)
    height, width = depth_m.shape
    size = (min(DEPTH_WIDTH_PX, width), max(1, round(height * min(DEPTH_WIDTH_PX, width) / width)))
    small = cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST)
    known = np.isfinite(small)
    share = (far_m - np.where(known, small, far_m)) / max(far_m - near_m, 1e-9)
    shown = cv2.applyColorMap((share.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    shown[~known] = 0
    return data_uri(_webp(np.ascontiguousarray(shown[..., ::-1])), "webp")


def depth_ends(depth_m: Float32[np.ndarray, "h w"]) -> tuple[float, float]:
    """The nearest depth and the farthest one; 0 and 1 without any."""
    known = depth_m[np.isfinite(depth_m)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _resized(image: UInt8[np.ndarray, "_ _ 3"], width: int) -> UInt8[np.ndarray, "_ _ 3"]:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, (max(1, width), height), interpolation=cv2.INTER_AREA), np.uint8)


def _webp(image: UInt8[np.ndarray, "_ _ 3"]) -> bytes:
    ok, data = cv2.imencode(".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    if not ok:
        raise PictureError("cannot be written as webp")
    return bytes(data)
