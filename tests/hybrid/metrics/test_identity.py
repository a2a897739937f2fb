"""HOTA and IDF1 against TrackEval and motmetrics, on tracks that break, swap, miss and invent."""

from __future__ import annotations

from dataclasses import fields

import motmetrics
import numpy as np
import pytest

from hybrid.core.overlap import iou
from hybrid.metrics.identity import FramePairs, IdentityCounts, hota, identity_counts, idf1


def clip(seed: int) -> list[FramePairs]:
    """Six objects that move, and tracks near them that swap now and then."""
    rng = np.random.default_rng(seed)
    corner, speed = rng.uniform(0, 80, (6, 2)), rng.normal(0, 3, (6, 2))
    start = np.concatenate([corner, corner + rng.uniform(8, 30, (6, 2))], 1)
    names, frames = np.arange(6), []
    for t in range(25):
        boxes = (start + np.tile(speed, 2) * t).astype(np.float32)
        if rng.random() < 0.3:
            a, b = rng.permutation(6)[:2]
            names[[a, b]] = names[[b, a]]
        there, kept = rng.random(6) < 0.9, rng.random(6) < 0.8
        told = np.concatenate([boxes[kept] + rng.normal(0, 1.5, (int(kept.sum()), 4)), boxes[:1] + 40])
        ids = np.append(names[kept], 50 + t)
        frames.append(FramePairs(np.flatnonzero(there), ids, iou(boxes[there], told)))
    return frames


def sequence(frames: list[FramePairs]) -> dict[str, object]:
    """The clip as TrackEval takes it, with ids from 0."""
    tracks = sorted({int(i) for frame in frames for i in frame.track_ids})
    return {
        "num_gt_dets": sum(len(f.ids) for f in frames),
        "num_tracker_dets": sum(len(f.track_ids) for f in frames),
        "num_gt_ids": 6,
        "num_tracker_ids": len(tracks),
        "gt_ids": [f.ids for f in frames],
        "tracker_ids": [np.array([tracks.index(i) for i in f.track_ids]) for f in frames],
        "similarity_scores": [f.overlap for f in frames],
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hota_is_trackevals(seed: int) -> None:
    trackeval = pytest.importorskip("trackeval")
    counts = identity_counts(clip(seed))
    theirs = trackeval.metrics.HOTA().eval_sequence(sequence(clip(seed)))
    np.testing.assert_allclose(counts.correct, theirs["HOTA_TP"])
    np.testing.assert_allclose(counts.missed, theirs["HOTA_FN"])
    np.testing.assert_allclose(counts.false, theirs["HOTA_FP"])
    assert hota(counts) == pytest.approx(theirs["HOTA"].mean())
    assert 0.2 < hota(counts) < 0.8


def test_idf1_is_motmetrics() -> None:
    judge, frames = motmetrics.MOTAccumulator(auto_id=True), clip(3)
    for frame in frames:
        distance = 1 - frame.overlap
        judge.update(frame.ids, frame.track_ids, np.where(distance <= 0.5, distance, np.nan))
    theirs = motmetrics.metrics.create().compute(judge, metrics=["idf1", "idtp", "idfn", "idfp"], name="t")
    counts = identity_counts(frames)
    assert [counts.id_correct, counts.id_missed, counts.id_false] == [
        float(theirs[name].iloc[0]) for name in ("idtp", "idfn", "idfp")
    ]
    assert idf1(counts) == pytest.approx(float(theirs["idf1"].iloc[0]))


def test_two_clips_add_up_as_trackeval_combines_them() -> None:
    trackeval = pytest.importorskip("trackeval")
    one, two = (identity_counts(clip(seed)) for seed in (0, 4))
    both = IdentityCounts(**{f.name: getattr(one, f.name) + getattr(two, f.name) for f in fields(one)})
    judge = trackeval.metrics.HOTA()
    theirs = judge.combine_sequences({str(seed): judge.eval_sequence(sequence(clip(seed))) for seed in (0, 4)})
    assert hota(both) == pytest.approx(theirs["HOTA"].mean())


def test_nothing_there_and_nothing_told_count_nothing() -> None:
    none = np.zeros(0, np.int64)
    counts = identity_counts([FramePairs(none, none, np.zeros((0, 0)))])
    assert (hota(counts), idf1(counts)) == (0.0, 0.0)
    missed = identity_counts([FramePairs(np.array([3]), none, np.zeros((1, 0)))])
    assert (missed.id_missed, missed.missed[0], missed.id_false) == (1.0, 1.0, 0.0)
