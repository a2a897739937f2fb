"""AP, recall and false alarms of detections on every draw of the sessions.

Detections are matched once for each IoU, as in the COCO API; a draw only weighs the photos. So a run costs one matching
and a cumulated sum for each category, whatever the number of draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int64

from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from hybrid.metrics.detection import Metrics, matched_frames
from hybrid.metrics.video import MatchedDetections
from pipelines.gap.sessions import session_weights

IOUS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))  # COCO's
AT_50, AT_75 = IOUS.index(0.5), IOUS.index(0.75)
DRAWS = 500
_RECALLS = np.linspace(0, 1, 101)
_ROWS = 50  # draws at a time, so that much memory is never needed
Values = Float[np.ndarray, " draws"]


@dataclass(frozen=True)
class Measurement:
    """One run on one data set: its metrics, and its detections in each frame."""

    metrics: Metrics
    detections: list[Detections]


@dataclass(frozen=True)
class Resampled:
    """A run's detections on photos in sessions. The first draw is all photos once; the others are of the bootstrap."""

    matched: tuple[MatchedDetections, ...]  # one for each of `IOUS`
    weights: Float[np.ndarray, "draws photos"]

    @cached_property
    def ap(self) -> Values:
        others = [
            average_precisions(one, self.weights) for k, one in enumerate(self.matched) if k not in (AT_50, AT_75)
        ]
        return np.mean([self.ap50, self.ap75, *others], 0)  # type: ignore[no-any-return]

    @cached_property
    def ap50(self) -> Values:
        return average_precisions(self.matched[AT_50], self.weights)

    @cached_property
    def ap75(self) -> Values:
        return average_precisions(self.matched[AT_75], self.weights)

    @cached_property
    def recall(self) -> Values:
        """COCO's AR: the recall of all detections, mean over IoUs and categories."""
        return np.mean([recalls(one, self.weights) for one in self.matched], 0)  # type: ignore[no-any-return]

    def found(self, score: float) -> Values:
        """The share of all objects that are found at IoU 0.5 with `score` or more."""
        matched = self.matched[AT_50]
        hits = self.weights[:, matched.clips[matched.correct & (matched.scores >= score)]].sum(1)
        return _ratio(hits, self.weights[:, matched.truth_clips].sum(1))

    def false_alarms(self, score: float, photos: Int64[np.ndarray, " p"] | None = None) -> Values:
        """False detections a photo with `score` or more, on all photos or on these."""
        matched = self.matched[AT_50]
        false = ~matched.correct & (matched.scores >= score)
        wanted = np.arange(self.weights.shape[1]) if photos is None else photos
        alarms = np.bincount(matched.clips[false], minlength=self.weights.shape[1]).astype(np.float64)
        return _ratio(self.weights[:, wanted] @ alarms[wanted], self.weights[:, wanted].sum(1))


def resampled(
    detections: Sequence[Detections],
    frames: Sequence[FrameRecord],
    sessions: Int64[np.ndarray, " n"],
    draws: int = DRAWS,
) -> Resampled:
    """Match detections with the boxes of `frames`, and draw sessions. Each frame has the session at its place."""
    matched = tuple(matched_frames(detections, frames, least_iou=iou) for iou in IOUS)
    return Resampled(matched, draw_weights(sessions, draws))


def draw_weights(sessions: Int64[np.ndarray, " n"], draws: int) -> Float[np.ndarray, "draws1 n"]:
    """How often each photo counts: all once in the first row, then a row for each draw of the sessions."""
    return np.concatenate([np.ones((1, len(sessions))), session_weights(sessions, draws)])


def average_precisions(matched: MatchedDetections, weights: Float[np.ndarray, "draws photos"]) -> Values:
    """`hybrid.metrics.video.average_precision` on each draw; NaN where a draw has no object."""
    by_label = [_of_label(matched, int(label), weights) for label in np.unique(matched.truth_labels)]
    return _mean_of_valid(by_label, len(weights))


def recalls(matched: MatchedDetections, weights: Float[np.ndarray, "draws photos"]) -> Values:
    """The recall of all detections on each draw, mean over the categories that have objects in it."""
    by_label = []
    for label in np.unique(matched.truth_labels):
        hits = weights[:, matched.clips[matched.correct & (matched.labels == label)]].sum(1)
        by_label.append(_ratio(hits, weights[:, matched.truth_clips[matched.truth_labels == label]].sum(1)))
    return _mean_of_valid(by_label, len(weights))


def _of_label(matched: MatchedDetections, label: int, weights: np.ndarray) -> Values:
    own = matched.labels == label
    correct, clips = matched.correct[own], matched.clips[own]
    totals = weights[:, matched.truth_clips[matched.truth_labels == label]].sum(1)
    parts = [
        _areas(weights[k : k + _ROWS, clips], correct, totals[k : k + _ROWS]) for k in range(0, len(weights), _ROWS)
    ]
    return np.concatenate(parts)


def _areas(weight: Float[np.ndarray, "rows n"], correct: np.ndarray, totals: np.ndarray) -> Values:
    """The mean precision at 101 recalls, of each row; NaN where it has no object."""
    hits, reported = np.cumsum(weight * correct, 1), np.cumsum(weight, 1)
    precision = np.maximum.accumulate((hits / np.maximum(reported, 1e-12))[:, ::-1], 1)[:, ::-1]
    padded = np.concatenate([precision, np.zeros((len(weight), 1))], 1)
    areas = np.full(len(weight), np.nan)
    for k in np.flatnonzero(totals > 0):
        areas[k] = padded[k, np.searchsorted(hits[k] / totals[k], _RECALLS, side="left")].mean()
    return areas


def _ratio(part: np.ndarray, whole: np.ndarray) -> Values:
    return np.where(whole > 0, part / np.maximum(whole, 1e-12), np.nan)


def _mean_of_valid(rows: Sequence[Values], draws: int) -> Values:
    table = np.array(rows).reshape(-1, draws)
    valid = np.isfinite(table)
    return _ratio(np.where(valid, table, 0.0).sum(0), valid.sum(0))
