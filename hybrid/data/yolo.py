"""Labelled images from a YOLO data set. `yolo_layout` finds its pictures, `yolo_rows` reads a label file."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybrid.core.errors import DataError
from hybrid.data.boxes import StatedBox, labelled_record, make_source
from hybrid.data.clips import Clip, ClipSource, FrameRecord, Skips
from hybrid.data.pixels import ImageInfo, inspect_image
from hybrid.data.yolo_layout import YoloLayout, is_yolo_folder, measuring_split, yolo_layout
from hybrid.data.yolo_rows import YoloRow, yolo_rows
from simgen.dataset.format.picture_files import LINKED, leads_out
from simgen.spec.text.printable import printable

__all__ = ["is_yolo_folder", "measuring_split", "read_yolo", "yolo_layout"]

MAX_LABEL_BYTES = 16 * 2**20  # of a label file
UNLABELLED = "photo without a label file: taken as background"


def read_yolo(
    path: Path, split: str = "train", categories: Sequence[str] | None = None, names: Sequence[str] | None = None
) -> ClipSource:
    """Labelled images of a YOLO data set. Each image is a clip of one frame.

    A label line is `class x_centre y_centre width height`, in fractions of the image's width and height. Lines of
    outlines, oriented boxes, keypoints and predictions are told apart (`hybrid.data.yolo_rows`). An image with an empty
    label file is background. One without a label file is background too, and is named in `skipped`.

    Args:
        path: a folder with `data.yaml`, or that file, or a folder of `images` and `labels` (then give `names`, unless
            it has a `classes.txt`).
        split: the key of `data.yaml` to read: train, val or test.
        categories: the names that the model knows, in its order; by default those classes of the data set that a label
            bears.
        names: the names of the classes 0, 1, 2, ..., in place of those in `data.yaml`.

    Raises:
        DataError: the names, the images or the labels are missing, or no image can be used.

    >>> source = read_yolo(Path("photos-yolo"))
    >>> source.frames[0].boxes_xyxy_px.tolist()
    [[40.0, 15.0, 60.0, 35.0]]
    """
    layout = yolo_layout(path, split, names)
    skips, labels = layout.skips, _LabelFiles()
    photos = [photo for name, file in layout.pictures.items() if (photo := _photo(name, file, layout, labels))]
    _note_missing(f"{path} ({split})", layout, labels, skips)
    known = tuple(categories) if categories is not None else _borne(layout.classes, photos, skips)
    clips = []
    for record, rows in photos:
        boxes = _stated_boxes(record, rows, layout, known, skips)
        clips.append(Clip(record.name, (labelled_record(record, boxes, skips),)))
    return make_source(f"{path} ({split})", known, clips, skips)


@dataclass
class _LabelFiles:
    """Finds and reads the label files of pictures."""

    used: set[Path] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)  # pictures without one
    _listings: dict[Path, dict[str, Path]] = field(default_factory=dict)

    def of(self, picture: Path) -> Path | None:
        """The label file of a picture.

        Its folder is the picture's, with the last folder `images` replaced by `labels`; or the picture's own.
        """
        folders = list(picture.parent.parts)
        places = [place for place, folder in enumerate(folders) if folder.lower() == "images"]
        if places:
            folders[places[-1]] = "labels"
        for folder in dict.fromkeys((Path(*folders), picture.parent)):
            file = self.in_folder(folder).get(unicodedata.normalize("NFC", picture.stem))
            if file is not None:
                self.used.add(file)
                return file
        return None

    def in_folder(self, folder: Path) -> dict[str, Path]:
        """The text files of a folder by their stems, in one Unicode form."""
        if folder not in self._listings:
            try:
                files = sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_file())
            except OSError:
                files = []
            self._listings[folder] = {
                unicodedata.normalize("NFC", file.stem): file for file in files if file.suffix.lower() == ".txt"
            }
        return self._listings[folder]

    @property
    def folders(self) -> set[Path]:
        """The folders that were looked in."""
        return set(self._listings)

    def unused(self) -> list[Path]:
        """The label files in folders `labels` that are of no picture."""
        seen = [file for folder, files in self._listings.items() if "labels" in folder.parts for file in files.values()]
        return [file for file in seen if file not in self.used and file.stem.lower() not in ("classes", "labels")]


Photo = tuple[FrameRecord, list[YoloRow]]


def _photo(name: str, file: Path, layout: YoloLayout, labels: _LabelFiles) -> Photo | None:
    """The record of a picture, without its boxes, and the rows of its label file; None: it cannot be used."""
    skips, label_file = layout.skips, labels.of(file)
    info = LINKED if _leads_out(file, layout.root) else inspect_image(file)
    if not isinstance(info, ImageInfo):
        skips.add(info, name)
        return None
    for note in info.notes:
        skips.add(note, name)
    rows: list[YoloRow] = []
    if label_file is None:
        labels.missing.append(name)
    else:
        text = _label_text(label_file)
        if text is None:
            skips.add("image left out: its label file cannot be read", name)
            return None
        rows, notes = yolo_rows(text, layout.keypoint_numbers)
        for reason, line in notes:
            skips.add(reason, f"{name} line {line}")
    width_px, height_px = info.upright_size
    record = FrameRecord(
        name=name,
        path=file,
        width_px=width_px,
        height_px=height_px,
        upright=True,
        boxes_xyxy_px=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int64),
    )
    return record, rows


def _leads_out(file: Path, root: Path) -> bool:
    try:
        return leads_out(file, root)
    except (OSError, RuntimeError):
        return False  # a broken link is missing, which `inspect_image` says


def _label_text(file: Path) -> str | None:
    """The text of a label file, without a byte order mark; PowerShell writes UTF-16. None: it cannot be read."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_LABEL_BYTES + 1)
    except OSError:
        return None
    wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    return raw.decode("utf-16" if wide else "utf-8-sig", errors="replace") if len(raw) <= MAX_LABEL_BYTES else None


def _note_missing(name: str, layout: YoloLayout, labels: _LabelFiles, skips: Skips) -> None:
    """Say which photos have no label file, and which label files have no photo.

    Raises:
        DataError: no photo has a label file.
    """
    if labels.missing and not labels.used:
        looked = ", ".join(printable(str(folder)) for folder in sorted(labels.folders)[:4])
        raise DataError(f"{name}: none of the {len(labels.missing)} photos has a label file; looked in {looked}")
    for photo in labels.missing:
        skips.add(UNLABELLED, photo)
    for file in labels.unused() if layout.whole_folders else ():
        skips.add("label file without a photo", printable(file.name))


def _borne(classes: Sequence[str], photos: Sequence[Photo], skips: Skips) -> tuple[str, ...]:
    """The classes that a label bears, in their order; all, where no label bears one."""
    indices = {row.index for _, rows in photos for row in rows}
    borne = {name for index, name in enumerate(classes) if index in indices}
    if not borne:
        return tuple(dict.fromkeys(classes))
    for name in dict.fromkeys(classes):
        if name not in borne:
            skips.add("category that no annotation bears", name)
    return tuple(name for name in dict.fromkeys(classes) if name in borne)


def _stated_boxes(
    record: FrameRecord, rows: Sequence[YoloRow], layout: YoloLayout, known: Sequence[str], skips: Skips
) -> Iterator[StatedBox]:
    size = np.array([record.width_px, record.height_px] * 2)
    for row in rows:
        item = f"{record.name} line {row.line}"
        box = (np.array(row.box) * size).tolist()
        if row.index >= len(layout.classes):
            skips.add("class that is not listed: neither part nor background", f"{item}: class {row.index}")
            yield StatedBox(item, -1, box, ignored=True)
        elif (name := layout.classes[row.index]) in known:
            yield StatedBox(item, known.index(name), box)
        else:
            skips.add(f"category {name!r} not known to the model", item)
