"""Pixels of frames. A file's header is checked first; pixels are decoded on demand.

See `simgen.spec.picture` for what is read.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float32, Int32

from hybrid.core.errors import DataError
from hybrid.data.clips import FrameRecord, Image
from simgen.dataset.store.locations import Location
from simgen.spec.picture import DAMAGED, LARGEST_IMAGE_PX, Picture, decoded, read_bytes, stored, stored_size


def decode(record: FrameRecord) -> Image:
    """The pixels of a frame, RGB.

    Raises:
        DataError: the image cannot be decoded, or has another size than its record states.
    """
    with record.path.open("rb") as file:
        file.seek(record.offset)
        encoded = file.read(-1 if record.length is None else record.length)
    if record.length is not None:
        return _decode_member(record, encoded)
    picture = decoded(encoded)
    if isinstance(picture, str):
        raise DataError(f"{record.path}: {record.name}: {picture}")
    pixels = picture.pixels if record.upright else stored(picture)
    _check_size(record, (pixels.shape[1], pixels.shape[0]))
    return pixels


def _decode_member(record: FrameRecord, encoded: bytes) -> Image:
    """The pixels of a picture in a shard, which simgen wrote: 8-bit RGB. Its header is read before it is decoded."""
    import cv2

    size = stored_size(encoded)
    if size is not None:
        _check_size(record, size)
    image = (
        None
        if size is None
        else cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    )
    if image is None:
        raise DataError(f"{record.path}: {record.name} cannot be decoded")
    _check_size(record, (image.shape[1], image.shape[0]))
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _check_size(record: FrameRecord, size: tuple[int, int], what: str = "") -> None:
    if size != (record.width_px, record.height_px) or size[0] * size[1] > LARGEST_IMAGE_PX:
        stated = f"{record.width_px}x{record.height_px}"
        raise DataError(f"{record.path}: {what}{record.name} is {size[0]}x{size[1]}, not {stated}")


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
    size = stored_size(encoded)
    if size is not None:
        _check_size(record, size, "the depth of ")
    try:
        depth_m = decode_depth(encoded)
    except ValueError as error:
        raise DataError(f"{record.path}: the depth of {record.name} cannot be decoded: {error}") from error
    if depth_m.shape != (record.height_px, record.width_px):
        raise DataError(f"{record.path}: the depth of {record.name} is {depth_m.shape[1]}x{depth_m.shape[0]}")
    return np.where(np.isfinite(depth_m), depth_m, 0.0).astype(np.float32)


def decode_ids(record: FrameRecord) -> Int32[np.ndarray, "h w"]:
    """The track id of the part that each pixel of a rendered frame shows; negative: of no part.

    Raises:
        DataError: the frame has no ids, or they cannot be decoded, or have another size than the image.
    """
    from simgen.dataset.format.png16 import decode_ids as decode_png

    if record.ids_at is None:
        raise DataError(f"{record.path}: {record.name} has no image of ids")
    offset, length = record.ids_at
    with record.path.open("rb") as file:
        file.seek(offset)
        encoded = file.read(length)
    size = stored_size(encoded)
    if size is not None:
        _check_size(record, size, "the ids of ")
    try:
        return decode_png(encoded)
    except ValueError as error:
        raise DataError(f"{record.path}: the ids of {record.name} cannot be decoded: {error}") from error


def read_image(path: Path) -> Image | str:
    """The pixels of an image file, RGB, as `PIL.ImageOps.exif_transpose` shows it; or why it cannot be used.

    >>> read_image(Path("nosuch.png"))
    'image file missing'
    """
    picture = read_picture(path)
    return picture if isinstance(picture, str) else picture.pixels


def read_picture(path: Path) -> Picture | str:
    """As `read_image`, with notes on how the file was read."""
    encoded = read_bytes(path)
    return encoded if isinstance(encoded, str) else decoded(encoded)


def read_depth(path: Path, unit_m: float) -> Float32[np.ndarray, "h w"] | str:
    """The depth image of a depth camera, in metres, 0 where unknown; or the reason why it cannot be used.

    The file has one channel of 16 bits; one step of it is `unit_m` metres.
    """
    import cv2

    encoded = read_bytes(path)
    if isinstance(encoded, str):
        return encoded.replace("image", "depth", 1)
    size = stored_size(encoded)
    if size is None or size[0] * size[1] > LARGEST_IMAGE_PX:
        return DAMAGED.replace("image", "depth") if size is None else f"depth refused: over {LARGEST_IMAGE_PX} pixels"
    try:
        stored = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # as of sides that OpenCV does not take
        return DAMAGED.replace("image", "depth")
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
    orientation: int = 1  # of its EXIF tag; 5 and more include a rotation by 90 degrees
    notes: tuple[str, ...] = ()  # on how it is read, as that it uses 12 of its 16 bits

    @property
    def quarter_turn(self) -> bool:
        return self.orientation >= 5

    @property
    def upright_size(self) -> tuple[int, int]:
        """The size after the rotation."""
        return self.stored_size[::-1] if self.quarter_turn else self.stored_size


def inspect_image(path: Path) -> ImageInfo | str:
    """The size of an image file that can be decoded, or the reason why it cannot be used. `decode` decides likewise."""
    encoded = read_bytes(path)
    picture = encoded if isinstance(encoded, str) else decoded(encoded, thumbnail=True)
    if isinstance(picture, str):
        return picture
    return ImageInfo(picture.stored_size, picture.orientation, picture.notes)


def path_below(root: Path, file_name: str) -> Path | None:
    """The path of `file_name` in the folder `root`, or None where the name leads out of that folder."""
    name = PurePosixPath(file_name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:", file_name) or "\0" in file_name:
        return None
    return root / name
