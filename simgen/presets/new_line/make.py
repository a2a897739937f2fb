"""Write the folder of a new line. It is built in a hidden folder beside it, and renamed when it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from simgen.presets.fit_camera.fit import CameraFit, fit_camera
from simgen.presets.fit_camera.photos import FEWEST, Photo
from simgen.presets.new_line.lens import LensFound, from_exif, guessed, read_calibration
from simgen.presets.new_line.text import AREA, preset_text, readme_text
from simgen.presets.new_line.view import View, check_area, check_place, over_area, placed, rendered_size
from simgen.presets.outlines.work_areas import with_areas
from simgen.presets.photos import files_of, found_photos
from simgen.presets.read import load_config
from simgen.scene.config import PhotoFile
from simgen.scene.sampling.photo import MID_GREY
from simgen.spec.colour import LUMINANCE
from simgen.spec.errors import CameraError
from simgen.spec.evenly import evenly
from simgen.spec.picture import decoded, read_bytes
from simgen.spec.types import Vec2

MOST_MEASURED = 24  # photos, spread over the folder
MOST_COPIED = 100  # photos, spread over the folder

Say = Callable[[str], None]


@dataclass(frozen=True)
class NewLine:
    """What a new line is made of. Every path is one that the user gave."""

    empty: tuple[Path, ...]  # photos of the empty place, and folders of them
    photos: Path | None  # of the busy place, without labels
    camera: Path | None  # calibration
    height_m: float | None
    tilt_deg: float | None
    view_m: float | None
    work_area: Path | None = None  # COCO JSON with the corners of the work surface in each photo of the empty place
    area_m: Vec2 | None = None  # its sides


@dataclass(frozen=True)
class Seen:
    """What the photos and the calibration say."""

    empty: dict[Path, PhotoFile]
    size_px: tuple[int, int]  # of rendered pictures
    lens: LensFound  # at that size
    fit: CameraFit | str  # of the camera, or why there is none


def look(asked: NewLine, leave_out: Say) -> Seen:
    """Read what was given, but for the parts: what takes no time goes wrong first.

    Args:
        leave_out: gets each photo that cannot be used, with the reason.

    Raises:
        BadPhoto, CameraError: something that was given cannot be used.
    """
    check_place(asked.height_m, asked.tilt_deg, asked.view_m)
    check_area(asked.work_area, asked.area_m)
    empty = found_photos(list(asked.empty), leave_out)
    if asked.work_area is not None:
        empty = _with_corners(empty, asked.work_area, leave_out)
    first = next(iter(empty.values()))
    photo_px = (first.width_px, first.height_px)
    size_px = rendered_size(photo_px)
    lens = _lens(asked, empty, photo_px).at(size_px)
    return Seen(empty, size_px, lens, _measured(asked, list(empty), photo_px, size_px, leave_out))


def write_line(folder: Path, name: str, asked: NewLine, seen: Seen, sizes_m: dict[str, float], say: Say) -> None:
    """Write `line.yaml`, `README.md` and copies of the photos into a folder that has the parts already, and check them.

    Args:
        sizes_m: the largest side of each part in `parts/`, by its name.
        say: gets one line for each thing that was found or guessed.

    Raises:
        CameraError: a part is larger than the view.
        ConfigError: the preset cannot be read.
    """
    lens, fit = seen.lens, seen.fit
    if asked.work_area is not None and asked.area_m is not None:
        view = over_area(seen.size_px, lens, list(seen.empty.values()), asked.area_m)
        shutil.copyfile(asked.work_area, folder / AREA)
    else:
        view = placed(seen.size_px, lens, asked.height_m, asked.tilt_deg, asked.view_m, max(sizes_m.values()))
    _check_parts(sizes_m, view)
    white = float(np.median([LUMINANCE @ np.asarray(file.median_rgb) for file in seen.empty.values()])) / MID_GREY
    _copy(list(seen.empty), folder / "backgrounds")
    if asked.photos is not None:
        busy = files_of(asked.photos)
        _copy(evenly(busy, MOST_COPIED), folder / "photos" / "unlabelled")
        say(f"photos: {min(len(busy), MOST_COPIED)} of {len(busy)} copied to photos/unlabelled, to look at later")
    (folder / "line.yaml").write_text(preset_text(name, sizes_m, view, fit, white), "utf-8")
    (folder / "README.md").write_text(readme_text(name, list(sizes_m)), "utf-8")
    load_config(str(folder / "line.yaml"))
    say(f"camera: {view.size_px[0]} x {view.size_px[1]} px, focal length {view.lens.focal_px:.0f} px ({view.lens.how})")
    say(f"camera: {view.distance_m:.2f} m from the ground, tilted {view.tilt_deg:g} degrees ({view.how})")
    say(
        f"sensor: {fit}"
        if isinstance(fit, str)
        else f"sensor: {len(fit.ranges)} knobs measured from {fit.photos} photos"
    )


def _with_corners(empty: dict[Path, PhotoFile], area: Path, leave_out: Say) -> dict[Path, PhotoFile]:
    """The photos that have the corners of their work surface."""
    left_out: list[str] = []
    placed_files = {file.photo_sha256: file for file in with_areas(list(empty.values()), area, left_out)}
    for reason in left_out:
        leave_out(reason)
    return {path: placed_files[file.photo_sha256] for path, file in empty.items() if file.photo_sha256 in placed_files}


def _lens(asked: NewLine, empty: dict[Path, PhotoFile], photo_px: tuple[int, int]) -> LensFound:
    """From the calibration, else from the EXIF of a photo, else guessed."""
    if asked.camera is not None:
        return read_calibration(asked.camera).at(photo_px)
    busy = files_of(asked.photos)[:3] if asked.photos is not None else []
    for path in (*empty, *busy):
        data = read_bytes(path)
        found = from_exif(path, data, photo_px) if isinstance(data, bytes) else None
        if found is not None:
            return found
    return guessed(photo_px)


def _check_parts(sizes_m: dict[str, float], view: View) -> None:
    for name, size_m in sizes_m.items():
        if size_m > max(view.ground_m):
            raise CameraError(
                f"{name}: {1000 * size_m:.0f} mm is larger than the view of {1000 * view.ground_m[0]:.0f} x "
                f"{1000 * view.ground_m[1]:.0f} mm ({view.how}); check --unit, --height-m and --tilt-deg"
            )


def _measured(
    asked: NewLine, empty: Sequence[Path], photo_px: tuple[int, int], size_px: tuple[int, int], leave_out: Say
) -> CameraFit | str:
    """What the photos say of the camera at the size of the rendered pictures, or why they say nothing."""
    files = files_of(asked.photos) if asked.photos is not None else list(empty)
    photos = []
    for path in evenly(files, MOST_MEASURED):
        read = _at_size(path, photo_px, size_px)
        if isinstance(read, Photo):
            photos.append(read)
        else:
            leave_out(f"{path}, from measuring the camera: {read}")
    if len(photos) < FEWEST:
        return f"needs {FEWEST} photos by the same camera, there are {len(photos)}: give --photos FOLDER"
    try:
        return fit_camera(photos)
    except CameraError as error:
        return str(error)


def _at_size(path: Path, photo_px: tuple[int, int], size_px: tuple[int, int]) -> Photo | str:
    """A photo at the size of the rendered pictures; or why it cannot be used."""
    data = read_bytes(path)
    picture = data if isinstance(data, str) else decoded(data)
    if isinstance(picture, str):
        return picture
    height, width = picture.pixels.shape[:2]
    if abs(width * photo_px[1] / (height * photo_px[0]) - 1) > 0.02:
        return f"{width} x {height} pixels: another shape than the picture of the empty place"
    scaled = (
        picture.pixels
        if (width, height) == size_px
        else cv2.resize(picture.pixels, size_px, interpolation=cv2.INTER_AREA)
    )
    return Photo(str(path), np.ascontiguousarray(scaled), None)


def _copy(photos: Sequence[Path], folder: Path) -> None:
    """Copy photos under their own names; two of one name get a number."""
    folder.mkdir(parents=True)
    for path in photos:
        names = (path.name, *(f"{path.stem}-{k}{path.suffix}" for k in range(2, len(photos) + 2)))
        shutil.copyfile(path, next(folder / name for name in names if not (folder / name).exists()))
