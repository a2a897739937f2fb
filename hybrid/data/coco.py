"""Labelled clips from a COCO JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Float32

from hybrid.core.config import BoxesOf
from hybrid.core.errors import DataError
from hybrid.data.boxes import StatedBox, labelled_record, make_source
from hybrid.data.clips import Clip, ClipSource, FrameRecord, Outline, Skips
from hybrid.data.pixels import ImageInfo, inspect_image
from simgen.dataset.format.coco_json import read_coco_json
from simgen.dataset.format.coco_rows import LARGEST, CocoAnnotation, CocoImage, coco_content
from simgen.dataset.format.picture_files import PictureFiles
from simgen.spec.errors import CocoError

Numbered = tuple[int, FrameRecord]  # a frame of a video with its index


def read_coco(path: Path, categories: Sequence[str] | None = None, boxes: BoxesOf = "visible") -> ClipSource:
    """Labelled images of a COCO JSON, as clips, as `simgen check` judges them.

    Each image is a clip of one frame. Images with `video_id` are frames of a video, in the order of `frame_index`, and
    a video is one clip. Images are found as CVAT, Datumaro, FiftyOne, Label Studio and Roboflow place them
    (`simgen.dataset.format.picture_files`). Crowd regions, and boxes that are too small, become regions to ignore.

    Args:
        path: the JSON file.
        categories: the names that the model knows, in its order; by default those categories of the file that an
            annotation bears, by id.
        boxes: "visible" reads `bbox`. "whole" reads `amodal_bbox`, a box around the whole object, which simgen writes;
            where an annotation has none, its `bbox`.

    Raises:
        DataError: the file is no COCO JSON, or none of its images can be used.

    >>> source = read_coco(Path("photos/photos.json"))
    >>> source.categories
    ('bolt', 'washer')
    >>> source.frames[0].boxes_xyxy_px.shape
    (3, 4)
    """
    try:
        content = coco_content(read_coco_json(path, {"images": (), "annotations": (), "categories": ()}))
    except CocoError as error:
        raise DataError(f"{path}: {error}") from None
    skips = Skips()
    for finding in content.findings:
        if categories is None or finding.kind != "unused":
            skips.add(finding.reason, finding.item)
    known = tuple(categories) if categories is not None else content.categories
    files = PictureFiles(path, (image.file_name for image in content.images))
    stills: list[Clip] = []
    videos: defaultdict[Any, list[Numbered]] = defaultdict(list)
    for image in content.images:
        record = _frame_record(files, image, skips)
        if record is None:
            continue
        record = labelled_record(record, _stated_boxes(image.annotations, known, boxes, skips), skips)
        if image.video is None or image.frame_index is None:
            stills.append(Clip(record.name, (record,)))
        else:
            videos[image.video].append((image.frame_index, record))
    cut = [clip for video, frames in videos.items() for clip in _video_clips(video, frames, content.videos, skips)]
    return make_source(str(path), known, [*stills, *cut], skips)


def _stated_boxes(
    annotations: Sequence[CocoAnnotation], known: Sequence[str], boxes_of: BoxesOf, skips: Skips
) -> Iterator[StatedBox]:
    for annotation in annotations:
        if annotation.category is not None and annotation.category not in known:
            skips.add(f"category {annotation.category!r} not known to the model", annotation.name)
            continue
        whole = annotation.amodal_xywh_px if boxes_of == "whole" else None
        x, y, width, height = whole or annotation.xywh_px
        track = annotation.row.get("track_id")
        yield StatedBox(
            annotation.name,
            -1 if annotation.category is None else known.index(annotation.category),
            (x, y, x + width, y + height),
            track if _is_track_id(track) else -1,
            ignored=annotation.crowd or annotation.category is None,
            outline=_outline(annotation),
        )


def _outline(annotation: CocoAnnotation) -> Outline:
    """The polygons of an annotation; none where it has none that fit its box.

    Tools write four corners of the box where there was no outline: that says nothing of the object's shape.
    """
    stated = annotation.row.get("segmentation")
    pieces = [_polygon(piece) for piece in stated] if isinstance(stated, list) else []
    polygons = tuple(piece for piece in pieces if piece is not None)
    if not polygons or len(polygons) != len(pieces):
        return ()
    points = np.concatenate(polygons)
    if len(points) == 4 and len(np.unique(points[:, 0])) == len(np.unique(points[:, 1])) == 2:
        return ()
    x, y, width, height = annotation.xywh_px
    off = abs(np.concatenate([points.min(0), points.max(0)]) - (x, y, x + width, y + height))
    return polygons if off.max() <= max(2.0, 0.1 * max(width, height)) else ()


def _polygon(piece: Any) -> Float32[np.ndarray, "k 2"] | None:
    """The points of a polygon (x, y, x, y, ...); None: it is not three points or more."""
    if not isinstance(piece, list) or len(piece) < 6 or len(piece) % 2:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < LARGEST for v in piece):
        return None
    return np.array(piece, np.float32).reshape(-1, 2)


def _is_track_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _frame_record(files: PictureFiles, image: CocoImage, skips: Skips) -> FrameRecord | None:
    """The frame of an image, without its boxes; None: it cannot be used."""
    found = files.find(image.file_name)
    if found.note:
        skips.add(found.note, f"{image.name} ({found.where})" if found.where else image.name)
    if found.path is None:
        return None
    info = inspect_image(found.path)
    if not isinstance(info, ImageInfo):
        skips.add(info, image.name)
        return None
    size = info.upright_size if image.size_px is None else image.size_px
    if size not in (info.stored_size, info.upright_size):
        skips.add("image of another size than stated", image.name)
        return None
    for note in info.notes:
        skips.add(note, image.name)
    return FrameRecord(
        name=image.name,
        path=found.path,
        width_px=size[0],
        height_px=size[1],
        upright=size == info.upright_size,
        boxes_xyxy_px=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int64),
    )


def _video_clips(video: Any, frames: list[Numbered], names: Mapping[Any, str], skips: Skips) -> Iterator[Clip]:
    """The clips of a video: it is cut where a frame is missing or the size changes."""
    name = names.get(video, str(video))
    frames.sort(key=lambda frame: frame[0])
    for piece, run in enumerate(_unbroken_runs(frames)):
        yield Clip(name if piece == 0 else f"{name}+{piece}", run)
        if piece:
            skips.add("sequence cut: a frame is missing or the size changes", f"{name} before {run[0].name}")


def _unbroken_runs(members: Sequence[Numbered]) -> list[tuple[FrameRecord, ...]]:
    runs: list[list[Numbered]] = []
    for index, record in members:
        last = runs[-1][-1] if runs else None
        same_size = last is not None and (last[1].width_px, last[1].height_px) == (record.width_px, record.height_px)
        if last is not None and same_size and index == last[0] + 1:
            runs[-1].append((index, record))
        else:
            runs.append([(index, record)])
    return [tuple(record for _, record in run) for run in runs]
