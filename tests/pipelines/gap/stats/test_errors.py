"""Kinds of errors: the figures of tidecv 1.0.1 on the same detections, and each kind by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.errors import DataError
from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from pipelines.gap.stats.errors import INSIDE, KINDS, OUTSIDE, check_area, gains, in_work_area, kinds, missed
from pipelines.gap.stats.matches import Matches, matches
from pipelines.gap.stats.resampled import average_precisions
from tests.pipelines.gap.scenes import scattered

Row = tuple[float, float, float, float, int, float]  # box, label, score


def frame(*boxes: tuple[float, float, float, float, int]) -> FrameRecord:
    return FrameRecord(
        name="a", path=Path("a.png"), width_px=400, height_px=400, labels=np.array([b[4] for b in boxes], np.int64),
        boxes_xyxy_px=np.array([b[:4] for b in boxes], np.float32).reshape(-1, 4),
    )  # fmt: skip


def found(*rows: Row) -> Detections:
    return Detections(
        torch.tensor([row[:4] for row in rows], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([row[5] for row in rows], dtype=torch.float32),
        torch.tensor([row[4] for row in rows], dtype=torch.int64),
    )


def confused(seed: int) -> Matches:
    """30 photos with badly placed boxes, of which a quarter have the wrong label."""
    detections, frames = scattered(frames=30, seed=seed, parts=8, shift_px=9, false=5)
    rng = np.random.default_rng(seed)
    for one in detections:
        flip = torch.from_numpy(rng.random(len(one.labels)) < 0.25)
        one.labels[flip] = 1 - one.labels[flip]
    return matches(detections, frames)


BY_TIDECV = {  # points, in the order of KINDS; pip install tidecv==1.0.1, TIDE().evaluate(..., mode=TIDE.BOX)
    0: (27.401, 3.877, 0.0, 1.578, 1.650, 7.224),
    2: (32.803, 7.164, 0.0, 1.128, 0.951, 3.866),
    3: (25.325, 6.425, 0.0, 1.608, 1.091, 4.739),
}


@pytest.mark.parametrize("seed", BY_TIDECV)
def test_the_gains_are_those_of_tidecv(seed: int) -> None:
    got = gains(confused(seed), np.ones((1, 30)), average_precisions)
    assert [100 * float(got[kind][0]) for kind in KINDS] == pytest.approx(BY_TIDECV[seed], abs=6e-4)


PART = (100.0, 100.0, 140.0, 140.0)
CASES: dict[str, Row] = {
    "localisation": (120.0, 100.0, 160.0, 140.0, 0, 0.8),  # IoU 1/3
    "classification": (*PART, 1, 0.8),
    "background": (200.0, 200.0, 240.0, 240.0, 0, 0.8),
    "both": (120.0, 100.0, 160.0, 140.0, 1, 0.8),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_false_detection_is_of_one_kind(kind: str) -> None:
    of_kind = kinds(matches([found(CASES[kind])], [frame((*PART, 0))]))
    assert {name: mask.tolist() for name, mask in of_kind.items()} == {
        name: [name == kind] for name in KINDS if name != "missed"
    }


def test_a_second_box_on_a_part_is_a_duplicate_and_the_better_one_is_right() -> None:
    got = matches([found((*PART, 0, 0.6), (*PART, 0, 0.9))], [frame((*PART, 0))])
    of_kind = kinds(got)
    assert got.scores[of_kind["duplicate"]] == pytest.approx([0.6])
    assert sum(int(mask.sum()) for mask in of_kind.values()) == 1


@pytest.mark.parametrize(("low_px", "kind"), [(20.0, "localisation"), (33.0, "background"), (32.0, "localisation")])
def test_background_begins_at_an_iou_of_a_tenth(low_px: float, kind: str) -> None:
    """Moved by 32 of 40 px the IoU is 1/9, by 33 it is 7/73."""
    box = (100.0 + low_px, 100.0, 140.0 + low_px, 140.0, 0, 0.8)
    assert kinds(matches([found(box)], [frame((*PART, 0))]))[kind].tolist() == [True]


def test_a_part_is_missed_where_no_error_could_be_repaired_into_it() -> None:
    away = (300.0, 300.0, 340.0, 340.0, 0)
    got = matches([found(CASES["localisation"])], [frame((*PART, 0), away)])
    assert missed(got).tolist() == [False, True]


def test_one_repaired_part_of_two_is_half_the_precision_by_hand() -> None:
    """One right box, one badly placed one: repairing localisation wins the second half of the recall."""
    away = (300.0, 300.0, 340.0, 340.0)
    detections = [found((*away, 0, 0.9), CASES["localisation"])]
    got = gains(matches(detections, [frame((*PART, 0), (*away, 0))]), np.ones((1, 1)), average_precisions)
    assert got["localisation"][0] == pytest.approx(50 / 101)
    assert got["missed"][0] == 0.0
    assert got["duplicate"][0] == 0.0


def test_without_detections_and_without_objects_nothing_breaks() -> None:
    assert matches([], []).scores.shape == (0,)
    none = matches([found()], [frame((*PART, 0))])
    assert missed(none).tolist() == [True]
    assert gains(none, np.ones((1, 1)), average_precisions)["missed"].shape == (1,)
    empty = matches([found(CASES["background"])], [frame()])
    assert kinds(empty)["background"].tolist() == [True]


def test_false_alarms_are_told_by_the_hull_of_their_sessions_labelled_boxes() -> None:
    """Two sessions: parts on the left in the first one, on the right in the second; a session without a part."""
    left = frame((0, 0, 20, 20, 0), (0, 180, 20, 200, 0), (180, 0, 200, 20, 0), (180, 180, 200, 200, 0))
    right = frame((200, 0, 220, 20, 0), (200, 180, 220, 200, 0), (380, 0, 400, 20, 0), (380, 180, 400, 200, 0))
    alarm = found((90, 90, 110, 110, 0, 0.9), (290, 90, 310, 110, 0, 0.8))
    got = matches([alarm, alarm, alarm], [left, right, frame()])
    places = in_work_area(got, [left, right, frame()], np.array([0, 1, 2]))
    by_frame = {k: places[got.frames == k].tolist() for k in range(3)}
    assert by_frame == {0: [1, 0], 1: [0, 1], 2: [-1, -1]}


def test_repairing_one_place_wins_no_more_than_repairing_both() -> None:
    detections, frames = scattered(frames=20, seed=1, false=6)
    both, ones = matches(detections, frames), np.ones((1, 20))
    some = np.arange(len(both.labels)) % 2
    got = {name: float(values[0]) for name, values in gains(both, ones, average_precisions, some).items()}
    assert 0 < max(got[INSIDE], got[OUTSIDE]) < got["background"]
    everywhere = gains(both, ones, average_precisions, np.ones_like(some))
    assert everywhere[INSIDE][0] == pytest.approx(got["background"])
    assert everywhere[OUTSIDE][0] == 0.0
    assert INSIDE not in gains(both, ones, average_precisions)
    nowhere = gains(both, ones, average_precisions, np.full_like(some, -1))
    assert (nowhere[INSIDE][0], nowhere[OUTSIDE][0]) == (0.0, 0.0)


def test_a_stated_work_area_holds_whatever_is_labelled_in_pixels_or_as_shares() -> None:
    boxes = [(*PART, 0, 0.9), (300.0, 300.0, 340.0, 340.0, 0, 0.8), (190.0, 60.0, 220.0, 80.0, 0, 0.7)]
    boxes.append((40.0, 100.0, 60.0, 120.0, 0, 0.6))  # its centre lies on the edge
    got = matches([found(*boxes)], [frame((*PART, 0))])
    px = np.array([[50.0, 50.0], [350.0, 50.0], [50.0, 350.0]])  # a triangle: its edge runs from 350, 50 to 50, 350
    for area in (px, px / 400):
        places = in_work_area(got, [frame()], np.zeros(1, np.int64), area)
        assert {score: place for score, place in zip(got.scores.round(1).tolist(), places.tolist(), strict=True)} == {
            0.9: 1, 0.8: 0, 0.7: 1, 0.6: 1,
        }  # fmt: skip
    whole = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert in_work_area(got, [frame()], np.zeros(1, np.int64), whole).tolist() == [1, 1, 1, 1]
    check_area(px, [frame()])
    with pytest.raises(DataError, match=r"work_area: 401, 50 lies outside of the photos, which are 400x400"):
        check_area(px + np.array([51.0, 0.0]), [frame()])
    other = replace(frame(), width_px=300)
    check_area(px / 400, [frame(), other])
    with pytest.raises(DataError, match="several sizes: 300x400, 400x400; give shares"):
        check_area(px, [frame(), other])
