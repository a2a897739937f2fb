"""Regions to ignore are not trained as background, and objects beside them are trained as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.config import ModelConfig
from hybrid.core.types import Target
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.losses.criterion import Criterion, in_ignored_region
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.samples.batch import stack
from hybrid.training.samples.sampler import Sampler, WeightedSource
from hybrid.training.samples.window import Window

BOXES = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 40, 40], [0, 0, 60, 60]]])  # centres (5, 5), (30, 30), (30, 30)


def target(*regions: tuple[float, ...], labels: tuple[int, ...]) -> Target:
    return Target(
        torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), None, torch.tensor(regions).float(), torch.tensor(labels)
    )


def test_a_box_is_ignored_where_its_centre_is_in_a_region_of_the_category() -> None:
    assert in_ignored_region(BOXES, [Target.empty()], 2) is None
    of_one = in_ignored_region(BOXES, [target((25, 25, 50, 50), labels=(1,))], 2)
    assert of_one is not None
    assert of_one.tolist() == [[[False, False], [False, True], [False, True]]]
    of_all = in_ignored_region(BOXES, [target((25, 25, 50, 50), (0, 0, 1, 1), labels=(-1, 0))], 2)
    assert of_all is not None
    assert of_all.tolist() == [[[False, False], [True, True], [True, True]]]
    small = in_ignored_region(BOXES, [target((6, 6, 8, 8), labels=(0,))], 2)  # grown to 8 px
    assert small is not None
    assert small.tolist() == [[[True, False], [False, False], [False, False]]]


def test_a_region_reaches_to_its_own_edges_in_each_direction() -> None:
    """The region is 60 wide and 20 high about (50, 110). Boxes of 10 px with centres on its edges and 1 px beyond."""
    centres = [(20, 110), (80, 110), (50, 100), (50, 120), (19, 110), (81, 110), (50, 99), (50, 121), (25, 119)]
    boxes = torch.tensor([[[x - 3.0, y - 7.0, x + 3.0, y + 7.0] for x, y in centres]])
    inside = in_ignored_region(boxes, [target((20, 100, 80, 120), labels=(0,))], 1)
    assert inside is not None
    assert inside[0, :, 0].tolist() == [True] * 4 + [False] * 4 + [True]


def test_a_frame_without_regions_does_not_hide_those_of_the_next_one() -> None:
    frames = [Target.empty(), target((0, 0, 9, 9), labels=(-1,))]
    inside = in_ignored_region(BOXES.expand(2, -1, -1), frames, 1)
    assert inside is not None
    assert inside[..., 0].tolist() == [[False] * 3, [True, False, False]]


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(ModelConfig(categories=("bolt", "nut"), branches="cnn", width=16, queries=8))


def _score_loss(network: Network, truth: Target) -> torch.Tensor:
    network.zero_grad()
    images = torch.rand(1, 1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    output, _ = network(images)
    losses = Criterion()(output, [[truth]])
    return losses["score"] + losses["proposals/score"]


def test_a_frame_that_is_all_ignored_teaches_nothing_about_scores(network: Network) -> None:
    assert _score_loss(network, Target.empty()) > 0
    assert _score_loss(network, target((-99.0, -99, 199, 199), labels=(-1,))) == 0
    half = _score_loss(network, target((-99.0, -99, 199, 199), labels=(0,)))
    assert 0 < half < _score_loss(network, Target.empty())


def test_an_object_in_a_region_is_learned_all_the_same(network: Network) -> None:
    box, label = torch.tensor([[20.0, 20, 40, 44]]), torch.tensor([0])
    everywhere = (torch.tensor([[-99.0, -99, 199, 199]]), torch.tensor([-1]))
    alone = _score_loss(network, Target(box, label, None, *everywhere))
    assert 0 < alone < _score_loss(network, Target(box, label))


def test_regions_move_with_the_tile_and_reach_the_target() -> None:
    window = Window(left=10, top=0, side=50, flip_x=True, flip_y=False)
    boxes, keep = window.regions(np.array([[20, 10, 30, 20], [0, 0, 5, 5]], np.float32), 100)
    assert boxes[0].tolist() == [60, 20, 80, 40]
    assert keep.tolist() == [True, False]


def test_a_batch_carries_the_regions_of_its_samples(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), 90, np.uint8))
    plain = FrameRecord(
        name="a", path=tmp_path / "a.png", width_px=64, height_px=64,
        boxes_xyxy_px=np.array([[10, 10, 40, 40]], np.float32), labels=np.array([0]),
    )  # fmt: skip
    crowd = FrameRecord(
        name="b", path=tmp_path / "a.png", width_px=64, height_px=64, boxes_xyxy_px=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int64), ignore_boxes_xyxy_px=np.array([[0, 0, 64, 64]], np.float32),
        ignore_labels=np.array([1]),
    )  # fmt: skip
    config = TrainConfig(tile_px=64, clip_length=1)
    samples = [
        Sampler([WeightedSource(ClipSource("s", ("bolt", "nut"), (Clip(f.name, (f,)),)))], config).sample(0)
        for f in (plain, crowd)
    ]
    assert samples[0].ignored is None
    batch = stack(samples)
    (first,), (second,) = batch.to(torch.device("cpu")).targets()
    assert first.ignore_boxes_xyxy_px is None
    assert second.ignore_labels is not None
    assert second.ignore_labels.tolist() == [1]
    assert stack(samples[:1]).ignore_boxes_xyxy_px is None
