"""AP on draws of sessions: against the COCO library, and against matching the drawn photos anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Int64

from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from hybrid.metrics.detection import score
from hybrid.metrics.video import average_precision
from pipelines.gap.stats.resampled import average_precisions, resampled
from tests.pipelines.gap.scenes import scattered

SESSIONS: Int64[np.ndarray, " n"] = np.repeat(np.arange(6), 3)


@pytest.fixture(scope="module")
def world() -> tuple[list[Detections], list[FrameRecord]]:
    return scattered(frames=18, seed=4)


def test_all_photos_once_give_what_the_coco_library_gives(world: tuple[list[Detections], list[FrameRecord]]) -> None:
    got, expected = resampled(*world, SESSIONS, draws=2), score(*world, ("bolt", "nut")).overall
    assert expected.ap75 is not None
    assert 0.1 < expected.ap75 < (expected.ap50 or 0.0) < 0.99
    for name in ("ap", "ap50", "ap75"):
        assert getattr(got, name)[0] == pytest.approx(getattr(expected, name), abs=1e-9)
    assert got.recall[0] == pytest.approx(expected.ar, abs=1e-9)


def test_a_draw_is_what_the_same_photos_written_out_would_give(
    world: tuple[list[Detections], list[FrameRecord]],
) -> None:
    """Distinct scores, so that the order of repeated photos does not matter."""
    detections, frames = world
    got = resampled(detections, frames, SESSIONS, draws=12)
    for k in (1, 5, 12):
        order = [i for i, times in enumerate(got.weights[k]) for _ in range(int(times))]
        assert len(order) == 18
        again = resampled([detections[i] for i in order], [frames[i] for i in order], SESSIONS, draws=1)
        for name in ("ap", "ap50", "ap75", "recall"):
            assert getattr(got, name)[k] == pytest.approx(
                getattr(again, name)[0], abs=0.02 if name != "recall" else 1e-9
            )
        assert got.found(0.3)[k] == pytest.approx(again.found(0.3)[0])
        assert got.false_alarms(0.3)[k] == pytest.approx(again.false_alarms(0.3)[0])


def test_all_draws_at_once_are_the_draws_one_by_one(world: tuple[list[Detections], list[FrameRecord]]) -> None:
    got = resampled(*world, SESSIONS, draws=120)
    for matched in (got.matched[0], got.matched[5]):
        expected = [average_precision(matched, row) for row in got.weights]
        assert average_precisions(matched, got.weights) == pytest.approx(expected)


def test_false_alarms_and_parts_found_by_hand() -> None:
    def frame(boxes: list[list[float]]) -> FrameRecord:
        return FrameRecord(
            name="a", path=Path("a.png"), width_px=100, height_px=100,
            boxes_xyxy_px=np.array(boxes, np.float32).reshape(-1, 4), labels=np.zeros(len(boxes), np.int64),
        )  # fmt: skip

    def detected(rows: list[tuple[list[float], float]]) -> Detections:
        boxes = torch.tensor([box for box, _ in rows], dtype=torch.float32).reshape(-1, 4)
        scores = torch.tensor([one for _, one in rows], dtype=torch.float32)
        return Detections(boxes, scores, torch.zeros(len(rows), dtype=torch.int64))

    part, other = [10.0, 10.0, 30.0, 30.0], [60.0, 60.0, 80.0, 80.0]
    frames = [frame([part]), frame([part, other]), frame([])]
    detections = [detected([(part, 0.9), (other, 0.5)]), detected([(part, 0.4)]), detected([(part, 0.8)])]
    got = resampled(detections, frames, np.arange(3), draws=1)
    assert got.found(0.0)[0] == pytest.approx(2 / 3)
    assert got.found(0.5)[0] == pytest.approx(1 / 3)
    assert got.false_alarms(0.5)[0] == pytest.approx(2 / 3)
    assert got.false_alarms(0.6)[0] == pytest.approx(1 / 3)
    assert got.false_alarms(0.0, np.array([2]))[0] == 1.0


def test_without_an_object_there_is_no_ap() -> None:
    detections, frames = scattered(frames=3, seed=0, parts=0)
    got = resampled(detections, frames, np.arange(3), draws=4)
    assert np.isnan(got.ap50).all()
    assert np.isnan(got.recall).all()
    assert np.isnan(got.found(0.1)).all()
