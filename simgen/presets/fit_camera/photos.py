"""Read the pictures of a folder of photographs, or of a data set. The files are not trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from simgen.camera.sensor import decode
from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.format.reader import DataSet
from simgen.presets.fit_camera.jpeg import Compression, read_header
from simgen.spec.errors import CameraError
from simgen.spec.evenly import evenly
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


LeaveOut = Callable[[str], None]  # called with each picture that is left out, and why


def _refuse(why: str) -> None:
    raise CameraError(why)


def read_pictures(folder: Path, most: int, fewest: int = FEWEST, leave_out: LeaveOut = _refuse) -> list[Photo]:
    """Up to `most` pictures, spread evenly over a folder's .jpg and .png files, or over a data set's clips.

    A picture that cannot be read, and one of another size than most, is left out: `leave_out` is called with the
    reason. Without it the first one is an error.

    Raises:
        CameraError: there is no such folder, it has too few pictures, or no size is that of more than half.
        ShardError: the folder is a damaged data set.
    """
    left: list[str] = []

    def leave(why: str) -> None:
        leave_out(why)
        left.append(why)

    if most < fewest:
        raise CameraError(f"needs at least {fewest} photos, --photos allows {most}")
    if not folder.is_dir():
        raise CameraError(f"{folder}: no such folder")
    is_data_set = (folder / MANIFEST).is_file()
    photos = list(_of_data_set(folder, most) if is_data_set else _of_folder(folder, most, fewest, leave))
    photos = _of_one_size(folder, photos, leave)
    if len(photos) < fewest:
        rest = f"; left out: {'; '.join(left[:2])}" + (f" and {len(left) - 2} more" if len(left) > 2 else "")
        raise CameraError(f"{folder}: needs at least {fewest} pictures, there are {len(photos)}{rest if left else ''}")
    return photos


def _of_one_size(folder: Path, photos: list[Photo], leave: LeaveOut) -> list[Photo]:
    """The pictures of the size that more than half of them have."""
    names = {photo.image.shape[:2]: photo.name for photo in photos}
    if len(names) < 2:
        return photos
    (height, width), count = Counter(photo.image.shape[:2] for photo in photos).most_common(1)[0]
    if 2 * count <= len(photos):
        shown = ", ".join(f"{name} is {w} x {h}" for (h, w), name in list(names.items())[:3])
        raise CameraError(f"{folder}: pictures of different sizes ({shown}); use unedited pictures of one camera")
    for photo in photos:
        h, w = photo.image.shape[:2]
        if (h, w) != (height, width):
            leave(
                f"{photo.name}: {w} x {h} pixels, most have {width} x {height}: not an unedited picture of one camera"
            )
    return [photo for photo in photos if photo.image.shape[:2] == (height, width)]


def _of_folder(folder: Path, most: int, fewest: int, leave: LeaveOut) -> Iterator[Photo]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if len(paths) < fewest:
        inner = next((p for p in sorted(folder.iterdir()) if p.is_dir() and any(_pictures(p))), None)
        hint = f"; there are some in {inner}" if inner and not paths else ""
        raise CameraError(f"{folder}: needs at least {fewest} .jpg or .png files, there are {len(paths)}{hint}")
    for path in evenly(paths, most):
        try:
            yield read_picture(path)
        except CameraError as error:
            leave(str(error))


def _pictures(folder: Path) -> Iterator[Path]:
    return (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _of_data_set(folder: Path, most: int) -> Iterator[Photo]:
    data = DataSet(folder)
    for i in evenly(range(len(data)), most):
        clip = data[i]
        yield _photo(f"{folder.name}, scene {clip.index}", clip.jpeg(0))


def read_picture(path: Path) -> Photo:
    """Read one picture.

    Raises:
        CameraError: it is too large, too small, or cannot be read as a picture.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CameraError(f"{path}: larger than a photo can be ({MAX_FILE_BYTES} bytes)")
        data = path.read_bytes()
    except OSError as error:
        raise CameraError(f"{path}: cannot be read: {error.strerror}") from None
    return _photo(str(path), data)


def _photo(name: str, data: bytes) -> Photo:
    try:
        header = read_header(data)
        width, height = header.width_px, header.height_px
        if width * height > MAX_PIXELS or min(width, height) < SMALLEST_PX:
            raise CameraError(f"{name}: {width} x {height} pixels; needs {SMALLEST_PX} a side to {MAX_PIXELS} in all")
        return Photo(name, decode(data), header.jpeg)
    except ValueError as error:
        raise CameraError(f"{name}: cannot be read as a picture: {error}") from None
