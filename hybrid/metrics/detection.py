"""Average precision as COCO defines it, overall, by category and by size, with faster-coco-eval.

AP is the mean precision over IoU thresholds 0.50, 0.55, ... 0.95 and 101 recalls (Lin et al., ECCV 2014; the COCO API).
A value is None if the ground truth has no box to measure it on. Regions to ignore are crowds, as in the COCO API: a
detection that lies in one by the threshold or more, as a share of its own area, does not count.
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
from hybrid.metrics.video import IOU, FrameDetections, MatchedDetections, match_detections

if TYPE_CHECKING:
    from hybrid.model.network import Network
    from hybrid.predict.tiles import View

SIZE_BINS_PX = {  # bins of the square root of a box's area: low <= side < high
    "under 16 px": (0.0, 16.0),
    "16 to 32 px": (16.0, 32.0),
    "32 to 64 px": (32.0, 64.0),
    "64 to 128 px": (64.0, 128.0),
    "128 px and over": (128.0, math.inf),
}
MAX_DETECTIONS = 100  # per frame and category, as in COCO


@dataclass(frozen=True)
class Score:
    """Average precision and recall, 0..1, of one group of boxes."""

    ap: float | None  # mean over the IoU thresholds
    ap50: float | None  # at IoU 0.50
    ap75: float | None  # at IoU 0.75
    ar: float | None  # recall of the 100 best detections per frame and category, mean over the IoU thresholds
    boxes: int  # of the ground truth


@dataclass(frozen=True)
class Metrics:
    """Scores of a data set."""

    overall: Score
    by_category: dict[str, Score]
    by_size: dict[str, Score]
    frames: int

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """The metrics, and the detections that they were computed from, in the order of `source.frames`."""

    metrics: Metrics
    detections: list[Detections]


def evaluate(
    detector: Network, source: ClipSource, view: View | None = None, progress: Progress = silent
) -> Evaluation:
    """Detect in every frame of a source, and compare with its boxes.

    Args:
        detector: a network, such as one that `hybrid.load` returns.
        source: clips with boxes, such as `hybrid.read_coco` returns. Its categories are the network's.
        view: how an image is cut into tiles; None: as `hybrid.predict.stream.predict_source` does by default.
        progress: is called after each frame with (done, total, values).

    Returns:
        The metrics (AP in 0..1) and the detections of each frame (boxes xyxy in pixels of the image).

    Raises:
        DataError: an image cannot be read, or no frame has a box.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import cv2, numpy as np
        >>> from hybrid.core.config import ModelConfig
        >>> from hybrid.data.clips import Clip, ClipSource, FrameRecord
        >>> from hybrid.metrics.detection import evaluate
        >>> from hybrid.model.network import Network
        >>> network = Network(ModelConfig(categories=("bolt",), branches="cnn", width=16, queries=5)).eval()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "photo.png"
        ...     _ = cv2.imwrite(str(path), np.full((64, 96, 3), 128, np.uint8))
        ...     frame = FrameRecord(
        ...         name="photo", path=path, width_px=96, height_px=64,
        ...         boxes_xyxy_px=np.array([[10, 10, 40, 30]], np.float32), labels=np.array([0]),
        ...     )
        ...     result = evaluate(network, ClipSource("photos", ("bolt",), (Clip("photo", (frame,)),)))
        >>> result.metrics.overall.boxes, len(result.detections)
        (1, 1)
        >>> 0.0 <= result.metrics.overall.ap50 <= 1.0
        True
    """
    from hybrid.predict.stream import predict_source

    detections = predict_source(detector, source, view, progress)
    return Evaluation(score(detections, source.frames, source.categories), detections)


def score(detections: Sequence[Detections], frames: Sequence[FrameRecord], categories: Sequence[str]) -> Metrics:
    """Compare detections with the boxes of `frames`; both are in the same order.

    Raises:
        ValueError: the numbers of detections and frames differ.
        DataError: no frame has a box.
    """
    if len(detections) != len(frames):
        raise ValueError(f"{len(frames)} frames, but detections of {len(detections)}")
    if not any(len(frame.labels) for frame in frames):
        raise DataError(f"none of the {len(frames)} frames holds a box: nothing can be measured")
    precision, recall = _curves(detections, frames, len(categories))
    sizes = _sizes(frames)
    labels = np.concatenate([frame.labels for frame in frames])
    all_categories = slice(None)
    return Metrics(
        overall=_score(precision, recall, all_categories, 0, len(labels)),
        by_category={
            name: _score(precision, recall, slice(k, k + 1), 0, int((labels == k).sum()))
            for k, name in enumerate(categories)
        },
        by_size={
            name: _score(precision, recall, all_categories, 1 + k, int(((sizes >= low) & (sizes < high)).sum()))
            for k, (name, (low, high)) in enumerate(SIZE_BINS_PX.items())
        },
        frames=len(frames),
    )


def matched_frames(
    detections: Sequence[Detections],
    frames: Sequence[FrameRecord],
    most: int | None = MAX_DETECTIONS,
    least_iou: float = IOU,
) -> MatchedDetections:
    """Match detections with each frame as its own clip, for a bootstrap over photos.

    Uses the best `most` detections per frame and category. Without weights, at an IoU of 0.5,
    `hybrid.metrics.video.average_precision` of the result equals `Metrics.overall.ap50`.
    """
    arrays = [best_arrays(one, most) for one in detections]
    return match_detections(arrays, frames, range(len(frames)), least_iou=least_iou)


def best_arrays(detections: Detections, most: int | None) -> FrameDetections:
    """The best `most` detections of each category, as arrays."""
    scores, labels = detections.scores.cpu().numpy(), detections.labels.cpu().numpy()
    order = np.argsort(-scores, kind="stable")
    best = [order[labels[order] == label][:most] for label in np.unique(labels)]
    kept = np.concatenate([np.zeros(0, int), *best])
    boxes = detections.boxes_xyxy_px.cpu().numpy()[kept]
    return FrameDetections(boxes, scores[kept], labels[kept], np.full(len(kept), -1))


def operating_score(detections: Sequence[Detections], frames: Sequence[FrameRecord]) -> float | None:
    """The score threshold with the best F1 at IoU 0.5, over all categories. None: no detection is correct."""
    matched = matched_frames(detections, frames, most=None)
    if not matched.correct.any():
        return None
    correct, reported = matched.correct.cumsum(), 1 + np.arange(len(matched.correct))
    return float(matched.scores[np.argmax(2 * correct / (reported + len(matched.truth_labels)))])


def coco_documents(
    detections: Sequence[Detections], frames: Sequence[FrameRecord], categories: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The ground truth and the detections in the form of COCO's API, with ids from 1. Regions to ignore are crowds."""
    truth: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, (frame, detected) in enumerate(zip(frames, detections, strict=True), 1):
        for box, label in zip(_xywh(frame.boxes_xyxy_px), frame.labels.tolist(), strict=True):
            row = {"image_id": image, "category_id": label + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            truth.append({"id": len(truth) + 1, **row})
        for box, label in zip(_xywh(frame.ignore_boxes_xyxy_px), frame.ignore_labels.tolist(), strict=True):
            for category in range(categories) if label < 0 else [label]:
                row = {
                    "image_id": image,
                    "category_id": category + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 1,
                }
                truth.append({"id": len(truth) + 1, **row})
        boxes = _xywh(detected.boxes_xyxy_px.cpu().numpy())
        rows = zip(boxes, detected.labels.tolist(), detected.scores.tolist(), strict=True)
        for box, label, confidence in rows:
            results.append({"image_id": image, "category_id": label + 1, "bbox": box, "score": confidence})
    images = [{"id": i, "width": frame.width_px, "height": frame.height_px} for i, frame in enumerate(frames, 1)]
    names = [{"id": k + 1, "name": str(k)} for k in range(categories)]
    return {"info": {}, "images": images, "annotations": truth, "categories": names}, results


def _curves(
    detections: Sequence[Detections], frames: Sequence[FrameRecord], categories: int
) -> tuple[np.ndarray, np.ndarray]:
    """Precision [iou, recall, category, size] and recall [iou, category, size]; -1: no boxes. Size 0 is all sizes."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth, results = coco_documents(detections, frames, categories)
    if not results:  # the library cannot read an empty list; a detection of score 0 without an area changes nothing
        results = [{"image_id": 1, "category_id": 1, "bbox": [0.0, 0.0, 0.0, 0.0], "score": 0.0}]
    ground_truth = COCO(truth)
    evaluation = COCOeval_faster(ground_truth, ground_truth.loadRes(results), iouType="bbox")
    bins = ([low**2, min(math.nextafter(high**2, 0.0), 1e12)] for low, high in SIZE_BINS_PX.values())
    evaluation.params.areaRng = [[0.0, 1e12], *bins]  # the library counts a box at the upper end of a bin in it
    evaluation.params.areaRngLbl = ["all", *SIZE_BINS_PX]
    evaluation.params.maxDets = [1, 10, MAX_DETECTIONS]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"][..., -1], evaluation.eval["recall"][..., -1]


def _score(precision: np.ndarray, recall: np.ndarray, category: slice, size: int, boxes: int) -> Score:
    precisions, recalls = precision[:, :, category, size], recall[:, category, size]
    return Score(_mean(precisions), _mean(precisions[:1]), _mean(precisions[5:6]), _mean(recalls), boxes)


def _mean(values: np.ndarray) -> float | None:
    valid = values[values > -1]
    return float(valid.mean()) if valid.size else None


def _sizes(frames: Sequence[FrameRecord]) -> np.ndarray:
    boxes = np.concatenate([frame.boxes_xyxy_px for frame in frames])
    return np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))  # type: ignore[no-any-return]


def _xywh(boxes_xyxy: np.ndarray) -> list[list[float]]:
    boxes = boxes_xyxy.astype(np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()  # type: ignore[no-any-return]
