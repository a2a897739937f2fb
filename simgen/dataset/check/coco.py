"""Check a COCO JSON with its images, real or simulated: keys, ids, boxes, masks, tracks, and the images.

Rows, file names and boxes are judged by `simgen.dataset.format`, pictures by `simgen.spec.picture`, as training judges
them: what a check passes, training reads, and what training leaves out, a check names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simgen.dataset.check.pictures import PictureError, Pictures, photo
from simgen.dataset.check.report import Box, Picture, Problem, Report
from simgen.dataset.check.statistics import Statistics
from simgen.dataset.export.common.masks import from_rle
from simgen.dataset.format.coco_json import read_coco_json
from simgen.dataset.format.coco_rows import CocoAnnotation, CocoContent, CocoImage, coco_content, shown
from simgen.dataset.format.picture_files import ELSEWHERE, PictureFiles
from simgen.dataset.format.stated_boxes import TOO_SMALL, box_fault
from simgen.spec.errors import CocoError
from simgen.spec.picture import read_bytes, stored

MASK_PX = 2.0  # by which a box may differ from the bounds of its mask, on each side
AREA_SHARE = 0.1  # by which the area may differ from that of the mask


def check_coco(path: Path, report: Report, step: Callable[[], None] = lambda: None) -> None:
    """Check a COCO JSON and its images. `step` is called after each image."""
    try:
        content = coco_content(read_coco_json(path, {"images": (), "annotations": (), "categories": ()}))
    except CocoError as error:
        report.add([Problem("schema" if error.readable else "file", path.name, str(error))])
        return
    report.add(Problem(finding.kind, finding.item, finding.reason) for finding in content.findings)
    report.add(_videos(content))
    files = PictureFiles(path, (image.file_name for image in content.images))
    context = _Context(files, Pictures(), Statistics(), report)
    report.clips = len({("image", k) if one.video is None else one.video for k, one in enumerate(content.images)})
    for image in content.images:
        report.add(_image(context, image))
        step()
    report.add(context.statistics.outliers())


@dataclass(frozen=True)
class _Context:
    files: PictureFiles
    pictures: Pictures
    statistics: Statistics
    report: Report


def _videos(content: CocoContent) -> Iterator[Problem]:
    """Check videos: consecutive frames of one size, one category for a track, and each track once in a frame."""
    videos: defaultdict[Any, list[CocoImage]] = defaultdict(list)
    for image in content.images:
        if image.video is not None and image.frame_index is not None:
            videos[image.video].append(image)
    for video, frames in videos.items():
        where = f"video {content.videos.get(video, shown(video))}"
        frames.sort(key=_index)
        indices = [_index(frame) for frame in frames]
        if indices != list(range(indices[0], indices[0] + len(indices))):
            yield Problem("track", where, f"frames lack or stand twice: it has {shown(indices)}")
        if len({frame.size_px for frame in frames}) > 1:
            yield Problem("track", where, "its frames differ in size")
        yield from _tracks(where, frames)


def _index(frame: CocoImage) -> int:
    return frame.frame_index or 0


def _tracks(where: str, frames: Sequence[CocoImage]) -> Iterator[Problem]:
    known: dict[str, str | None] = {}
    for frame in frames:
        at = f"{where}: frame {shown(frame.frame_index)}"
        tracks = [(shown(one.row["track_id"]), one) for one in frame.annotations if one.row.get("track_id") is not None]
        for track, count in Counter(track for track, _ in tracks).items():
            if count > 1:
                yield Problem("track", at, f"track {track} stands there {count} times")
        for track, one in tracks:
            before = known.setdefault(track, one.category)
            if before != one.category:
                yield Problem("track", at, f"track {track} changes from category {before!r} to {one.category!r}")


def _image(context: _Context, image: CocoImage) -> Iterator[Problem]:
    where = f"{image.name:.200}"
    context.report.frames += 1
    found = context.files.find(image.file_name)
    if found.note:
        kind = "place" if found.note == ELSEWHERE else "file"
        yield Problem(kind, where, f"{found.note}: {found.where}" if found.where else found.note)
    picture = None if found.path is None else Picture(found.path)
    size = image.size_px
    if picture is not None:
        stored, problems = _picture(context, image, where, picture)
        yield from problems
        size = size or stored
    for annotation in image.annotations:
        yield from _annotation(context, annotation, where, size, picture)


def _picture(
    context: _Context, image: CocoImage, where: str, picture: Picture
) -> tuple[tuple[int, int] | None, list[Problem]]:
    """The size of a picture as it is shown, and its problems."""
    assert isinstance(picture.path, Path)
    data = read_bytes(picture.path)
    try:
        read = photo(data)
    except PictureError as error:
        return None, [Problem("picture", where, str(error))]
    assert isinstance(data, bytes)
    upright = read.pixels.shape[1], read.pixels.shape[0]
    problems = [Problem("reading", where, note, picture) for note in read.notes]
    if image.size_px is not None and image.size_px not in (read.stored_size, upright):
        text = f"image of another size than stated: {_by(upright)}, not {_by(image.size_px)} pixels"
        problems.append(Problem("picture", where, text, picture))
    clip = where if image.video is None else f"video {shown(image.video)}"
    problems += context.pictures.look(clip, where, picture, data, stored(read))
    return upright, problems


def _by(size: tuple[int, int]) -> str:
    return f"{shown(size[0])} x {shown(size[1])}"


def _annotation(
    context: _Context, annotation: CocoAnnotation, where: str, size: tuple[int, int] | None, picture: Picture | None
) -> Iterator[Problem]:
    """The problems of an annotation. Where the size of its image is not known, nothing is said of its box."""
    at = f"{where}: {annotation.name}"
    x, y, width, height = annotation.xywh_px
    box = (x, y, x + width, y + height)
    if size is not None:
        for kind, text in _box_and_mask(annotation, box, size):
            yield Problem(kind, at, text, picture, (box,))
    if annotation.category is not None:
        context.report.labels[annotation.category] += 1
        inside = size is not None and box[0] > 0 and box[1] > 0 and box[2] < size[0] and box[3] < size[1]
        if picture is not None and inside and not annotation.crowd:
            context.statistics.add(annotation.category, box, at, picture)


def _box_and_mask(annotation: CocoAnnotation, box: Box, size: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """The problems, as (kind, text)."""
    row = annotation.row
    fault = box_fault(box, *size)
    if fault is not None:
        yield "small" if fault == TOO_SMALL else "box", f"{fault}: {shown(row['bbox'])} in {_by(size)} pixels"
    share = row.get("visible_share")
    if share is not None and not (isinstance(share, int | float) and 0 < share <= 1):
        yield "visibility", f"visible_share {shown(share)} with a box"
    if row.get("segmentation"):
        yield from _mask(row, box, size)


def _mask(row: Mapping[str, Any], box: Box, size: tuple[int, int]) -> Iterator[tuple[str, str]]:
    try:
        bounds, area = _extent(row["segmentation"], size)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError, RecursionError) as error:
        yield "mask", f"damaged: {error!s:.120}"
        return
    if bounds is None or any(abs(a - b) > MASK_PX for a, b in zip(bounds, box, strict=True)):
        yield "mask", f"its bounds are {bounds}, the box {box}"
    stated = row.get("area")
    if area is not None and isinstance(stated, int | float) and abs(stated - area) > max(4, AREA_SHARE * area):
        yield "mask", f"it has {area} pixels, the annotation says {shown(stated)}"


def _extent(segmentation: Any, size: tuple[int, int]) -> tuple[Box | None, int | None]:
    """The bounds of a mask; and its area, if it is given as pixels (RLE)."""
    width, height = size
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"of size {segmentation['size']!r:.40} in a picture of {[height, width]}")
        mask = from_rle(segmentation["counts"], height, width)
        ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(ys):
            return None, 0
        return (float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)), int(mask.sum())
    points = np.concatenate([_polygon(polygon) for polygon in segmentation])
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return (x0, y0, x1, y1), None


def _polygon(numbers: Any) -> np.ndarray:
    points = np.asarray(numbers, np.float64)
    if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise ValueError("a polygon needs three points or more, of two numbers each")
    return points.reshape(-1, 2)
