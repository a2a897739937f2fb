"""The trials in the report's one display, and the counts that their commands print."""

from __future__ import annotations

import pytest

from hybrid.core.errors import RunError
from hybrid.core.progress import Count, Together, count_in
from pipelines.gap.advice.trial_progress import Sizes, TrialProgress, measuring
from pipelines.gap.advice.trials import run_python

SEEDS = ("seed0", "seed1")


def test_a_set_of_scenes_counts_as_announced_and_what_is_there_or_not_needed_is_taken_out() -> None:
    """20 scenes of 2 pictures each, then twice 100 steps of half a picture and 5 pictures of the pool: 150 in all."""
    seen: list[tuple[int, int]] = []
    show = Together(lambda done, total, values: seen.append((done, total)))
    sizes = Sizes(scenes=20, steps=100, pictures=5, seeds=2, scene=2.0, step=0.5)
    progress = TrialProgress(show, sizes, 4)
    show.piece("run on real", 10)(10, 10, {})
    assert seen == [(10, 10 + 4 * sizes.whole)]
    progress.at_most(2)  # three ranges to try were expected, and there is one
    progress.begin("without", SEEDS)
    progress.begin("without", SEEDS)  # asked for again
    progress.rendering("without")(10, 20, {})
    assert seen[-1] == (10 + 20, 10 + 2 * 150)
    train = progress.training("without", "seed0")
    train(50, 100, {})
    train(3, 5, {})  # it measures on 5 pictures
    assert seen[-1] == (10 + 20 + 25, 10 + 2 * 150)
    show.piece(measuring("without", "seed0"), 5)(5, 5, {})
    assert seen[-1] == (10 + 20 + 25 + 5, 10 + 2 * 150)
    progress.begin("with", SEEDS)
    progress.rendered("with")
    progress.trained("with", "seed0")
    progress.training("with", "seed1")(100, 100, {})
    assert seen[-1] == (60 + 50, 10 + 2 * 150 - 40 - 50)
    progress.at_most(0)


def test_what_a_step_and_a_scene_are_worth_follows_from_their_pixels() -> None:
    sizes = Sizes.of(scenes=1, steps=1, pictures=1, seeds=3, picture_px=800, scene_px=1000, step_px=500)
    assert (sizes.scene, sizes.step) == (2.0, 1.5)
    assert sizes.whole == round(2.0 + 3 * (1.5 + 1))


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("train: 15 of 100, about 3 min left", Count("train", 15, 100)),
        ("3 of 64 scenes, 2.0 a second", Count("", 3, 64)),
        ("note: 3 photos of 5 are left out", None),
        ("", None),
    ],
)
def test_counts_are_found_in_lines(line: str, count: Count | None) -> None:
    assert count_in(line) == count


def test_a_command_tells_its_counts_and_its_last_lines_where_it_fails() -> None:
    told: list[tuple[int, int]] = []
    code = (
        "import os, sys; print('train: 1 of 2');"
        "print('gone\\x1b', os.environ['SIM2LINE_LINES_S'], file=sys.stderr); sys.exit(3)"
    )
    with pytest.raises(RunError, match=r"-c .* ended with 3: .*gone.* 2") as error:
        run_python(["-c", code], lambda done, total, values: told.append((done, total)))
    assert told == [(1, 2)]
    assert "\x1b" not in str(error.value)
