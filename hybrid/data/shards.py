"""Labelled clips from a simulated data set (simgen)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hybrid.core.config import BoxesOf
from hybrid.core.errors import DataError
from hybrid.data.boxes import StatedBox, box_arrays, make_source, usable_boxes
from hybrid.data.clips import Clip, ClipSource, FrameRecord, Skips
from simgen.dataset.format.archive import StoredClip
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.locations import Location, location
from simgen.spec.errors import ShardError


def read_shards(
    folder: Location | str,
    categories: Sequence[str] | None = None,
    least_visible: float = 0.2,
    boxes: BoxesOf = "visible",
) -> ClipSource:
    """Labelled clips of a finished simgen data set.

    Args:
        folder: the data set's folder or URL.
        categories: the names that the model knows, in its order; by default the data set's.
        least_visible: a part counts as visible where at least this share of its pixels is.
        boxes: "visible" gives boxes around the visible pixels. "whole" gives boxes around whole parts, clipped to the
            frame; a part keeps its box while it is occluded (`FrameRecord.hidden`), from the frame where it was first
            visible until its box has left the frame.

    Raises:
        DataError: the data set is damaged or unfinished, or holds no clip.

    >>> source = read_shards("data/sim")
    >>> source.clips[0].frames[1].name
    '000000.f001'
    """
    skips = Skips()
    try:
        data_set = DataSet(location(folder))
        known = tuple(categories) if categories is not None else data_set.categories
        clips = [_read_clip(clip, known, least_visible, boxes, skips) for clip in data_set]
    except ShardError as error:
        raise DataError(str(error)) from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: a clip's labels are not as simgen writes them: {error!r}") from error
    return make_source(str(folder), known, clips, skips)


def _read_clip(clip: StoredClip, known: Sequence[str], least_visible: float, boxes: BoxesOf, skips: Skips) -> Clip:
    labels = clip.meta()["labels"]
    size = int(labels["width_px"]), int(labels["height_px"])
    visible_before: set[int] | None = set() if boxes == "whole" else None
    frames = []
    for number, frame in enumerate(labels["frames"]):
        name = f"{clip.index:06d}.f{number:03d}"
        image, depth = clip.members[f"f{number:03d}.jpg"], clip.members.get(f"f{number:03d}.depth.png")
        ids = clip.members.get(f"f{number:03d}.ids.png")
        stated = _part_boxes(frame["parts"], f"scene {name}", known, least_visible, visible_before, skips)
        usable = usable_boxes(stated, *size, skips)
        boxes_xyxy_px, indices = box_arrays(usable, *size)
        frames.append(
            FrameRecord(
                name=name,
                path=clip.path,
                offset=image.offset,
                length=image.size,
                width_px=size[0],
                height_px=size[1],
                boxes_xyxy_px=boxes_xyxy_px,
                labels=indices,
                track_ids=np.array([box.track_id for box in usable], np.int64),
                visible_share=np.array([box.visible_share for box in usable], np.float32),
                hidden=np.array([box.hidden for box in usable], bool) if boxes == "whole" else None,
                depth_at=None if depth is None else (depth.offset, depth.size),
                ids_at=None if ids is None else (ids.offset, ids.size),
            )
        )
    return Clip(f"{clip.index:06d}", tuple(frames))


def _part_boxes(
    parts: Iterable[Mapping[str, Any]],
    frame: str,
    known: Sequence[str],
    least_visible: float,
    visible_before: set[int] | None,
    skips: Skips,
) -> Iterable[StatedBox]:
    """The boxes of a frame's parts.

    `visible_before` is None for boxes of visible pixels. For boxes of whole parts it holds the track ids of the parts
    that were visible in earlier frames; those that are visible in this frame are added to it.
    """
    for part in parts:
        item, track_id, share = f"{frame} part {part['track_id']}", int(part["track_id"]), float(part["visible_share"])
        hidden = part["box_xyxy_px"] is None or share < least_visible
        if part["box_xyxy_px"] is None and part["amodal_box_xyxy_px"] is None:
            continue  # outside the frame: nothing that could be found
        if visible_before is not None and not hidden:
            visible_before.add(track_id)
        box = part["box_xyxy_px"] if visible_before is None else part["amodal_box_xyxy_px"]
        if part["category"] not in known:
            skips.add(f"category {part['category']!r} not known to the model", item)
        elif visible_before is None and hidden:
            skips.add(f"part with a visible share below {least_visible:g}", item)
        elif visible_before is not None and track_id not in visible_before:
            skips.add(f"part with a visible share below {least_visible:g} so far", item)
        else:
            yield StatedBox(item, known.index(part["category"]), box, track_id, share, hidden)
