"""The photos to label next: far from the labelled ones, not sure, and of as many sessions as there are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from pipelines.gap.advice.labelling import choose, disagreements, mirror

NO_ONE = np.zeros((0, 2))


def found(*boxes: tuple[float, float, float, float], label: int = 0, score: float = 0.9) -> Detections:
    count = len(boxes)
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.full((count,), score),
        torch.full((count,), label, dtype=torch.int64),
    )  # fmt: skip


def test_the_photo_that_is_far_from_all_labelled_ones_comes_first() -> None:
    features = np.array([[0.0, 0.1], [5.0, 5.0], [0.1, 0.0]])
    got = choose(features, np.array([[0.0, 0.0], [0.2, 0.2]]), np.zeros(3), np.array([0, 1, 2]))
    assert got[0].index == 1
    assert len(got) == 3
    assert got[0].distance > 10


def test_at_equal_distance_the_photo_that_is_not_sure_comes_first() -> None:
    features = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    got = choose(features, np.zeros((1, 2)), np.array([0.0, 0.0, 0.8, 0.1]), np.arange(4), count=2)
    assert got[0].index == 2
    assert got[0].disagreement == 0.8


def test_every_session_has_one_photo_before_any_has_two() -> None:
    sessions = np.array([0, 0, 0, 0, 1, 2])
    doubt = np.array([0.9, 0.9, 0.9, 0.9, 0.0, 0.0])
    got = choose(np.eye(6), NO_ONE_OF_SIX, doubt, sessions, count=5)
    assert {sessions[one.index] for one in got[:3]} == {0, 1, 2}
    assert len({one.index for one in got}) == 5


NO_ONE_OF_SIX = np.zeros((0, 6))


def test_two_photos_that_are_alike_are_not_chosen_one_after_the_other() -> None:
    features = np.array([[10.0], [10.0], [6.0], [0.0]])
    got = choose(features, np.array([[0.0]]), np.zeros(4), np.zeros(4, np.int64), count=2)
    assert [one.index for one in got] == [0, 2]  # the second one is as far from the labelled photo as the first


def test_photos_without_any_difference_are_all_listed() -> None:
    got = choose(np.ones((3, 2)), NO_ONE, np.zeros(3), np.zeros(3, np.int64))
    assert sorted(one.index for one in got) == [0, 1, 2]
    assert all(np.isfinite([one.distance, one.disagreement]).all() for one in got)


def test_a_mirrored_photo_that_gives_the_same_boxes_is_agreed_on() -> None:
    plain, turned = found((10, 0, 30, 20)), found((70, 0, 90, 20))
    assert disagreements([plain], [turned], [100], 0.5).tolist() == [0.0]
    assert disagreements([plain], [plain], [100], 0.5).tolist() == [1.0]  # on the other side
    assert disagreements([plain], [found((70, 0, 90, 20), label=1)], [100], 0.5).tolist() == [1.0]
    assert disagreements([plain], [found()], [100], 0.5).tolist() == [1.0]
    assert disagreements([found()], [found()], [100], 0.5).tolist() == [0.0]
    assert disagreements([found((0, 0, 9, 9), score=0.1)], [found()], [100], 0.5).tolist() == [0.0]  # is not shown
    twice = found((70, 0, 90, 20), (70, 0, 90, 20))
    assert disagreements([plain], [twice], [100], 0.5)[0] == pytest.approx(1 / 3)  # one box agrees with one box


@pytest.mark.parametrize(("moved", "differ"), [(5.0, 0.0), (8.0, 1.0)])
def test_boxes_that_overlap_by_half_agree(moved: float, differ: float) -> None:
    """Of 20 px: moved by 5 px the IoU is 15 / 25, by 8 px it is 12 / 28."""
    plain, turned = found((10, 0, 30, 20)), found((70 - moved, 0, 90 - moved, 20))
    assert disagreements([plain], [turned], [100], 0.5).tolist() == [differ]


def test_left_and_right_are_exchanged() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert mirror(image)[0, 0].tolist() == [3, 4, 5]
