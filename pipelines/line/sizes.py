"""How many scenes and steps fit into a time, from what one of them costs on this machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hybrid.core.errors import DataError
from pipelines.line.running.engine import Pace

PRETRAIN, FINE_TUNE, PHOTOS_ALONE = "pretrain", "fine-tune", "photos-alone"
RENDER_SHARE = 0.3  # of the time for scenes and steps, for scenes
WEIGHTS = {PRETRAIN: 0.7, FINE_TUNE: 0.3, PHOTOS_ALONE: 0.3}  # of the trainings
LEAST_SCENES, MOST_SCENES = 20, 3000
LEAST_STEPS, MOST_STEPS = 40, 6000


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the steps of a line cost here, in seconds. The defaults are of two free cores with AVX2."""

    scene_s: float = 1.0  # by the clock, with all workers
    render_start_s: float = 5.0
    step_s: float = 1.8
    train_start_s: float = 25.0  # with measuring at the end
    report_s: float = 60.0
    export_s: float = 25.0
    look_s: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is rendered and trained. None, or no entry: not decided yet."""

    scenes: int | None = None
    steps: Mapping[str, int] = field(default_factory=dict)  # of each training


def at_pace(costs: Costs, pace: Pace) -> Costs:
    """The costs by what the steps so far have taken."""
    render, train = pace.ratio("render"), pace.ratio("train")
    return replace(
        costs,
        scene_s=costs.scene_s * render,
        render_start_s=costs.render_start_s * render,
        step_s=costs.step_s * train,
        train_start_s=costs.train_start_s * train,
    )


def fitted(seconds: float, costs: Costs, trainings: Sequence[str], rest_s: float, decided: Sizes) -> Sizes:
    """The sizes that fit into a time; what was decided stays.

    Args:
        seconds: for all that has not been done: what is not decided, and the rest.
        trainings: all of the line. Those on photos do the same steps.
        rest_s: what takes time besides rendering and training.
        decided: sizes of what has begun.
    """
    open_ones = [name for name in trainings if name not in decided.steps]
    left_s = seconds - rest_s - costs.train_start_s * len(open_ones)
    scenes = decided.scenes
    if scenes is None:
        left_s -= costs.render_start_s
        share = RENDER_SHARE if open_ones else 1.0
        scenes = _within(share * left_s / costs.scene_s, LEAST_SCENES, MOST_SCENES)
        left_s -= scenes * costs.scene_s
    total = sum(WEIGHTS[name] for name in open_ones)
    steps = {
        name: _within(left_s * WEIGHTS[name] / total / costs.step_s, LEAST_STEPS, MOST_STEPS) for name in open_ones
    }
    steps.update(decided.steps)
    if PHOTOS_ALONE in steps:
        steps[PHOTOS_ALONE] = steps[FINE_TUNE]
    return Sizes(scenes=scenes, steps={name: steps[name] for name in trainings})


def least_seconds(costs: Costs, trainings: Sequence[str], rest_s: float) -> float:
    """The time below which nothing sensible comes out."""
    train_s = costs.train_start_s + LEAST_STEPS * costs.step_s
    return rest_s + costs.render_start_s + LEAST_SCENES * costs.scene_s + len(trainings) * train_s


def check_time(minutes: float, spent_s: float, costs: Costs, trainings: Sequence[str], rest_s: float) -> None:
    """Refuse a time in which not even the least can be done.

    Raises:
        DataError: says how many minutes would do.
    """
    least_s = spent_s + least_seconds(costs, trainings, rest_s)
    if 60 * minutes < least_s:
        raise DataError(
            f"--minutes {minutes:g}: on this machine {LEAST_SCENES} scenes and {LEAST_STEPS} steps for each training, "
            f"the least, take {math.ceil(least_s / 60)} minutes"
        )


def _within(value: float, least: int, most: int) -> int:
    return int(min(most, max(least, value + 1e-9)))
