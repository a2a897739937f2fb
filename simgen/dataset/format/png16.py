"""Lossless 16 bit grey PNG, and the codes of ids, depth and flow in it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int32, UInt16

from simgen.spec.types import BACKGROUND, CLUTTER

DEPTH_UNIT_M = 0.0001
MAX_MEMBER_BYTES = 256 * 2**20  # a frame of 8192 x 8192 pixels with 16 bits is smaller
FLOW_UNIT_PX = 1 / 64
_STILL_CODE = 32768  # the code of a flow of 0
_CLUTTER_CODE = 65535


def encode_png(grey: UInt16[np.ndarray, "h w"], level: int = 1) -> bytes:
    """A PNG with the filter "up" in all rows, which numpy can encode and decode without a loop."""
    height, width = grey.shape
    pixels = grey.astype(">u2").view(np.uint8).reshape(height, 2 * width)
    rows = np.empty((height, 1 + 2 * width), np.uint8)
    rows[:, 0] = 2  # filter type "up"
    rows[:1, 1:] = pixels[:1]
    np.subtract(pixels[1:], pixels[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, level)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in chunks
    )


def decode_png(png: bytes) -> UInt16[np.ndarray, "h w"]:
    """The pixels of a PNG by `encode_png`.

    Raises:
        ValueError: the file is damaged, or another program wrote it.
    """
    chunks = dict(_png_chunks(png))
    if not {b"IHDR", b"IDAT", b"IEND"} <= chunks.keys():
        raise ValueError("a PNG without header, pixels or end")
    if len(chunks[b"IHDR"]) != 13:
        raise ValueError(f"a PNG header of {len(chunks[b'IHDR'])} bytes, 13 belong")
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    size = height * (1 + 2 * width)
    if kind != [16, 0, 0, 0, 0] or not (width and height and size <= MAX_MEMBER_BYTES):
        raise ValueError(f"not a 16 bit grey PNG of a sensible size: {width} x {height}, {kind}")
    try:
        raw = zlib.decompressobj().decompress(chunks[b"IDAT"], size + 1)
    except zlib.error as error:
        raise ValueError(f"damaged pixels: {error}") from error
    if len(raw) != size:
        raise ValueError(f"{len(raw)} bytes of pixels where {size} belong")
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + 2 * width)
    if not (rows[:, 0] == 2).all():
        raise ValueError("not written by simgen: a row has another filter")
    pixels = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8)
    return pixels.view(">u2").astype(np.uint16)


def _png_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    if png[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG")
    offset = 8
    while offset < len(png):
        if offset + 12 > len(png):
            raise ValueError(f"the PNG ends inside a chunk at byte {offset}")
        (size,) = struct.unpack_from(">I", png, offset)
        start, end = offset + 8, offset + 8 + size
        tag, data, crc = png[start - 4 : start], png[start:end], png[end : end + 4]
        if crc != struct.pack(">I", zlib.crc32(tag + data)):
            raise ValueError(f"damaged PNG chunk {tag!r} at byte {offset}")
        yield tag, data
        offset += 12 + size


def encode_ids(ids: Int32[np.ndarray, "h w"]) -> bytes:
    return encode_png(np.where(ids == CLUTTER, _CLUTTER_CODE, ids - BACKGROUND).astype(np.uint16))


def decode_ids(png: bytes) -> Int32[np.ndarray, "h w"]:
    codes = decode_png(png).astype(np.int32)
    return np.where(codes == _CLUTTER_CODE, CLUTTER, codes + BACKGROUND).astype(np.int32)


def encode_depth(depth_m: Float32[np.ndarray, "h w"]) -> bytes:
    with np.errstate(invalid="ignore"):
        units = np.rint(depth_m / DEPTH_UNIT_M)
    return encode_png(np.where(units <= 65535, units, 0).astype(np.uint16))


def decode_depth(png: bytes) -> Float32[np.ndarray, "h w"]:
    units = decode_png(png)
    return np.where(units == 0, np.inf, units * DEPTH_UNIT_M).astype(np.float32)


def encode_flow(flow_px: Float32[np.ndarray, "h w 2"]) -> bytes:
    """Codes as in KITTI's flow (Menze and Geiger 2015), in one channel: 32768 + 64 px, 0 where it is unknown."""
    with np.errstate(invalid="ignore"):
        units = np.rint(flow_px / FLOW_UNIT_PX) + _STILL_CODE
        known = ((units > 0) & (units <= 65535)).all(axis=-1, keepdims=True)
    codes = np.where(known, units, 0).astype(np.uint16)
    return encode_png(np.concatenate([codes[..., 0], codes[..., 1]]))


def decode_flow(png: bytes) -> Float32[np.ndarray, "h w 2"]:
    codes = decode_png(png)
    if codes.shape[0] % 2:
        raise ValueError(f"a flow picture is twice as high as the frame, not {codes.shape[0]} pixels")
    half = codes.shape[0] // 2
    both = np.stack([codes[:half], codes[half:]], axis=-1).astype(np.float32)
    known = (both > 0).all(axis=-1, keepdims=True)
    return np.where(known, (both - _STILL_CODE) * FLOW_UNIT_PX, np.nan).astype(np.float32)
