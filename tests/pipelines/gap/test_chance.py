"""Laws of the ranges: paired draws, wider for fewer photos, around the value, and none without a box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.metrics.detection import score
from pipelines.gap.chance import DRAWS, Difference50, ap50_differences, ap50_draws, ap50_ranges

BOX = [4.0, 4.0, 20.0, 20.0]


def photos(count: int, frames: int = 1) -> ClipSource:
    frame = FrameRecord(
        name="f", path=Path("f.png"), width_px=64, height_px=64, boxes_xyxy_px=np.array([BOX], np.float32),
        labels=np.zeros(1, np.int64),
    )  # fmt: skip
    return ClipSource("set", ("bolt",), tuple(Clip(str(i), (frame,) * frames) for i in range(count)))


def detector(hits: list[bool]) -> list[Detections]:
    """A detection in each frame, on the part or beside it."""
    boxes = [BOX if hit else [40.0, 40.0, 60.0, 60.0] for hit in hits]
    return [
        Detections(torch.tensor([box]), torch.tensor([0.9 - 0.001 * i]), torch.tensor([0]))
        for i, box in enumerate(boxes)
    ]


def test_the_range_holds_the_value_and_is_wider_for_fewer_photos() -> None:
    widths = []
    for count in (8, 80):
        hits = detector([i % 2 == 0 for i in range(count)])
        ap50 = score(hits, photos(count).frames, ("bolt",)).overall.ap50
        (bounds,) = ap50_ranges(ap50_draws([photos(count)], [hits]))
        assert ap50 is not None
        assert bounds is not None
        assert bounds[0] < ap50 < bounds[1]
        widths.append(bounds[1] - bounds[0])
    assert widths[0] > 2 * widths[1]


def test_frames_of_one_clip_are_drawn_together() -> None:
    one_clip, hits = photos(1, frames=10), detector([True] * 5 + [False] * 5)
    draws = ap50_draws([one_clip], [hits])
    assert draws.shape == (1, DRAWS)
    assert np.ptp(draws) == 0.0


def test_differences_are_paired() -> None:
    """A detector and itself differ by nothing on every draw, however wide its own range is."""
    source, hits = photos(12), detector([i % 3 == 0 for i in range(12)])
    worse = detector([False] * 12)
    draws = ap50_draws([source] * 3, [hits, hits, worse])
    same, better, _ = ap50_differences(["a", "b", "c"], [0.3, 0.3, 0.0], draws)
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    assert same.may_be_chance
    assert (better.run, better.other) == ("a", "c")
    assert better.difference == pytest.approx(0.3)
    assert 0.0 <= better.low < better.difference < better.high


def test_whether_it_may_be_chance_is_whether_the_range_holds_none() -> None:
    ranges = [(0.01, 0.2, False), (-0.2, -0.01, False), (-0.1, 0.1, True), (0.0, 0.2, True)]
    for low, high, chance in ranges:
        assert Difference50(run="a", other="b", difference=0.1, low=low, high=high).may_be_chance == chance


def test_a_run_without_a_value_has_no_difference() -> None:
    draws = np.full((2, DRAWS), np.nan)
    assert ap50_ranges(draws) == [None, None]
    assert ap50_differences(["a", "b"], [None, None], draws) == []
