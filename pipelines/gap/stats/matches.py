"""Detections matched with objects, with who took whom: for recall by the object's properties, and kinds of errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from hybrid.core.overlap import iou
from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from hybrid.metrics.detection import MAX_DETECTIONS, best_arrays
from hybrid.metrics.video import FREE, IOU, FrameDetections, boxes_taken

Rows = Int64[np.ndarray, " n"]
Objects = Int64[np.ndarray, " m"]
NONE = -1


@dataclass(frozen=True)
class Matches:
    """The detections that count, n of them in any order, and the m objects."""

    scores: Float[np.ndarray, " n"]
    labels: Rows
    frames: Rows
    takes: Rows  # the object that it takes at IoU 0.5; NONE: it is false
    boxes_xyxy_px: Float[np.ndarray, "n 4"]
    same_iou: Float[np.ndarray, " n"]  # the largest IoU with an object of its category
    same: Rows  # that object; NONE: there is none
    other_iou: Float[np.ndarray, " n"]  # the same with objects of other categories
    other: Rows
    object_labels: Objects
    object_frames: Objects
    object_sides_px: Float[np.ndarray, " m"]  # root of the area

    @property
    def taken_with(self) -> Float[np.ndarray, " m"]:
        """The score of the detection that takes each object; -1: it is missed."""
        found = np.full(len(self.object_labels), -1.0)
        hits = self.takes != NONE
        found[self.takes[hits]] = self.scores[hits]
        return found

    @property
    def false(self) -> Bool[np.ndarray, " n"]:
        return np.asarray(self.takes == NONE)


def matches(detections: Sequence[Detections], frames: Sequence[FrameRecord]) -> Matches:
    """Match as `hybrid.metrics.video` does; detections in a region to ignore do not count."""
    rows: list[list[np.ndarray]] = []
    first = 0
    for k, (every, frame) in enumerate(zip(detections, frames, strict=True)):
        rows.append(_of_frame(best_arrays(every, MAX_DETECTIONS), frame, k, first))
        first += len(frame.labels)
    columns = [np.concatenate([row[i] for row in rows]) for i in range(9)] if rows else []
    if not columns:
        columns = [*(np.zeros(0) for _ in range(4)), np.zeros((0, 4)), *(np.zeros(0) for _ in range(4))]
    scores, labels, at, takes, boxes, same_iou, same, other_iou, other = columns
    sizes = [frame.boxes_xyxy_px[:, 2:] - frame.boxes_xyxy_px[:, :2] for frame in frames]
    return Matches(
        scores=scores.astype(np.float64), labels=_whole(labels), frames=_whole(at), takes=_whole(takes),
        boxes_xyxy_px=boxes.astype(np.float64), same_iou=same_iou.astype(np.float64), same=_whole(same),
        other_iou=other_iou.astype(np.float64), other=_whole(other),
        object_labels=_whole(np.concatenate([np.zeros(0), *(frame.labels for frame in frames)])),
        object_frames=_whole(np.repeat(np.arange(len(frames)), [len(frame.labels) for frame in frames])),
        object_sides_px=np.sqrt(np.concatenate([np.zeros(0), *(size.prod(1).astype(np.float64) for size in sizes)])),
    )  # fmt: skip


def _whole(values: np.ndarray) -> Int64[np.ndarray, " _"]:
    return values.astype(np.int64)


def _of_frame(detected: FrameDetections, frame: FrameRecord, number: int, first: int) -> list[np.ndarray]:
    """The columns of one frame's detections; its first object has the index `first`."""
    count = len(detected.scores)
    taken = np.array(boxes_taken(detected, frame, np.ones(len(frame.labels), bool), IOU), np.int64).reshape(count)
    overlap = iou(detected.boxes_xyxy_px, frame.boxes_xyxy_px)
    alike = detected.labels[:, None] == frame.labels[None]
    same_iou, same = _largest(np.where(alike, overlap, -1.0), first)
    other_iou, other = _largest(np.where(alike, -1.0, overlap), first)
    takes = np.where(taken >= 0, taken + first, NONE)
    counts = (taken >= 0) | (taken == FREE)
    columns = [
        detected.scores, detected.labels, np.full(count, number), takes, detected.boxes_xyxy_px,
        same_iou, same, other_iou, other,
    ]  # fmt: skip
    return [column[counts] for column in columns]


def _largest(overlap: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each detection: the largest IoU (0: none), and the index of its object."""
    if not overlap.shape[1]:
        return np.zeros(len(overlap)), np.full(len(overlap), NONE)
    best = overlap.argmax(1)
    values = overlap[np.arange(len(overlap)), best]
    return np.maximum(values, 0.0), np.where(values > 0, best + first, NONE)
