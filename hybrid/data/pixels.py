"""Pixels of frames. A file's header is checked first; pixels are decoded on demand."""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float32

from hybrid.core.errors import DataError
from hybrid.data.clips import FrameRecord, Image
from simgen.dataset.store.locations import Location

LARGEST_IMAGE_PX = 100_000_000  # an image whose header states more is refused before anything is decoded
_EXIF_ORIENTATION = 0x0112  # the tag; values of 5 and more include a rotation by 90 degrees


def decode(record: FrameRecord) -> Image:
    """The pixels of a frame, RGB.

    Raises:
        DataError: the image cannot be decoded, or has another size than its record states.
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
    """The depth of a frame along the optical axis, in metres. 0 is unknown: a frame without depth is all 0.

    Raises:
        DataError: the depth cannot be decoded, or has another size than the image.
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
    """The pixels of an image file, RGB; or the reason why it cannot be used.

    The image is rotated by 90 degrees where its EXIF tag says so (values 5 to 8). Other values are ignored.

    >>> read_image(Path("nosuch.png"))
    'image file missing'
    """
    info = inspect_image(path)
    if isinstance(info, str):
        return info
    width_px, height_px = info.upright_size
    record = FrameRecord(
        name=path.name, path=path, width_px=width_px, height_px=height_px, upright=info.quarter_turn,
        boxes_xyxy_px=np.zeros((0, 4), np.float32), labels=np.zeros(0, np.int64),
    )  # fmt: skip
    return decode(record)


def read_depth(path: Path, unit_m: float) -> Float32[np.ndarray, "h w"] | str:
    """The depth image of a depth camera, in metres, 0 where unknown; or the reason why it cannot be used.

    The file has one channel of 16 bits; one step of it is `unit_m` metres.
    """
    import cv2

    info = inspect_image(path)
    if isinstance(info, str):
        return info.replace("image", "depth", 1)
    stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 2:
        return "depth file is not of one channel of 16 bits"
    return (stored * np.float32(unit_m)).astype(np.float32)


class DecodedImages:
    """A cache of decoded images, least recently used first out, up to a number of bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes, self._held_bytes = limit_bytes, 0
        self._images: OrderedDict[tuple[Location, int], Image] = OrderedDict()

    def read(self, record: FrameRecord) -> Image:
        """The pixels of the frame, RGB, read-only."""
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


@dataclass(frozen=True)
class ImageInfo:
    """The size of an image file. Sizes are (width, height) in pixels."""

    stored_size: tuple[int, int]
    quarter_turn: bool  # its EXIF tag says to rotate it by 90 degrees for display

    @property
    def upright_size(self) -> tuple[int, int]:
        """The size after the rotation."""
        return self.stored_size[::-1] if self.quarter_turn else self.stored_size


def inspect_image(path: Path) -> ImageInfo | str:
    """The size of an image file that can be decoded, or the reason why it cannot be used."""
    from PIL import Image as Pillow

    if not path.is_file():
        return "image file missing"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Pillow.open(path) as image:
                if image.width * image.height > LARGEST_IMAGE_PX:
                    return f"image refused: more than {LARGEST_IMAGE_PX} pixels"
                quarter_turn = image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
                width, height = image.size
                image.draft("L", (width // 8, height // 8))  # JPEG: reads all bytes, decodes an eighth of the pixels
                image.load()
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        return f"image refused: more than {LARGEST_IMAGE_PX} pixels"
    except Exception:  # Pillow raises many classes for a damaged file: OSError, SyntaxError, struct.error, ...
        return "image file cannot be decoded"
    return ImageInfo((width, height), quarter_turn)


def path_below(root: Path, file_name: str) -> Path | None:
    """The path of `file_name` in the folder `root`, or None where the name leads out of that folder."""
    name = PurePosixPath(file_name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:", file_name) or "\0" in file_name:
        return None
    return root / name
