"""Check images: whether they decode, show anything, and are no duplicates.

Two pictures look the same if their perceptual hashes (the signs of the lowest 63 frequencies against their median, of a
32 x 32 thumbnail: Zauner 2010) differ in at most `NEAR_BITS` and their thumbnails by less than `NEAR_GREY` on average.
Candidates are found through the hash's four quarters, of which at least one is equal in any such pair.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import defaultdict
from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.dataset.check.report import Picture, Problem
from simgen.spec.frames import Image
from simgen.spec.picture import Picture as Photo
from simgen.spec.picture import decoded as decoded_photo
from simgen.spec.picture import stored

MAX_PICTURE_PX = 100_000_000  # an image whose header states more is refused before it is decoded
BLANK_SPREAD = 1.5  # standard deviation, of brightness and of both chroma channels, below which a picture is blank
SATURATED_SHARE = 0.9  # of pixels at either end of the scale
NEAR_BITS = 3
NEAR_GREY = 2.0  # of 255: mean difference of two thumbnails of equal brightness
MAX_IN_BUCKET = 64  # images with an equal quarter of the hash that are compared with a new one
THUMB_PX = 32


class PictureError(ValueError):
    """An image that cannot be used. Says why."""


def photo(encoded: bytes | str) -> Photo:
    """The photo in these bytes (or why they could not be read), as training and detection read it.

    Raises:
        PictureError: they leave it out.
    """
    found = encoded if isinstance(encoded, str) else decoded_photo(encoded)
    if isinstance(found, str):
        raise PictureError(found)
    return found


def pixels_of(place: Picture) -> Image:
    """The pixels of a photo or of a picture in a shard, as they are stored: without the turn of EXIF.

    Raises:
        PictureError, OSError: it cannot be read.
    """
    return stored(photo(place.read())) if place.size is None else decoded(place.read())


def decoded(data: bytes) -> Image:
    """Decode a picture of a shard to RGB, without its EXIF rotation.

    Raises:
        PictureError: it is no picture, or its header promises too many pixels.
    """
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked here
            with Pillow.open(io.BytesIO(data)) as header:
                width, height = header.size
    except Pillow.DecompressionBombError:
        raise PictureError(f"refused: more than {MAX_PICTURE_PX} pixels") from None
    except Exception as error:  # a broken file makes Pillow raise nearly anything: OSError, SyntaxError, struct.error
        raise PictureError(f"{len(data)} bytes that are no picture") from error
    if width * height > MAX_PICTURE_PX:
        raise PictureError(f"refused: {width} x {height} pixels, more than {MAX_PICTURE_PX}")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise PictureError(f"{len(data)} bytes that cannot be decoded")
    return np.asarray(image[..., ::-1], np.uint8)


class Pictures:
    """Compares images as they come. Stores about 40 bytes for each."""

    def __init__(self) -> None:
        self._digests: dict[bytes, int] = {}
        self._buckets: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self._hashes: list[int] = []
        self._earlier: list[tuple[str, str, Picture]] = []  # clip, where, picture

    def look(self, clip: str, where: str, picture: Picture, data: bytes, image: Image) -> Iterator[Problem]:
        """The problems of an image, alone and compared with earlier ones. Frames of one clip may look alike."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        spread = float(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).std((0, 1)).max())
        if spread < BLANK_SPREAD:
            yield Problem("blank", where, f"blank: its brightness and colour spread by {spread:.2f}", picture)
            return
        clipped = float(((grey <= 1) | (grey >= 254)).mean())
        if clipped >= SATURATED_SHARE:
            yield Problem("saturated", where, f"{clipped:.0%} of its pixels are black or white", picture)
            return
        number = len(self._earlier)
        first = self._digests.setdefault(hashlib.blake2b(data, digest_size=16).digest(), number)
        if first == number:
            thumb = _thumbnail(grey)
            yield from self._alike(clip, where, picture, thumb)
            self._keep(clip, where, picture, perceptual_hash(thumb))
        else:
            same_clip = self._earlier[first][0] == clip
            yield Problem(
                "frozen" if same_clip else "duplicate", where, f"the same picture as {self._earlier[first][1]}", picture
            )

    def _alike(self, clip: str, where: str, picture: Picture, thumb: Float32[np.ndarray, "n n"]) -> Iterator[Problem]:
        code = perceptual_hash(thumb)
        candidates = {i for bucket in _quarters(code) for i in self._buckets.get(bucket, ())}
        for i in sorted(candidates):
            other_clip, other_where, other = self._earlier[i]
            if other_clip == clip or (self._hashes[i] ^ code).bit_count() > NEAR_BITS:
                continue
            before = _thumbnail(cv2.cvtColor(pixels_of(other), cv2.COLOR_RGB2GRAY))
            apart = float(np.abs((thumb - thumb.mean()) - (before - before.mean())).mean())
            if apart < NEAR_GREY:
                yield Problem("near-duplicate", where, f"looks as {other_where} does", picture)
                return

    def _keep(self, clip: str, where: str, picture: Picture, code: int) -> None:
        for bucket in _quarters(code):
            if len(self._buckets[bucket]) < MAX_IN_BUCKET:
                self._buckets[bucket].append(len(self._earlier))
        self._hashes.append(code)
        self._earlier.append((clip, where, picture))


def _thumbnail(grey: np.ndarray) -> Float32[np.ndarray, "n n"]:
    return np.asarray(cv2.resize(grey, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA), np.float32)


def perceptual_hash(thumb: Float32[np.ndarray, "n n"]) -> int:
    """64 bits, of which the first (brightness) is always 0."""
    low = cv2.dct(thumb)[:8, :8].ravel()
    low[0] = 0
    bits = low > np.median(low[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _quarters(code: int) -> list[tuple[int, int]]:
    return [(quarter, code >> (16 * quarter) & 0xFFFF) for quarter in range(4)]
