"""What to do next: only what the figures ask for, the best evidence first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.gap.advice.advise import Advice
from pipelines.gap.advice.labelling import Labelling
from pipelines.gap.advice.widening import NOT_KNOWN, Change
from pipelines.gap.schema.figure import counted
from pipelines.gap.schema.sections import Action, Coverage
from pipelines.gap.sections.answer import do_next
from pipelines.gap.stats.errors import INSIDE, OUTSIDE
from tests.pipelines.gap.example_report import example_report


def coverage(verdict: str) -> Coverage:
    return replace(example_report().why.coverage[0], verdict=verdict, below=counted(0.2, "share"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("verdict", "lines"), [("beyond", 1), ("covered", 0), ("not_decided", 0), ("too_few", 0)])
def test_only_what_lies_beyond_the_simulated_range_is_advised(verdict: str, lines: int) -> None:
    report = example_report()
    quiet = replace(report.where, errors=())
    enough = replace(report.label_efficiency, missing=())
    got = do_next([coverage(verdict)], [], quiet, enough, Advice(), Labelling())
    assert len(got.actions) == lines
    if lines:
        assert (got.actions[0].evidence, got.actions[0].effect.status) == ("coverage", "not_measured")


def test_a_change_that_gains_beyond_chance_comes_first_and_others_are_not_advised() -> None:
    report = example_report()
    sure = replace(
        report.knobs[0], effect=replace(report.knobs[0].effect, value=3.0, low=1.0, high=5.0, p=0.001, p_holm=0.004)
    )
    unsure = replace(sure, name="noise", effect=replace(sure.effect, p=0.2, p_holm=0.4))
    loss = replace(sure, name="sharpness", effect=replace(sure.effect, value=-3.0, low=-5.0, high=-1.0))
    got = do_next(
        [coverage("beyond")], [unsure, loss, sure], report.where, report.label_efficiency, Advice(), Labelling()
    )
    assert [one.evidence for one in got.actions[:2]] == ["up_to", "coverage"]
    assert "light.temperature_k" in got.actions[0].knob
    assert len([one for one in got.actions if one.evidence == "up_to"]) == 1


@pytest.mark.parametrize(
    ("name", "action", "knob"),
    [
        ("surroundings", "Cut the photos to the work area", "clutter.count"),
        ("larger", "Let the simulation vary the size of parts more", "camera.distance_m"),
        ("noise", "Let the simulation vary noise more", "sensor.read_noise_e"),
    ],
)
def test_a_change_that_gains_says_what_to_do_about_it(name: str, action: str, knob: str) -> None:
    report = example_report()
    sure = replace(report.knobs[0].effect, value=3.0, low=1.0, high=5.0, p=0.001, p_holm=0.004)
    row = replace(report.knobs[0], name=name, effect=sure)
    quiet, enough = replace(report.where, errors=()), replace(report.label_efficiency, missing=())
    (got,) = do_next([], [row], quiet, enough, Advice(), Labelling()).actions
    assert got.action.startswith(action)
    assert knob in got.knob


def test_an_action_has_the_range_that_its_preset_has() -> None:
    report = example_report()
    row = replace(coverage("beyond"), knobs="texture.finishes.*.colour.value (simgen finish fit measures it), other")
    wide = Change("texture.finishes.zinc.colour.value", (0.74, 0.95), (0.6, 0.95), "coverage", "", NOT_KNOWN, "")
    advised = Advice((wide, replace(wide, key="texture.finishes.dark.colour.value")), preset="base: tiny\n")
    got = do_next([row], [], replace(report.where, errors=()), report.label_efficiency, advised, Labelling())
    assert (got.actions[0].from_value, got.actions[0].to_value) == ("0.74 to 0.95", "0.6 to 0.95")
    assert got.actions[0].knob == "texture.finishes.zinc.colour.value and 1 more"
    assert got.next_config == "base: tiny\n"
    other = replace(advised, changes=(replace(wide, key="sensor.exposure"),))
    plain = do_next([row], [], replace(report.where, errors=()), report.label_efficiency, other, Labelling())
    assert plain.actions[0].knob == row.knobs


@pytest.mark.parametrize(
    ("outside", "words", "effect"), [(9.0, "beside the work area", 9.0), (1.0, "into the simulated scenes", 6.0)]
)
def test_false_alarms_beside_the_work_area_are_told_from_those_among_the_parts(
    outside: float, words: str, effect: float
) -> None:
    report = example_report()
    (row,) = report.where.errors
    assert row.label == "background"
    of_place = {INSIDE: 5.0, OUTSIDE: outside}
    places = [replace(row, label=name, figure=counted(value, "p")) for name, value in of_place.items()]
    where = replace(report.where, errors=(replace(row, figure=counted(6.0, "p")), *places))
    got = do_next([], [], where, replace(report.label_efficiency, missing=()), Advice(), Labelling())
    assert len(got.actions) == 1
    assert words in got.actions[0].action
    assert got.actions[0].effect.value == effect


def of_coverage(*rows: Coverage) -> tuple[Action, ...]:
    """The actions of these rows alone."""
    report = example_report()
    enough = replace(report.label_efficiency, missing=())
    return do_next(rows, [], replace(report.where, errors=()), enough, Advice(), Labelling()).actions


def test_only_an_end_that_is_surely_left_moves_and_it_moves_to_the_photos() -> None:
    """The photos reach from -1.2 to 0.5, the simulation from -0.9 to 0.9."""
    unsure = coverage("beyond")
    sure = replace(unsure, below=replace(unsure.below, p=0.001, p_holm=0.01))
    (stays,), (moves,) = of_coverage(unsure), of_coverage(sure)
    assert stays.from_value == stays.to_value == moves.from_value == "-0.9 to 0.9 log ratio"
    assert moves.to_value == "-1.2 to 0.9 log ratio"


def test_six_actions_are_the_most() -> None:
    assert len(of_coverage(*[coverage("beyond")] * 5)) == 5
    assert len(of_coverage(*[coverage("beyond")] * 8)) == 6


@pytest.mark.parametrize(("points", "lines"), [(0.9, 0), (1.0, 1)])
def test_a_kind_of_error_is_looked_at_from_one_point_on(points: float, lines: int) -> None:
    report = example_report()
    errors = (replace(report.where.errors[0], label="missed", figure=counted(points, "points of AP50")),)
    enough = replace(report.label_efficiency, missing=())
    got = do_next([], [], replace(report.where, errors=errors), enough, Advice(), Labelling())
    assert len(got.actions) == lines
