"""Metrics of video beyond COCO's average precision: recall of hidden objects, flicker, identity switches.

Detections of a frame are matched as in the COCO API: in the order of their scores, each takes the free object of its
category with the highest IoU, counted objects before ignored ones. A detection that takes an ignored object does not
count. Nor does one that lies in a region to ignore; such a region takes any number of detections, and the IoU with it
is the share of the detection's own area. The matching is done once (`match_detections`), so that a bootstrap over clips
only changes weights. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from scipy.optimize import linear_sum_assignment

from hybrid.core.errors import DataError
from hybrid.core.overlap import iou, share_inside
from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord

IOU = 0.5
FREE, IGNORED = -1, -2  # of a detection: it takes no box, it takes a region to ignore
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class FrameDetections:
    """Detections of one frame as arrays, in any order. `track_ids` is -1 where there is no track."""

    boxes_xyxy_px: Float32[np.ndarray, "n 4"]
    scores: Float32[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    track_ids: Int64[np.ndarray, " n"]
    hidden: Bool[np.ndarray, " n"] | None = None  # predicted, not seen; None: none is

    @classmethod
    def of(cls, rows: Detections) -> FrameDetections:
        """The same as arrays."""
        ids = np.full(len(rows.labels), -1) if rows.track_ids is None else rows.track_ids.numpy()
        hidden = None if rows.unseen is None else rows.unseen.numpy()
        return cls(rows.boxes_xyxy_px.numpy(), rows.scores.numpy(), rows.labels.numpy(), ids, hidden)

    def take(self, which: Bool[np.ndarray, " n"] | Int64[np.ndarray, " _"]) -> FrameDetections:
        """The detections at these indices, or where this mask is True."""
        hidden = None if self.hidden is None else self.hidden[which]
        kept = (self.boxes_xyxy_px[which], self.scores[which], self.labels[which], self.track_ids[which])
        return FrameDetections(*kept, hidden)


@dataclass(frozen=True)
class MatchedDetections:
    """The detections that count, by descending score, and the objects that count."""

    scores: Float32[np.ndarray, " n"]
    correct: Bool[np.ndarray, " n"]  # True: it takes a counted object
    labels: Int64[np.ndarray, " n"]
    clips: Int64[np.ndarray, " n"]
    truth_labels: Int64[np.ndarray, " m"]
    truth_clips: Int64[np.ndarray, " m"]


def match_detections(
    detections: Sequence[FrameDetections],
    frames: Sequence[FrameRecord],
    clips: Sequence[int],
    counted: Sequence[Bool[np.ndarray, " _"]] | None = None,
    least_iou: float = IOU,
) -> MatchedDetections:
    """Match the detections of all frames with their objects.

    Args:
        detections: of each frame.
        frames: with their boxes.
        clips: the index of each frame's clip.
        counted: for each frame, which of its boxes count; the others are ignored. None: all count.
        least_iou: the least IoU of a match.

    Raises:
        ValueError: the lists differ in length.
    """
    if not len(detections) == len(frames) == len(clips) or (counted is not None and len(counted) != len(frames)):
        raise ValueError(f"{len(frames)} frames, but detections of {len(detections)} and clips of {len(clips)}")
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    truth: list[tuple[np.ndarray, np.ndarray]] = []
    for k, (detected, frame, clip) in enumerate(zip(detections, frames, clips, strict=True)):
        counts = np.ones(len(frame.labels), bool) if counted is None else counted[k]
        taken = boxes_taken(detected, frame, counts, least_iou)
        correct = np.array([t >= 0 and counts[t] for t in taken], bool)
        stays = np.array([t == FREE or (t >= 0 and counts[t]) for t in taken], bool)
        clip_of = np.full(int(stays.sum()), clip, np.int64)
        rows.append((detected.scores[stays], correct[stays], detected.labels[stays], clip_of))
        truth.append((frame.labels[counts], np.full(int(counts.sum()), clip, np.int64)))
    scores, correct, labels, clip_of = _stacked(rows, (np.float32, np.bool_, np.int64, np.int64))
    truth_labels, truth_clips = _stacked(truth, (np.int64, np.int64))
    order = np.argsort(-scores, kind="stable")
    return MatchedDetections(scores[order], correct[order], labels[order], clip_of[order], truth_labels, truth_clips)


def _stacked(rows: Sequence[tuple[np.ndarray, ...]], types: Sequence[type[np.generic]]) -> list[np.ndarray]:
    """The columns of the rows, each as one array; empty arrays of these types if there are no rows."""
    return [np.concatenate([np.zeros(0, kind), *(row[k] for row in rows)]) for k, kind in enumerate(types)]


def boxes_taken(
    detected: FrameDetections, frame: FrameRecord, counted: Bool[np.ndarray, " n"], least_iou: float
) -> list[int]:
    """The index of the box that each detection takes; FREE: none; IGNORED: a region to ignore."""
    overlap, in_region = iou(detected.boxes_xyxy_px, frame.boxes_xyxy_px), _share_in_region(detected, frame)
    taken, free = [FREE] * len(detected.scores), np.ones(len(frame.labels), bool)
    for k in np.argsort(-detected.scores, kind="stable"):
        fits = free & (frame.labels == detected.labels[k]) & (overlap[k] >= least_iou)
        group = fits & counted if (fits & counted).any() else fits
        best = int(np.argmax(np.where(group, overlap[k], -1.0))) if group.any() else FREE
        if in_region[k] >= least_iou and (best == FREE or not (counted[best] or overlap[k, best] > in_region[k])):
            taken[k] = IGNORED
        elif best != FREE:
            taken[k], free[best] = best, False
    return taken


def _share_in_region(detected: FrameDetections, frame: FrameRecord) -> Float[np.ndarray, " n"]:
    """The largest share of each detection's area that lies in one region to ignore of its category."""
    boxes, regions = detected.boxes_xyxy_px, frame.ignore_boxes_xyxy_px
    if not regions.size:
        return np.zeros(len(boxes))
    share = share_inside(boxes, regions)
    of_category = (frame.ignore_labels < 0) | (frame.ignore_labels == detected.labels[:, None])
    return np.where(of_category, share, 0.0).max(1)  # type: ignore[no-any-return]


def average_precision(matched: MatchedDetections, clip_weights: Float[np.ndarray, " c"] | None = None) -> float | None:
    """COCO's AP at the IoU of the matching: the mean over the categories that have objects; None if there are none.

    `clip_weights`: how often each clip counts, for a bootstrap; None: once.
    """
    weight, truth_weight = _weights(matched, clip_weights)
    values = []
    for label in np.unique(matched.truth_labels):
        total = truth_weight[matched.truth_labels == label].sum()
        if total <= 0:
            continue
        own = matched.labels == label
        hits = np.cumsum(matched.correct[own] * weight[own])
        reported = np.cumsum(weight[own])
        precision = np.maximum.accumulate((hits / np.maximum(reported, 1e-12))[::-1])[::-1]
        first = np.searchsorted(hits / total, _RECALLS, side="left")
        values.append(float(np.where(first < len(precision), np.append(precision, 0.0)[first], 0.0).mean()))
    return float(np.mean(values)) if values else None


def recall_at(matched: MatchedDetections, score: float, clip_weights: Float[np.ndarray, " c"] | None = None) -> float:
    """The share of the counted objects that are detected with `score` or more; 0 if there are none."""
    weight, truth_weight = _weights(matched, clip_weights)
    hits = (weight * (matched.correct & (matched.scores >= score))).sum()
    return float(hits / truth_weight.sum()) if truth_weight.sum() else 0.0


def score_at_recall(matched: MatchedDetections, recall: float) -> float | None:
    """The highest score threshold at which detections reach this recall; None if they never do."""
    hits = np.cumsum(matched.correct) / max(1, len(matched.truth_labels))
    index = int(np.searchsorted(hits, recall - 1e-12))
    return float(matched.scores[index]) if index < len(hits) else None


def score_at_false(matched: MatchedDetections, frames: int, per_frame: float) -> float:
    """The lowest score threshold with at most `per_frame` false detections per frame; infinite: there is none."""
    false = np.cumsum(~matched.correct) / frames
    few = int(np.searchsorted(false, per_frame + 1e-12, side="right"))
    return float(matched.scores[few - 1]) if few else float("inf")


def false_per_frame(
    matched: MatchedDetections, frames: int, score: float, clip_weights: Float[np.ndarray, " c"] | None = None
) -> float:
    """The mean number of false detections per frame with `score` or more."""
    weight, _ = _weights(matched, clip_weights)
    scale = 1.0 if clip_weights is None else float(clip_weights.mean())
    return float((weight * (~matched.correct & (matched.scores >= score))).sum() / (frames * scale))


def _weights(matched: MatchedDetections, clip_weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if clip_weights is None:
        return np.ones(len(matched.clips)), np.ones(len(matched.truth_clips))
    return clip_weights[matched.clips], clip_weights[matched.truth_clips]


@dataclass(frozen=True)
class Steadiness:
    """Flicker and identity switches. All fields are counts, so that clips can be added."""

    pairs: int  # pairs of consecutive frames with the same object in both
    flickers: int  # of these: detected in one frame, missed in the other
    switches: int  # detections with another track id than the object's last one
    matched: int  # detected objects, over all frames

    def __add__(self, other: Steadiness) -> Steadiness:
        return Steadiness(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def flicker(self) -> float:
        """The share of the pairs that flicker."""
        return self.flickers / max(1, self.pairs)

    @property
    def switch_rate(self) -> float:
        """Identity switches per hundred detected objects."""
        return 100 * self.switches / max(1, self.matched)


def steadiness(detections: Sequence[FrameDetections], frames: Sequence[FrameRecord], score: float) -> Steadiness:
    """Flicker and switches of one clip, for detections with `score` or more.

    Correspondence as in CLEAR MOT (Bernardin & Stiefelhagen, 2008): an object and a track that matched before stay
    matched while their IoU is 0.5 or more; the others are matched with the highest total IoU.

    Raises:
        DataError: the frames have no track ids.
    """
    last: dict[int, int] = {}
    previous: dict[int, bool] = {}
    total = Steadiness(0, 0, 0, 0)
    for detected, frame in zip(detections, frames, strict=True):
        if frame.track_ids is None:
            raise DataError(f"{frame.name}: its labels have no track ids")
        overlap = iou(frame.boxes_xyxy_px, detected.boxes_xyxy_px)
        fits = (overlap >= IOU) & (detected.scores >= score) & (frame.labels[:, None] == detected.labels)
        pairs = correspondence(overlap, fits, frame.track_ids, detected.track_ids, last)
        switches = 0
        for box, row in pairs.items():
            who, track = int(frame.track_ids[box]), int(detected.track_ids[row])
            if track >= 0:
                switches += who in last and last[who] != track
                last[who] = track
        current = {int(who): box in pairs for box, who in enumerate(frame.track_ids)}
        both = current.keys() & previous.keys()
        total += Steadiness(len(both), sum(current[w] != previous[w] for w in both), switches, len(pairs))
        previous = current
    return total


def correspondence(
    overlap: Float[np.ndarray, "n m"],
    fits: Bool[np.ndarray, "n m"],
    ids: Int64[np.ndarray, " n"],
    track_ids: Int64[np.ndarray, " m"],
    last: Mapping[int, int],
) -> dict[int, int]:
    """The index of the detection of each detected object of a frame, as in CLEAR MOT.

    An object keeps the track that it had before where they still fit. The others take those with the highest total
    overlap.

    Args:
        overlap: of each object with each detection.
        fits: which of them may belong together.
        ids: of the objects.
        track_ids: of the detections; -1: none.
        last: the track that each object had before.
    """
    fits, pairs = fits.copy(), dict[int, int]()
    for box, who in enumerate(ids.tolist()):
        same = fits[box] & (track_ids == last.get(who, -1)) & (track_ids >= 0)
        if same.any():
            pairs[box] = int(np.argmax(same))
    fits[list(pairs)] = False
    fits[:, list(pairs.values())] = False
    rows, columns = linear_sum_assignment(np.where(fits, -overlap, 1.0))
    return pairs | {int(r): int(c) for r, c in zip(rows, columns, strict=True) if fits[r, c]}
