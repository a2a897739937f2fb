"""Labelled images from a YOLO folder."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.core.errors import DataError
from hybrid.data.boxes import StatedBox, box_arrays, make_source, usable_boxes
from hybrid.data.clips import IMAGE_SUFFIXES, Clip, ClipSource, FrameRecord, Skips
from hybrid.data.pixels import ImageInfo, inspect_image, path_below


def read_yolo(
    path: Path, split: str = "train", categories: Sequence[str] | None = None, names: Sequence[str] | None = None
) -> ClipSource:
    """Labelled images of a YOLO data set. Each image is a clip of one frame.

    A label line is `class x_centre y_centre width height`, or `class` and the points of an outline. Coordinates are
    fractions of the image's width and height. An image without a label file has no boxes.

    Args:
        path: a folder with `data.yaml`, or that file, or a folder of `images` and `labels` (then give `names`).
        split: the key of `data.yaml` to read: train, val or test.
        categories: the names that the model knows, in its order; by default the classes of the data set.
        names: the names of the classes 0, 1, 2, ..., in place of those in `data.yaml`.

    Raises:
        DataError: the names or the images are missing, or no image can be used.

    >>> source = read_yolo(Path("photos-yolo"))
    >>> source.frames[0].boxes_xyxy_px.tolist()
    [[40.0, 15.0, 60.0, 35.0]]
    """
    folder, classes = yolo_layout(path, split, names)
    known = tuple(categories) if categories is not None else classes
    skips = Skips()
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    clips = []
    for file in files:
        record = _frame_record(folder, file, classes, known, skips)
        if record is not None:
            clips.append(Clip(record.name, (record,)))
    return make_source(f"{path} ({split})", known, clips, skips)


def yolo_layout(path: Path, split: str, names: Sequence[str] | None) -> tuple[Path, tuple[str, ...]]:
    """The folder that holds the images of a split, and the names of the classes.

    Raises:
        DataError: the names or the images are missing.
    """
    listing = path if path.is_file() else path / "data.yaml"
    if not listing.is_file():
        folder = path / "images" / split if (path / "images" / split).is_dir() else path / "images"
        if names is None or not folder.is_dir():
            raise DataError(f"{path}: no data.yaml; without it the folder needs `images`, and the classes' names given")
        return folder, tuple(names)
    stated = _read_listing(listing)
    try:
        stated_names = stated["names"]
        classes = tuple(str(stated_names[i]) for i in range(len(stated_names)))
        images = stated[split]
    except (KeyError, TypeError) as error:
        raise DataError(f"{listing}: needs `names` (0, 1, 2, ...) and {split!r}: {error!r}") from None
    if not isinstance(images, str):
        raise DataError(f"{listing}: {split}: give one folder, got {images!r}")
    below = path_below(listing.parent, re.sub(r"^(\.\./)+", "", images))  # Roboflow writes ../train/images
    if below is None or not below.is_dir():
        raise DataError(f"{listing}: {split}: {images!r} is no folder below {listing.parent}")
    return below, tuple(names) if names is not None else classes


def measuring_split(path: Path) -> str:
    """The split of a YOLO data set to measure on: `test`, or `val` where `data.yaml` has no `test`."""
    listing = path if path.is_file() else path / "data.yaml"
    return "test" if _read_listing(listing).get("test") else "val"


def _read_listing(file: Path) -> dict[str, Any]:
    import yaml

    try:
        stated = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: is no YAML: {error}") from None
    if not isinstance(stated, dict):
        raise DataError(f"{file}: needs `names` and splits, got {type(stated).__name__}")
    return stated


def _frame_record(
    folder: Path, file: Path, classes: Sequence[str], known: Sequence[str], skips: Skips
) -> FrameRecord | None:
    name = file.relative_to(folder).as_posix()
    info = inspect_image(file)
    if not isinstance(info, ImageInfo):
        skips.add(info, name)
        return None
    for note in info.notes:
        skips.add(note, name)
    width_px, height_px = info.upright_size
    boxes = []
    for number, line in enumerate(_label_lines(file), 1):
        item = f"{name} line {number}"
        values = _finite_numbers(line)
        if values is None or not (len(values) == 5 or (len(values) >= 7 and len(values) % 2)):
            skips.add("label line that is no box", item)
            continue
        index = int(values[0])
        label = classes[index] if 0 <= index < len(classes) else f"class {index}"
        if label not in known:
            skips.add(f"category {label!r} not known to the model", item)
            continue
        boxes.append(StatedBox(item, known.index(label), _box_xyxy_px(values[1:], width_px, height_px)))
    boxes_xyxy_px, labels = box_arrays(usable_boxes(boxes, width_px, height_px, skips), width_px, height_px)
    return FrameRecord(
        name=name,
        path=file,
        width_px=width_px,
        height_px=height_px,
        upright=True,
        boxes_xyxy_px=boxes_xyxy_px,
        labels=labels,
    )


def _label_lines(image: Path) -> list[str]:
    """The lines of the image's label file. Its path is the image's, with the last folder `images` replaced by `labels`.

    An image without a label file has no lines.
    """
    folders = list(image.parent.parts)
    positions = [position for position, folder in enumerate(folders) if folder == "images"]
    if positions:
        folders[positions[-1]] = "labels"
    file = Path(*folders) / (image.stem + ".txt")
    return [line for line in file.read_text(errors="replace").splitlines() if line.strip()] if file.is_file() else []


def _finite_numbers(line: str) -> list[float] | None:
    """The numbers of a line, or None where a word is no finite number."""
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _box_xyxy_px(fractions: Sequence[float], width_px: int, height_px: int) -> list[float]:
    """The box of a centre and a size, or around the points of an outline."""
    points = np.array(fractions).reshape(-1, 2) * (width_px, height_px)
    if len(points) == 2:
        centre, size = points
        return [*(centre - size / 2).tolist(), *(centre + size / 2).tolist()]
    return [*points.min(0).tolist(), *points.max(0).tolist()]
