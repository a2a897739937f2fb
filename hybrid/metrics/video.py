"""What COCO's average precision does not say of video: how well hidden objects are found, how steadily, and as whom.

Detections of one frame are matched as the COCO API matches them: best score first, each takes the free object of its
category with the highest IoU, counted ones before ignored ones; what takes an ignored object counts for nothing. The
matching is done once (`judge`), so that a bootstrap over clips only re-weighs what is there. Arrays only: no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from scipy.optimize import linear_sum_assignment

from hybrid.core.errors import DataError
from hybrid.core.overlap import iou
from hybrid.data.clips import FrameRecord

IOU = 0.5
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Found:
    """Detections of one frame as arrays, in any order. `track_ids` is -1 where there is no track."""

    boxes_xyxy_px: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    track_ids: Int64[np.ndarray, " n"]


@dataclass(frozen=True)
class Judged:
    """Detections that count, best first, and the objects that count."""

    scores: Float32[np.ndarray, " n"]
    correct: Bool[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    clips: Int64[np.ndarray, " n"]
    truth_labels: Int64[np.ndarray, " m"]
    truth_clips: Int64[np.ndarray, " m"]


def judge(
    found: Sequence[Found],
    frames: Sequence[FrameRecord],
    clips: Sequence[int],
    counted: Sequence[Bool[np.ndarray, " _"]] | None = None,
    least_iou: float = IOU,
) -> Judged:
    """Match every frame. `clips` is the clip of each frame; `counted` tells which of its boxes are asked for.

    Raises:
        ValueError: the lists are not of one length.
    """
    if not len(found) == len(frames) == len(clips) or (counted is not None and len(counted) != len(frames)):
        raise ValueError(f"{len(frames)} frames, but detections of {len(found)} and clips of {len(clips)}")
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]] = []
    truth: list[tuple[np.ndarray, int]] = []
    for k, (seen, frame, clip) in enumerate(zip(found, frames, clips, strict=True)):
        asked = np.ones(len(frame.labels), bool) if counted is None else counted[k]
        taken = _taken(seen, frame, asked, least_iou)
        correct = np.array([t >= 0 and asked[t] for t in taken], bool)
        stays = np.array([t < 0 or asked[t] for t in taken], bool)
        rows.append((seen.scores[stays], correct[stays], seen.labels[stays], clip))
        truth.append((frame.labels[asked], clip))
    scores = np.concatenate([np.zeros(0, np.float32), *(r[0] for r in rows)])
    order = np.argsort(-scores, kind="stable")
    return Judged(
        scores[order],
        np.concatenate([np.zeros(0, bool), *(r[1] for r in rows)])[order],
        np.concatenate([np.zeros(0, np.int64), *(r[2] for r in rows)])[order],
        np.concatenate([np.zeros(0, np.int64), *(np.full(len(r[0]), r[3]) for r in rows)])[order],
        np.concatenate([np.zeros(0, np.int64), *(t for t, _ in truth)]),
        np.concatenate([np.zeros(0, np.int64), *(np.full(len(t), clip) for t, clip in truth)]),
    )


def _taken(seen: Found, frame: FrameRecord, counted: Bool[np.ndarray, " n"], least_iou: float) -> list[int]:
    """The box that each detection takes, -1 where none."""
    overlap = iou(seen.boxes_xyxy_px, frame.boxes_xyxy_px)
    taken, free = [-1] * len(seen.scores), np.ones(len(frame.labels), bool)
    for k in np.argsort(-seen.scores, kind="stable"):
        fits = free & (frame.labels == seen.labels[k]) & (overlap[k] >= least_iou)
        for group in (fits & counted, fits & ~counted):
            if group.any():
                taken[k] = int(np.argmax(np.where(group, overlap[k], -1.0)))
                free[taken[k]] = False
                break
    return taken


def average_precision(judged: Judged, clip_weights: Float[np.ndarray, " c"] | None = None) -> float | None:
    """COCO's AP at the IoU of the matching, mean over the categories that have objects; None where none has.

    `clip_weights` is how often each clip counts, for a bootstrap.
    """
    weight, truth_weight = _weights(judged, clip_weights)
    values = []
    for label in np.unique(judged.truth_labels):
        total = truth_weight[judged.truth_labels == label].sum()
        if total <= 0:
            continue
        own = judged.labels == label
        hits = np.cumsum(judged.correct[own] * weight[own])
        every = np.cumsum(weight[own])
        precision = np.maximum.accumulate((hits / np.maximum(every, 1e-12))[::-1])[::-1]
        place = np.searchsorted(hits / total, _RECALLS, side="left")
        values.append(float(np.where(place < len(precision), np.append(precision, 0.0)[place], 0.0).mean()))
    return float(np.mean(values)) if values else None


def recall_at(judged: Judged, score: float, clip_weights: Float[np.ndarray, " c"] | None = None) -> float:
    """The share of the counted objects that detections of `score` or more find."""
    weight, truth_weight = _weights(judged, clip_weights)
    found = (weight * (judged.correct & (judged.scores >= score))).sum()
    return float(found / truth_weight.sum()) if truth_weight.sum() else 0.0


def score_at_recall(judged: Judged, recall: float) -> float | None:
    """The highest score at which detections reach this recall; None where they never do."""
    hits = np.cumsum(judged.correct) / max(1, len(judged.truth_labels))
    place = int(np.searchsorted(hits, recall - 1e-12))
    return float(judged.scores[place]) if place < len(hits) else None


def score_at_false(judged: Judged, frames: int, per_frame: float) -> float:
    """The lowest score at which no more than so many false detections a frame are made; above all where one is many."""
    made = np.cumsum(~judged.correct) / frames
    few = int(np.searchsorted(made, per_frame + 1e-12, side="right"))
    return float(judged.scores[few - 1]) if few else float("inf")


def false_per_frame(
    judged: Judged, frames: int, score: float, clip_weights: Float[np.ndarray, " c"] | None = None
) -> float:
    """False detections of `score` or more in a frame, on average."""
    weight, _ = _weights(judged, clip_weights)
    scale = 1.0 if clip_weights is None else float(clip_weights.mean())
    return float((weight * (~judged.correct & (judged.scores >= score))).sum() / (frames * scale))


def _weights(judged: Judged, clip_weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if clip_weights is None:
        return np.ones(len(judged.clips)), np.ones(len(judged.truth_clips))
    return clip_weights[judged.clips], clip_weights[judged.truth_clips]


@dataclass(frozen=True)
class Steadiness:
    """How an object fares from frame to frame. Sums, so that clips can be added up."""

    pairs: int  # frames and the next ones in which one object is there
    flickers: int  # of them: found in one, missed in the other
    switches: int  # found as another track than it was found as last
    matched: int  # objects found, over all frames

    def __add__(self, other: Steadiness) -> Steadiness:
        return Steadiness(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def flicker(self) -> float:
        return self.flickers / max(1, self.pairs)

    @property
    def switch_rate(self) -> float:
        """Identity switches for each hundred objects found."""
        return 100 * self.switches / max(1, self.matched)


def steadiness(found: Sequence[Found], frames: Sequence[FrameRecord], score: float) -> Steadiness:
    """Of one clip, with detections of `score` or more. Objects keep the track that they had while it still fits.

    Correspondence as in CLEAR MOT (Bernardin & Stiefelhagen, 2008): a pair of the frame before stays if it still
    overlaps by half; the rest is matched at the highest total IoU.

    Raises:
        DataError: the frames do not tell which object each box is.
    """
    last: dict[int, int] = {}
    previous: dict[int, bool] = {}
    total = Steadiness(0, 0, 0, 0)
    for seen, frame in zip(found, frames, strict=True):
        if frame.track_ids is None:
            raise DataError(f"{frame.name}: its labels do not tell which object each box is")
        sure = seen.scores >= score
        pairs = _correspondence(seen, sure, frame, last)
        switches = 0
        for box, row in pairs.items():
            who, track = int(frame.track_ids[box]), int(seen.track_ids[row])
            if track >= 0:
                switches += who in last and last[who] != track
                last[who] = track
        now = {int(who): box in pairs for box, who in enumerate(frame.track_ids)}
        both = now.keys() & previous.keys()
        total += Steadiness(len(both), sum(now[w] != previous[w] for w in both), switches, len(pairs))
        previous = now
    return total


def _correspondence(
    seen: Found, sure: Bool[np.ndarray, " n"], frame: FrameRecord, last: dict[int, int]
) -> dict[int, int]:
    """The detection of each box of the frame that is found."""
    assert frame.track_ids is not None
    overlap = iou(frame.boxes_xyxy_px, seen.boxes_xyxy_px)
    fits = (overlap >= IOU) & sure & (frame.labels[:, None] == seen.labels)
    pairs: dict[int, int] = {}
    for box, who in enumerate(frame.track_ids.tolist()):
        same = fits[box] & (seen.track_ids == last.get(who, -1)) & (seen.track_ids >= 0)
        if same.any():
            pairs[box] = int(np.argmax(same))
    fits[list(pairs)] = False
    fits[:, list(pairs.values())] = False
    rows, columns = linear_sum_assignment(np.where(fits, -overlap, 1.0))
    return pairs | {int(r): int(c) for r, c in zip(rows, columns, strict=True) if fits[r, c]}
