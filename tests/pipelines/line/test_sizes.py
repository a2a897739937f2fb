"""Scenes and steps fit into the time, and are corrected by what things have taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from pipelines.line.running.engine import Pace, Step
from pipelines.line.sizes import (
    FINE_TUNE,
    LEAST_SCENES,
    LEAST_STEPS,
    MOST_STEPS,
    PHOTOS_ALONE,
    PRETRAIN,
    Costs,
    Sizes,
    at_pace,
    check_time,
    fitted,
    least_seconds,
)

TRAININGS = [(PRETRAIN,), (PRETRAIN, FINE_TUNE), (PRETRAIN, FINE_TUNE, PHOTOS_ALONE)]


def seconds(sizes: Sizes, costs: Costs, rest_s: float) -> float:
    """What these sizes take."""
    assert sizes.scenes is not None
    trained = sum(costs.train_start_s + steps * costs.step_s for steps in sizes.steps.values())
    return rest_s + costs.render_start_s + sizes.scenes * costs.scene_s + trained


@given(st.sampled_from(TRAININGS), st.floats(1, 300), st.floats(0.05, 10), st.floats(0.05, 10), st.floats(0, 200))
def test_what_fits_takes_the_time_and_no_more(
    names: tuple[str, ...], minutes: float, scene_s: float, step_s: float, rest_s: float
) -> None:
    costs = Costs(scene_s=scene_s, step_s=step_s)
    sizes = fitted(60 * minutes, costs, names, rest_s, Sizes())
    assert sizes.scenes is not None
    assert list(sizes.steps) == list(names)
    takes_s = seconds(sizes, costs, rest_s)
    if 60 * minutes >= least_seconds(costs, names, rest_s) / 0.3:
        assert takes_s <= 60 * minutes
        if sizes.scenes < 3000 and max(sizes.steps.values()) < MOST_STEPS:
            assert takes_s >= 60 * minutes - scene_s - len(names) * step_s - 1e-6
    assert sizes.scenes >= LEAST_SCENES
    assert min(sizes.steps.values()) >= LEAST_STEPS


def test_both_detectors_on_photos_do_the_same_steps() -> None:
    sizes = fitted(1800.0, Costs(), TRAININGS[2], 60.0, Sizes())
    assert sizes.steps[FINE_TUNE] == sizes.steps[PHOTOS_ALONE]
    late = fitted(10.0, Costs(), TRAININGS[2], 60.0, Sizes(scenes=100, steps={PRETRAIN: 500, FINE_TUNE: 90}))
    assert late.steps == {PRETRAIN: 500, FINE_TUNE: 90, PHOTOS_ALONE: 90}


def test_what_has_begun_keeps_its_size_and_the_rest_gets_the_time_that_is_left() -> None:
    costs = Costs(scene_s=1.0, step_s=1.0, train_start_s=0.0, render_start_s=0.0)
    first = fitted(1000.0, costs, TRAININGS[1], 0.0, Sizes())
    assert (first.scenes, first.steps) == (300, {PRETRAIN: 490, FINE_TUNE: 210})
    after_slow_rendering = fitted(400.0, costs, TRAININGS[1], 0.0, Sizes(scenes=300))
    assert (after_slow_rendering.scenes, after_slow_rendering.steps) == (300, {PRETRAIN: 280, FINE_TUNE: 120})
    after_pretraining = fitted(300.0, costs, TRAININGS[1], 0.0, Sizes(scenes=300, steps={PRETRAIN: 280}))
    assert after_pretraining.steps == {PRETRAIN: 280, FINE_TUNE: 300}


def test_costs_follow_the_pace() -> None:
    pace = Pace()
    pace.add(Step("render", "", 100.0, [], Path(), "render"), 200.0)
    pace.add(Step("train", "", 100.0, [], Path(), "train"), 50.0)
    now = at_pace(Costs(scene_s=1.0, step_s=1.0), pace)
    assert (now.scene_s, now.step_s) == (2.0, 0.5)


def test_a_time_that_is_too_short_is_answered_with_one_that_would_do() -> None:
    with pytest.raises(DataError, match=r"--minutes 1: on this machine 20 scenes and 40 steps .* take 4 minutes"):
        check_time(1.0, 0.0, Costs(), (PRETRAIN,), 60.0)
    check_time(4.0, 0.0, Costs(), (PRETRAIN,), 60.0)
    with pytest.raises(DataError, match="take 5 minutes"):
        check_time(4.0, 60.0, Costs(), (PRETRAIN,), 60.0)
