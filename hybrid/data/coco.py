"""Labelled clips from a COCO JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from hybrid.core.config import BoxesOf
from hybrid.core.errors import DataError
from hybrid.data.boxes import StatedBox, box_arrays, make_source, usable_boxes
from hybrid.data.clips import Clip, ClipSource, FrameRecord, Skips
from hybrid.data.pixels import ImageInfo, inspect_image, path_below
from simgen.dataset.format.coco_json import read_coco_json
from simgen.spec.errors import CocoError

NEEDED_KEYS = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def read_coco(path: Path, categories: Sequence[str] | None = None, boxes: BoxesOf = "visible") -> ClipSource:
    """Labelled images of a COCO JSON, as clips. File names in it are relative to its folder.

    Each image is a clip of one frame. Where the file has `videos`, and images have `video_id` and `frame_index`, the
    frames of a video are one clip.

    Args:
        path: the JSON file.
        categories: the names that the model knows, in its order; by default the categories of the file, by id.
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
        document = read_coco_json(path, NEEDED_KEYS, {"videos": ("id",)})
    except CocoError as error:
        raise DataError(f"{path}: {error}") from None
    skips = Skips()
    names = {row["id"]: str(row["name"]) for row in document["categories"]}
    known = tuple(categories) if categories is not None else tuple(dict.fromkeys(names[i] for i in sorted(names)))
    boxes_of_image = _boxes_by_image(document["annotations"], names, known, boxes, skips)
    frames: dict[Any, FrameRecord] = {}
    order: dict[Any, tuple[Any, int]] = {}
    for image in document["images"]:
        if image["id"] in frames:
            skips.add("image id used before", str(image["file_name"]))
            continue
        record = _frame_record(path.parent, image, boxes_of_image.pop(image["id"], []), skips)
        if record is not None:
            frames[image["id"]] = record
            order[image["id"]] = (image.get("video_id"), image.get("frame_index", 0))
    for orphans in boxes_of_image.values():
        for box in orphans:
            skips.add("annotation without a usable image", box.name)
    videos = {video["id"]: str(video.get("name", video["id"])) for video in document.get("videos", [])}
    return make_source(str(path), known, _group_into_clips(frames, order, videos, skips), skips)


def _boxes_by_image(
    annotations: Iterable[Mapping[str, Any]],
    names: Mapping[Any, str],
    known: Sequence[str],
    boxes_of: BoxesOf,
    skips: Skips,
) -> dict[Any, list[StatedBox]]:
    boxes: defaultdict[Any, list[StatedBox]] = defaultdict(list)
    used_ids: set[Any] = set()
    for number, annotation in enumerate(annotations):
        item = f"annotation {annotation.get('id', f'at place {number}')}"
        category = names.get(annotation["category_id"])
        xywh = annotation["bbox"]
        if boxes_of == "whole":
            xywh = annotation.get("amodal_bbox", xywh)
        if annotation.get("id", item) in used_ids:
            skips.add("annotation id used before", item)
        elif category not in known:
            skips.add(f"category {category!r} not known to the model", item)
        elif annotation.get("iscrowd"):
            skips.add("crowd region", item)
        elif not (isinstance(xywh, list) and len(xywh) == 4 and all(isinstance(v, (int, float)) for v in xywh)):
            skips.add("box that is not four numbers", item)
        else:
            x, y, width, height = map(float, xywh)
            track = annotation.get("track_id")
            box = StatedBox(
                item, known.index(category), (x, y, x + width, y + height), track if _is_track_id(track) else -1
            )
            boxes[annotation["image_id"]].append(box)
        used_ids.add(annotation.get("id", item))
    return dict(boxes)


def _is_track_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _frame_record(root: Path, image: Mapping[str, Any], boxes: Sequence[StatedBox], skips: Skips) -> FrameRecord | None:
    name = str(image["file_name"])
    path = path_below(root, name)
    info = "file name refused: it leaves the data set's folder" if path is None else inspect_image(path)
    if path is None or not isinstance(info, ImageInfo):
        skips.add(str(info), name)
        return None
    stated_size = (image.get("width", info.upright_size[0]), image.get("height", info.upright_size[1]))
    if stated_size not in (info.stored_size, info.upright_size):
        skips.add("image of another size than stated", name)
        return None
    for note in info.notes:
        skips.add(note, name)
    usable = usable_boxes(boxes, *stated_size, skips)
    boxes_xyxy_px, labels = box_arrays(usable, *stated_size)
    tracks = np.array([box.track_id for box in usable], np.int64)
    return FrameRecord(
        name=name,
        path=path,
        width_px=stated_size[0],
        height_px=stated_size[1],
        upright=stated_size == info.upright_size,
        boxes_xyxy_px=boxes_xyxy_px,
        labels=labels,
        track_ids=tracks if (tracks >= 0).any() else None,
    )


def _group_into_clips(
    frames: Mapping[Any, FrameRecord], order: Mapping[Any, tuple[Any, int]], videos: Mapping[Any, str], skips: Skips
) -> list[Clip]:
    """A clip for each still image and for each video; a video is cut where a frame is missing or the size changes."""
    clips = [Clip(frames[i].name, (frames[i],)) for i in frames if order[i][0] is None]
    of_video: defaultdict[Any, list[tuple[int, FrameRecord]]] = defaultdict(list)
    for i, record in frames.items():
        if order[i][0] is not None:
            of_video[order[i][0]].append((order[i][1], record))
    for video, members in of_video.items():
        name = videos.get(video, str(video))
        members.sort(key=lambda member: member[0])
        for piece, run in enumerate(_unbroken_runs(members)):
            clips.append(Clip(name if piece == 0 else f"{name}+{piece}", run))
            if piece:
                skips.add("sequence cut: a frame is missing or the size changes", f"{name} before {run[0].name}")
    return clips


def _unbroken_runs(members: Sequence[tuple[int, FrameRecord]]) -> list[tuple[FrameRecord, ...]]:
    runs: list[list[tuple[int, FrameRecord]]] = []
    for index, record in members:
        last = runs[-1][-1] if runs else None
        same_size = last is not None and (last[1].width_px, last[1].height_px) == (record.width_px, record.height_px)
        if last is not None and same_size and index == last[0] + 1:
            runs[-1].append((index, record))
        else:
            runs.append([(index, record)])
    return [tuple(record for _, record in run) for run in runs]
