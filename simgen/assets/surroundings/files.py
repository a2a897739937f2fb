"""A user's own surroundings: `.hdr` (Radiance RGBE) and `.exr` files of a full sphere, the zenith in the first row.

A file's size is read from its header, before anything is decoded.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.assets.surroundings.model import HEIGHT, WIDTH, Picture
from simgen.spec.errors import BadEnvironment
from simgen.spec.install import install_hint
from simgen.spec.text.bounded import NotRead, bounded_bytes

ENDINGS = (".hdr", ".exr")
MAX_BYTES, MAX_SIDE_PX = 512 * 2**20, 16384
MAX_CHANNELS = 8  # of an .exr: all are decoded, whatever their names
_HEADER_BYTES = 2**16


def folder_files(folder: str) -> list[Path]:
    """The environment files in a folder, sorted.

    Raises:
        BadEnvironment: there is no such folder, or none in it.
    """
    root = Path(folder)
    if not folder or not root.is_dir():
        raise BadEnvironment(f"{folder!r}: no such folder")
    try:
        files = sorted(path for path in root.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    except OSError as error:
        raise BadEnvironment(f"{folder}: cannot be read: {error.strerror}") from None
    if not files:
        raise BadEnvironment(f"{folder}: no {' or '.join(ENDINGS)} file in it")
    return files


def digest(path: Path) -> str:
    """The sha256 of a file's bytes.

    Raises:
        BadEnvironment: it cannot be read, or is too large.
    """
    return hashlib.sha256(_bytes(path)).hexdigest()


def read(file: str, sha256: str = "") -> Picture:
    """Read a file as a picture. The half below the horizon is made black.

    Raises:
        BadEnvironment: it is missing, has changed (`sha256`), is no HDR picture of a sphere, or is too large.
    """
    path = Path(file)
    data = _bytes(path)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise BadEnvironment(f"{file}: is not the file that the scene was drawn with (its sha256 was {sha256[:16]})")
    decode = {".hdr": _hdr, ".exr": _exr}.get(path.suffix.lower())
    if decode is None:
        raise BadEnvironment(f"{file}: is no {' or '.join(ENDINGS)} file")
    rgb = decode(path, data)
    if not np.isfinite(rgb).all() or rgb.max() <= 0:
        raise BadEnvironment(f"{file}: holds no light, or light that is infinite or not a number")
    small = cv2.resize(np.maximum(rgb, 0), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    small[HEIGHT // 2 :] = 0
    return np.asarray(small, np.float32)


def _bytes(path: Path) -> bytes:
    try:
        return bounded_bytes(path, MAX_BYTES)
    except NotRead as error:
        too_large = f"{error.size_bytes} bytes; {MAX_BYTES} are the most that is read"
        why = {"missing": "no such file", "no file": "no such file", "too large": too_large}
        raise BadEnvironment(f"{path}: {why.get(error.fault, f'cannot be read: {error.why}')}") from None


def _check_size(path: Path, width: int, height: int) -> None:
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise BadEnvironment(f"{path}: {width} x {height} pixels; {MAX_SIDE_PX} a side are the most that is read")
    if abs(width - 2 * height) > 0.02 * width:
        raise BadEnvironment(f"{path}: {width} x {height} pixels; a full sphere is twice as wide as it is high")


def _hdr(path: Path, data: bytes) -> Float32[np.ndarray, "h w 3"]:
    head = data[:_HEADER_BYTES]
    size = re.search(rb"\n\n-Y (\d{1,9}) \+X (\d{1,9})\n", head)
    if not head.startswith((b"#?RADIANCE", b"#?RGBE")) or size is None:
        raise BadEnvironment(f"{path}: is not a Radiance picture (.hdr) with its rows from the top")
    _check_size(path, int(size[2]), int(size[1]))
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise BadEnvironment(f"{path}: is damaged: {error.err}") from None
    if bgr is None or bgr.dtype != np.float32 or bgr.ndim != 3 or bgr.shape[:2] != (int(size[1]), int(size[2])):
        raise BadEnvironment(f"{path}: is damaged")
    return np.ascontiguousarray(bgr[..., ::-1])


def _exr(path: Path, data: bytes) -> Float32[np.ndarray, "h w 3"]:
    try:
        import OpenEXR
    except ImportError:
        raise BadEnvironment(f"{path}: .exr needs OpenEXR: {install_hint('exr')}") from None
    if not data.startswith(b"\x76\x2f\x31\x01"):
        raise BadEnvironment(f"{path}: is not an OpenEXR picture")
    try:
        with OpenEXR.File(str(path), header_only=True) as head:
            low, high = head.parts[0].header["dataWindow"]
            channels, parts = sum(len(part.header["channels"]) for part in head.parts), len(head.parts)
        if parts != 1 or channels > MAX_CHANNELS:
            raise BadEnvironment(f"{path}: {channels} channels, {parts} parts; needs one part with R, G and B")
        width, height = (int(b) - int(a) + 1 for a, b in zip(low, high, strict=True))
        _check_size(path, width, height)
        with OpenEXR.File(str(path)) as whole:
            planes = whole.channels()
            name = next((n for n in ("RGB", "RGBA") if n in planes), None)
            if name is None:
                raise BadEnvironment(f"{path}: needs the channels R, G and B, has {', '.join(sorted(planes))}")
            return np.ascontiguousarray(planes[name].pixels[..., :3], np.float32)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        raise BadEnvironment(f"{path}: is damaged: {' '.join(str(error).split())}") from None
