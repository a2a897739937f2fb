"""A batch in pieces is the batch; the stages of a training as data."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.training.config import AugmentConfig, Stage, TrainConfig
from hybrid.training.device import training_device
from hybrid.training.samples.batch import Batches, TrainBatch
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.schedule import group_rate, parameter_groups
from hybrid.training.step import Training
from tests.hybrid.photos import CATEGORIES, write_video
from tests.hybrid.variants import SMALL

MODEL = replace(SMALL, categories=CATEGORIES)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_video(tmp_path_factory.mktemp("video"), 7), CATEGORIES)


def config(**changes: Any) -> TrainConfig:
    small = {"batch_clips": 2, "clip_length": 4, "tile_px": 32, "warmup_steps": 1, "workers": 0, "device": "cpu"}
    steps = {} if "stages" in changes else {"steps": 4}
    return TrainConfig(**(small | steps | changes))


def batch(source: ClipSource, plan: TrainConfig, step: int = 0) -> TrainBatch:
    return Batches([WeightedSource(source)], plan)[step]


def trained(source: ClipSource, plan: TrainConfig, steps: int = 1) -> tuple[Training, dict[str, Tensor]]:
    torch.manual_seed(0)
    training = Training(Network(MODEL), plan, Criterion(), training_device("cpu"))
    losses: dict[str, Tensor] = {}
    for step in range(steps):
        losses = training.step(batch(source, plan, step))
    return training, losses


def weights(training: Training) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in training.detector.state_dict().items()}


def test_the_pieces_of_a_batch_hold_all_of_it_in_the_order_of_time(source: ClipSource) -> None:
    whole = batch(source, config(batch_clips=4))
    pieces = whole.pieces(2, 3)
    assert [(part, tuple(piece.images.shape[:2])) for part, piece in pieces] == [
        (0, (2, 3)), (0, (2, 1)), (1, (2, 3)), (1, (2, 1)),
    ]  # fmt: skip
    assert list(chain.from_iterable(piece.names for _, piece in pieces[::2])) == list(whole.names)
    for clip, frame in ((0, 1), (1, 3), (3, 0)):
        _, piece = pieces[2 * (clip // 2) + frame // 3]
        assert torch.equal(piece.images[clip % 2, frame % 3], whole.images[clip, frame])
        one, other = piece.targets()[clip % 2][frame % 3], whole.targets()[clip][frame]
        assert torch.equal(one.boxes_xyxy_px, other.boxes_xyxy_px)
        assert torch.equal(one.labels, other.labels)
    assert whole.pieces(1, 0) == [(0, whole)]


@pytest.mark.parametrize("changes", [{"accumulate": 2}, {"truncate": 2}, {"accumulate": 2, "truncate": 3}])
def test_the_losses_of_the_pieces_are_those_of_the_batch(source: ClipSource, changes: dict[str, int]) -> None:
    _, whole = trained(source, config())
    _, pieces = trained(source, config(**changes))
    exact = ["score", "box", "giou"]
    if "truncate" not in changes:  # other frames share their random numbers
        exact += ["denoising/score", "denoising/box", "denoising/giou"]
    for name in exact:
        assert float(pieces[name]) == pytest.approx(float(whole[name]), rel=1e-4), name
    assert float(pieces["total"]) == pytest.approx(float(whole["total"]), rel=0.3)


def test_accumulated_gradients_are_those_of_the_batch(source: ClipSource) -> None:
    """All but those of the dense losses, whose number of points differs between the clips."""
    plan = config(learning_rate=1e-3)
    one, two = (trained(source, plan.model_copy(update={"accumulate": n}))[0] for n in (1, 2))
    gradients = [
        torch.cat(
            [
                p.grad.flatten()
                for name, p in t.detector.named_parameters()
                if name.startswith(("decoder.score", "decoder.box"))
            ]
        )
        for t in (one, two)
    ]
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99


def test_gradients_are_cut_only_where_the_clip_is_longer(source: ClipSource) -> None:
    full = weights(trained(source, config(), 2)[0])
    for frames in (4, 9):
        same = weights(trained(source, config(truncate=frames), 2)[0])
        assert all(torch.equal(full[name], same[name]) for name in full)
    cut = weights(trained(source, config(truncate=2), 2)[0])
    assert any(not torch.equal(full[name], cut[name]) for name in full if name.startswith("context."))


# --- stages -----------------------------------------------------------------------------------------------------------


def test_cnn_steps_are_two_stages(source: ClipSource) -> None:
    earlier, _ = trained(source, config(cnn_steps=2), 3)
    stages = (Stage(name="first", steps=2, branches="cnn"), Stage(name="then", steps=2))
    now, _ = trained(source, config(stages=stages), 3)
    one, other = weights(earlier), weights(now)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_stage_says_what_learns_and_how_fast(source: ClipSource) -> None:
    stages = [
        {"name": "head", "steps": 2, "train": ["decoder", "pyramid"]},
        {"name": "all", "steps": 2, "rates": {"backbone": 0.5, "backbone.0": 0, "decoder": 2.0}},
    ]
    plan = config(stages=stages, schedule="constant", learning_rate=0.01)
    assert plan.steps == 4
    torch.manual_seed(0)
    training = Training(Network(MODEL), plan, Criterion(), training_device("cpu"))
    moved = []
    for step in range(4):
        before = weights(training)
        training.step(batch(source, plan, step))
        moved.append({name for name, x in weights(training).items() if not torch.equal(x, before[name])})
    assert {name.split(".")[0] for name in moved[0] | moved[1]} == {"decoder", "pyramid"}
    later = moved[2] | moved[3]
    first_stage = set(training.names[p] for p in training.detector.backbone.stages()[0].parameters())
    assert not later & first_stage
    assert {"backbone.coarse.0.0.weight", "decoder.values.weight"} <= later
    assert any(name.startswith("context.") for name in later)


def test_what_begins_later_is_warmed_up_from_there() -> None:
    stages = [Stage(name="a", steps=10, train=("decoder",)), Stage(name="b", steps=10, rates={"backbone": 0.5})]
    plan = config(stages=stages, warmup_steps=3, schedule="constant", learning_rate=0.1)
    groups = parameter_groups(Network(MODEL), plan)
    assert {group["shares"] for group in groups} == {(1.0, 1.0), (0.0, 0.5), (0.0, 1.0)}
    assert [group_rate(plan, (0.0, 0.5), k) for k in (9, 10, 11, 13)] == pytest.approx([0, 0.0125, 0.025, 0.05])
    assert [group_rate(plan, (1.0, 1.0), k) for k in (0, 3, 10)] == pytest.approx([0.025, 0.1, 0.1])


def test_a_stage_has_clips_and_augmentation_of_its_own(source: ClipSource) -> None:
    still = AugmentConfig(strength=0.0)
    stages = [Stage(name="a", steps=1, clip_length=2), Stage(name="b", steps=2, clip_length=5, augment=still)]
    plan = config(stages=stages)
    assert [batch(source, plan, step).images.shape[1] for step in range(3)] == [2, 5, 5]
    assert [plan.for_step(step).augment.strength for step in range(3)] == [1.0, 0.0, 0.0]
    assert [plan.stage_of(step) for step in (0, 1, 2, 3)] == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": [{"name": "a", "steps": 3}], "steps": 4}, "3 steps together; needs steps = 3, got 4"),
        ({"stages": [{"name": "a", "steps": 3}], "cnn_steps": 1}, "no cnn_steps"),
        ({"stages": [{"name": "a", "steps": 0}]}, r"stages.0.steps\n.*greater than or equal to 1"),
        ({"stages": [{"name": "a", "steps": 3, "train": ["neck"]}]}, r"stages.0.train.0\n.*'backbone', 'backbone.0'"),
        ({"stages": [{"name": "a", "steps": 3, "rates": {"decoder": -1}}]}, r"stages.0.rates.decoder\n"),
        ({"stages": [{"name": "a", "steps": 3, "rate": 1}]}, r"stages.0.rate\n.*Extra inputs"),
        ({"stages": 3}, "stages"),
        ({"accumulate": 3}, "2 clips cannot be cut into 3 equal parts"),
        ({"learning_rate": 1e3}, "needs more than 0 and at most 1; usual are 1e-4 to 1e-3"),
    ],
)
def test_stages_that_cannot_be_are_refused_by_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**changes)
