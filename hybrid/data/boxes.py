"""Boxes as a data set states them: checked, and clipped to their image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord, Outline, Skips
from simgen.dataset.format.stated_boxes import (
    CLIPPED,
    LEAST_SIDE_PX,
    NO_AREA,
    OUTSIDE,
    TOO_SMALL,
    box_fault,
    clipped_box,
)

__all__ = ["LEAST_SIDE_PX", "StatedBox", "box_arrays", "labelled_record", "make_source", "sorted_boxes", "usable_boxes"]


@dataclass(frozen=True)
class StatedBox:
    """A box as a data set states it, before any check."""

    name: str  # for the list of skipped items
    label: int  # -1, of an ignored box: every category
    xyxy_px: Sequence[float]
    track_id: int = -1
    visible_share: float = math.nan
    hidden: bool = False
    ignored: bool = False  # a region that is neither object nor background, such as a crowd
    outline: Outline = ()


def usable_boxes(boxes: Iterable[StatedBox], width_px: int, height_px: int, skips: Skips) -> list[StatedBox]:
    """The boxes that have an area of useful size within the image. The others are added to `skips`."""
    return sorted_boxes(boxes, width_px, height_px, skips)[0]


def sorted_boxes(
    boxes: Iterable[StatedBox], width_px: int, height_px: int, skips: Skips
) -> tuple[list[StatedBox], list[StatedBox]]:
    """The usable boxes, as `usable_boxes`; and those that must be ignored: regions, and boxes that are too small."""
    usable: list[StatedBox] = []
    ignored: list[StatedBox] = []
    for box in boxes:
        fault = box_fault(box.xyxy_px, width_px, height_px)
        if box.ignored and fault not in (NO_AREA, OUTSIDE):
            ignored.append(box)
            continue
        if fault is not None:
            skips.add(fault, box.name)
        if fault == TOO_SMALL:
            ignored.append(box)
        elif fault in (None, CLIPPED):
            usable.append(box)
    return usable, ignored


def box_arrays(
    boxes: Sequence[StatedBox], width_px: int, height_px: int
) -> tuple[Float32[np.ndarray, "n 4"], Int64[np.ndarray, " n"]]:
    """The boxes, clipped to the image, and their labels."""
    clipped = [clipped_box(box.xyxy_px, width_px, height_px) for box in boxes]
    return np.array(clipped, np.float32).reshape(-1, 4), np.array([box.label for box in boxes], np.int64)


def labelled_record(record: FrameRecord, boxes: Iterable[StatedBox], skips: Skips) -> FrameRecord:
    """The record with these boxes: those that are usable as objects, the others, where they have a place, ignored."""
    size = record.width_px, record.height_px
    usable, ignored = sorted_boxes(boxes, *size, skips)
    boxes_xyxy_px, labels = box_arrays(usable, *size)
    ignore_boxes_xyxy_px, ignore_labels = box_arrays(ignored, *size)
    tracks = np.array([box.track_id for box in usable], np.int64)
    outlines = tuple(box.outline for box in usable)
    return replace(
        record,
        boxes_xyxy_px=boxes_xyxy_px,
        labels=labels,
        track_ids=tracks if (tracks >= 0).any() else None,
        outlines=outlines if any(outlines) else None,
        ignore_boxes_xyxy_px=ignore_boxes_xyxy_px,
        ignore_labels=ignore_labels,
    )


def make_source(name: str, categories: Sequence[str], clips: Iterable[Clip], skips: Skips) -> ClipSource:
    """The source of these clips.

    Raises:
        DataError: no clip has a frame. The message lists why images were skipped.
    """
    source = ClipSource(name, tuple(categories), tuple(clip for clip in clips if clip.frames), skips.done())
    if not source.clips:
        why = "; ".join(f"{reason}: {len(items)} (such as {items[0]})" for reason, items in source.skipped.items())
        raise DataError(f"{name}: no usable image. {why or 'The data set lists no image.'}")
    return source
