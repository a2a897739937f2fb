"""Photographs in a preset: `stage.photo.files: backgrounds` becomes what of each photo decides scenes.

A path is relative to the preset that names it, and to the working folder in `--set`. A photo is read once: the config
holds its name, sha256, size and light; `simgen.spec.contents` its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from simgen.assets.photos import median_light, photo_pixels
from simgen.presets.anchors import WHERE, photo_group, with_photo
from simgen.presets.fit_camera.measures import neutral_cast
from simgen.presets.outlines.work_areas import with_areas
from simgen.scene.config import PhotoFile
from simgen.spec.colour import LUMINANCE
from simgen.spec.contents import keep
from simgen.spec.errors import BadPhoto
from simgen.spec.picture import read_bytes
from simgen.spec.text.yaml_text import KeyPath, Tree, dotted_key
from simgen.spec.types import Vec3

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MAX_PHOTOS = 1000
MEASURED_PX = 512  # of the longer side: a larger photo is measured at every second, third ... pixel
MAX_BYTES = 2**30  # of all photos: they are held in memory and copied into each data set
GREY_CODES = 3  # channels of a grey camera's photo differ by no more: JPEG stores colour coarsely

LeaveOut = Callable[[str], None]


def read_photos(tree: Tree) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """The values of a merged tree with what was found in its photos, and a message for each problem."""
    group = photo_group(tree.values) or {}
    files, area = group.get("files"), group.get("area")
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        return tree.values, {}
    where, left_out = (*WHERE, "files"), list[str]()
    try:
        found = found_photos([Path(file) for file in files], left_out.append)
    except BadPhoto as error:
        return tree.values, {WHERE: f"{tree.where(where)}: {dotted_key(where)}: {error}"}
    used = list(found.values())
    if isinstance(area, str) and area:
        try:
            used = with_areas(used, Path(area), left_out)
        except BadPhoto as error:
            at = (*WHERE, "area")
            return tree.values, {WHERE: f"{tree.where(at)}: {dotted_key(at)}: {error}"}
    pictures = [file.model_dump(mode="json") for file in used]
    return with_photo(tree.values, {"pictures": pictures, "left_out": left_out}), {}


def found_photos(paths: Sequence[Path], leave_out: LeaveOut) -> dict[Path, PhotoFile]:
    """The photos among these files and in these folders, in the order given, each content once.

    Their bytes are kept for this process. What cannot be a background is left out: `leave_out` gets the reason.

    Raises:
        BadPhoto: there is no such file or folder, none of them can be used, or they are too many.
    """
    found: dict[Path, PhotoFile] = {}
    left, total = list[str](), 0
    for path in (file for one in paths for file in files_of(one)):
        data = read_bytes(path)
        measured = data if isinstance(data, str) else _measured(data)
        if isinstance(data, str) or isinstance(measured, str):
            left.append(f"{path}: {measured}")
            leave_out(left[-1])
            continue
        total += len(data)
        if len(found) >= MAX_PHOTOS or total > MAX_BYTES:
            raise BadPhoto(f"{path}: one too many; {MAX_PHOTOS} photos and {MAX_BYTES / 1e9:.1f} GB are the most")
        file = measured.model_copy(update={"name": path.name, "photo_sha256": keep(data)})
        if all(other.photo_sha256 != file.photo_sha256 for other in found.values()):
            found[path] = file
    if not found:
        named = ", ".join(map(str, paths)) or "an empty list"
        raise BadPhoto(f"{named}: no photo that can be used" + (f": {left[0]}" if left else ""))
    return found


@lru_cache(maxsize=MAX_PHOTOS)
def _measured(data: bytes) -> PhotoFile | str:
    """Size, light and colour of a photo, without its name; or why it cannot be a background."""
    pixels = photo_pixels(data)
    if isinstance(pixels, str):
        return pixels
    height, width = pixels.shape[:2]
    step = max(1, max(height, width) // MEASURED_PX)
    some = pixels[::step, ::step]
    cast = np.array([*neutral_cast(np.ascontiguousarray(some)), 1.0])[[0, 2, 1]]
    tint = np.ones(3) if np.isnan(cast).any() else cast / (LUMINANCE @ cast)
    spread = some.max(axis=2).astype(np.int16) - some.min(axis=2)
    return PhotoFile(
        name="",
        photo_sha256="0" * 64,
        width_px=width,
        height_px=height,
        median_rgb=_rounded(median_light(some)),
        tint_rgb=_rounded(tint),
        is_grey=bool(np.quantile(spread, 0.99) <= GREY_CODES),
    )


def _rounded(rgb: Float64[np.ndarray, "3"]) -> Vec3:
    red, green, blue = (round(float(value), 6) for value in rgb)
    return red, green, blue


def files_of(path: Path) -> list[Path]:
    """The photos in a folder, sorted; or a file itself.

    Raises:
        BadPhoto: there is no such file or folder, or no photo in it.
    """
    try:
        if not path.is_dir():
            if not path.is_file():
                raise BadPhoto(f"{path}: no such file or folder")
            return [path]
        files = sorted(one for one in path.iterdir() if one.suffix.lower() in ENDINGS and one.is_file())
    except OSError as error:
        raise BadPhoto(f"{path}: cannot be read: {error.strerror}") from None
    if not files:
        raise BadPhoto(f"{path}: no photo in this folder ({', '.join(ENDINGS)})")
    return files
