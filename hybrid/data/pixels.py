"""Pixels of frames: decoded when they are asked for, checked before."""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float32

from hybrid.core.errors import DataError
from hybrid.data.clips import FrameRecord, Image
from simgen.dataset.store.locations import Place

LARGEST_IMAGE_PX = 100_000_000  # a header that promises more is refused before anything is decoded


def decode(record: FrameRecord) -> Image:
    """The frame's pixels.

    Raises:
        DataError: it cannot be decoded, or has another size than its record says.
    """
    import cv2

    with record.path.open("rb") as file:
        file.seek(record.offset)
        encoded = np.frombuffer(file.read(-1 if record.length is None else record.length), np.uint8)
    flags = cv2.IMREAD_COLOR if record.upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(encoded, flags) if len(encoded) else None
    if image is None:
        raise DataError(f"{record.path}: {record.name} cannot be decoded")
    if image.shape[:2] != (record.height_px, record.width_px):
        raise DataError(
            f"{record.path}: {record.name} is {image.shape[1]}x{image.shape[0]}, "
            f"not {record.width_px}x{record.height_px}"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def decode_depth_m(record: FrameRecord) -> Float32[np.ndarray, "h w"]:
    """The frame's depth along the optical axis, in metres; 0 where it is not known, as everywhere without depth.

    Raises:
        DataError: it cannot be decoded, or has another size than the image.
    """
    if record.depth_at is None:
        return np.zeros((record.height_px, record.width_px), np.float32)
    from simgen.dataset.format.png16 import decode_depth

    offset, length = record.depth_at
    with record.path.open("rb") as file:
        file.seek(offset)
        encoded = file.read(length)
    try:
        depth_m = decode_depth(encoded)
    except ValueError as error:
        raise DataError(f"{record.path}: the depth of {record.name} cannot be decoded: {error}") from error
    if depth_m.shape != (record.height_px, record.width_px):
        raise DataError(f"{record.path}: the depth of {record.name} is {depth_m.shape[1]}x{depth_m.shape[0]}")
    return np.where(np.isfinite(depth_m), depth_m, 0.0).astype(np.float32)


def read_image(path: Path) -> Image | str:
    """An image file's pixels, turned as its EXIF says, or why it is of no use."""
    found = inspect(path)
    if isinstance(found, str):
        return found
    width, height, turned = found
    width, height = (height, width) if turned else (width, height)
    record = FrameRecord(
        name=path.name, path=path, width_px=width, height_px=height, upright=turned,
        boxes_xyxy_px=np.zeros((0, 4), np.float32), labels=np.zeros(0, np.int64),
    )  # fmt: skip
    return decode(record)


def read_depth(path: Path, unit_m: float) -> Float32[np.ndarray, "h w"] | str:
    """A depth camera's picture, 16 bits a pixel, in metres, or why it is of no use; 0 is unknown."""
    import cv2

    found = inspect(path)
    if isinstance(found, str):
        return found.replace("image", "depth", 1)
    stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 2:
        return "depth file is not of one channel of 16 bits"
    return (stored * np.float32(unit_m)).astype(np.float32)


class DecodedImages:
    """The last decoded frames, up to a number of bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes, self._held_bytes = limit_bytes, 0
        self._images: OrderedDict[tuple[Place, int], Image] = OrderedDict()

    def read(self, record: FrameRecord) -> Image:
        key = (record.path, record.offset)
        if key in self._images:
            self._images.move_to_end(key)
            return self._images[key]
        image = decode(record)
        image.setflags(write=False)
        self._images[key] = image
        self._held_bytes += image.nbytes
        while self._held_bytes > self._limit_bytes and self._images:
            self._held_bytes -= self._images.popitem(last=False)[1].nbytes
        return image


_EXIF_ORIENTATION = 0x0112


def inspect(path: Path) -> tuple[int, int, bool] | str:
    """(width, height, whether EXIF turns it by a quarter) as stored, or why the file is of no use."""
    from PIL import Image as Pillow

    if not path.is_file():
        return "image file missing"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Pillow.open(path) as image:
                if image.width * image.height > LARGEST_IMAGE_PX:
                    return f"image refused: more than {LARGEST_IMAGE_PX} pixels"
                turned = image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
                width, height = image.size
                image.draft("L", (width // 8, height // 8))  # JPEG: all of the bytes, an eighth of the pixels
                image.load()
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        return f"image refused: more than {LARGEST_IMAGE_PX} pixels"
    except Exception:  # a broken file makes Pillow raise nearly anything: OSError, SyntaxError, struct.error, ...
        return "image file cannot be decoded"
    return width, height, turned


def inside(root: Path, file_name: str) -> Path | None:
    """The file below `root`, or None where the name leads out of it."""
    name = PurePosixPath(file_name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:", file_name) or "\0" in file_name:
        return None
    return root / name
