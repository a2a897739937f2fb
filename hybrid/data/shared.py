"""Photos that stand in two data sets, under any name: a test on training photos says nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np

from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource, FrameRecord, Image
from hybrid.data.pixels import decode


def shared_images(first: ClipSource, second: ClipSource) -> tuple[tuple[str, str], ...]:
    """The frames of `first` that stand in `second` too: pairs (name in `first`, name in `second`).

    Two frames are the same if their files have the same bytes, or their pixels are the same after some turn or flip.
    So a copy under another name, with other EXIF data, or in another lossless format is found. A copy that was scaled,
    or compressed again, is not. All files are read; those of equal size in pixels are decoded.

    Each frame of `first` is named once. A frame that cannot be read is no match.

    >>> shared_images(read_coco(Path("train.json")), read_coco(Path("test.json")))
    (('images/0.png', 'copies/a.png'),)
    """
    found = _pairs(first.frames, second.frames, _file_digest)
    left = [frame for frame in first.frames if frame.name not in found]
    sizes = {_size(frame) for frame in left} & {_size(frame) for frame in second.frames}
    found |= _pairs(_of_size(left, sizes), _of_size(second.frames, sizes), _pixel_digest)
    return tuple((frame.name, found[frame.name]) for frame in first.frames if frame.name in found)


def digests(frame: FrameRecord, pixels: bool = True) -> tuple[str, ...]:
    """Hashes that two frames share if they are the same as `shared_images` means it, to be kept without the photos.

    One of the file's bytes and, if `pixels`, one of the decoded image; fewer where the frame cannot be read.
    """
    both = _file_digest(frame), _pixel_digest(frame) if pixels else b""
    return tuple(digest.hex() for digest in both if digest)


def _size(frame: FrameRecord) -> tuple[int, int]:
    """Its sides in pixels, the shorter first, as a turn does not change them."""
    return min(frame.width_px, frame.height_px), max(frame.width_px, frame.height_px)


def _of_size(frames: Iterable[FrameRecord], sizes: set[tuple[int, int]]) -> list[FrameRecord]:
    return [frame for frame in frames if _size(frame) in sizes]


def _pairs(
    first: Iterable[FrameRecord], second: Iterable[FrameRecord], digest: Callable[[FrameRecord], bytes]
) -> dict[str, str]:
    """The name in `second` of each frame in `first` with the same digest."""
    names: dict[bytes, str] = {}
    for frame in second:
        names.setdefault(digest(frame), frame.name)
    names.pop(b"", None)
    return {frame.name: names[key] for frame in first if (key := digest(frame)) in names}


def _file_digest(frame: FrameRecord) -> bytes:
    """A hash of the encoded image; empty where it cannot be read."""
    try:
        with frame.path.open("rb") as file:
            file.seek(frame.offset)
            encoded = file.read(-1 if frame.length is None else frame.length)
    except OSError:
        return b""
    return hashlib.blake2b(encoded, digest_size=16).digest()


def _pixel_digest(frame: FrameRecord) -> bytes:
    """A hash of the pixels that is the same for all eight turns and flips; empty where they cannot be read."""
    try:
        return min(hashlib.blake2b(turn, digest_size=16).digest() for turn in _turns(decode(frame)))
    except (DataError, OSError):
        return b""


def _turns(image: Image) -> list[bytes]:
    """The green channel in its eight turns and flips, each with its shape, as bytes."""
    green = image[..., 1]
    turned = [np.rot90(side, k) for side in (green, green.T) for k in range(4)]
    return [repr(one.shape).encode() + one.tobytes() for one in turned]
