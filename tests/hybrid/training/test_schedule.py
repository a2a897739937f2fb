"""Learning rates over the steps: limits, order, and which parameters learn at which rate."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hybrid.core.config import ModelConfig
from hybrid.model.network import Network
from hybrid.training.config import AugmentConfig, TrainConfig
from hybrid.training.schedule import ema_decay, keep_frozen, parameter_groups, rate, stage_shares

MODEL = ModelConfig(categories=("bolt",), branches="cnn", width=16, queries=5)


@given(
    steps=st.integers(2, 500),
    warmup=st.floats(0, 0.9),
    last=st.floats(0, 1),
    schedule=st.sampled_from(["cosine", "constant"]),
)
def test_a_rate_rises_through_the_warm_up_then_never_rises(steps: int, warmup: float, last: float, schedule) -> None:
    config = TrainConfig(steps=steps, warmup_steps=int(warmup * steps), last_rate=last, schedule=schedule)
    rates = [rate(config, step) for step in range(steps)]
    assert all(0 < one <= 1 for one in rates[: config.warmup_steps])
    assert all(a < b for a, b in pairwise(rates[: config.warmup_steps]))
    after = rates[config.warmup_steps :]
    assert after[0] == pytest.approx(1.0)
    assert all(a >= b - 1e-12 for a, b in pairwise(after))
    assert min(after) >= (last if schedule == "cosine" else 1.0) - 1e-12


def test_the_cosine_ends_at_its_last_rate_and_is_half_way_in_the_middle() -> None:
    config = TrainConfig(steps=1000, warmup_steps=0, last_rate=0.1)
    assert rate(config, 500) == pytest.approx(0.55)
    assert rate(config, 1000) == pytest.approx(0.1)


def test_a_joining_branch_stands_still_before_it_joins_then_warms_up() -> None:
    config = TrainConfig(steps=100, warmup_steps=4, schedule="constant", cnn_steps=50)
    assert rate(config, 49, 50) == 0.0
    assert [rate(config, step, 50) for step in (50, 52, 54)] == pytest.approx([0.2, 0.6, 1.0])
    assert rate(config, 50) == 1.0


@given(step=st.integers(0, 100_000), limit=st.floats(0, 0.9999))
def test_the_average_forgets_its_start_and_keeps_its_limit(step: int, limit: float) -> None:
    config = TrainConfig(ema_decay=limit)
    assert ema_decay(config, step) <= limit
    assert ema_decay(config, step) <= ema_decay(config, step + 1)
    assert ema_decay(config, 0) <= 0.1


def test_stages_have_falling_rates_and_frozen_ones_are_in_no_group() -> None:
    config = TrainConfig(frozen_stages=1, stage_decay=0.5, backbone_rate=0.8, learning_rate=0.1, weight_decay=0.3)
    network = Network(MODEL)
    stages = network.backbone.stages()
    shares = stage_shares(network, config, config.plan()[0])
    assert [{shares[p] for p in stage.parameters()} for stage in stages] == [{0.0}, {0.4}, {0.8}]
    groups = parameter_groups(network, config)
    grouped = [id(p) for group in groups for p in group["params"]]
    frozen = {id(p) for p in stages[0].parameters()}
    assert len(grouped) == len(set(grouped)) == sum(1 for _ in network.parameters()) - len(frozen)
    assert not frozen & set(grouped)
    assert all(not p.requires_grad for p in stages[0].parameters())
    for group in groups:
        assert group["lr"] == pytest.approx(0.1 * group["shares"][0])
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] == 0.3}


def test_frozen_stages_stay_in_eval_mode() -> None:
    network = Network(MODEL).train()
    keep_frozen(network, TrainConfig(frozen_stages=2))
    modes = [{inner.training for inner in [*stage.modules()][1:]} for stage in network.backbone.stages()]
    assert modes == [{False}, {False}, {True}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 10, "cnn_steps": 10}, "cnn_steps: needs fewer than steps = 10, got 10"),
        ({"tile_px": 100}, "multiple of 32"),
        ({"learning_rate": 0.0}, "more than 0"),
        ({"precision": "fp16"}, "'fp32' or 'bf16'"),
        ({"stepps": 3}, "Extra inputs"),
        ({"augment": {"scale": (2.0, 1.0)}}, "needs 0.1 <= low <= high <= 10"),
        ({"augment": {"in_front": 0.5}}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainConfig(**changes)  # type: ignore[arg-type]


def test_a_stored_config_gets_todays_names_and_unknown_keys_are_refused() -> None:
    config = TrainConfig(steps=300, augment=AugmentConfig(occluders=0.5, strength=0.2))
    stored = config.identity()
    assert TrainConfig.from_stored(stored).identity() == stored
    stored["augment"]["in_front"] = stored["augment"].pop("occluders")  # type: ignore[index, attr-defined]
    assert TrainConfig.from_stored(stored) == TrainConfig.from_stored(config.identity())
    assert TrainConfig.from_stored({"steps": 300}).augment == AugmentConfig()
    with pytest.raises(ValidationError, match="nosuch"):
        TrainConfig.from_stored(stored | {"nosuch": 1})


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (50, 5), (100, 10), (101, 100), (2000, 100)])
def test_a_short_run_has_a_short_warm_up_and_reaches_the_peak(steps: int, warmup: int) -> None:
    config = TrainConfig(steps=steps)
    assert config.warmup_steps == warmup
    assert config.identity()["warmup_steps"] == warmup
    assert max(rate(config, step) for step in range(steps)) == 1.0
