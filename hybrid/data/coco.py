"""Clips from a COCO JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from hybrid.core.config import BoxesOf
from hybrid.core.errors import DataError
from hybrid.data.boxes import Box, checked, finished, inside_image
from hybrid.data.clips import Clip, ClipSource, FrameRecord, Skips
from hybrid.data.pixels import inside, inspect


def from_coco(path: Path, categories: Sequence[str] | None = None, boxes: BoxesOf = "visible") -> ClipSource:
    """A COCO JSON, its images beside it. With `videos`, `video_id` and `frame_index` its images are sequences.

    Args:
        path: the JSON.
        categories: the model's; without them the file's own, by id.
        boxes: whole: `amodal_bbox` where an annotation has one, as simgen writes it, else its `bbox`.

    Raises:
        DataError: the file is no COCO JSON, or none of its images can be used.
    """
    document = _coco_document(path)
    skips = Skips()
    names = {c["id"]: str(c["name"]) for c in document["categories"]}
    known = tuple(categories) if categories is not None else tuple(dict.fromkeys(names[i] for i in sorted(names)))
    stated = _coco_boxes(document["annotations"], names, known, boxes, skips)
    frames: dict[Any, FrameRecord] = {}
    order: dict[Any, tuple[Any, int]] = {}
    for image in document["images"]:
        if image["id"] in frames:
            skips.add("image id used before", str(image["file_name"]))
            continue
        record = _coco_frame(path.parent, image, stated.pop(image["id"], []), skips)
        if record is not None:
            frames[image["id"]] = record
            order[image["id"]] = (image.get("video_id"), image.get("frame_index", 0))
    for orphans in stated.values():
        for box in orphans:
            skips.add("annotation without a usable image", box.what)
    videos = {video["id"]: str(video.get("name", video["id"])) for video in document.get("videos", [])}
    return finished(str(path), known, _grouped(frames, order, videos, skips), skips)


def _coco_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no JSON: {error}") from None
    needed = {
        "images": ("id", "file_name"),
        "annotations": ("image_id", "category_id", "bbox"),
        "categories": ("id", "name"),
    }
    for key, fields in needed.items():
        rows = document.get(key) if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise DataError(f"{path}: no COCO JSON: it needs a list under {key!r}")
        for place, row in enumerate(rows):
            missing = [name for name in fields if not isinstance(row, dict) or name not in row]
            if missing:
                raise DataError(f"{path}: {key}[{place}] has no {missing[0]!r}")
    return dict(document)


def _coco_boxes(
    annotations: Iterable[Mapping[str, Any]],
    names: Mapping[Any, str],
    known: Sequence[str],
    boxes_of: BoxesOf,
    skips: Skips,
) -> dict[Any, list[Box]]:
    boxes: defaultdict[Any, list[Box]] = defaultdict(list)
    seen: set[Any] = set()
    for place, annotation in enumerate(annotations):
        what = f"annotation {annotation.get('id', f'at place {place}')}"
        name = names.get(annotation["category_id"])
        box = annotation["bbox"]
        if boxes_of == "whole":
            box = annotation.get("amodal_bbox", box)
        if annotation.get("id", what) in seen:
            skips.add("annotation id used before", what)
        elif name not in known:
            skips.add(f"category {name!r} not known to the model", what)
        elif annotation.get("iscrowd"):
            skips.add("crowd region", what)
        elif not (isinstance(box, list) and len(box) == 4 and all(isinstance(v, (int, float)) for v in box)):
            skips.add("box that is not four numbers", what)
        else:
            x, y, width, height = map(float, box)
            track = annotation.get("track_id")
            one = Box(what, known.index(name), (x, y, x + width, y + height), track if _is_id(track) else -1)
            boxes[annotation["image_id"]].append(one)
        seen.add(annotation.get("id", what))
    return dict(boxes)


def _is_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _coco_frame(root: Path, image: Mapping[str, Any], boxes: Sequence[Box], skips: Skips) -> FrameRecord | None:
    name = str(image["file_name"])
    path = inside(root, name)
    found = "file name refused: it leaves the data set's folder" if path is None else inspect(path)
    if path is None or isinstance(found, str):
        skips.add(str(found), name)
        return None
    width, height, turned = found
    stored, shown = (width, height), (height, width) if turned else (width, height)
    stated = (image.get("width", shown[0]), image.get("height", shown[1]))
    if stated not in (stored, shown):
        skips.add("image of another size than stated", name)
        return None
    upright = turned and stated == shown
    kept = inside_image(boxes, *stated, skips)
    xyxy, labels = checked(kept, *stated, Skips())
    tracks = np.array([box.track_id for box in kept], np.int64)
    return FrameRecord(
        name=name,
        path=path,
        width_px=stated[0],
        height_px=stated[1],
        upright=upright,
        boxes_xyxy_px=xyxy,
        labels=labels,
        track_ids=tracks if (tracks >= 0).any() else None,
    )


def _grouped(
    frames: Mapping[Any, FrameRecord], order: Mapping[Any, tuple[Any, int]], videos: Mapping[Any, str], skips: Skips
) -> list[Clip]:
    """Stills as clips of one; the frames of a video in their order, cut where the size changes or a frame lacks."""
    clips = [Clip(frames[i].name, (frames[i],)) for i in frames if order[i][0] is None]
    of_video: defaultdict[Any, list[tuple[int, FrameRecord]]] = defaultdict(list)
    for i, record in frames.items():
        if order[i][0] is not None:
            of_video[order[i][0]].append((order[i][1], record))
    for video, members in of_video.items():
        name = videos.get(video, str(video))
        members.sort(key=lambda member: member[0])
        for piece, run in enumerate(_unbroken(members)):
            clips.append(Clip(name if piece == 0 else f"{name}+{piece}", run))
            if piece:
                skips.add("sequence cut: a frame lacks or the size changes", f"{name} before {run[0].name}")
    return clips


def _unbroken(members: Sequence[tuple[int, FrameRecord]]) -> list[tuple[FrameRecord, ...]]:
    runs: list[list[tuple[int, FrameRecord]]] = []
    for index, record in members:
        last = runs[-1][-1] if runs else None
        same = last is not None and (last[1].width_px, last[1].height_px) == (record.width_px, record.height_px)
        if last is not None and same and index == last[0] + 1:
            runs[-1].append((index, record))
        else:
            runs.append([(index, record)])
    return [tuple(record for _, record in run) for run in runs]
