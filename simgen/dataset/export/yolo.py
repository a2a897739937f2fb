"""YOLO text files for detection and segmentation, with the `data.yaml` that trainers read.

    data.yaml                          train, val, test: folders of pictures, relative to it; names: by class id from 0
    images/train/000041_003.jpg        scene 41, frame 3
    labels/train/000041_003.txt        one line for each part; empty without parts

A line for detection is `class x_centre y_centre width height`, for segmentation `class x1 y1 x2 y2 ...`, relative to
the size of the image. An outline follows the edges of pixels. Its holes and pieces are connected by bridges of width 0:
filled by the even-odd rule it gives the mask again, and its bounds are the box. Trainers need a `val`: without --split
it names the training images, and a comment says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float64, Int32

from simgen.dataset.check.pictures import decoded
from simgen.dataset.export.common.masks import filled, joined, outlines
from simgen.dataset.export.common.records import Box, FrameRecord, LabelRecord, inside, read_text
from simgen.dataset.export.common.selection import SPLITS, PickedClip, Selection, VisiblePart
from simgen.spec.errors import ConfigError, ExportError
from simgen.spec.text.yaml_text import read_tree

MAIN = "data.yaml"
TOOL = "Ultralytics"
Line = Callable[[VisiblePart, Int32[np.ndarray, "h w"]], list[float]]
ONE_SPLIT = "# val is a copy of train: the export was not split (--split 0.8,0.1,0.1), so measure elsewhere\n"


def write_boxes(selection: Selection, folder: Path) -> dict[str, int]:
    """Write boxes into `folder`, with one clip at a time in memory. Returns the number of each thing written."""
    return _write(selection, folder, _box_shares)


def write_outlines(selection: Selection, folder: Path) -> dict[str, int]:
    """As `write_boxes`, with outlines in place of boxes."""
    return _write(selection, folder, _outline_shares)


def _write(selection: Selection, folder: Path, line: Line) -> dict[str, int]:
    for kind in ("images", "labels"):
        for split in selection.splits:
            (folder / kind / split).mkdir(parents=True)
    counts: Counter[str] = Counter()
    for clip in selection:
        counts["images"] += len(clip.frames)
        counts["labels"] += _write_clip(clip, folder, line)
    (folder / MAIN).write_text(_listing(selection))
    return dict(counts)


def _listing(selection: Selection) -> str:
    folders = {split: f"images/{split}" for split in SPLITS if split in selection.splits}
    val = {} if "val" in folders else {"val": folders["train"] if "train" in folders else next(iter(folders.values()))}
    names = {"names": dict(enumerate(selection.categories))}
    return (ONE_SPLIT if val else "") + yaml.safe_dump({**folders, **val, **names}, sort_keys=False)


def _write_clip(clip: PickedClip, folder: Path, line: Line) -> int:
    count = 0
    for t, parts in enumerate(clip.frames):
        name = f"{clip.scene:06d}_{t:03d}"
        (folder / "images" / clip.split / f"{name}.jpg").write_bytes(clip.stored.jpeg(t))
        ids = clip.stored.ids(t)
        lines = [f"{part.category_id} " + " ".join(f"{share:.6f}" for share in line(part, ids)) for part in parts]
        (folder / "labels" / clip.split / f"{name}.txt").write_text("".join(f"{text}\n" for text in lines))
        count += len(lines)
    return count


def _box_shares(part: VisiblePart, ids: Int32[np.ndarray, "h w"]) -> list[float]:
    height, width = ids.shape
    x0, y0, x1, y1 = part.box_xyxy_px
    return [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height]


def _outline_shares(part: VisiblePart, ids: Int32[np.ndarray, "h w"]) -> list[float]:
    height, width = ids.shape
    x0, y0, x1, y1 = (int(v) for v in part.box_xyxy_px)
    window = ids[y0:y1, x0:x1] == part.track_id
    if not window.any():
        raise ExportError(f"part {part.track_id} has no pixel in its box; simgen check says what is wrong")
    corners = joined(outlines(window)) + np.array([x0, y0])
    shares: list[float] = (corners / np.array([width, height])).ravel().tolist()
    return shares


def _read(folder: Path, outlined: bool) -> Iterator[FrameRecord]:
    """Read an export.

    Raises:
        ExportError: it is damaged, or of another format.
    """
    listing, names = _parsed(folder / MAIN)
    places = {split: inside(folder, str(listing[split])) for split in SPLITS if split in listing}
    for split, images in places.items():
        if images in [places[other] for other in SPLITS[: SPLITS.index(split)] if other in places]:
            continue  # this val names the folder of train
        for image in sorted(images.glob("*.jpg")):
            yield _frame(image, split, names, outlined)


read_boxes = partial(_read, outlined=False)
read_outlines = partial(_read, outlined=True)


def _parsed(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        listing = read_tree(path).values
        return listing, [str(listing["names"][str(i)]) for i in range(len(listing["names"]))]
    except ConfigError as error:
        raise ExportError(str(error)) from None
    except (TypeError, KeyError) as error:
        raise ExportError(f"{path}: needs splits and `names` by 0, 1, 2, ...: {error!r}") from None


def _frame(image: Path, split: str, names: list[str], outlined: bool) -> FrameRecord:
    text = image.parents[2] / "labels" / image.parent.name / f"{image.stem}.txt"
    try:
        height, width = decoded(image.read_bytes()).shape[:2]
        scene, frame = (int(word) for word in image.stem.split("_"))
        rows = [[float(word) for word in line.split()] for line in read_text(text).splitlines()]
        labels = tuple(_label(row, names, height, width, outlined) for row in rows)
    except (IndexError, OSError, OverflowError, ValueError) as error:
        raise ExportError(f"{text}: not as YOLO has it: {error}") from error
    return FrameRecord(
        split=split, scene=scene, frame=frame, width_px=width, height_px=height, image=image, labels=labels
    )


def _label(row: list[float], names: list[str], height: int, width: int, outlined: bool) -> LabelRecord:
    index, shares = row[0], np.array(row[1:], np.float64)
    if index != int(index) or not 0 <= index < len(names):
        raise ValueError(f"class {index:g} of {len(names)}")
    if (len(shares) < 6 or len(shares) % 2) if outlined else len(shares) != 4:
        raise ValueError(f"{len(shares)} numbers after the class")
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError("a number that is not from 0 to 1")
    points = shares.reshape(-1, 2) * (width, height)
    if outlined:
        whole = np.rint(points)  # corners of pixels
        mask = filled(whole, height, width)
        return LabelRecord(category=names[int(index)], box_xyxy_px=_bounds(whole), mask=mask)
    return LabelRecord(
        category=names[int(index)],
        box_xyxy_px=_bounds(np.stack([points[0] - points[1] / 2, points[0] + points[1] / 2])),
    )


def _bounds(points: Float64[np.ndarray, "n 2"]) -> Box:
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x0, y0, x1, y1
