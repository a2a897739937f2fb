"""The appearance of photographed parts, with outlines from a COCO JSON, and of simulated parts with their finishes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool

from simgen.camera.sensor import decode
from simgen.dataset.export.common.masks import from_rle
from simgen.dataset.format.archive import StoredClip
from simgen.dataset.format.coco_json import read_coco_json
from simgen.dataset.format.reader import DataSet
from simgen.presets.fit_camera.photos import LeaveOut, read_picture
from simgen.presets.fit_finish.looks import Look, look
from simgen.spec.errors import CameraError, CocoError, FinishError
from simgen.spec.evenly import evenly
from simgen.spec.frames import Image
from simgen.spec.picture import stored_size
from simgen.spec.scene import MaterialSpec

NEEDED_KEYS = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "category_id"),
    "categories": ("id", "name"),
}
MOST = 100  # pictures are read, spread over the file
LEAST_VISIBLE = 0.8  # visible share of a simulated part


@dataclass(frozen=True)
class Simulated:
    """The appearance of a simulated part, and its finish."""

    look: Look
    material: MaterialSpec


def _refuse(why: str) -> None:
    raise FinishError(why)


def photographed(path: Path, leave_out: LeaveOut = _refuse) -> list[Look]:
    """The appearance of the parts with an outline (polygons or RLE) in up to `MOST` pictures of a COCO JSON.

    A picture that is missing, outside of the folder or cannot be read is left out, and so is an invalid outline:
    `leave_out` is called with the reason. Without it the first one is an error.

    Raises:
        FinishError: it is no COCO JSON, or no part in it has an outline.
    """
    try:
        document = read_coco_json(path, NEEDED_KEYS)
    except CocoError as error:
        raise FinishError(f"{path}: {error}") from None
    names = {row["id"]: str(row["name"]) for row in document["categories"]}
    of_image: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in document["annotations"]:
        if row.get("segmentation") and not row.get("iscrowd") and row["category_id"] in names:
            of_image[row["image_id"]].append(row)
    labelled = [row for row in document["images"] if row["id"] in of_image]
    if not labelled:
        raise FinishError(f"{path}: no annotation has an outline (segmentation), and boxes include background")
    root = path.parent.resolve()
    looks: list[Look] = []
    for row in evenly(labelled, MOST):
        try:
            image = _picture(path, root, str(row["file_name"]))
        except (FinishError, CameraError) as error:
            leave_out(str(error))
            continue
        insides: list[tuple[str, Bool[np.ndarray, "h w"]]] = []
        for one in of_image[row["id"]]:
            try:
                insides.append((names[one["category_id"]], _inside(path, one, image.shape[:2])))
            except FinishError as error:
                leave_out(str(error))
        parts = np.logical_or.reduce([inside for _, inside in insides]) if insides else np.zeros(image.shape[:2], bool)
        seen = (look(image, inside, parts, name) for name, inside in insides)
        looks += [one for one in seen if one is not None]
    return looks


def _picture(path: Path, root: Path, name: str) -> Image:
    """A picture of the COCO JSON at `path`, in whose folder `root` it must lie."""
    try:
        picture = (root / name).resolve()
        if not picture.is_relative_to(root):
            raise FinishError(f"{path}: {name!r} lies outside of its folder")
        if not picture.is_file():
            raise FinishError(f"{path}: there is no {name!r} beside it")
    except (OSError, ValueError, RuntimeError):  # a null character, a name too long, a circle of links
        raise FinishError(f"{path}: {name!r:.200} is no file's name") from None
    return read_picture(picture).image


def _inside(path: Path, row: dict[str, Any], shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The pixels inside the outline of an annotation, its holes filled."""
    outline = row["segmentation"]
    try:
        if isinstance(outline, dict):
            return _filled(from_rle(outline["counts"], *shape))
        inside = np.zeros(shape, np.uint8)
        cv2.fillPoly(inside, [_corners(flat) for flat in outline], [1])
        return inside > 0
    except (ValueError, TypeError, KeyError) as error:
        raise FinishError(f"{path}: annotation {row.get('id')}: its outline is invalid: {error}") from None


def _corners(flat: Any) -> np.ndarray:
    if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2:
        raise ValueError("needs x, y of three points or more")
    if not all(isinstance(v, (int, float)) and abs(v) < 1e5 for v in flat):
        raise ValueError("needs numbers under 100,000")
    return np.asarray(flat, np.float64).reshape(-1, 2).round().astype(np.int32)


def simulated(data: DataSet, step: Callable[[], None] = lambda: None) -> list[Simulated]:
    """The appearance of the parts in the first frame of each clip of a data set. `step` is called after each clip.

    Raises:
        ShardError: the data set is damaged.
    """
    found: list[Simulated] = []
    for clip in data:
        found += _in_clip(clip)
        step()
    return found


def _in_clip(clip: StoredClip) -> Iterator[Simulated]:
    ids, spec = clip.ids(0), clip.spec()
    parts = (ids >= 0) & (ids < len(spec.parts))
    image = _first_image(clip)
    for i, label in enumerate(clip.labels().frames[0].parts):
        if label.visible_share >= LEAST_VISIBLE:
            found = look(image, _filled(ids == i), parts, label.category)
            if found is not None:
                yield Simulated(found, spec.parts[i].material)


def _first_image(clip: StoredClip) -> Image:
    """The first frame; its header is read before it is decoded.

    Raises:
        ShardError: it is damaged, or has another size than the labels say.
    """
    encoded, labels = clip.jpeg(0), clip.labels()
    try:
        if stored_size(encoded) != (labels.width_px, labels.height_px):
            raise ValueError(f"its size is not {labels.width_px} x {labels.height_px}, as the labels say")
        return decode(encoded)
    except ValueError as error:
        raise clip.damaged("f000.jpg", error) from error


def _filled(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The mask with its holes filled, as people draw outlines."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, [1], cv2.FILLED)
    return filled > 0
