"""Which photos to label next: those that look unlike the labelled ones and on which the detector is not sure.

A photo's worth is z(distance) + z(disagreement). The distance is that of the whole picture, in the detector's features,
to the nearest labelled or chosen photo (k-centre: O. Sener and S. Savarese, "Active Learning for Convolutional Neural
Networks: A Core-Set Approach", ICLR 2018). The disagreement is that of the detections of the photo and of its mirror
image. One photo a session is taken until all have one. On the one set where it was measured it did not beat a random
choice (benchmarks/2026-11-30-choice-of-photos.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float, Int64, UInt8

from hybrid.core.overlap import iou
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource
from hybrid.data.pixels import decode
from pipelines.gap.schema.sections import Picture, ToLabel

Image = UInt8[np.ndarray, "h w 3"]
CHOSEN = 10
MOST_PHOTOS = 150  # looked at; of more, some from all over the folder
ALIKE = 0.5  # IoU of two detections that are the same
NO_FOLDER = "Which photos to label next is not measured: give a folder of photos with --unlabelled."
AGAINST_RANDOM = (  # benchmarks/2026-11-30-choice-of-photos.md
    "On photos of bolts and washers this choice was not better than a random one: AP50 -1.3 points (-4.2 to +1.6). "
    "On your photos it was not measured."
)


@dataclass(frozen=True)
class Chosen:
    """A photo to label, and why."""

    index: int
    distance: float  # to the nearest labelled or chosen photo, in its median over all photos
    disagreement: float  # 0: the mirrored photo gives the same detections, 1: none of them
    session: int


@dataclass(frozen=True)
class Labelling:
    """Which photos to label next."""

    photos: tuple[ToLabel, ...] = ()
    note: str = NO_FOLDER
    pictures: dict[str, Picture] = field(default_factory=dict)


def choose(
    features: Float[np.ndarray, "n c"],
    labelled: Float[np.ndarray, "m c"],
    disagreement: Float[np.ndarray, " n"],
    sessions: Int64[np.ndarray, " n"],
    count: int = CHOSEN,
) -> list[Chosen]:
    """The photos to label, the first one first. Without a labelled photo, distances are to the chosen ones alone."""
    both = np.concatenate([labelled, features]).astype(np.float64)
    spread = both.std(0)
    both = (both - both.mean(0)) / np.where(spread > 1e-9, spread, 1.0)
    own, known = both[len(labelled) :], both[: len(labelled)]
    away = _to_nearest(own, known) if len(known) else np.linalg.norm(own - own.mean(0), axis=1)
    usual, found, free = float(np.median(away)) or 1.0, list[Chosen](), np.ones(len(own), bool)
    seen: set[int] = set()
    while len(found) < min(count, len(own)):
        fresh = free & ~np.isin(sessions, list(seen))
        allowed = fresh if fresh.any() else free
        worth = np.where(allowed, _z(away) + _z(disagreement), -np.inf)
        k = int(worth.argmax())
        found.append(Chosen(k, float(away[k]) / usual, float(disagreement[k]), int(sessions[k])))
        free[k] = False
        seen.add(int(sessions[k]))
        away = np.minimum(away, np.linalg.norm(own - own[k], axis=1))
    return found


def _to_nearest(points: Float[np.ndarray, "n c"], others: Float[np.ndarray, "m c"]) -> Float[np.ndarray, " n"]:
    return np.array([np.linalg.norm(others - one, axis=1).min() for one in points])


def _z(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-12 else np.zeros(len(values))


def disagreements(
    plain: Sequence[Detections], mirrored: Sequence[Detections], widths_px: Sequence[int], score: float
) -> Float[np.ndarray, " n"]:
    """1 - F1 of the detections of each photo and of its mirror image, at a score. Neither has one: they agree."""
    return np.array(
        [
            _disagreement(_shown(one, score), _shown(_back(other, width), score))
            for one, other, width in zip(plain, mirrored, widths_px, strict=True)
        ]
    )


def mirror(image: Image) -> Image:
    """The image, left and right exchanged."""
    return np.asarray(cv2.flip(image, 1), np.uint8)


def _back(detections: Detections, width_px: int) -> Detections:
    """Detections of the mirror image as they lie in the photo."""
    boxes = detections.boxes_xyxy_px.clone()
    boxes[:, [0, 2]] = width_px - detections.boxes_xyxy_px[:, [2, 0]]
    return Detections(boxes, detections.scores, detections.labels)


def _shown(detections: Detections, score: float) -> Detections:
    return detections.take(detections.scores >= score)


def _disagreement(one: Detections, other: Detections) -> float:
    boxes = [each.boxes_xyxy_px.numpy().astype(float) for each in (one, other)]
    if not len(boxes[0]) and not len(boxes[1]):
        return 0.0
    same = (iou(boxes[0], boxes[1]) >= ALIKE) & (one.labels.numpy()[:, None] == other.labels.numpy()[None])
    free, hits = np.ones(len(boxes[1]), bool), 0
    for row in same:
        open_ = np.flatnonzero(row & free)
        if len(open_):
            free[open_[0]] = False
            hits += 1
    return 1.0 - 2 * hits / (len(boxes[0]) + len(boxes[1]))


def pictures_of(source: ClipSource) -> Iterable[Image]:
    """The pictures of a source, one at a time."""
    return (decode(frame) for frame in source.frames)
