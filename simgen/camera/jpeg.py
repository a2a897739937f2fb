"""The header of a JPEG file: its size in pixels, and the quality that its quantization table stands for.

ITU-T T.81 (JPEG), sections B.2.2 and B.2.4.1. A quality is a convention of the IJG's libjpeg, which OpenCV, Pillow and
most cameras' libraries keep to: the tables of annex K, scaled. Only headers are read, and no length is trusted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

LUMINANCE = np.array(  # T.81, table K.1, in the zigzag order in which files hold it
    [16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
     60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
     121, 112, 100, 120, 92, 101, 103, 99]
)  # fmt: skip
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn
_DQT, _SOS = 0xDB, 0xDA


@dataclass(frozen=True)
class JpegHeader:
    width_px: int
    height_px: int
    quality: int  # 1..100, by libjpeg's scale
    exact: bool  # the table is libjpeg's own; else `quality` is the nearest


def table_of(quality: int) -> Int64[np.ndarray, "64"]:
    """libjpeg's luminance table at a quality of 1..100 (jcparam.c, jpeg_quality_scaling)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.asarray(np.clip((LUMINANCE * scale + 50) // 100, 1, 255))


def quality_of(table: Int64[np.ndarray, "64"]) -> tuple[int, bool]:
    """The quality whose table is nearest, and whether it is that very table."""
    misses = [int(np.abs(table_of(quality) - table).sum()) for quality in range(1, 101)]
    best = int(np.argmin(misses))
    return best + 1, misses[best] == 0


def read_header(data: bytes) -> JpegHeader:
    """The header of a JPEG file.

    Raises:
        ValueError: the bytes are no JPEG, or end before its picture begins.
    """
    size: tuple[int, int] | None = None
    table: np.ndarray | None = None
    for marker, body in _segments(data):
        if marker == _DQT:
            table = _first_table(body) if table is None else table
        elif marker in _FRAMES:
            if len(body) < 6:
                raise ValueError("a JPEG whose frame header is cut short")
            size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
    if size is None or table is None:
        raise ValueError("a JPEG without a size or a quantization table")
    return JpegHeader(*size, *quality_of(table))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and their bodies, up to where the picture begins."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError(f"a JPEG with no marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:  # padding, or a marker of its own
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _SOS:
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(data):
            break
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length
    raise ValueError("a JPEG that ends before its picture begins")


def _first_table(body: bytes) -> Int64[np.ndarray, "64"] | None:
    """Table 0 of a DQT segment, which luminance goes by."""
    at = 0
    while at < len(body):
        wide, number = body[at] >> 4, body[at] & 15
        size = 128 if wide else 64
        raw = body[at + 1 : at + 1 + size]
        if len(raw) < size:
            raise ValueError("a JPEG whose quantization table is cut short")
        if number == 0:
            return np.frombuffer(raw, ">u2" if wide else np.uint8).astype(np.int64)
        at += 1 + size
    return None
