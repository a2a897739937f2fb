"""Video's figures on cases of a few boxes that are worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.data.clips import FrameRecord
from hybrid.metrics.video import (
    FrameDetections,
    Steadiness,
    average_precision,
    false_per_frame,
    match_detections,
    recall_at,
    score_at_false,
    score_at_recall,
    steadiness,
)

FAR = 500.0


def row(*lefts):
    return np.array([[x, 0.0, x + 10, 10.0] for x in lefts], np.float32).reshape(-1, 4)


def truth(*lefts, labels=None, ids=None):
    return FrameRecord(
        name="frame 7", path=Path("f"), width_px=640, height_px=480, boxes_xyxy_px=row(*lefts),
        labels=np.zeros(len(lefts), np.int64) if labels is None else np.array(labels, np.int64),
        track_ids=None if ids is None else np.array(ids, np.int64),
    )  # fmt: skip


def told(*rows, labels=None, ids=None):
    """(left, score) of each detection."""
    lefts, scores = zip(*rows, strict=True) if rows else ((), ())
    none = np.full(len(rows), -1, np.int64)
    return FrameDetections(
        row(*lefts), np.array(scores, np.float32), none * 0 if labels is None else np.array(labels, np.int64),
        none if ids is None else np.array(ids, np.int64),
    )  # fmt: skip


# --- matching ---------------------------------------------------------------------------------------------------------


def test_the_best_score_chooses_first_and_takes_the_box_that_it_overlaps_most():
    """Boxes at 0 and 4: the detection at 3 overlaps both by half or more, and is nearer to the second."""
    judged = match_detections([told((0, 0.5), (3, 0.9))], [truth(0, 4)], [0])
    assert judged.scores.tolist() == pytest.approx([0.9, 0.5])
    assert judged.correct.tolist() == [True, True]
    taken = match_detections([told((4, 0.5), (3, 0.9))], [truth(0, 4)], [0])
    assert taken.correct.tolist() == [True, False]  # what is left, 0, overlaps 4 by 6 / 14


@pytest.mark.parametrize(("shift", "least", "right"), [(3.3, 0.5, True), (3.4, 0.5, False), (1.0, 0.85, False)])
def test_a_match_needs_the_least_iou(shift, least, right):
    """Boxes 10 wide and s apart overlap by (10 - s) / (10 + s)."""
    assert match_detections([told((shift, 0.9))], [truth(0)], [0], least_iou=least).correct.tolist() == [right]


def test_an_iou_of_exactly_the_least_fits():
    half = FrameRecord(
        name="f", path=Path("f"), width_px=99, height_px=99, boxes_xyxy_px=np.array([[0, 0, 20, 10]], np.float32),
        labels=np.zeros(1, np.int64), track_ids=np.array([1]),
    )  # fmt: skip
    assert match_detections([told((0, 0.9))], [half], [0]).correct.tolist() == [True]
    assert steadiness([told((0, 0.9))], [half], 0.5).matched == 1


def test_detections_of_another_category_find_nothing_and_each_category_has_its_own():
    judged = match_detections([told((0, 0.9), (0, 0.8), labels=[1, 0])], [truth(0, 0, labels=[0, 2])], [0])
    assert judged.correct.tolist() == [False, True]
    assert judged.labels.tolist() == [1, 0]
    assert average_precision(judged) == pytest.approx(0.5)  # category 0 whole, 2 not at all, 1 has no object


def test_boxes_that_are_not_asked_for_neither_help_nor_harm_and_are_taken_last():
    """The better overlap is the ignored box's, but the counted one is taken; a second detection then falls away."""
    asked = [np.array([False, True])]
    judged = match_detections([told((0, 0.9), (1, 0.8), (FAR, 0.7))], [truth(0, 3)], [4], asked)
    assert judged.scores.tolist() == pytest.approx([0.9, 0.7])
    assert judged.correct.tolist() == [True, False]
    assert (judged.truth_labels.tolist(), judged.truth_clips.tolist()) == ([0], [4])
    assert judged.clips.tolist() == [4, 4]


def test_equal_scores_stay_in_their_order():
    judged = match_detections([told((0, 0.5), (FAR, 0.5)), told((FAR, 0.5), (0, 0.5))], [truth(0)] * 2, [0, 1])
    assert judged.correct.tolist() == [True, False, False, True]
    assert judged.clips.tolist() == [0, 0, 1, 1]
    levels = np.random.default_rng(0).integers(3, 6, 300) / 10  # so many that a quick sort mixes equals
    many = told(*[(FAR, float(level)) for level in levels], labels=range(300))
    best_first = sorted(range(300), key=lambda k: -levels[k])  # Python's sort is stable
    assert match_detections([many], [truth(0)], [0]).labels.tolist() == best_first


def test_lists_of_other_lengths_are_refused():
    one, seen = truth(0), told((0, 0.9))
    for found, frames, clips, asked in (
        ([seen], [one, one], [0, 0], None),
        ([seen, seen], [one, one], [0], None),
        ([seen], [one], [0], []),
    ):
        with pytest.raises(ValueError, match=f"{len(frames)} frames, but detections of {len(found)} and clips of"):
            match_detections(found, frames, clips, asked)


def ignoring(record, *regions, labels):
    return replace(record, ignore_boxes_xyxy_px=np.array(regions, np.float32), ignore_labels=np.array(labels))


@pytest.mark.parametrize(
    ("region", "label", "ignored"),
    [
        ((100, 0, 110, 10), 0, True),
        ((100, 0, 110, 10), -1, True),  # of every category
        ((100, 0, 110, 10), 1, False),  # of another one
        ((105, 0, 140, 10), 0, True),  # exactly half of the detection lies in it
        ((105.1, 0, 140, 10), 0, False),
        ((0, 5, 640, 480), 0, True),  # half of it, in height
        ((0, 5.1, 640, 480), 0, False),
        ((102, 2, 108, 9), 0, False),  # 6 by 7 of 10 by 10
        ((102, 1, 108, 10), 0, True),  # 6 by 9
        ((200, 0, 300, 10), 0, False),
        ((200, 200, 300, 300), 0, False),  # off in both directions
    ],
)
def test_a_detection_in_a_region_to_ignore_is_neither_right_nor_wrong(region, label, ignored):
    """Half of its area or more must lie in the region (COCO's crowd). The object at 0 is found as before."""
    frame = ignoring(truth(0), region, labels=[label])
    judged = match_detections([told((0, 0.9), (100, 0.8))], [frame], [0])
    assert judged.correct.tolist() == ([True] if ignored else [True, False])
    assert len(judged.truth_labels) == 1


def test_an_object_in_a_region_to_ignore_is_found_before_the_region_is():
    whole = ignoring(truth(0), (0, 0, 640, 480), labels=[-1])
    assert match_detections([told((1, 0.9))], [whole], [0]).correct.tolist() == [True]
    assert match_detections([told((1, 0.9), (2, 0.8))], [whole], [0]).correct.tolist() == [True]  # the second: ignored
    uncounted = match_detections([told((1, 0.9))], [whole], [0], counted=[np.array([False])])
    assert uncounted.correct.tolist() == []
    two = ignoring(truth(0), (300, 0, 310, 10), (100, 0, 110, 10), labels=[0, 0])
    assert match_detections([told((100, 0.9))], [two], [0]).correct.tolist() == []  # the second region has it


# --- figures of what was matched --------------------------------------------------------------------------------------


def ranked(right, objects, clips=None):
    """One detection a frame, best first from 0.9 down in tenths, and so many objects, all of one category."""
    detections, frames = [], []
    for k, hit in enumerate(right):
        detections.append(told((0 if hit else FAR, 0.9 - k / 10)))
        frames.append(truth(0) if hit else truth())
    lost = objects - sum(right)
    detections.append(told())
    frames.append(truth(*(100.0 * k for k in range(lost))))
    return match_detections(detections, frames, [0] * len(frames) if clips is None else clips)


def test_average_precision_by_hand():
    """Right, wrong, right of three objects: precision 1 up to a recall of 1/3, 2/3 up to 2/3, then none."""
    judged = ranked([True, False, True], 3)
    assert average_precision(judged) == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert average_precision(ranked([True] * 4, 4)) == pytest.approx(1)
    assert average_precision(ranked([False], 2)) == 0
    assert average_precision(ranked([False, True], 1)) == pytest.approx(0.5)


def test_a_clip_of_no_weight_is_not_there():
    judged = ranked([True, False, True], 4, clips=[0, 1, 1, 2])
    without = ranked([True], 3)
    for weight in (1.0, 2.5):
        weights = np.array([weight, 0.0, weight])
        assert average_precision(judged, weights) == pytest.approx(average_precision(without))
        assert recall_at(judged, 0.0, weights) == pytest.approx(1 / 3)
    assert average_precision(judged, np.zeros(3)) is None
    assert recall_at(judged, 0.0, np.zeros(3)) == 0.0
    of_one = match_detections([told((0, 0.9)), told()], [truth(0), truth(0, labels=[1])], [0, 1])
    assert average_precision(of_one) == pytest.approx(0.5)
    assert average_precision(of_one, np.array([1.0, 0.0])) == pytest.approx(1)  # nothing of the other category is left


def test_recall_and_false_detections_count_scores_from_the_given_one_on():
    judged = ranked([True, False, True, False], 5)
    scores = judged.scores.tolist()
    assert [recall_at(judged, s) for s in (*scores, 0.95)] == pytest.approx([0.2, 0.2, 0.4, 0.4, 0])
    assert [false_per_frame(judged, 4, s) for s in (*scores, 0.95)] == pytest.approx([0, 0.25, 0.25, 0.5, 0])


def test_false_detections_a_frame_with_weights_are_those_of_the_frames_that_are_drawn():
    """Two clips of two frames; the second, with its two false detections, is drawn three times, the first never."""
    judged = ranked([False, True, False, False], 2, clips=[0, 0, 1, 1, 0])
    assert false_per_frame(judged, 4, 0.0) == pytest.approx(3 / 4)
    assert false_per_frame(judged, 4, 0.0, np.array([0.0, 2.0])) == pytest.approx(1)
    assert false_per_frame(judged, 4, 0.0, np.array([0.0, 6.0])) == pytest.approx(1)  # as a share of all that is drawn


def test_the_score_at_a_recall_is_the_highest_that_reaches_it():
    judged = ranked([True, False, True, True], 4)
    s = judged.scores.tolist()
    due = {0.0: s[0], 0.25: s[0], 0.26: s[2], 0.5: s[2], 0.75: s[3], 0.76: None, 1.0: None}
    assert {r: score_at_recall(judged, r) for r in due} == {
        r: v if v is None else pytest.approx(v) for r, v in due.items()
    }
    thirds = ranked([True] * 3, 3)
    assert score_at_recall(thirds, 1 / 3 + 1 / 3) == pytest.approx(thirds.scores[1])  # rounding does not cost a place
    assert score_at_recall(match_detections([told((0, 0.4))], [truth()], [0]), 0.5) is None


def test_the_score_at_a_rate_of_false_detections_is_the_lowest_that_keeps_it():
    judged = ranked([True, False, True, False, True], 3)
    s = judged.scores.tolist()
    for rate, wanted in ((0.0, s[0]), (0.1, s[2]), (0.15, s[2]), (0.2, s[4]), (9.0, s[4])):
        assert score_at_false(judged, 10, rate) == pytest.approx(wanted), rate
    assert score_at_false(ranked([False], 1), 10, 0.05) == math.inf


def test_a_category_of_no_weight_does_not_end_the_others():
    """Category 0 is in a clip of no weight, category 1 in another: its AP alone is left."""
    judged = match_detections([told(), told((0, 0.9), labels=[1])], [truth(0), truth(0, labels=[1])], [0, 1])
    assert average_precision(judged, np.array([0.0, 1.0])) == pytest.approx(1)


# --- from frame to frame ----------------------------------------------------------------------------------------------


def counts(detections, frames, score=0.5):
    total = steadiness(detections, frames, score)
    return total.pairs, total.flickers, total.switches, total.matched


def test_an_object_keeps_its_track_while_it_fits_though_another_fits_better():
    """Track 1 lies 3 px off, track 2 exactly on it: no switch, since a pair of the frame before stays."""
    frames = [truth(0, ids=[5])] * 2
    assert counts([told((0, 0.9), ids=[1]), told((0, 0.9), (3, 0.8), ids=[2, 1])], frames) == (1, 0, 0, 2)
    assert counts([told((0, 0.9), ids=[1]), told((0, 0.9), (4, 0.8), ids=[2, 1])], frames) == (1, 0, 1, 2)


def test_track_zero_is_a_track_like_any_other():
    frames = [truth(0, ids=[5])] * 2
    assert counts([told((0, 0.9), ids=[0]), told((0, 0.9), (3, 0.8), ids=[7, 0])], frames) == (1, 0, 0, 2)


def test_a_new_object_takes_the_track_that_overlaps_it_most():
    """Track 1 lies exactly on it, track 2 off by 3 px. In the next frame track 1 alone is there: no switch."""
    frames = [truth(0, ids=[5])] * 2
    for ids in ((1, 2), (2, 1)):
        first = told((0, 0.9) if ids[0] == 1 else (3, 0.9), (3, 0.9) if ids[0] == 1 else (0, 0.9), ids=ids)
        assert counts([first, told((0, 0.9), ids=[1])], frames) == (1, 0, 0, 2)


def test_the_rest_is_matched_at_the_highest_total():
    """Objects at 0 and 3; detections at 3 and 0 px fit both. Each takes its own, so that nobody switches."""
    frames = [truth(0, 3, ids=[5, 6])] * 2
    detections = [told((0, 0.9), (3, 0.9), ids=[1, 2]), told((3, 0.9), (0, 0.9), ids=[2, 1])]
    assert counts(detections, frames) == (2, 0, 0, 4)
    assert counts([told((1, 0.9), (3, 0.9), ids=[1, 2])], frames[:1]) == (0, 0, 0, 2)
    assert counts([detections[0], told((0, 0.9), (3, 0.9), ids=[2, 1])], frames) == (2, 0, 0, 4)  # each its own track's
    assert counts([detections[0], told((0, 0.9), (3, 0.9), ids=[3, 4])], frames) == (2, 0, 2, 4)


def test_a_switch_is_counted_against_the_last_track_it_had_however_long_ago():
    frames = [truth(0, ids=[5])] * 4
    assert counts([told((0, 0.9), ids=[1]), told(), told(), told((0, 0.9), ids=[2])], frames) == (3, 2, 1, 2)
    assert counts([told((0, 0.9), ids=[1]), told(), told(), told((0, 0.9), ids=[1])], frames) == (3, 2, 0, 2)


def test_detections_without_a_track_find_objects_and_switch_nothing():
    frames = [truth(0, ids=[5])] * 3
    assert counts([told((0, 0.9), ids=[i]) for i in (-1, -1, -1)], frames) == (2, 0, 0, 3)
    assert counts([told((0, 0.9), ids=[i]) for i in (1, -1, 1)], frames) == (2, 0, 0, 3)
    assert counts([told((0, 0.9), ids=[i]) for i in (0, -1, 2)], frames) == (2, 0, 1, 3)


def test_flicker_is_of_objects_that_are_in_both_frames():
    frames = [truth(0, 100, ids=[5, 6]), truth(100, ids=[6]), truth(100, 200, ids=[6, 7])]
    detections = [told((0, 0.9), (100, 0.9)), told(), told((100, 0.9))]
    assert counts(detections, frames) == (2, 2, 0, 3)


def test_what_is_too_unsure_or_of_another_category_finds_nothing():
    frames = [truth(0, ids=[5], labels=[1])]
    for score, label, matched in ((0.5, 1, 1), (0.49, 1, 0), (0.9, 0, 0)):
        detections = [told((0, score), ids=[1], labels=[label])]
        assert steadiness(detections, frames, 0.5).matched == matched


def test_clips_are_added_up_and_the_rates_are_of_the_sums():
    total = Steadiness(10, 2, 1, 20) + Steadiness(30, 2, 3, 60)
    assert total == Steadiness(40, 4, 4, 80)
    assert (total.flicker, total.switch_rate) == (0.1, 5.0)
    assert (Steadiness(0, 0, 0, 0).flicker, Steadiness(0, 0, 0, 0).switch_rate) == (0, 0)


def test_truth_without_ids_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"^frame 7: its labels have no track ids$"):
        steadiness([told()], [truth(0)], 0.5)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        steadiness([told()], [truth(0, ids=[1])] * 2, 0.5)
