"""Picture files as 8-bit RGB. One decoder, Pillow, for all kinds of files: a file that can be inspected can be decoded.

A picture is turned as `PIL.ImageOps.exif_transpose` turns it, for each of the eight orientations of EXIF (tag 0x0112).
More than 8 bits are scaled by the bits that are used: a camera's 12 bits in a file of 16 become 8. Alpha is dropped.
Warnings of Pillow are no refusal. The size in the header is checked before anything is decoded.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped, UInt8

from simgen.spec.text.bounded import NotRead, bounded_bytes

if TYPE_CHECKING:
    from PIL import Image as Pillow

LARGEST_IMAGE_PX = 100_000_000  # an image whose header states more is refused before anything is decoded
LARGEST_FILE_BYTES = 2 * 2**30
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF")  # no PostScript
USED_BITS = (8, 10, 12, 14, 16)  # of cameras
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CUT_ROWS = 16  # a JPEG is decoded in blocks of 8 or 16 rows
TOO_LARGE = "image refused: more than {} pixels"
DAMAGED = "image file cannot be decoded"
_ORIENTATION, _EXIF_IFD, _FOCAL_35MM = 0x0112, 0x8769, 0xA405
_LENIENT = threading.Lock()  # Pillow's switch for files that are cut off is a global one


@dataclass(frozen=True)
class Picture:
    """A decoded file, turned as its EXIF tag says. `notes` say what a user should know about how it was read."""

    pixels: UInt8[np.ndarray, "h w 3"]
    stored_size: tuple[int, int]  # (width, height) before the turn
    orientation: int  # of EXIF, 1..8
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Loaded:
    """A file with its pixels decoded."""

    image: Pillow.Image
    size: tuple[int, int]  # as it is stored
    orientation: int
    wide_colour: bool  # colours of 16 bits, of which Pillow has kept 8


class _Refused(Exception):
    """The reason why a picture cannot be used."""


def read_bytes(path: Path) -> bytes | str:
    """The content of a picture file, or the reason why it cannot be used."""
    try:
        return bounded_bytes(path, LARGEST_FILE_BYTES)
    except NotRead as error:
        if error.fault == "failed":
            return f"image file cannot be read: {error.why}"
        too_large = f"image refused: a file of more than {LARGEST_FILE_BYTES} bytes"
        return too_large if error.fault == "too large" else "image file missing"


def decoded(encoded: bytes, thumbnail: bool = False) -> Picture | str:
    """The picture in these bytes, or the reason why it cannot be used.

    With `thumbnail` a JPEG is decoded at an eighth of its size, which reads all its bytes and finds the same faults.
    """
    notes: list[str] = []
    try:
        loaded = _load(encoded, thumbnail, notes)
        wide = _wide_colour(encoded) if loaded.wide_colour else None
        pixels = _rgb(loaded.image, notes) if wide is None else _scaled(wide, notes)
    except _Refused as refused:
        return str(refused)
    if loaded.image.format != "TIFF":  # Pillow and OpenCV turn a TIFF themselves
        pixels = turned(pixels, loaded.orientation)
    return Picture(pixels, loaded.size, loaded.orientation, tuple(notes))


def shown(image: Pillow.Image) -> UInt8[np.ndarray, "h w 3"] | str:
    """An image of Pillow as 8-bit RGB, turned as its EXIF tag says; or the reason why it cannot be used."""
    orientation = _orientation(image)
    try:
        return turned(_rgb(image, []), 1 if image.format == "TIFF" else orientation)
    except (_Refused, OSError, ValueError) as error:
        return str(error)


def stored_size(encoded: bytes) -> tuple[int, int] | None:
    """(width, height) in the header of a picture; None where it is damaged. Decodes nothing."""
    found = _jpeg_size(encoded)
    if found is not None:
        return found
    if not _chunks_fit(encoded):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _opened(encoded) as image:
                return image.size
        except Exception:  # as above
            return None


def focal_35mm(encoded: bytes) -> float | None:
    """The focal length, in mm on 35 mm film, that a picture's EXIF states (Exif 2.32, 4.6.5, tag 41989); or None."""
    try:
        value = float(exif_value(encoded, _FOCAL_35MM) or 0)
    except (TypeError, ValueError):
        return None
    return value if 1 <= value <= 5000 else None


def exif_value(encoded: bytes, tag: int) -> Any:
    """The value of a tag in a picture's EXIF, such as 36867, when it was taken; None where it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _opened(encoded) as image:
                return image.getexif().get_ifd(_EXIF_IFD).get(tag)
        except Exception:  # as above
            return None


def turned(pixels: UInt8[np.ndarray, "_ _ 3"], orientation: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """Stored pixels as they are shown, for an EXIF orientation (Exif 2.32, 4.6.4, tag 274)."""
    if orientation >= 5:  # rows and columns change places first
        pixels = pixels.swapaxes(0, 1)
    down, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(pixels[:: -1 if down else 1, :: -1 if right else 1])


def stored(picture: Picture) -> UInt8[np.ndarray, "_ _ 3"]:
    """The pixels as they are stored in the file, without the turn of EXIF."""
    return turned(picture.pixels, {6: 8, 8: 6}.get(picture.orientation, picture.orientation))


# ------------------------------------------------------------------------------------------------ internals


def _load(encoded: bytes, thumbnail: bool, notes: list[str]) -> _Loaded:
    """The picture with its pixels decoded, even where its last bytes are missing.

    Raises:
        _Refused: it cannot be decoded, much of it is missing, or it is too large.
    """
    from PIL import Image as Pillow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _open(encoded, thumbnail)
        except _Refused:
            raise
        except Pillow.DecompressionBombError:
            raise _Refused(TOO_LARGE.format(LARGEST_IMAGE_PX)) from None
        except Exception as error:  # Pillow raises many classes for a damaged file: OSError, SyntaxError, ...
            if "truncated" not in str(error):
                raise _Refused(_guess(encoded)) from None
        try:
            with _cut_off_allowed():
                opened = _open(encoded, thumbnail=False)
            missing = _missing_rows(opened.image)
        except Exception:  # as above
            raise _Refused(_guess(encoded)) from None
    if missing > max(CUT_ROWS, opened.image.height // 50):
        raise _Refused(f"{DAMAGED}: it is cut off")
    notes.append("image file is cut off: its last rows may be missing")
    return opened


def _missing_rows(image: Pillow.Image) -> int:
    """How many rows at one end have the value that decoders leave where bytes are missing: 128 (JPEG) or 0."""
    rows = np.asarray(image.convert("RGB")).reshape(image.height, -1)
    ends = (rows, rows[::-1])  # a BMP begins with its lowest row
    return max(_equal_rows(end) if end[0, 0] == end[0, -1] and end[0, 0] in (0, 128) else 0 for end in ends)


def _equal_rows(rows: UInt8[np.ndarray, "h _"]) -> int:
    """How many rows from the first one on have its first value everywhere."""
    other = np.flatnonzero((rows != rows[0, 0]).any(1))
    return int(other[0]) if len(other) else len(rows)


def _opened(encoded: bytes) -> Pillow.Image:
    """The file with its header read."""
    from PIL import Image as Pillow

    Pillow.init()  # registers what this build of Pillow reads
    return Pillow.open(io.BytesIO(encoded), formats=[one for one in FORMATS if one in Pillow.OPEN])


def _open(encoded: bytes, thumbnail: bool) -> _Loaded:
    image = _opened(encoded)
    if image.width * image.height > LARGEST_IMAGE_PX:
        raise _Refused(TOO_LARGE.format(LARGEST_IMAGE_PX))
    wide_colour = ";16" in str(getattr(image, "tile", "")) and len(image.getbands()) > 1
    orientation = _orientation(image)  # of a TIFF, which forgets it in `load`
    width, height = image.size
    if thumbnail:
        image.draft("L", (max(1, width // 8), max(1, height // 8)))
    image.load()
    if image.format != "TIFF":
        # a PNG may have its EXIF behind its pixels
        return _Loaded(image, (width, height), _orientation(image), wide_colour)
    stored_size = image.size[::-1] if orientation >= 5 else image.size
    return _Loaded(image, stored_size, orientation, wide_colour)


def _orientation(image: Pillow.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged block of EXIF; the pixels are sound
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@contextmanager
def _cut_off_allowed() -> Iterator[None]:
    from PIL import ImageFile

    with _LENIENT:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False


def _rgb(image: Pillow.Image, notes: list[str]) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels with 8 bits for each of three channels.

    Raises:
        _Refused: there is no one right way to show these values.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        grey = _from_floats(values, notes) if image.mode == "F" else _scaled(_unsigned(values), notes)
        if _white_is_zero(image):
            grey = 255 - grey
        return np.repeat(grey[..., None], 3, 2)
    if image.mode == "LAB":
        raise _Refused("image refused: its colours are CIELAB; save it as RGB")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as of a palette whose transparency is given in bytes
        return _plain_rgb(image, notes)


def _plain_rgb(image: Pillow.Image, notes: list[str]) -> UInt8[np.ndarray, "h w 3"]:
    if image.mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    if "A" in image.getbands() and _lowest(image.getchannel("A")) < 255:
        notes.append("image has transparent pixels: they are read with their stored colour")
    return np.array(image.convert("RGB"))


def _lowest(channel: Pillow.Image) -> float:
    low: Any = channel.getextrema()[0]
    return float(low)


def _white_is_zero(image: Pillow.Image) -> bool:
    """Whether a TIFF says so (TIFF 6.0, section 8, PhotometricInterpretation); Pillow heeds it up to 8 bits."""
    return getattr(image, "tag_v2", {}).get(262) == 0


def _wide_colour(encoded: bytes) -> Shaped[np.ndarray, "h w 3"] | None:
    """Colours of 16 bits, which Pillow cuts to the upper 8; None where OpenCV reads the file otherwise."""
    import cv2

    if not _chunks_fit(encoded):
        return None
    try:
        found = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if found is None or found.dtype != np.uint16 or found.ndim != 3 or found.shape[2] not in (3, 4):
        return None
    return np.ascontiguousarray(found[..., 2::-1])


def _unsigned(values: Shaped[np.ndarray, "h w"]) -> Shaped[np.ndarray, "h w"]:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise _Refused(f"image refused: numbers from {low} to {high}; save it with 8 or 16 bits")
    return values.astype(np.uint16, copy=False)


def _scaled(values: Shaped[np.ndarray, "..."], notes: list[str]) -> UInt8[np.ndarray, "..."]:
    """The upper 8 of the bits that the brightest pixel needs."""
    brightest = int(values.max())
    bits = next(bits for bits in USED_BITS if brightest < 2**bits)
    if brightest > 0 and bits < 16:
        notes.append(f"image uses {bits} of its 16 bits: it is read as one of {bits} bits")
    return (values >> (bits - 8)).astype(np.uint8)


def _from_floats(values: Shaped[np.ndarray, "h w"], notes: list[str]) -> UInt8[np.ndarray, "h w"]:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(values).all() and low >= 0 and high <= 255):
        raise _Refused("image refused: floats that are not from 0 to 1 or from 0 to 255; save it with 8 or 16 bits")
    top = 1 if high <= 1 else 255
    notes.append(f"image of floats: it is read as values from 0 to {top}")
    return np.round(values * np.float32(255 / top)).astype(np.uint8)


def _jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """The size of a plain JPEG, from its frame header (ITU-T T.81, B.2.2); None where anything is unusual."""
    at = 2
    while encoded[:2] == b"\xff\xd8" and at + 9 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if 0xC0 <= marker <= 0xC2:
            return int.from_bytes(encoded[at + 7 : at + 9]), int.from_bytes(encoded[at + 5 : at + 7])
        if not (0xE0 <= marker <= 0xEF or marker in (0xC4, 0xDB, 0xDD, 0xFE)):
            return None
        at += 2 + int.from_bytes(encoded[at + 2 : at + 4])
    return None


def _chunks_fit(encoded: bytes) -> bool:
    """Whether the chunks of a PNG are as long as they state: OpenCV allocates what they state. True for other kinds."""
    at = 8
    while encoded[:8] == PNG_SIGNATURE and at + 8 <= len(encoded):
        at += 12 + int.from_bytes(encoded[at : at + 4])
    return at <= len(encoded) or encoded[:8] != PNG_SIGNATURE


def _guess(encoded: bytes) -> str:
    """Why a file that Pillow cannot decode is unusual, as far as its first bytes tell."""
    if encoded[4:8] == b"ftyp" and encoded[8:12] in (b"heic", b"heix", b"mif1", b"hevc", b"msf1"):
        return "image refused: it is HEIC; save it as JPEG"
    if not encoded:
        return f"{DAMAGED}: it is empty"
    if encoded[:4] in (b"II*\0", b"MM\0*"):
        return f"{DAMAGED}: it is damaged, or a TIFF of a rare kind; save it with 8 or 16 bits"
    return DAMAGED
