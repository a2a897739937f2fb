"""What a line's folder holds, checked before anything is made.

    my_line/
      line.yaml             the preset; simgen new writes it, with parts/ and backgrounds/
      photos/
        train.json          labelled photos to fine-tune on: COCO, with the pictures beside it or below it
        test.json           labelled photos to measure on; never trained on
        unlabelled/         photos without labels, to look at what is found; or simply pictures in photos/
      result/               all that the command writes

In place of the two JSON files `photos/` may be a YOLO data set: its `train`, and its `test` or `val`. Or each of
`photos/train/` and `photos/test/` holds one JSON file, with the pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hybrid.core.errors import DataError
from hybrid.data.clips import IMAGE_SUFFIXES, ClipSource, pictures_in
from hybrid.data.yolo_layout import listing_of, measuring_split, yolo_layout
from pipelines.common.data import is_yolo, note

PRESET, PHOTOS, RESULT = "line.yaml", "photos", "result"
ROLES = ("train", "test")


@dataclass(frozen=True)
class Labelled:
    """Labelled photos of one role."""

    path: Path
    names: tuple[str, ...]  # the categories that have a box
    photos: int
    sha256: str  # of the labels


@dataclass(frozen=True)
class Line:
    """A line's folder, as it was checked."""

    folder: Path  # absolute
    preset: dict[str, Any]  # complete, with the sha256 of each part and each background
    categories: tuple[str, ...]  # that are rendered
    size_px: tuple[int, int]  # of rendered pictures: width, height
    frames: int  # of a scene
    train: Labelled | None = None
    test: Labelled | None = None
    unlabelled: Path | None = None
    pictures: tuple[str, ...] = field(default=())  # names of the unlabelled photos
    stand_in: bool = False  # the photos are rendered too, by the line itself: see pipelines.demo

    @property
    def result(self) -> Path:
        return self.folder / RESULT


def read_line(folder: Path) -> Line:
    """The line in a folder, which has a preset.

    Raises:
        DataError, ConfigError, TextFileError: something in it cannot be used. Names the file, and what would do.
    """
    whole = folder.resolve()
    line = rendered(whole)
    photos = whole / PHOTOS
    if photos.exists() and not photos.is_dir():
        raise DataError(f"{photos}: is a file; it must be a folder of photos")
    labels = labels_in(photos)
    train, test = (read_labels(path, role, line.categories) for path, role in zip(labels, ROLES, strict=True))
    check_apart(train, test)
    unlabelled = unlabelled_in(photos, any(labels))
    pictures = tuple(file.name for file in pictures_in(unlabelled)) if unlabelled else ()
    return replace(line, train=train[0], test=test[0], unlabelled=unlabelled, pictures=pictures)


def rendered(folder: Path) -> Line:
    """What the folder's preset renders.

    Raises:
        ConfigError: the preset or what it names cannot be used.
    """
    from simgen.presets.read import load_config
    from simgen.scene.sampling.parts import category_of

    config = load_config(str(folder / PRESET))
    kinds = config.parts.kinds.items()
    categories = tuple(sorted({category_of(kind, knobs) for kind, knobs in kinds if knobs.weight > 0}))
    camera = config.camera
    size_px = camera.width_px, camera.height_px
    return Line(folder, config.model_dump(mode="json"), categories, size_px, config.timing.frames)


def labels_in(photos: Path) -> tuple[Path | None, Path | None]:
    """The labels to train on and those to measure on.

    Raises:
        DataError: there are labels of which nobody knows what they are for.
    """
    if not photos.is_dir():
        return None, None
    if is_yolo(photos):
        return _yolo(photos)
    train, test = (_coco(photos, role) for role in ROLES)
    known = {train, test}
    if others := sorted(one for one in photos.glob("*.json") if one not in known):
        raise DataError(
            f"{others[0]}: labels to train on, or to measure on? Name the file train.json or test.json; photos to "
            "measure on must not be trained on"
        )
    return train, test


def _coco(photos: Path, role: str) -> Path | None:
    file, inside = photos / f"{role}.json", sorted((photos / role).glob("*.json"))
    if len(inside) + file.is_file() > 1:
        files = ", ".join(str(one) for one in [file, *inside][not file.is_file() :])
        raise DataError(f"{files}: which of them are the labels to {role}? Keep one")
    return file if file.is_file() else inside[0] if inside else None


def _yolo(photos: Path) -> tuple[Path | None, Path | None]:
    """A YOLO data set has splits. Without its YAML file it has none, and all of it is trained on."""
    problem: DataError | None = None
    found: list[Path | None] = []
    for split in ("train", measuring_split(photos)):
        try:
            has_pictures = bool(yolo_layout(photos, split).pictures) and (split == "train" or bool(listing_of(photos)))
            found.append(photos if has_pictures else None)
        except DataError as error:
            problem = problem or error
            found.append(None)
    if problem is not None and not any(found):
        raise problem
    return found[0], found[1]


Read = tuple[Labelled | None, ClipSource | None]


def read_labels(path: Path | None, role: str, categories: Sequence[str]) -> Read:
    """The labels of a role, and their photos.

    Raises:
        DataError: they cannot be used, or label none of the `categories`.
    """
    if path is None:
        return None, None
    from pipelines.common.data import data_hash, read_all, split_to_measure

    split = "train" if role == "train" else split_to_measure(path)
    source = read_all(path, split)
    names = tuple(name for name, count in source.counts().items() if count)
    if not set(names) & set(categories):
        raise DataError(
            f"{path}: labels {list(names)!r:.200}, but {PRESET} renders {list(categories)}: no name is in both. Names "
            "are compared letter by letter: rename them in the labels, or set `category` of the kinds in the preset"
        )
    return Labelled(path, names, len(source.frames), data_hash(path, split)), source


def check_apart(train: Read, test: Read) -> None:
    """Refuse photos that are both trained on and measured on.

    Raises:
        DataError: names one.
    """
    if train[0] is None or train[1] is None or test[0] is None or test[1] is None:
        return
    from hybrid.data.shared import shared_images

    if pairs := shared_images(test[1], train[1]):
        raise DataError(
            f"{test[0].path}: {len(pairs)} of its {test[0].photos} photos are in {train[0].path} too, such as "
            f"{pairs[0][0]}: what is trained on cannot be measured on; take them out of one of the two"
        )


def unlabelled_in(photos: Path, has_labels: bool) -> Path | None:
    """The folder of photos without labels: photos/unlabelled, or photos itself where nothing is labelled."""
    for folder in (photos / "unlabelled", *([] if has_labels else [photos])):
        if pictures_in(folder):
            return folder
    if photos.is_dir() and not has_labels:
        note(f"{photos}: holds neither labels nor pictures ({', '.join(IMAGE_SUFFIXES)})")
    return None


def listing_sha256(folder: Path, names: Sequence[str]) -> str:
    """A hash of names and sizes of files, by which a change is seen."""
    rows = "".join(f"{name} {(folder / name).stat().st_size}\n" for name in names)
    return hashlib.sha256(rows.encode("utf-8", "surrogateescape")).hexdigest()
