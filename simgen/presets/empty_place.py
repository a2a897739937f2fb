"""Pictures of the empty place from photos in which parts lie: `simgen background from`.

Two ways. A camera that stands still sees the ground behind each part in some of its frames: the median of the frames.
Where boxes of the parts are known, each photo is filled in from what surrounds the boxes (Telea, "An Image Inpainting
Technique Based on the Fast Marching Method", 2004), with the grain of the surroundings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from simgen.dataset.format.coco_json import read_coco_json
from simgen.dataset.format.coco_rows import CocoImage, coco_content
from simgen.dataset.format.picture_files import PictureFiles
from simgen.spec.errors import BadPhoto, CocoError
from simgen.spec.evenly import evenly
from simgen.spec.frames import Image
from simgen.spec.picture import Picture, decoded, read_bytes, stored, turned

FEWEST_FRAMES = 5  # for a median: a part that lies in one place in three of five would stay
MOST_FRAMES = 60  # are read, spread over the folder
FIXED = 0.5  # share of the pixels that a camera that stands still leaves as they are, in the middle one of its frames
SAME_CODES = 12  # a pixel that differs less is the same: noise and JPEG
GROWN = 0.08  # of a box' longer side, on each side: its part's edge and shadow are filled too
GROWN_PX = 3.0
REACH_PX = 5.0  # of the filling
GRAIN_SIGMA_PX = 1.2
NEEDED = {"images": ("id", "file_name"), "annotations": ("image_id",), "categories": ("id", "name")}
SHEET_PX, SHEET_ROWS = 480, 6

Say = Callable[[str], None]
Mask = Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class EmptyPlace:
    """A picture of the empty place, and what it was made from."""

    name: str  # of its file, without an ending
    image: Image
    photo: Image  # one of those it was made from
    changed: Mask  # where the two differ


def median_of(files: Sequence[Path], leave_out: Say) -> EmptyPlace:
    """The median over the frames of a camera that stands still.

    A photo that cannot be read, or has another size than the first one, is left out: `leave_out` gets the reason.

    Raises:
        BadPhoto: too few photos can be used, or the camera does not stand still.
    """
    frames: list[Image] = []
    for path in evenly(files, MOST_FRAMES):
        picture = _picture(path)
        if isinstance(picture, str):
            leave_out(f"{path}: {picture}")
        elif frames and picture.pixels.shape != frames[0].shape:
            (h, w), (height, width) = picture.pixels.shape[:2], frames[0].shape[:2]
            leave_out(f"{path}: {w} x {h} pixels, the first photo has {width} x {height}")
        else:
            frames.append(picture.pixels)
    if len(frames) < FEWEST_FRAMES:
        raise BadPhoto(
            f"a median needs {FEWEST_FRAMES} photos of one size by a camera that stands still, there are "
            f"{len(frames)}; with boxes of the parts (--boxes) one photo is enough"
        )
    stack = np.stack(frames)
    image = np.asarray(np.median(stack, axis=0), np.uint8)
    same = [float((_apart(frame, image) < SAME_CODES).mean()) for frame in stack]
    if np.median(same) < FIXED:
        raise BadPhoto(
            f"the camera moved, or the light changed: half of the photos share under {np.median(same):.0%} of their "
            "pixels with the median; use frames of a camera that stands still, or boxes of the parts (--boxes)"
        )
    fullest = frames[int(np.argmin(same))]
    return EmptyPlace("empty", image, fullest, _apart(fullest, image) >= SAME_CODES)


def inpainted(boxes: Path, photos: Path, leave_out: Say) -> Iterator[EmptyPlace]:
    """Each labelled photo with what its boxes hold filled in.

    A photo that cannot be read is left out, and an annotation that cannot be used is named, since its part stays in
    the picture: `leave_out` gets both.

    Raises:
        BadPhoto: the file of boxes cannot be read.
    """
    try:
        content = coco_content(read_coco_json(boxes, NEEDED))
    except CocoError as error:
        raise BadPhoto(f"{boxes}: {error}") from None
    for finding in content.findings:
        if finding.kind != "unused":
            leave_out(f"{boxes}: {finding.item}: {finding.reason}; its part may stay in the picture")
    files = PictureFiles(boxes, [image.file_name for image in content.images], root=photos, folders=(photos,))
    names: set[str] = set()
    for row in content.images:
        found = files.find(row.file_name)
        picture = found.note if found.path is None else _picture(found.path)
        if isinstance(picture, str):
            leave_out(f"{row.name}: {picture}")
            continue
        stem = Path(row.name).stem
        name = next(one for one in (stem, *(f"{stem}-{k}" for k in range(2, len(names) + 3))) if one not in names)
        names.add(name)
        yield _filled(name, picture, row)


def _filled(name: str, picture: Picture, row: CocoImage) -> EmptyPlace:
    """A photo with its boxes filled in. As in training, boxes are upright unless the file states the stored size."""
    height, width = picture.pixels.shape[:2]
    is_stored = row.size_px == picture.stored_size and row.size_px != (width, height)
    pixels = stored(picture) if is_stored else picture.pixels
    mask = box_mask([one.xywh_px for one in row.annotations], (pixels.shape[1], pixels.shape[0]))
    image = fill(pixels, mask)
    if is_stored:
        image, mask = turned(image, picture.orientation), _turned_mask(mask, picture.orientation)
    return EmptyPlace(name, image, picture.pixels, mask)


def box_mask(boxes_xywh_px: Sequence[tuple[float, float, float, float]], size_px: tuple[int, int]) -> Mask:
    """The pixels of a picture (width, height) inside of boxes, which are grown by the edge and the shadow of a part."""
    mask = np.zeros(size_px[::-1], np.bool_)
    for x, y, width, height in boxes_xywh_px:
        grown = GROWN_PX + GROWN * max(width, height)
        left, top = (max(0, int(np.floor(v - grown))) for v in (x, y))
        right, bottom = (max(0, int(np.ceil(v + grown))) for v in (x + width, y + height))
        mask[top:bottom, left:right] = True
    return mask


def fill(pixels: Image, mask: Mask) -> Image:
    """A picture whose masked pixels are filled in from their surroundings, with the grain of the rest."""
    if not mask.any():
        return pixels
    smooth = cv2.inpaint(np.ascontiguousarray(pixels), mask.astype(np.uint8), REACH_PX, cv2.INPAINT_TELEA)
    image = smooth.astype(np.float32)
    image[mask] += _grain(pixels, mask)[mask]
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def _grain(pixels: Image, mask: Mask) -> Float32[np.ndarray, "h w 3"]:
    """Noise as strong as the finest detail of the unmasked pixels is in the middle: edges and texture are stronger."""
    fine = pixels.astype(np.float32)
    fine -= cv2.GaussianBlur(fine, (0, 0), GRAIN_SIGMA_PX)
    deviation = 1.4826 * float(np.median(np.abs(fine[~mask]))) if not mask.all() else 0.0
    noise = np.random.default_rng(0).normal(0, 1, (*pixels.shape[:2], 1)).astype(np.float32)
    return np.repeat(noise * np.float32(deviation), 3, axis=2)


def sheet(places: Sequence[EmptyPlace]) -> Image:
    """A picture of up to six rows: a photo with what changes outlined, and the empty place that was made of it."""
    rows = []
    for place in evenly(places, SHEET_ROWS):
        height, width = place.image.shape[:2]
        size = (SHEET_PX, max(1, round(height * SHEET_PX / width)))
        before, after = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (place.photo, place.image))
        mask = cv2.resize(place.changed.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        before = cv2.drawContours(before.copy(), contours, -1, (230, 60, 40), 1)
        rows.append(np.concatenate([before, after], axis=1))
    return np.concatenate(rows)


def _picture(path: Path) -> Picture | str:
    data = read_bytes(path)
    return data if isinstance(data, str) else decoded(data)


def _apart(one: Image, other: Image) -> UInt8[np.ndarray, "h w"]:
    """The largest difference of the channels."""
    return np.asarray(cv2.absdiff(one, other).max(axis=2), np.uint8)


def _turned_mask(mask: Mask, orientation: int) -> Mask:
    three = np.repeat(mask.astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(turned(three, orientation)[..., 0].astype(np.bool_))
