"""The line's metrics on belts that can be counted by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, FrameRecord
from hybrid.metrics.line import combined, false_scores, figures, tally_clip
from hybrid.metrics.line_truth import LineFrame, has_tracks, labelled_frames, line_frames
from hybrid.metrics.video import FrameDetections

SIDE, STEP, FRAMES = 20.0, 10.0, 16
LINE = (0.5,)


def box(x: float, y: float = 50.0, side: float = SIDE) -> list[float]:
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def frame(parts: dict[int, tuple[list[float], float]]) -> LineFrame:
    """Parts by their ids: their whole boxes and visible shares; of the visible part's box the left half shows half."""
    whole = np.array([b for b, _ in parts.values()], np.float32).reshape(-1, 4)
    shares = np.array([share for _, share in parts.values()], np.float32)
    seen = whole.copy()
    seen[:, 2] = whole[:, 0] + (whole[:, 2] - whole[:, 0]) * shares
    none = np.zeros(len(parts), bool)
    ids = np.array(list(parts), np.int64)
    return LineFrame(whole, seen, shares, np.zeros(len(parts), np.int64), ids, none, none.copy(), (150, 200))


def belt(shares: list[float] | None = None) -> list[LineFrame]:
    """One part that rides from x = 20 to 170, past the line at 100 in frame 8."""
    shares = shares or [1.0] * FRAMES
    return [frame({7: (box(20 + STEP * k), shares[k])}) for k in range(FRAMES)]


def told(rows: dict[int, list[float]], label: int = 0, score: float = 0.9) -> FrameDetections:
    boxes = np.array(list(rows.values()), np.float32).reshape(-1, 4)
    labels = np.full(len(rows), label, np.int64)
    return FrameDetections(boxes, np.full(len(rows), score, np.float32), labels, np.array(list(rows), np.int64))


def follows(ids: list[int | None]) -> list[FrameDetections]:
    """Reports of the belt's part, under these tracks; None: missed; -1: without a track."""
    return [told({} if who is None else {who: box(20 + STEP * k)}) for k, who in enumerate(ids)]


BRIDGE = [1.0] * 6 + [0.5, 0.0, 0.0, 0.0, 0.5] + [1.0] * 5  # hidden in frames 7 to 9, and so on the line
GONE: list[int | None] = [1] * 7 + [None] * 3


def test_a_part_that_is_followed_to_the_end_is_counted_once_and_nothing_is_wrong() -> None:
    tally = tally_clip(follows([1] * FRAMES), belt(), lines=LINE)
    found = figures(tally)
    assert (tally.crossings, tally.right, tally.missed, tally.twice, tally.error) == (1, 1, 0, 0, 0)
    assert (tally.switches, tally.flickers, tally.pairs, tally.false) == (0, 0, FRAMES - 1, 0)
    assert found["HOTA, seen"] == found["IDF1, seen"] == found["HOTA, all"] == found["clear recall"] == 1.0
    assert np.isnan(found["hidden recall"])


def test_a_track_that_breaks_at_the_line_is_a_part_missed() -> None:
    tally = tally_clip(follows([1] * 8 + [2] * 8), belt(), lines=LINE)
    assert (tally.crossings, tally.right, tally.missed, tally.error, tally.switches) == (1, 0, 1, -1, 1)
    assert figures(tally)["counted wrong per 1,000"] == 1000
    assert figures(tally)["id switches per 1,000 parts"] == 1000
    assert figures(tally)["IDF1, seen"] == pytest.approx(0.5)


def test_two_tracks_on_one_part_count_it_twice() -> None:
    near = [told({1: box(20 + STEP * k), 2: box(21 + STEP * k)}) for k in range(FRAMES)]
    tally = tally_clip(near, belt(), lines=LINE)
    assert (tally.right, tally.twice, tally.missed, tally.error, tally.false) == (0, 1, 0, 1, FRAMES)


def test_the_category_of_a_count_is_what_most_of_its_track_says() -> None:
    wrong = [replace(one, labels=one.labels + (k < 3)) for k, one in enumerate(follows([1] * FRAMES))]
    assert tally_clip(wrong, belt(), lines=LINE).right == 1
    wrong = [replace(one, labels=one.labels + (k < 9)) for k, one in enumerate(follows([1] * FRAMES))]
    tally = tally_clip(wrong, belt(), lines=LINE)
    assert (tally.right, tally.mistaken, tally.missed, tally.error) == (0, 1, 0, 0)


def test_a_track_that_is_hidden_on_the_line_counts_when_it_is_seen_again_beyond_and_else_never() -> None:
    rows = [replace(one, hidden=np.array([7 <= k <= 9])) for k, one in enumerate(follows([1] * FRAMES))]
    rows[8] = replace(rows[8], labels=np.array([1]))  # hidden frames do not vote
    tally = tally_clip(rows, belt(BRIDGE), lines=LINE)
    assert (tally.right, tally.hidden_found, tally.error) == (1, 3, 0)
    ghost = [told({1: box(20 + STEP * k), 5: box(20 + STEP * k, y=120)}) for k in range(FRAMES)]
    lost = [replace(one, hidden=np.array([False, k > 6])) for k, one in enumerate(ghost)]
    assert tally_clip(lost, belt(), lines=LINE).invented == 0


@pytest.mark.parametrize(("beside", "right"), [(0.5, 1), (0.6, 0)])
def test_a_count_belongs_to_the_part_with_which_the_box_has_an_iou_of_three_tenths(beside: float, right: int) -> None:
    rows = [told({1: box(20 + STEP * k, 50 + beside * SIDE)}) for k in range(FRAMES)]  # IoU 1/3 and 1/4
    tally = tally_clip(rows, belt(), lines=LINE)
    assert (tally.right, tally.invented) == (right, 1 - right)


def test_a_track_over_nothing_counts_what_is_not_there() -> None:
    ghost = [told({1: box(20 + STEP * k), 5: box(20 + STEP * k, y=120)}) for k in range(FRAMES)]
    tally = tally_clip(ghost, belt(), lines=LINE)
    assert (tally.right, tally.invented, tally.error, tally.false) == (1, 1, 1, FRAMES)
    surest = [replace(one, scores=np.array([0.4, 0.8], np.float32)) for one in ghost]
    assert false_scores(surest, belt()) == pytest.approx(np.full(FRAMES, 0.8))
    twice = [told({1: box(20 + STEP * k), 2: box(20 + STEP * k)}) for k in range(FRAMES)]
    assert len(false_scores(twice, belt())) == FRAMES
    assert figures(tally)["false alarms per frame"] == 1.0


def test_a_track_that_goes_over_to_a_part_beyond_the_line_invents_a_count() -> None:
    frames = [frame({7: (box(20 + STEP * k), 1.0), 8: (box(150), 1.0)}) for k in range(6)]
    rows = [told({1: box(20 + STEP * k) if k < 4 else box(150)}) for k in range(6)]
    tally = tally_clip(rows, frames, lines=LINE)
    assert (tally.crossings, tally.invented, tally.error, tally.switches) == (0, 1, 1, 0)


def test_a_part_that_is_never_seen_behind_the_line_is_not_asked_for() -> None:
    shares = [1.0] * 6 + [0.0] * 10
    tally = tally_clip(follows([1] * FRAMES), belt(shares), lines=LINE)
    assert (tally.crossings, tally.invented, tally.missed, tally.error) == (0, 0, 0, 0)


@pytest.mark.parametrize(("share", "crossings"), [(0.4, 0), (0.5, 1)])
def test_a_part_is_asked_for_if_half_of_it_can_be_seen_before_the_line(share: float, crossings: int) -> None:
    shares = [share] * 8 + [1.0] * (FRAMES - 8)
    assert tally_clip(follows([1] * FRAMES), belt(shares), lines=LINE).crossings == crossings


def test_a_part_that_begins_beyond_the_line_is_neither_asked_for_nor_invented() -> None:
    late = tally_clip(follows([1] * FRAMES)[9:], belt()[9:], lines=LINE)
    assert (late.crossings, late.invented, late.error) == (0, 0, 0)


def test_hidden_and_half_hidden_parts_are_recalled_where_they_are_reported() -> None:
    asleep = tally_clip(follows([*GONE, *[1] * 6]), belt(BRIDGE), lines=LINE)
    assert (asleep.hidden, asleep.hidden_found, asleep.half, asleep.half_found, asleep.false) == (3, 0, 2, 2, 0)
    awake = tally_clip(follows([1] * FRAMES), belt(BRIDGE), lines=LINE)
    assert (awake.hidden_found, awake.false, awake.clear_found) == (3, 0, 11)
    lost = follows([1] * FRAMES)
    lost[8] = told({1: box(100 + 12)})  # an IoU of 0.25
    assert (
        tally_clip(lost, belt(BRIDGE), lines=LINE).hidden_found,
        tally_clip(lost, belt(BRIDGE), lines=LINE).false,
    ) == (2, 1)
    assert tally_clip(lost, belt(BRIDGE), least_iou=0.2, lines=LINE).hidden_found == 3


def test_a_report_of_a_hidden_part_neither_helps_nor_hurts_the_seen_ones() -> None:
    awake, asleep = follows([1] * FRAMES), follows([*GONE, *[1] * 6])
    for found in (figures(tally_clip(one, belt(BRIDGE), lines=LINE)) for one in (awake, asleep)):
        assert found["HOTA, seen"] == found["IDF1, seen"] == 1.0
        assert found["flicker"] == 0.0
    assert figures(tally_clip(asleep, belt(BRIDGE), lines=LINE))["IDF1, all"] == pytest.approx(2 * 13 / 29)


@pytest.mark.parametrize(
    ("after", "old", "new", "frames"),
    [
        ([1] * 6, 1, 0, 0),
        ([None, 1, 1, 1, 1, 1], 1, 0, 1),
        ([None, None, 2, 2, 2, 2], 0, 1, 2),
        ([None] * 6, 0, 0, 0),
    ],
)
def test_a_part_that_comes_back_is_told_again_under_its_old_number_or_a_new_one(
    after: list[int | None], old: int, new: int, frames: int
) -> None:
    tally = tally_clip(follows([*GONE, *after]), belt(BRIDGE), lines=LINE)
    assert (tally.returns, tally.back_old, tally.back_new, tally.back_frames) == (1, old, new, frames)


def test_a_part_that_was_never_told_or_hides_at_once_again_does_not_return() -> None:
    assert tally_clip(follows([None] * 10 + [1] * 6), belt(BRIDGE), lines=LINE).returns == 0
    short = [*BRIDGE[:11], 0.0, 0.0, 0.0, 0.0, 0.0]
    assert tally_clip(follows([*GONE, *[None] * 6]), belt(short), lines=LINE).returns == 0


@pytest.mark.parametrize(("hidden", "returns"), [(1, 0), (2, 1)])
def test_a_part_returns_that_was_hidden_for_two_frames_or_more(hidden: int, returns: int) -> None:
    shares = [1.0] * 6 + [0.0] * hidden + [1.0] * (FRAMES - 6 - hidden)
    assert tally_clip(follows([1] * FRAMES), belt(shares), lines=LINE).returns == returns


@pytest.mark.parametrize(("share", "returns"), [(0.4, 0), (0.5, 1)])
def test_a_part_is_there_again_from_half_of_it_on(share: float, returns: int) -> None:
    shares = [1.0] * 6 + [0.0] * 3 + [share] * (FRAMES - 9)
    assert tally_clip(follows([1] * FRAMES), belt(shares), lines=LINE).returns == returns


def test_the_time_until_a_part_is_found_again_is_of_the_found_ones() -> None:
    late, never = ([*GONE, None, None, 1, 1, 1, 1], [*GONE, *[None] * 6])
    both = [tally_clip(follows(ids), belt(BRIDGE), lines=LINE) for ids in (late, never)]
    assert figures(combined(both))["frames until found again"] == 2.0


def test_another_id_while_a_part_is_hidden_is_no_switch() -> None:
    ids: list[int | None] = [2 if 7 <= k <= 9 else 1 for k in range(FRAMES)]
    assert tally_clip(follows(ids), belt(BRIDGE), lines=LINE).switches == 0


@pytest.mark.parametrize(("seen", "returns"), [(2, 0), (3, 1)])
def test_a_part_that_is_not_found_again_returned_if_it_was_there_for_three_frames(seen: int, returns: int) -> None:
    shares = [1.0] * 6 + [0.0] * 3 + [1.0] * seen + [0.0] * (FRAMES - 9 - seen)
    assert tally_clip(follows([1] * 6 + [None] * (FRAMES - 6)), belt(shares), lines=LINE).returns == returns


def test_reports_of_ignored_parts_are_no_false_alarms_and_count_nowhere() -> None:
    frames = [replace(one, ignored=np.array([True])) for one in belt()]
    tally = tally_clip(follows([1] * FRAMES), frames, lines=LINE)
    assert (tally.false, tally.parts, tally.pairs, tally.clear, tally.crossings) == (0, 0, 0, 0, 0)
    assert tally.identity_all.false.max() == 0


def test_reports_below_the_score_are_left_out_and_those_without_a_track_follow_nothing() -> None:
    assert tally_clip(follows([1] * FRAMES), belt(), score=0.95, lines=LINE).clear_found == 0
    tally = tally_clip(follows([-1] * FRAMES), belt(), lines=LINE)
    assert (tally.clear_found, tally.switches, tally.missed) == (FRAMES, 0, 1)
    assert figures(tally)["IDF1, seen"] == pytest.approx(1 / FRAMES)
    late = tally_clip(follows([-1, *[1] * 15]), belt(), lines=LINE)
    assert (late.switches, figures(late)["IDF1, seen"]) == (0, pytest.approx(15 / 16))  # the first is of another track


def test_false_alarms_of_empty_frames_are_counted_apart() -> None:
    tally = tally_clip([told({1: box(50)}), told({})], [frame({}), frame({3: (box(20), 1.0)})], lines=LINE)
    assert (tally.empty_frames, tally.empty_false, tally.false) == (1, 1, 1)


def test_clips_add_up_and_take_weights() -> None:
    one, two = tally_clip(follows([1] * FRAMES), belt(), lines=LINE), tally_clip(follows([None] * FRAMES), belt())
    both = combined([one, two])
    assert (both.clips, both.clear, both.clear_found) == (2, 2 * FRAMES, FRAMES)
    weighted = combined([one, two], np.array([3.0, 0.0]))
    assert figures(weighted)["IDF1, all"] == 1.0
    assert weighted.crossings == 3 * one.crossings


def record(xyxy: list[list[float]], ids: list[int], shares: list[float], name: str = "f") -> FrameRecord:
    return FrameRecord(
        name=name,
        path=Path("f"),
        width_px=200,
        height_px=100,
        boxes_xyxy_px=np.array(xyxy, np.float32).reshape(-1, 4),
        labels=np.array(ids, np.int64) % 2,
        track_ids=np.array(ids, np.int64),
        visible_share=np.array(shares, np.float32),
    )


def test_the_truth_joins_whole_boxes_with_what_is_seen_of_them() -> None:
    """Part 4 is half hidden, 5 wholly, 6 leaves the picture, 8 was never visible enough so far."""
    whole = record([[20, 20, 60, 40], [80, 20, 99, 40], [190, 20, 200, 40]], [4, 5, 6], [0.5, 0.0, 0.2])
    visible = record([[120, 50, 123, 60], [20, 20, 40, 40], [190, 20, 200, 40]], [8, 4, 6], [0.05, 0.5, 0.2])
    (one,) = line_frames(Clip("c", (whole,)), Clip("c", (visible,)))
    assert one.ids.tolist() == [4, 5, 6, 8]
    assert one.labels.tolist() == [0, 1, 0, 0]
    assert one.seen_xyxy_px[:2].tolist() == [[20, 20, 40, 40], [0, 0, 0, 0]]
    assert one.half.tolist() == [True, False, False, False]
    assert one.hidden.tolist() == [False, True, False, False]
    assert one.ignored.tolist() == [False, False, True, True]
    assert one.seen.tolist() == [True, False, False, False]
    either = np.array([[20, 20, 40, 40], [20, 20, 60, 40]], np.float32)
    assert one.overlap(either)[0].tolist() == [1.0, 1.0]


def test_two_readings_of_other_clips_are_refused() -> None:
    a, b = record([], [], []), record([], [], [], name="g")
    with pytest.raises(DataError, match="two readings of the same clip"):
        line_frames(Clip("c", (a,)), Clip("d", (b,)))
    with pytest.raises(DataError, match="do not say how much"):
        line_frames(Clip("c", (replace(a, visible_share=None),)), Clip("c", (a,)))


def test_a_part_that_is_missed_while_it_is_seen_and_found_again_is_interrupted_and_a_hidden_one_is_not() -> None:
    ids: list[int | None] = [1, None, None, 1, 1, None, 1]
    back: list[int | None] = [*GONE, *[1] * 6]
    assert tally_clip(follows(ids), belt()[:7], lines=LINE).interruptions == 2
    assert tally_clip(follows([None, 1, 1, None]), belt()[:4], lines=LINE).interruptions == 0  # begins late, ends early
    assert tally_clip(follows(back), belt(BRIDGE), lines=LINE).interruptions == 0


def test_a_part_without_a_label_between_two_is_hidden_there_and_moves_straight_on() -> None:
    frames = [record([[x, 20, x + 20, 40]], [4], [1.0]) for x in (20, 50, 80)]
    frames = [replace(one, visible_share=None) for one in frames]
    gap = record([[0, 0, 30, 30]], [6], [1.0])
    clip = Clip("c", (frames[0], gap, replace(frames[1], track_ids=None, boxes_xyxy_px=np.zeros((0, 4), np.float32),
                                              labels=np.zeros(0, np.int64)), frames[2]))  # fmt: skip
    assert has_tracks(clip)
    first, second, third, last = labelled_frames(clip)
    assert (first.ids.tolist(), first.shares.tolist(), first.hidden.tolist()) == ([4], [1.0], [False])
    assert second.ids.tolist() == [6, 4]
    assert second.hidden.tolist() == [False, True]
    assert second.cut.tolist() == [True, False]
    assert second.whole_xyxy_px[1].tolist() == [40, 20, 60, 40]
    assert (third.ids.tolist(), third.whole_xyxy_px[0].tolist()) == ([4], [60, 20, 80, 40])
    assert third.seen_xyxy_px.tolist() == [[0, 0, 0, 0]]
    assert last.seen.tolist() == [True]


def test_a_box_that_is_marked_as_hidden_is_hidden_whatever_its_share() -> None:
    frames = [record([[x, 20, x + 20, 40]], [4], [1.0]) for x in (20, 50)]
    marked = replace(frames[1], hidden=np.array([True]), visible_share=np.array([0.15], np.float32))
    first, second = labelled_frames(Clip("c", (frames[0], marked)))
    assert (first.hidden.tolist(), second.hidden.tolist()) == ([False], [True])
    (shown,) = labelled_frames(Clip("c", (replace(marked, hidden=None),)))
    assert (shown.hidden.tolist(), shown.half.tolist()) == ([False], [True])  # a share of 0.15


@pytest.mark.parametrize(("share", "ignored"), [(0.29, True), (0.31, False)])
def test_a_part_at_the_edge_counts_from_three_tenths_on(share: float, ignored: bool) -> None:
    cut = record([[0, 20, 10, 40]], [4], [share])
    assert labelled_frames(Clip("c", (cut,)))[0].ignored.tolist() == [ignored]


def test_labels_without_an_id_for_every_box_tell_no_identities() -> None:
    whole = record([[20, 20, 40, 40], [60, 20, 80, 40]], [4, 5], [1.0, 1.0])
    for ids in (None, np.array([4, -1]), np.array([4, 4])):
        clip = Clip("c", (whole, replace(whole, track_ids=ids)))
        assert not has_tracks(clip)
        with pytest.raises(DataError, match="no track ids"):
            labelled_frames(clip)
    assert not has_tracks(Clip("c", (record([], [], []),)))
