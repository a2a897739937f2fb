"""How well tracks keep the identity of objects: HOTA and IDF1, as counts that can be added over clips. No torch.

HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021. IDF1: Ristani et
al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", ECCV workshops 2016. Both as
TrackEval and motmetrics compute them, with which the tests compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment

ALPHAS = np.arange(0.05, 0.99, 0.05)  # HOTA's thresholds of the overlap
LEAST_IOU = 0.5  # IDF1's
_TINY = np.finfo(float).eps


@dataclass(frozen=True)
class FramePairs:
    """One frame: who is there, which tracks are reported, and how well each fits each, from 0 to 1."""

    ids: Int64[np.ndarray, " n"]
    track_ids: Int64[np.ndarray, " m"]  # no two are the same
    overlap: Float[np.ndarray, "n m"]


@dataclass(frozen=True)
class IdentityCounts:
    """What HOTA and IDF1 are made of. One value for each of ALPHAS, where there is an axis."""

    correct: Float[np.ndarray, " a"]
    missed: Float[np.ndarray, " a"]
    false: Float[np.ndarray, " a"]
    associated: Float[np.ndarray, " a"]  # the sum over correct pairs of how well their track belongs to their object
    id_correct: float
    id_missed: float
    id_false: float


def hota(counts: IdentityCounts) -> float:
    """The mean over the thresholds of the geometric mean of detection and association (equations 7 to 10)."""
    detection = counts.correct / np.maximum(1, counts.correct + counts.missed + counts.false)
    association = counts.associated / np.maximum(1, counts.correct)
    return float(np.sqrt(detection * association).mean())


def idf1(counts: IdentityCounts) -> float:
    """The share of reports and objects that agree, under the best one-to-one choice of tracks for whole objects."""
    total = 2 * counts.id_correct + counts.id_missed + counts.id_false
    return float(2 * counts.id_correct / max(1.0, total))


def identity_counts(frames: Sequence[FramePairs]) -> IdentityCounts:
    """The counts of one clip."""
    objects, rows = _numbered([frame.ids for frame in frames])
    tracks, columns = _numbered([frame.track_ids for frame in frames])
    seen, reported = np.zeros(objects), np.zeros(tracks)
    likely, fitting = np.zeros((objects, tracks)), np.zeros((objects, tracks))
    for frame, own, theirs in zip(frames, rows, columns, strict=True):
        seen[own] += 1
        reported[theirs] += 1
        either = frame.overlap.sum(0)[None] + frame.overlap.sum(1)[:, None] - frame.overlap
        likely[np.ix_(own, theirs)] += np.where(either > _TINY, frame.overlap / np.maximum(either, _TINY), 0.0)
        fitting[np.ix_(own, theirs)] += frame.overlap >= LEAST_IOU
    alike = likely / np.maximum(seen[:, None] + reported[None] - likely, _TINY)
    matched = np.zeros((len(ALPHAS), objects, tracks))
    for frame, own, theirs in zip(frames, rows, columns, strict=True):
        r, c = linear_sum_assignment(-alike[np.ix_(own, theirs)] * frame.overlap)
        matched[:, own[r], theirs[c]] += frame.overlap[r, c] >= ALPHAS[:, None] - _TINY
    correct = matched.sum((1, 2))
    association = matched / np.maximum(1, seen[:, None] + reported[None] - matched)
    id_correct = float(fitting[linear_sum_assignment(-fitting)].sum())
    return IdentityCounts(
        correct=correct,
        missed=seen.sum() - correct,
        false=reported.sum() - correct,
        associated=(matched * association).sum((1, 2)),
        id_correct=id_correct,
        id_missed=float(seen.sum()) - id_correct,
        id_false=float(reported.sum()) - id_correct,
    )


def _numbered(ids: Sequence[Int64[np.ndarray, " _"]]) -> tuple[int, list[Int64[np.ndarray, " _"]]]:
    """How many there are over all frames, and those of each frame as indices from 0."""
    known, inverse = np.unique(np.concatenate([np.zeros(0, np.int64), *ids]), return_inverse=True)
    return len(known), np.split(inverse.astype(np.int64), np.cumsum([len(one) for one in ids])[:-1]) if ids else []
