"""Two looks at an image are averaged."""

from __future__ import annotations

import pytest
import torch

from hybrid.core.types import Detections
from hybrid.predict.looks import agreed


def look(*rows: tuple[list[float], float, int]) -> Detections:
    return Detections(
        torch.tensor([box for box, _, _ in rows], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([score for _, score, _ in rows], dtype=torch.float32),
        torch.tensor([label for _, _, label in rows], dtype=torch.int64),
    )


def test_what_both_looks_find_counts_more_than_what_one_finds_and_its_box_is_the_mean() -> None:
    one = look(([10, 10, 30, 30], 0.6, 0), ([50, 50, 60, 60], 0.9, 1), ([80, 80, 90, 90], 0.03, 0))
    other = look(([13, 10, 33, 30], 0.3, 0), ([50, 50, 60, 60], 0.9, 0))  # a part; another category
    both = agreed([one, other], threshold=0.02, limit=10, nms_iou=0.6)
    boxes = {
        (label, *map(round, box)): score
        for label, box, score in zip(
            both.labels.tolist(), both.boxes_xyxy_px.tolist(), both.scores.tolist(), strict=True
        )
    }
    expected = {(0, 11, 10, 31, 30): 0.45, (1, 50, 50, 60, 60): 0.45, (0, 50, 50, 60, 60): 0.45}
    assert boxes == {box: pytest.approx(score) for box, score in expected.items()}


def test_two_equal_looks_are_that_look_and_a_look_without_detections_halves_the_scores() -> None:
    one, none = look(([10, 10, 30, 30], 0.6, 0), ([40, 40, 50, 50], 0.2, 1)), look()
    same = agreed([one, one], 0.02, 10, 0.6)
    assert torch.allclose(same.scores, one.scores)
    assert torch.allclose(same.boxes_xyxy_px, one.boxes_xyxy_px)
    assert agreed([one, none], 0.02, 10, 0.6).scores.tolist() == pytest.approx([0.3, 0.1])
    assert agreed([one, none], 0.2, 10, 0.6).scores.tolist() == pytest.approx([0.3])
    assert len(agreed([one, one], 0.02, 1, 0.6).scores) == 1
    assert not len(agreed([none, none], 0.02, 10, 0.6).scores)
