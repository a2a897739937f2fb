"""Clips from a YOLO folder."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.core.errors import DataError
from hybrid.data.boxes import Box, checked, finished
from hybrid.data.clips import IMAGE_SUFFIXES, Clip, ClipSource, FrameRecord, Skips
from hybrid.data.pixels import inside, inspect


def from_yolo(
    path: Path, split: str = "train", categories: Sequence[str] | None = None, names: Sequence[str] | None = None
) -> ClipSource:
    """A YOLO data set: a folder with `data.yaml`, or that file, or a folder of `images` and `labels` (give `names`).

    A label line is `class x_centre y_centre width height`, or `class` and an outline, in shares of the image's sides.

    Raises:
        DataError: no names or no images are found, or none can be used.
    """
    folder, own_names = yolo_layout(path, split, names)
    known = tuple(categories) if categories is not None else own_names
    skips = Skips()
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    clips = []
    for file in files:
        record = _yolo_frame(folder, file, own_names, known, skips)
        if record is not None:
            clips.append(Clip(record.name, (record,)))
    return finished(f"{path} ({split})", known, clips, skips)


def yolo_layout(path: Path, split: str, names: Sequence[str] | None) -> tuple[Path, tuple[str, ...]]:
    """The folder of a split's images, and the names of the classes.

    Raises:
        DataError: as `from_yolo`.
    """
    listing = path if path.is_file() else path / "data.yaml"
    if not listing.is_file():
        folder = path / "images" / split if (path / "images" / split).is_dir() else path / "images"
        if names is None or not folder.is_dir():
            raise DataError(f"{path}: no data.yaml; without it the folder needs `images`, and the classes' names given")
        return folder, tuple(names)
    stated = _yolo_listing(listing)
    try:
        classes = stated["names"]
        own = tuple(str(classes[i]) for i in range(len(classes)))
        place = stated[split]
    except (KeyError, TypeError) as error:
        raise DataError(f"{listing}: needs `names` (0, 1, 2, ...) and {split!r}: {error!r}") from None
    if not isinstance(place, str):
        raise DataError(f"{listing}: {split}: give one folder, got {place!r}")
    below = inside(listing.parent, re.sub(r"^(\.\./)+", "", place))  # Roboflow writes ../train/images for train/images
    if below is None or not below.is_dir():
        raise DataError(f"{listing}: {split}: {place!r} is no folder below {listing.parent}")
    return below, tuple(names) if names is not None else own


def _yolo_listing(file: Path) -> dict[str, Any]:
    import yaml

    try:
        stated = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: is no YAML: {error}") from None
    if not isinstance(stated, dict):
        raise DataError(f"{file}: needs `names` and splits, got {type(stated).__name__}")
    return stated


def measuring_split(path: Path) -> str:
    """The split of a YOLO data set to measure on: `test`, or `val` where it states no `test`."""
    listing = path if path.is_file() else path / "data.yaml"
    return "test" if _yolo_listing(listing).get("test") else "val"


def _yolo_frame(
    folder: Path, file: Path, own_names: Sequence[str], known: Sequence[str], skips: Skips
) -> FrameRecord | None:
    name = file.relative_to(folder).as_posix()
    found = inspect(file)
    if isinstance(found, str):
        skips.add(found, name)
        return None
    width, height, turned = found
    width, height = (height, width) if turned else (width, height)
    boxes = []
    for place, line in enumerate(_yolo_lines(file)):
        what = f"{name} line {place + 1}"
        numbers = _numbers(line)
        if numbers is None or not (len(numbers) == 5 or (len(numbers) >= 7 and len(numbers) % 2)):
            skips.add("label line that is no box", what)
            continue
        index = int(numbers[0])
        label = own_names[index] if 0 <= index < len(own_names) else f"class {index}"
        if label not in known:
            skips.add(f"category {label!r} not known to the model", what)
            continue
        boxes.append(Box(what, known.index(label), _yolo_box(numbers[1:], width, height)))
    xyxy, labels = checked(boxes, width, height, skips)
    return FrameRecord(
        name=name, path=file, width_px=width, height_px=height, upright=turned, boxes_xyxy_px=xyxy, labels=labels
    )


def _yolo_lines(file: Path) -> list[str]:
    """The lines of the image's label file: its path with the last `images` read as `labels`. No file, no parts."""
    parts = list(file.parent.parts)
    places = [place for place, part in enumerate(parts) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    labels = Path(*parts) / (file.stem + ".txt")
    return (
        [line for line in labels.read_text(errors="replace").splitlines() if line.strip()] if labels.is_file() else []
    )


def _numbers(line: str) -> list[float] | None:
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _yolo_box(shares: Sequence[float], width_px: int, height_px: int) -> list[float]:
    """The xyxy box of a centre and a size, or of an outline's points, in pixels."""
    points = np.array(shares).reshape(-1, 2) * (width_px, height_px)
    if len(points) == 2:
        centre, size = points
        return [*(centre - size / 2).tolist(), *(centre + size / 2).tolist()]
    return [*points.min(0).tolist(), *points.max(0).tolist()]
