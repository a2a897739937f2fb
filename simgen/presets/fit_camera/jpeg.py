"""The header of a picture file, read by Pillow: its size, and the quality of a JPEG from its quantization table.

A quality is a convention of the IJG's libjpeg, which OpenCV, Pillow and most cameras' libraries keep to: the tables of
ITU-T T.81 (JPEG), annex K, scaled. Nothing is decoded.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

FORMATS = ("JPEG", "PNG")
LUMINANCE = np.array(  # T.81, table K.1, row by row
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
     87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
     72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip


@dataclass(frozen=True)
class Compression:
    quality: int  # 1..100, by libjpeg's scale
    exact: bool  # the table is libjpeg's; else `quality` is the nearest one


@dataclass(frozen=True)
class Header:
    width_px: int
    height_px: int
    jpeg: Compression | None  # None: not a JPEG


def table_of(quality: int) -> Int64[np.ndarray, "64"]:
    """libjpeg's luminance table at a quality of 1..100 (jcparam.c, jpeg_quality_scaling), row by row."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.asarray(np.clip((LUMINANCE * scale + 50) // 100, 1, 255))


def quality_of(table: Int64[np.ndarray, "64"]) -> tuple[int, bool]:
    """The quality with the nearest table, and whether the table is equal."""
    misses = [int(np.abs(table_of(quality) - table).sum()) for quality in range(1, 101)]
    best = int(np.argmin(misses))
    return best + 1, misses[best] == 0


def read_header(data: bytes) -> Header:
    """The header of a JPEG or PNG file.

    Raises:
        ValueError: the bytes are neither, or end before the picture begins.
    """
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the caller judges the size
            with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
                tables = getattr(picture, "quantization", {})
                width, height = picture.size
    except Pillow.DecompressionBombError as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # a broken file makes Pillow raise nearly anything: OSError, SyntaxError, struct.error
        raise ValueError(f"{len(data)} bytes that are neither a JPEG nor a PNG with a whole header") from error
    if not tables:
        return Header(width, height, None)
    table = np.asarray(tables.get(0, next(iter(tables.values()))), np.int64)
    return Header(width, height, Compression(*quality_of(table)))
