"""How good detections are: COCO's average precision, by category and by size, on top of faster-coco-eval.

Precision is averaged over IoU 0.50..0.95 and 101 recalls (Lin et al., ECCV 2014; the COCO API). A figure is None where
the truth holds no box to measure it on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.core.errors import DataError
from hybrid.core.progress import Progress, silent
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource, FrameRecord
from hybrid.metrics.video import Found, Judged, judge

if TYPE_CHECKING:
    from hybrid.model.network import Network
    from hybrid.predict.tiles import View

SIZE_BINS_PX = {  # the square root of a box's area, low included
    "under 16 px": (0.0, 16.0),
    "16 to 32 px": (16.0, 32.0),
    "32 to 64 px": (32.0, 64.0),
    "64 to 128 px": (64.0, 128.0),
    "128 px and over": (128.0, math.inf),
}
MAX_DETECTIONS = 100  # of a frame and a category, as COCO has it


@dataclass(frozen=True)
class Score:
    """`ar` is the recall, averaged over the IoUs, that the 100 best detections of a frame reach."""

    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None
    boxes: int


@dataclass(frozen=True)
class Metrics:
    overall: Score
    by_category: dict[str, Score]
    by_size: dict[str, Score]
    frames: int

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """The figures, and the detections that they were computed from, in the order of `source.frames`."""

    metrics: Metrics
    detections: list[Detections]


def evaluate(
    detector: Network, source: ClipSource, view: View | None = None, progress: Progress = silent
) -> Evaluation:
    """Detect in every frame of `source` and score what was found."""
    from hybrid.predict.stream import predict_source

    found = predict_source(detector, source, view, progress)
    return Evaluation(score(found, source.frames, source.categories), found)


def score(detections: Sequence[Detections], frames: Sequence[FrameRecord], categories: Sequence[str]) -> Metrics:
    """Score detections against the boxes of `frames`, one by one.

    Raises:
        ValueError: there are not as many detections as frames.
        DataError: no frame has a box.
    """
    if len(detections) != len(frames):
        raise ValueError(f"{len(frames)} frames, but detections of {len(detections)}")
    if not any(len(frame.labels) for frame in frames):
        raise DataError(f"none of the {len(frames)} frames holds a box: nothing can be measured")
    precision, recall = _curves(detections, frames, len(categories))
    sizes = _sizes(frames)
    labels = np.concatenate([frame.labels for frame in frames])
    every = slice(None)
    return Metrics(
        overall=_score(precision, recall, every, 0, len(labels)),
        by_category={
            name: _score(precision, recall, slice(k, k + 1), 0, int((labels == k).sum()))
            for k, name in enumerate(categories)
        },
        by_size={
            name: _score(precision, recall, every, 1 + k, int(((sizes >= low) & (sizes < high)).sum()))
            for k, (name, (low, high)) in enumerate(SIZE_BINS_PX.items())
        },
        frames=len(frames),
    )


def judged_frames(
    detections: Sequence[Detections], frames: Sequence[FrameRecord], most: int | None = MAX_DETECTIONS
) -> Judged:
    """Detections matched at an IoU of 0.5, each frame a clip of its own: what a bootstrap over photos re-weighs.

    Of each frame and category the best `most`. As it is, `hybrid.metrics.video.average_precision` of it is
    `Metrics.overall.ap50`.
    """
    return judge([_found(one, most) for one in detections], frames, range(len(frames)))


def _found(detections: Detections, most: int | None) -> Found:
    """As arrays, each category's best `most`."""
    scores, labels = detections.scores.cpu().numpy(), detections.labels.cpu().numpy()
    order = np.argsort(-scores, kind="stable")
    told = [order[labels[order] == label][:most] for label in np.unique(labels)]
    kept = np.concatenate([np.zeros(0, int), *told])
    boxes = detections.boxes_xyxy_px.cpu().numpy()[kept]
    return Found(boxes, scores[kept], labels[kept], np.full(len(kept), -1))


def operating_score(detections: Sequence[Detections], frames: Sequence[FrameRecord]) -> float | None:
    """The score from which on detections have their best F1 at an IoU of 0.5, all categories together.

    None: not one of them is right.
    """
    judged = judged_frames(detections, frames, most=None)
    if not judged.correct.any():
        return None
    right, told = judged.correct.cumsum(), 1 + np.arange(len(judged.correct))
    return float(judged.scores[np.argmax(2 * right / (told + len(judged.truth_labels)))])


def coco_documents(
    detections: Sequence[Detections], frames: Sequence[FrameRecord], categories: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The truth and the detections as COCO's API takes them; ids count from 1."""
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image, (frame, seen) in enumerate(zip(frames, detections, strict=True), 1):
        for box, label in zip(_xywh(frame.boxes_xyxy_px), frame.labels.tolist(), strict=True):
            one = {"image_id": image, "category_id": label + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            truth.append({"id": len(truth) + 1, **one})
        rows = zip(_xywh(seen.boxes_xyxy_px.cpu().numpy()), seen.labels.tolist(), seen.scores.tolist(), strict=True)
        for box, label, confidence in rows:
            found.append({"image_id": image, "category_id": label + 1, "bbox": box, "score": confidence})
    images = [{"id": i, "width": frame.width_px, "height": frame.height_px} for i, frame in enumerate(frames, 1)]
    names = [{"id": k + 1, "name": str(k)} for k in range(categories)]
    return {"info": {}, "images": images, "annotations": truth, "categories": names}, found


def _curves(
    detections: Sequence[Detections], frames: Sequence[FrameRecord], categories: int
) -> tuple[np.ndarray, np.ndarray]:
    """Precision [iou, recall, category, size] and recall [iou, category, size], -1 where nothing is; size 0 is all."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth, found = coco_documents(detections, frames, categories)
    if not found:  # the library cannot read an empty list; one detection of no score and no place is as good
        found = [{"image_id": 1, "category_id": 1, "bbox": [0.0, 0.0, 0.0, 0.0], "score": 0.0}]
    known = COCO(truth)
    judge = COCOeval_faster(known, known.loadRes(found), iouType="bbox")
    judge.params.areaRng = [[0.0, 1e12], *([low**2, min(high**2, 1e12)] for low, high in SIZE_BINS_PX.values())]
    judge.params.areaRngLbl = ["all", *SIZE_BINS_PX]
    judge.params.maxDets = [1, 10, MAX_DETECTIONS]
    judge.evaluate()
    judge.accumulate()
    return judge.eval["precision"][..., -1], judge.eval["recall"][..., -1]


def _score(precision: np.ndarray, recall: np.ndarray, category: slice, size: int, boxes: int) -> Score:
    seen, reached = precision[:, :, category, size], recall[:, category, size]
    return Score(_mean(seen), _mean(seen[:1]), _mean(seen[5:6]), _mean(reached), boxes)


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _sizes(frames: Sequence[FrameRecord]) -> np.ndarray:
    boxes = np.concatenate([frame.boxes_xyxy_px for frame in frames])
    return np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))  # type: ignore[no-any-return]


def _xywh(boxes_xyxy: np.ndarray) -> list[list[float]]:
    boxes = boxes_xyxy.astype(np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()  # type: ignore[no-any-return]
