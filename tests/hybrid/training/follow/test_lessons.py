"""Lessons say what was there, also while it was hidden; and a network learns it from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.core.errors import ConfigError
from hybrid.data.clips import FrameRecord
from hybrid.metrics.line_truth import LineFrame
from hybrid.metrics.video import FrameDetections
from hybrid.model.objects.track_net import TrackNetConfig
from hybrid.predict.linking import Judge, Linking
from hybrid.predict.linking.evidence import NAMES
from hybrid.training.follow.clips import KnownClip
from hybrid.training.follow.lessons import Lesson, lesson, lessons_of
from hybrid.training.follow.measure import false_alarms, figures_of, follow_clip, score_at
from hybrid.training.follow.teach import TeachConfig, teach
from hybrid.training.follow.vary import LONGEST_GAP, frames_kept, varied

HW = (120, 320)
HIDDEN = range(6, 10)


def boxes(*rows: tuple[float, float, float]) -> np.ndarray:
    """Squares of 20 px by their centre and score."""
    centres = np.array([row[:2] for row in rows], np.float32).reshape(-1, 2)
    return np.concatenate([centres - 10, centres + 10], 1)


def clip(false: bool = True, seed: int = 0) -> KnownClip:
    """A part that passes below a bridge, another one beside it, and a false detection that stays for three frames."""
    rng = np.random.default_rng(seed)
    detections, truth, way = [], [], 9 + seed % 3
    for t in range(14):
        there = [(30 + way * t, 40, 0.8), (20 + way * t, 90, 0.7)]
        shares = np.array([0.0 if t in HIDDEN else 1.0, 1.0], np.float32)
        found = [one for one, share in zip(there, shares, strict=True) if share > 0]
        found += [(280, 30, 0.6)] if false and 2 <= t < 5 else []
        whole = boxes(*there)
        scores = np.array([one[2] for one in found], np.float32)
        noisy = (boxes(*found) + rng.normal(0, 0.5, (len(found), 4))).astype(np.float32)
        none = np.zeros(len(found), np.int64)
        detections.append(FrameDetections(noisy, scores, none, none - 1))
        seen = np.where(shares[:, None] > 0, whole, 0).astype(np.float32)
        no = np.zeros(2, bool)
        truth.append(LineFrame(whole, seen, shares, np.zeros(2, np.int64), np.array([7, 8]), no, no.copy(), HW))
    record = FrameRecord(
        name="0", path=Path("none"), width_px=HW[1], height_px=HW[0],
        boxes_xyxy_px=np.zeros((0, 4), np.float32), labels=np.zeros(0, np.int64),
    )  # fmt: skip
    records = [record] * 14
    return KnownClip("0", detections, [t / 10 for t in range(14)], records, truth)


def by_track(made: Lesson, row: int) -> np.ndarray:
    return made.exists[:, row][made.alive[:, row]]


def test_a_hidden_part_is_taught_as_there_and_a_false_detection_is_not() -> None:
    made = lesson(clip(), Linking(sure=0.5, unsure=0.2))
    assert made.numbers.shape == (14, 3, len(NAMES))
    assert made.taught[made.alive].all()
    assert by_track(made, 0).all()
    assert len(by_track(made, 0)) == 14
    assert made.shares[:, 0].tolist() == [0.0 if t in HIDDEN else 1.0 for t in range(14)]
    assert made.whole_xyxy_px[7, 0].tolist() == [83, 30, 103, 50]  # where it is while it is hidden
    assert not by_track(made, 2).any()
    assert not made.alive[:2, 2].any()


def test_a_part_that_does_not_count_is_not_taught_and_one_that_has_left_is_not_there() -> None:
    given = clip(false=False)
    last = replace(given.truth[-1], ignored=np.array([True, False]))
    gone = replace(given.truth[-2], **{
        name: getattr(given.truth[-2], name)[1:]
        for name in ("whole_xyxy_px", "seen_xyxy_px", "shares", "labels", "ids", "cut", "ignored")
    })  # fmt: skip
    made = lesson(replace(given, truth=[*given.truth[:-2], gone, last]), Linking(sure=0.5, unsure=0.2))
    assert made.taught[-2:].tolist() == [[True, True], [False, True]]
    assert made.exists[-2].tolist() == [False, True]


def test_of_two_tracks_of_a_part_one_is_taught() -> None:
    given = clip(false=False)
    twice = [
        FrameDetections(*(np.concatenate([x, x[:1]]) for x in (d.boxes_xyxy_px, d.scores, d.labels, d.track_ids)))
        for d in given.detections
    ]
    for one in twice:
        one.boxes_xyxy_px[-1] += np.array([7, 0, 7, 0])  # overlaps by less than what is one part
    made = lesson(replace(given, detections=twice), Linking(sure=0.5, unsure=0.2))
    assert made.alive[3].sum() == 3
    assert (made.exists.sum(1) == 2).all()


def test_variants_are_mirrored_with_their_truth_and_lose_frames() -> None:
    given = clip(false=False)
    other = varied(given, 1, np.random.default_rng(3))
    kept = [round(10 * time) for time in other.times_s]
    for t, one, true in zip(kept, other.detections, other.truth, strict=True):
        left = given.truth[t].whole_xyxy_px
        assert true.whole_xyxy_px[:, 0].tolist() == (HW[1] - left[:, 2]).tolist()
        assert true.whole_xyxy_px[:, 1].tolist() == left[:, 1].tolist()
        assert len(one.scores) <= len(true.ids)
        for box in one.boxes_xyxy_px:
            assert np.abs(true.whole_xyxy_px - box).max(1).min() < 4
    fewer = [len(varied(given, 1, np.random.default_rng(k)).truth[0].ids) for k in range(30)]
    assert {1, 2} == set(fewer)
    lengths = [len(frames_kept(40, np.random.default_rng(k))) for k in range(60)]
    assert min(lengths) < 40
    assert lengths.count(40) > 15
    assert varied(given, 0, np.random.default_rng(3)) is given


def test_parts_of_small_variants_are_hidden_for_a_while_wherever_they_are() -> None:
    given, lengths = clip(false=False), []
    for seed in range(40):
        other = varied(given, 1, np.random.default_rng(seed))
        missing = 0
        for one, true in zip(other.detections, other.truth, strict=True):
            shown = true.whole_xyxy_px[true.shares > 0]
            assert not true.seen_xyxy_px[true.shares == 0].any()
            for box in one.boxes_xyxy_px:
                assert np.abs(shown - box).max(1).min() < 4, "a detection is of a part that is shown"
            lower = true.ids == 8  # the clip itself never hides this part
            missing += int((true.shares[lower] == 0).sum())
        lengths.append(missing)
    assert 0 in lengths
    assert 5 < sum(length >= 2 for length in lengths) < 35
    assert max(lengths) <= LONGEST_GAP


def test_a_network_learns_what_the_rules_do_not_know() -> None:
    """The false detection has a lower score than parts have, and never moves: three clips are enough to learn it."""
    taught, apart = [clip(seed=k) for k in range(3)], [clip(seed=k) for k in (7, 8)]
    lessons = lessons_of(taught, 2, 0)
    config = TrackNetConfig(inputs=len(NAMES), width=16, heads=2, layers=1)
    network = teach(lessons, config, TeachConfig(steps=60, batch=4, lr=1e-2, warm_up=5))
    linking = Linking(sure=0.5, unsure=0.2, reported=0.05, pixels=False)
    judged = [follow_clip(one, linking, Judge(network)) for one in apart]
    ruled = [follow_clip(one, linking) for one in apart]
    best, plain = (figures_of(told, apart, 0.5) for told in (judged, ruled))
    assert best["hidden recall"] == 1.0
    assert best["clear recall"] == 1.0
    assert best["false alarms per frame"] < 0.05 < plain["false alarms per frame"]
    least = score_at(judged, apart, 0)
    assert least < 0.9
    assert figures_of(judged, apart, least)["clear recall"] > 0.9


def test_false_alarms_are_those_of_the_detector_alone() -> None:
    assert false_alarms([clip(), clip(false=False)], 0.5) == 3
    assert false_alarms([clip()], 0.65) == 0


def test_without_a_track_there_is_nothing_to_learn() -> None:
    nothing = FrameDetections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), *[np.zeros(0, np.int64)] * 2)
    empty = lesson(replace(clip(), detections=[nothing] * 14), Linking())
    with pytest.raises(ConfigError, match="no clip has a track"):
        teach([empty], TrackNetConfig(inputs=len(NAMES)), TeachConfig(steps=1))
