"""Read the pictures of a folder of photographs, or of a data set. The files are not trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simgen.camera.sensor import decode
from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.format.reader import DataSet
from simgen.presets.fit_camera.jpeg import Compression, read_header
from simgen.spec.errors import CameraError
from simgen.spec.frames import Image

SUFFIXES = (".jpg", ".jpeg", ".png")
FEWEST = 3  # photographs for a range
MAX_FILE_BYTES = 128 * 2**20
MAX_PIXELS = 64 * 10**6
SMALLEST_PX = 64


@dataclass(frozen=True)
class Photo:
    name: str
    image: Image
    jpeg: Compression | None  # None: not a JPEG


def read_pictures(folder: Path, most: int, fewest: int = FEWEST) -> list[Photo]:
    """Up to `most` pictures, spread evenly over a folder's .jpg and .png files, or over a data set's clips.

    Raises:
        CameraError: there is no such folder, it has too few pictures, one cannot be read, or their sizes differ.
        ShardError: the folder is a damaged data set.
    """
    if most < fewest:
        raise CameraError(f"needs at least {fewest} photos, --photos allows {most}")
    if not folder.is_dir():
        raise CameraError(f"{folder}: no such folder")
    photos = list(_of_data_set(folder, most) if (folder / MANIFEST).is_file() else _of_folder(folder, most, fewest))
    if len(photos) < fewest:
        raise CameraError(f"{folder}: needs at least {fewest} pictures, there are {len(photos)}")
    sizes = {photo.image.shape[:2]: photo.name for photo in photos}
    if len(sizes) > 1:
        shown = ", ".join(f"{name} is {width} x {height}" for (height, width), name in list(sizes.items())[:3])
        raise CameraError(f"{folder}: pictures of different sizes ({shown}); use unedited pictures of one camera")
    return photos


def _spread(count: int, picks: int) -> list[int]:
    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(count, picks)).round())] if count else []


def _of_folder(folder: Path, most: int, fewest: int) -> Iterator[Photo]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if len(paths) < fewest:
        inner = next((p for p in sorted(folder.iterdir()) if p.is_dir() and any(_pictures(p))), None)
        hint = f"; there are some in {inner}" if inner and not paths else ""
        raise CameraError(f"{folder}: needs at least {fewest} .jpg or .png files, there are {len(paths)}{hint}")
    for i in _spread(len(paths), most):
        yield read_picture(paths[i])


def _pictures(folder: Path) -> Iterator[Path]:
    return (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _of_data_set(folder: Path, most: int) -> Iterator[Photo]:
    data = DataSet(folder)
    for i in _spread(len(data), most):
        clip = data[i]
        yield _photo(f"{folder.name}, scene {clip.index}", clip.jpeg(0))


def read_picture(path: Path) -> Photo:
    """Read one picture.

    Raises:
        CameraError: it is too large, too small, or cannot be read as a picture.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise CameraError(f"{path}: larger than a photo can be ({MAX_FILE_BYTES} bytes)")
    return _photo(str(path), path.read_bytes())


def _photo(name: str, data: bytes) -> Photo:
    try:
        header = read_header(data)
        width, height = header.width_px, header.height_px
        if width * height > MAX_PIXELS or min(width, height) < SMALLEST_PX:
            raise CameraError(f"{name}: {width} x {height} pixels; needs {SMALLEST_PX} a side to {MAX_PIXELS} in all")
        return Photo(name, decode(data), header.jpeg)
    except ValueError as error:
        raise CameraError(f"{name}: cannot be read as a picture: {error}") from None
