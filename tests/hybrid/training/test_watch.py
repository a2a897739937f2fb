"""A training that diverges stops in words that name the clip and the loss, and keeps what was good."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path

import cv2
import pytest
import torch
from safetensors import safe_open

from hybrid.core.errors import RunError
from hybrid.data.coco import read_coco
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.training.loop import train
from hybrid.training.run.stopped import culprits
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.watch import FAR, FEW, STEPS, LossWatch
from hybrid.weights.checkpoint import read_tensors
from tests.hybrid.photos import coco_document, write_coco
from tests.hybrid.training.test_loop import config, model


def watch(*losses: float) -> LossWatch:
    one = LossWatch()
    for loss in losses:
        one.add(loss)
    return one


def test_a_loss_far_above_the_median_for_many_steps_is_a_divergence_and_a_spike_is_none() -> None:
    calm = [5.0] * FEW
    assert watch(*calm, 5 * FAR + 1).is_far
    assert not watch(*calm, 5 * FAR - 1).is_far
    assert not watch(*calm, *[99.0] * (STEPS - 1)).has_diverged
    assert watch(*calm, *[99.0] * STEPS).has_diverged
    assert not watch(*calm, *[99.0] * (STEPS - 1), 5.0, *[99.0] * (STEPS - 1)).has_diverged


def test_from_the_first_step_on_a_loss_may_not_be_a_hundred_times_the_first() -> None:
    assert watch(20.0, *[1e5] * STEPS).has_diverged
    assert not watch(0.5, *[8.0] * 3 * STEPS).is_far
    assert not watch(0.0, *[8.0] * 3 * STEPS).is_far  # a first batch without any box


def test_a_loss_that_rises_slowly_is_a_divergence_too() -> None:
    rising = [20.0 * 1.02**step for step in range(200)]  # no step is far above the median of those before it
    assert watch(*rising).has_diverged
    assert not watch(*rising[:100]).is_far  # seven times the first
    assert not watch(*reversed(rising)).is_far


def test_the_state_of_an_earlier_version_is_read() -> None:
    earlier = LossWatch()
    earlier.restore(torch.tensor([3.0, *[5.0] * FEW], dtype=torch.float64))
    assert earlier.is_far
    assert earlier.limit == 5 * FAR


@pytest.mark.parametrize("seed", range(5))
def test_a_watch_goes_on_where_a_checkpoint_left_it(seed: int) -> None:
    rng = random.Random(seed)
    before, after = ([10 ** rng.uniform(-2, 3) for _ in range(rng.randrange(300))] for _ in range(2))
    whole, resumed = watch(*before), LossWatch()
    resumed.restore(watch(*before).state())
    for loss in after:
        whole.add(loss)
        resumed.add(loss)
    assert torch.equal(whole.state(), resumed.state())


def test_the_culprits_are_the_broken_clips_or_the_worst_one() -> None:
    fine = {"box": 1.0, "score": 2.0, "total": 3.0}
    broken = fine | {"box": math.nan, "total": math.nan}
    assert culprits([fine, broken], ["a", "b"]) == "1 of 2 clips alone make box not finite: b"
    assert culprits([fine, fine | {"score": 9.0, "total": 10.0}], ["a", "b"]).endswith("is of b: score is 9")


class Poisoned(Criterion):
    """The box loss of one photo, which has three boxes in each tile, is not a number from the third step on."""

    calls = 0

    def __call__(self, output, targets, labels=None):  # type: ignore[no-untyped-def]
        Poisoned.calls += 1
        losses = super().__call__(output, targets, labels)
        if Poisoned.calls >= 3 and any(len(frame.labels) == 3 for clip in targets for frame in clip):
            losses["box"] = losses["box"] * math.nan
            losses["total"] = losses["total"] * math.nan
        return losses


def test_a_run_that_stops_names_clip_and_loss_and_leaves_the_batch(tmp_path: Path) -> None:
    document = coco_document(4, (64, 64), boxes=3)
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] == 2 or a["id"] % 3 == 0]
    source = read_coco(write_coco(tmp_path / "photos", document))
    plan = config(batch_clips=4, clip_length=1, tile_px=64, steps=9, learning_rate=1e-4)
    with pytest.raises(RunError) as said:
        train(Network(model()), [WeightedSource(source)], plan, tmp_path / "run", criterion=Poisoned())
    words, run = str(said.value), tmp_path / "run"
    assert "alone make box not finite: images/1.png of " in words
    step = int(re.search(r"step (\d+)", words)[1])
    assert f"The checkpoint of step {step} stays" in words
    assert read_tensors(run / "checkpoint.safetensors")[1]["step"] == str(step)
    with safe_open(run / "stopped.safetensors", "pt") as kept:
        assert kept.get_tensor("images").shape == (4, 1, 3, 64, 64)
        names = json.loads(kept.metadata()["clips"])
        counts = kept.get_tensor("counts")[:, 0].tolist()
    assert all(name.startswith("images/1.png") for name, count in zip(names, counts, strict=True) if count == 3)
    assert cv2.imread(str(run / "stopped.png")).shape[0] > 4 * 64
    assert not (run / "run.json").exists()
