"""The figures of detection on cases of a few boxes that are worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from hybrid.metrics.detection import (
    MAX_DETECTIONS,
    SIZE_BINS_PX,
    coco_documents,
    matched_frames,
    operating_score,
    score,
)
from hybrid.metrics.video import average_precision

NAMES = ("bolt", "washer")


def frame(*boxes, size=(640, 480)):
    """(x0, y0, x1, y1, label) of each box."""
    rows = np.array(boxes, np.float64).reshape(-1, 5)
    return FrameRecord(
        name="f", path=Path("f"), width_px=size[0], height_px=size[1], boxes_xyxy_px=rows[:, :4].astype(np.float32),
        labels=rows[:, 4].astype(np.int64),
    )  # fmt: skip


def found(*boxes):
    """(x0, y0, x1, y1, label, score) of each detection."""
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 5], rows[:, 4].long())


def test_coco_gets_the_corner_and_the_size_and_counts_from_one():
    frames = [frame(size=(64, 48)), frame((1, 2, 11, 42, 1), (5, 5, 6, 7, 0), size=(320, 240))]
    truth, rows = coco_documents([found((3, 4, 8, 10, 0, 0.5)), found((1, 2, 4, 3, 1, 0.25))], frames, 2)
    assert truth["images"] == [{"id": 1, "width": 64, "height": 48}, {"id": 2, "width": 320, "height": 240}]
    assert [c["id"] for c in truth["categories"]] == [1, 2]
    assert len({c["name"] for c in truth["categories"]}) == 2
    assert truth["annotations"] == [
        {"id": 1, "image_id": 2, "category_id": 2, "bbox": [1, 2, 10, 40], "area": 400, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [5, 5, 1, 2], "area": 2, "iscrowd": 0},
    ]
    assert rows == [
        {"image_id": 1, "category_id": 1, "bbox": [3, 4, 5, 6], "score": 0.5},
        {"image_id": 2, "category_id": 2, "bbox": [1, 2, 3, 1], "score": 0.25},
    ]
    json.dumps((truth, rows))  # the API reads JSON: no arrays, no numpy numbers


def test_a_box_is_of_the_size_bin_of_the_root_of_its_area_the_lower_limit_included():
    """A box of each side; one of 8 by 32 px is one of 16."""
    sides = [(15.9, 15.9), (8, 32), (31, 31), (32, 32), (64, 64), (127, 128), (128, 128), (200, 300)]
    boxes = [(200.0, 100.0, 200 + w, 100 + h, 0) for w, h in sides]
    frames = [frame(box) for box in boxes]
    metrics = score([found()] * len(frames), frames, NAMES)
    assert list(SIZE_BINS_PX) == list(metrics.by_size)
    assert [row.boxes for row in metrics.by_size.values()] == [1, 2, 1, 2, 2]
    assert (metrics.overall.boxes, metrics.frames) == (8, 8)
    assert (metrics.by_category["bolt"].boxes, metrics.by_category["washer"].boxes) == (8, 0)
    assert metrics.by_category["bolt"].ap == 0
    assert metrics.by_category["washer"] == replace(metrics.overall, ap=None, ap50=None, ap75=None, ar=None, boxes=0)


@pytest.mark.parametrize("side", [16, 32, 64, 128])
def test_a_box_at_the_limit_of_two_bins_is_measured_in_the_upper_one_alone(side: int):
    metrics = score([found()], [frame((100, 100, 100 + side, 100 + side, 0))], NAMES)
    limits = [low for low, _ in SIZE_BINS_PX.values()]
    assert [row.ap for row in metrics.by_size.values()] == [0.0 if low == side else None for low in limits]


def test_each_size_bin_measures_the_boxes_of_its_own_size():
    """The large ones are found exactly, the small ones not at all."""
    frames = [frame((0, 0, 10, 10, 0), (100, 100, 140, 140, 1), (200, 0, 400, 200, 0))]
    metrics = score([found((100, 100, 140, 140, 1, 0.9), (200, 0, 400, 200, 0, 0.8))], frames, NAMES)
    assert [row.ap for row in metrics.by_size.values()] == [0.0, None, pytest.approx(1), None, pytest.approx(1)]
    assert metrics.by_category["washer"].ap == pytest.approx(1)
    recalls_to_a_half = 51 / 101  # of 101 recalls from 0 to 1 those up to 0.5
    assert metrics.by_category["bolt"].ap50 == pytest.approx(recalls_to_a_half)
    assert metrics.by_category["bolt"].ar == pytest.approx(0.5)
    assert metrics.overall.ap == pytest.approx((1 + recalls_to_a_half) / 2)


def test_recall_is_what_the_hundred_best_of_a_frame_and_category_reach():
    """The hit is the 101st of its category, or the 100th; more detections of another category change nothing."""
    frames = [frame((0, 0, 20, 20, 0))]
    assert MAX_DETECTIONS == 100
    for before, reached in ((MAX_DETECTIONS, 0.0), (MAX_DETECTIONS - 1, 1.0)):
        wrong = [(300, 300, 310, 310, 0, 0.9)] * before + [(0, 0, 20, 20, 1, 0.8)] * 150
        detections = [found((0, 0, 20, 20, 0, 0.5), *wrong)]
        assert score(detections, frames, NAMES).overall.ar == pytest.approx(reached)
        judged = matched_frames(detections, frames)
        assert judged.correct.sum() == reached
        assert len(judged.correct) == before + int(reached) + MAX_DETECTIONS
        assert average_precision(judged) == pytest.approx(score(detections, frames, NAMES).overall.ap50)
    assert len(matched_frames(detections, frames, most=2).correct) == 4
    assert len(matched_frames(detections, frames, most=None).correct) == before + 151


def test_judged_frames_keep_the_best_of_each_category_and_which_frame_they_are_of():
    frames = [frame((0, 0, 20, 20, 0)), frame((50, 50, 70, 70, 1), (0, 0, 9, 9, 0))]
    first = found((0, 0, 20, 21, 0, 0.3), (0, 0, 20, 20, 0, 0.7), (0, 0, 20, 20, 1, 0.5))
    judged = matched_frames([first, found((50, 50, 70, 70, 1, 0.6))], frames, most=1)
    assert judged.scores.tolist() == pytest.approx([0.7, 0.6, 0.5])
    assert judged.correct.tolist() == [True, True, False]
    assert judged.clips.tolist() == [0, 1, 0]
    assert judged.labels.tolist() == [0, 1, 1]
    assert judged.truth_clips.tolist() == [0, 1, 1]
    assert judged.truth_labels.tolist() == [0, 1, 0]


def test_the_operating_score_is_where_f1_is_best_by_hand():
    """Of 3 objects: F1 after right 0.9, wrong 0.8, right 0.7, wrong 0.6, wrong 0.5 is 2/4, 2/5, 4/6, 4/7, 4/8."""
    frames = [frame((0, 0, 20, 20, 0), (100, 0, 120, 20, 0), (200, 0, 220, 20, 1))]
    wrong = (300, 300, 310, 310, 0)
    rows = [(0, 0, 20, 20, 0, 0.9), (*wrong, 0.8), (100, 0, 120, 20, 0, 0.7), (*wrong, 0.6), (*wrong, 0.5)]
    assert operating_score([found(*rows)], frames) == pytest.approx(0.7)
    assert operating_score([found(*rows[:2])], frames) == pytest.approx(0.9)
    assert operating_score([found(rows[1])], frames) is None
    late = [(0, 0, 20, 20, 0, 0.9), *[(*wrong, 0.8)] * 3, (100, 0, 120, 20, 0, 0.7)]
    assert operating_score([found(*late)], frames) == pytest.approx(0.9)  # 2/4 and 4/8: of two equals the higher score
    most = [(*wrong, 0.9)] * MAX_DETECTIONS + [(0, 0, 20, 20, 0, 0.4)]
    assert operating_score([found(*most)], frames) == pytest.approx(0.4)  # all of them count, not the best hundred


def test_metrics_are_written_as_plain_values():
    metrics = score([found((0, 0, 20, 20, 0, 0.9))], [frame((0, 0, 20, 20, 0))], NAMES)
    plain = metrics.to_plain()
    assert plain["overall"] == {"ap": 1.0, "ap50": 1.0, "ap75": 1.0, "ar": 1.0, "boxes": 1}
    assert plain["by_category"]["washer"] == {"ap": None, "ap50": None, "ap75": None, "ar": None, "boxes": 0}
    assert plain["frames"] == 1
    assert json.loads(json.dumps(plain)) == plain


def test_what_cannot_be_measured_says_why():
    one = frame((0, 0, 20, 20, 0))
    with pytest.raises(ValueError, match=r"^2 frames, but detections of 1$"):
        score([found()], [one, one], NAMES)
    with pytest.raises(ValueError, match=r"^none of the 2 frames holds a box: nothing can be measured$"):
        score([found()] * 2, [frame(), frame()], NAMES)
    assert score([found()] * 2, [frame(), one], NAMES).overall.ap == 0.0  # one frame with a box is enough


def test_a_region_to_ignore_is_a_crowd_of_its_category_or_of_each():
    regions = replace(
        frame((0, 0, 10, 20, 1)),
        ignore_boxes_xyxy_px=np.array([[10, 20, 40, 60], [1, 2, 4, 8]], np.float32),
        ignore_labels=np.array([-1, 0]),
    )
    truth, _ = coco_documents([found(), found()], [frame((0, 0, 1, 1, 0)), regions], 2)
    crowd = {"image_id": 2, "bbox": [10.0, 20.0, 30.0, 40.0], "area": 1200.0, "iscrowd": 1}
    assert truth["annotations"][1:] == [
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [0.0, 0.0, 10.0, 20.0], "area": 200.0, "iscrowd": 0},
        {"id": 3, "category_id": 1, **crowd},
        {"id": 4, "category_id": 2, **crowd},
        {"id": 5, "image_id": 2, "category_id": 1, "bbox": [1.0, 2.0, 3.0, 6.0], "area": 18.0, "iscrowd": 1},
    ]
