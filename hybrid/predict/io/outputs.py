"""What a detection run may write. Nothing that a user owns is overwritten unless told so, and a source never."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from hybrid.core.errors import DataError
from hybrid.predict.io.video import VIDEO_SUFFIXES

CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
LISTING, EVENTS, COUNTS = "detections.jsonl", "events.jsonl", "counts.csv"


class Kind(Enum):
    """What `--out` names."""

    VIDEO = "a video"
    PICTURE = "one picture"
    FOLDER = "a folder"


def kind_of(out: Path) -> Kind:
    """By its suffix; a folder that exists is one whatever its suffix.

    Raises:
        DataError: it is a file of another kind, or a video that OpenCV does not write.
    """
    suffix = out.suffix.lower()
    if not out.is_dir() and suffix in CODECS:
        return Kind.VIDEO
    if not out.is_dir() and suffix in PICTURES:
        return Kind.PICTURE
    if suffix in VIDEO_SUFFIXES or out.is_file():
        raise DataError(f"--out: {out} must be a folder, a picture, or a video ending in {', '.join(CODECS)}")
    return Kind.FOLDER


def listing_of(out: Path) -> Path:
    """The file with the JSON lines: in the folder, or beside the video or picture."""
    return out / LISTING if kind_of(out) is Kind.FOLDER else out.with_suffix(".jsonl")


def beside(out: Path, name: str) -> Path:
    """EVENTS or COUNTS: in the folder, or beside a video with its name in front."""
    return out / name if kind_of(out) is Kind.FOLDER else out.with_name(f"{out.stem}_{name}")


def check_out(out: Path, sources: Sequence[Path], overwrite: bool = False) -> None:
    """Check an output before anything is read.

    Args:
        out: what will be written.
        sources: files and folders that are read; a link to one of them is the same.
        overwrite: an existing file or a folder with files in it may be written over, but no source.

    Raises:
        DataError: it is a source, exists already, or cannot be written. Says what would do.
    """
    folder, others = kind_of(out) is Kind.FOLDER, [] if kind_of(out) is Kind.FOLDER else [listing_of(out)]
    if kind_of(out) is Kind.VIDEO:
        others += [beside(out, EVENTS), beside(out, COUNTS)]
    for path in [out, *others]:
        for source in sources:
            if _same(path, source):
                raise DataError(f"--out: {path} is what is read; give another name")
            if not folder and source.is_dir() and os.path.lexists(path) and _same(path.parent, source):
                raise DataError(f"--out: {path} is in {source}, which is read; give another name")
            if folder and source.is_file() and _same(path, source.parent):
                raise DataError(f"--out: {path} is the folder of {source.name}, which is read; give another folder")
        if not overwrite and (any(path.iterdir()) if path.is_dir() else os.path.lexists(path)):
            raise DataError(
                f"--out: {path} {'is not empty' if path.is_dir() else 'exists'}; give another name, or say --overwrite"
            )
    _check_writable(out if folder else out.parent)


def check_file(out: Path, suffix: str, sources: Sequence[Path], overwrite: bool) -> None:
    """Check one file that will be written, as `check_out`.

    Raises:
        DataError: it is a source, has another suffix, exists already, or cannot be written.
    """
    if out.suffix.lower() != suffix:
        raise DataError(f"--out: {out} must end in {suffix}")
    if any(_same(out, source) for source in sources):
        raise DataError(f"--out: {out} is what is read; give another name")
    if out.is_dir() or (not overwrite and os.path.lexists(out)):
        raise DataError(f"--out: {out} exists; give another name, or say --overwrite")
    _check_writable(out.parent)


def _same(one: Path, other: Path) -> bool:
    """Whether both exist and are one file or folder, under any names: symbolic and hard links included."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def _check_writable(folder: Path) -> None:
    nearest = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
    if not nearest.is_dir():
        raise DataError(f"--out: {nearest} is no folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise DataError(f"--out: {nearest} is a folder without permission to write")


def encoded(picture: UInt8[np.ndarray, "h w 3"], suffix: str) -> bytes:
    """An RGB picture in the format of a file's suffix.

    Raises:
        DataError: OpenCV cannot write such a file.
    """
    import cv2

    if suffix.lower() not in PICTURES:
        raise DataError(f"{suffix or 'no suffix'}: a picture's name ends in {', '.join(PICTURES)}")
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    try:
        options = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix.lower() in (".jpg", ".jpeg") else []
        ok, data = cv2.imencode(suffix.lower(), bgr, options)
    except cv2.error:
        ok = False
    if not ok:
        raise DataError(f"a picture of {picture.shape[1]}x{picture.shape[0]} cannot be written as {suffix}")
    return data.tobytes()


def replace_file(path: Path, content: bytes) -> None:
    """Write a file under a name. A link of that name is replaced; the file that it points to keeps its bytes."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
