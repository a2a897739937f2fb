"""Recall by category and size at equal false alarms, by hand; false alarms; sections without enough data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.gap.sections.where import LEAST_BOXES, Side, score_at, where
from pipelines.gap.stats.errors import IN_PLAN, INSIDE
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.matches import matches
from pipelines.gap.stats.objects import ObjectLooks
from tests.pipelines.gap.scenes import scattered
from tests.pipelines.gap.sections.measured import SESSIONS

EACH = PhotoSessions(np.arange(18), "clips", "one for each scene")


@pytest.fixture(scope="module")
def sides() -> tuple[Side, Side]:
    return (
        Side.of(*scattered(18, seed=1, parts=8, missed=0.02), EACH),
        Side.of(*scattered(18, seed=2, parts=8, missed=0.5), SESSIONS),
    )


@pytest.mark.parametrize("allowed", [0.0, 0.5, 1.0, 1.9, 2.0])
def test_the_score_is_the_lowest_with_so_many_false_alarms_a_picture(allowed: float) -> None:
    found = matches(*scattered(18, seed=3))
    score = score_at(found, 18, allowed)
    assert (found.false & (found.scores >= score)).sum() <= allowed * 18
    if score > 0:
        lower = found.scores[found.scores < score].max(initial=0.0)
        assert (found.false & (found.scores >= lower)).sum() > allowed * 18 or not found.false[
            found.scores == lower
        ].any()


def test_recall_of_a_category_by_hand(sides: tuple[Side, Side]) -> None:
    _, real = sides
    table = where(*sides, ("bolt", "nut"), 0.4).tables[0]
    assert [row.group for row in table.rows] == ["bolt", "nut"]
    for label, row in enumerate(table.rows):
        own = real.found.object_labels == label
        assert row.real.value == pytest.approx((real.found.taken_with[own] >= real.score).mean())
        assert row.real.n == own.sum() >= LEAST_BOXES
        assert row.lost.value == pytest.approx(100 * ((row.simulated.value or 0.0) - (row.real.value or 0.0)))
        assert row.lost.p_holm is not None
        assert row.so == "lost on the test pictures"


@pytest.mark.parametrize(("boxes", "status"), [(29, "too_few"), (30, "measured")])
def test_a_group_has_a_figure_from_thirty_boxes_on(sides: tuple[Side, Side], boxes: int, status: str) -> None:
    def relabelled(side: Side, count: int) -> Side:
        labels = np.where(np.arange(len(side.found.object_labels)) < count, 2, side.found.object_labels)
        return replace(side, found=replace(side.found, object_labels=labels))

    row = where(relabelled(sides[0], 40), relabelled(sides[1], boxes), ("bolt", "nut", "key"), None).tables[0].rows[2]
    assert (row.group, row.simulated.status, row.real.status, row.lost.status) == ("key", "measured", status, status)


def test_what_is_better_on_the_photos_is_no_loss_and_what_is_weak_on_both_sides_is_the_detector(
    sides: tuple[Side, Side],
) -> None:
    better = where(*sides[::-1], ("bolt", "nut"), None).tables[0].rows
    for row in better:
        assert (row.lost.value or 0.0) < 0
        assert row.lost.p_holm is not None
        assert row.lost.p_holm < 0.05
        assert row.so != "lost on the test pictures"
    words = {}
    for missed in (0.35, 0.45, 0.5, 0.55):
        side = Side.of(*scattered(18, seed=4, parts=8, missed=missed, false=0), EACH)
        for row in where(side, side, ("bolt", "nut"), None).tables[0].rows:
            words[row.simulated.value or 0.0] = row.so
    assert any(0.4 < recall < 0.5 for recall in words)
    assert any(0.5 < recall < 0.6 for recall in words)
    weak, strong = "weak in simulation too: the detector", "nothing lost that can be told"
    assert words == {recall: weak if recall < 0.5 else strong for recall in words}


def test_a_side_against_itself_loses_nothing(sides: tuple[Side, Side]) -> None:
    sim, _ = sides
    rows = where(sim, sim, ("bolt", "nut"), None).tables[0].rows
    assert [(row.lost.value, row.so) for row in rows] == [(0.0, "nothing lost that can be told")] * 2


def test_sizes_are_half_open_and_few_boxes_have_no_figure(sides: tuple[Side, Side]) -> None:
    sim, real = sides
    by_size = where(sim, real, ("bolt", "nut"), None).tables[1]
    counts = {row.group: row.real.n for row in by_size.rows}
    sides_px = real.found.object_sides_px
    assert counts["16 to 32 px"] == ((sides_px >= 16) & (sides_px < 32)).sum()
    assert sum(n or 0 for n in counts.values()) == len(sides_px)
    few = [row for row in where(sim, real, ("bolt", "nut"), None).tables[2].rows if (row.real.n or 0) < LEAST_BOXES]
    assert few
    assert all((row.real.status, row.lost.status) == ("too_few", "too_few") for row in few)
    assert "128 px and over" in by_size.note


def test_false_alarms_need_a_score_and_photos_without_an_object_are_counted_apart() -> None:
    detections, frames = scattered(18, seed=2)
    empty, nothing = scattered(6, seed=5, parts=0)
    sessions = PhotoSessions(np.concatenate([np.repeat(np.arange(6), 3), 6 + np.arange(6)]), "pattern", "by hand")
    side = Side.of(detections + empty, frames + nothing, sessions)
    every, none = where(side, side, ("bolt", "nut"), 0.0).false_alarms
    assert none.figure.value == pytest.approx(2.0)  # `scattered` puts two into each
    assert (every.figure.n, none.figure.n, none.figure.n_units) == (24, 6, 6)
    surest = float(side.found.scores[side.found.false].max())
    assert where(side, side, ("bolt", "nut"), surest).false_alarms[0].figure.value == pytest.approx(1 / 24)
    missing = where(side, side, ("bolt", "nut"), None).false_alarms
    assert all(one.figure.status == "not_measured" and "--look" in one.figure.note for one in missing)


def test_calibration_says_how_many_detections_it_takes(sides: tuple[Side, Side]) -> None:
    few = Side.of(*scattered(10, seed=2), PhotoSessions(np.arange(10), "pattern", "by hand"))
    got = where(few, few, ("bolt", "nut"), None)
    assert got.reliability == ()
    assert got.calibration[0].figure.status == "too_few"
    assert "200 detections in 5 sessions are needed" in got.calibration[0].figure.note
    many = Side.of(*scattered(40, seed=2), PhotoSessions(np.arange(40), "pattern", "by hand"))
    assert len(where(many, many, ("bolt", "nut"), None).reliability) == 10


def test_errors_stand_in_points_of_ap50_with_their_interval(sides: tuple[Side, Side]) -> None:
    rows = where(*sides, ("bolt", "nut"), None, np.array([[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]])).errors
    assert [row.so for row in rows if row.label == INSIDE] == [IN_PLAN]
    errors = {row.label: row.figure for row in rows}
    assert errors["missed"].value is not None
    assert errors["missed"].value > 10
    assert errors["missed"].low is not None
    assert all(figure.p is None for figure in errors.values())


def test_parts_are_grouped_by_how_they_look_with_the_limits_of_the_real_ones(sides: tuple[Side, Side]) -> None:
    """Every bright real part is missed: the loss stands at the bright ones alone."""
    sim, real = sides
    count = len(real.found.object_labels)
    missed = real.found.taken_with < real.score
    grey = np.where(missed, 200.0, np.linspace(20.0, 120.0, count))
    of_real = ObjectLooks(grey, np.full(count, 3.0), np.full(count, np.nan))
    of_sim = ObjectLooks(*(np.linspace(0.0, 255.0, len(sim.found.object_labels)) for _ in range(2)), np.ones(144))
    tables = {one.title: one for one in where(sim, real, ("bolt", "nut"), None, seen=(of_sim, of_real)).tables}
    rows = tables["by brightness"].rows
    low, high = np.quantile(grey, [1 / 3, 2 / 3]).round()
    assert [row.group.split(",")[1] for row in rows] == [f" under {low:.0f}", f" {low:.0f} to {high:.0f}", " 200 on"]
    assert (rows[0].real.value, rows[2].real.value) == (1.0, 0.0)
    middle = (low <= grey) & (grey < high)
    assert [row.real.n for row in rows] == [(grey < low).sum(), middle.sum(), missed.sum()]
    assert rows[2].simulated.n == (of_sim.brightness >= 200).sum()
    assert "by sharpness" not in tables  # the real parts are all alike
    assert [row.simulated.n for row in tables["by visible share"].rows] == [144]  # the other groups are empty
    assert "do not say how much" in tables["by visible share"].note


def test_a_level_has_its_own_sessions_and_no_interval_under_five(sides: tuple[Side, Side]) -> None:
    _, real = sides
    near = real.sessions.of_frame < 5
    levels = ["0.7 m" if one else "1.1 m" for one in near]
    table = where(*sides, ("bolt", "nut"), None, levels=levels).tables[-1]
    first, second = table.rows
    own = near[real.found.object_frames]
    assert (first.group, first.real.n, first.real.n_units) == ("0.7 m", own.sum(), 5)
    assert first.real.value == pytest.approx((real.found.taken_with[own] >= real.score).mean())
    assert first.real.low is not None
    assert first.real.low < (first.real.value or 0.0) < (first.real.high or 1.0)
    found, frames = scattered(18, seed=2, parts=8, missed=0.5)
    alone = Side.of(found[:15], frames[:15], PhotoSessions(SESSIONS.of_frame[:15], "pattern", ""))
    of_level = replace(alone, score=real.score).figure(np.ones(int(own.sum()), bool))
    assert (first.real.low, first.real.high) == (of_level.low, of_level.high)  # drawn from the level's sessions alone
    assert (second.real.status, second.real.n, second.simulated.status) == ("too_few", 24, "not_measured")
    levels = ["far" if one < 3 else "near" for one in real.sessions.of_frame]
    for row in where(*sides, ("bolt", "nut"), None, levels=levels).tables[-1].rows:
        assert (row.real.status, row.real.n_units, row.real.low) == ("measured", 3, None)
