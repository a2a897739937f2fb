"""Groups of runs, their figures and comparisons, the curves of photos, and the words that are made of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.core.errors import DataError
from pipelines.gap.page.charts import colour
from pipelines.gap.sections.answer import headline, lead, sentence
from pipelines.gap.sections.efficiency import drawn, label_efficiency
from pipelines.gap.sections.performance import comparisons, gap, paired, performance, smallest
from pipelines.gap.sections.runs import RunGroup, grouped, run_row, run_to_look_at
from pipelines.gap.sections.scenes import scenes
from pipelines.gap.stats.curve import fitted
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.resampled import Resampled
from tests.pipelines.gap.example_report import example_report
from tests.pipelines.gap.sections.measured import SCENES, SESSIONS, Invented, invented, measured

NO_SCENES = example_report().label_efficiency.scenes


@pytest.fixture(scope="module")
def groups() -> list[RunGroup]:
    """Simulation alone; simulation and ten photos, two seeds; ten photos alone, two seeds."""
    runs = [measured("sim", 0.4)]
    runs += [measured(f"sim10-s{seed}", 0.1, 10, seed) for seed in (1, 0)]
    runs += [measured(f"photos10-s{seed}", 0.6, 10, seed, simulation=False) for seed in (0, 1)]
    return grouped(runs)


def test_runs_that_differ_in_their_seed_alone_are_one_group_sorted_by_seed(groups: list[RunGroup]) -> None:
    assert [one.name for one in groups] == ["sim", "sim10-s", "photos10-s"]
    assert [member.run.seed for member in groups[1].members] == [0, 1]
    assert [(one.first.arm, one.photos) for one in groups] == [("simulation", 0), ("simulation", 10), ("photos", 10)]


def test_two_runs_of_one_seed_are_no_seeds_of_one_way_of_training() -> None:
    runs = [
        measured(f"{name}-{seed}", missed, seed=seed) for seed in (0, 1) for name, missed in (("a", 0.4), ("b", 0.1))
    ]
    assert [[member.name for member in one.members] for one in grouped(runs)] == [
        ["a-0", "a-1"], ["b-0", "b-1"],
    ]  # fmt: skip


def test_a_run_named_twice_is_refused() -> None:
    run = measured("sim", 0.4)
    with pytest.raises(DataError, match="sim is named twice"):
        grouped([run, run])


ALONE, TEN, ALL = (invented(name, photos, 0, True) for name, photos in (("sim", 0), ("sim10", 10), ("sim52", 52)))
PHOTOS = invented("photos52", 52, 0, simulation=False)


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ((PHOTOS, TEN, ALONE), "sim: the first run that saw no photo"),
        (
            (PHOTOS, TEN, ALL),
            "sim52: every run from simulation saw photos; this one saw the most, 52",
        ),
        ((PHOTOS, TEN), "sim10: every run from simulation saw photos; this one saw the most, 10"),
        ((PHOTOS,), "photos52: the first run, as none is known to have started from simulation"),
    ],
)
def test_the_run_to_look_at_is_from_simulation_wherever_one_is(runs: tuple[Invented, ...], words: str) -> None:
    run, why = run_to_look_at(runs, None)
    assert (why, run.folder.name) == (words, words.partition(":")[0])
    named, why = run_to_look_at(runs, "photos52")
    assert (named, why) == (PHOTOS, "photos52: named with --run-to-look-at")
    with pytest.raises(DataError, match="--run-to-look-at other: there are "):
        run_to_look_at(runs, "other")


def test_a_run_from_simulation_on_photos_of_unknown_number_is_looked_at_before_photos_alone() -> None:
    class Unknown(Invented):
        photos = None  # type: ignore[assignment]
        arm = "simulation"  # type: ignore[assignment]

    unknown = Unknown(Path("old"), PHOTOS.categories, 100, 3600.0, 64, PHOTOS.experiment)
    words = "old: every run from simulation saw photos; this one saw a number that is not known"
    assert run_to_look_at([PHOTOS, unknown], None) == (unknown, words)
    assert run_to_look_at([unknown, TEN], None)[0] is TEN


def test_a_group_has_the_mean_of_its_seeds_and_each_seed(groups: list[RunGroup]) -> None:
    row = performance(groups[1], SCENES, SESSIONS)
    own = [run_row(one).real.ap50.value for one in groups[1].members]
    assert row.by_seed == pytest.approx(own)
    assert row.real.ap50.value == pytest.approx(np.mean([value or 0.0 for value in own]))
    assert (row.real.ap50.seeds, row.real.ap50.n, row.real.ap50.n_units) == (2, 18, 6)
    assert row.real.ap50.low is not None
    assert row.by_session == ()


def test_with_few_sessions_there_are_values_by_session_and_no_interval() -> None:
    few = PhotoSessions(np.repeat(np.arange(3), 6), "pattern", "by hand")
    group = RunGroup((measured("sim", 0.3, sessions=few),))
    row = performance(group, SCENES, few)
    assert row.real.ap50.low is None
    assert "5 sessions are needed, and there are 3" in row.real.ap50.note
    assert len(row.by_session) == 3
    assert gap(group, SCENES, few).low is None


def test_differences_are_paired_by_seed(groups: list[RunGroup]) -> None:
    values = paired(groups[1], groups[2])
    assert values.shape[0] == 2
    for k, row in enumerate(values):
        a, b = groups[1].members[k], groups[2].members[k]
        assert a.run.seed == b.run.seed
        assert row == pytest.approx(a.on_real.ap50 - b.on_real.ap50)
    (first, *_), rows = comparisons(groups, SESSIONS), len(comparisons(groups, SESSIONS))
    assert rows == 3
    assert (first.first, first.second) == ("sim", "sim10-s")
    assert first.difference.value is not None
    assert first.difference.value < 0
    assert first.difference.p_holm is not None
    assert first.difference.p is not None
    assert first.difference.p_holm >= first.difference.p
    assert smallest(groups, SESSIONS).status == "measured"
    assert smallest(groups[:1], SESSIONS).note == "Two runs are needed."


def test_the_gap_is_that_of_a_run_that_saw_no_photo(groups: list[RunGroup]) -> None:
    figure = gap(groups[0], SCENES, SESSIONS)
    member = groups[0].members[0]
    assert figure.value == pytest.approx(100 * float(member.on_sim.ap50[0] - member.on_real.ap50[0]))
    assert figure.low is not None
    assert gap(groups[1], SCENES, SESSIONS).note == "sim10-s saw 10 photos. The gap needs a run that saw none."


def test_the_first_sentence_is_of_the_most_photos_after_simulation_however_bad_it_is(groups: list[RunGroup]) -> None:
    rows = [performance(one, SCENES, SESSIONS) for one in groups]
    assert headline(rows).name == "sim10-s"
    assert headline(rows[::-1]).name == "sim10-s"
    text = sentence(rows, "photos")
    assert text.startswith("With simulation and 10 labelled photos the detector reaches AP50 0.")
    assert re.search(r"\] on the test photos; with the 10 photos alone, 0\.", text)
    stand_in = sentence(rows[:1], "stand-in photos")
    assert stand_in.endswith("] on the stand-in photos.")
    more = lead(rows, comparisons(groups, SESSIONS), label_efficiency(groups, SESSIONS, None, NO_SCENES), "photos")
    assert "Simulation alone reaches 0." in more
    assert "Simulation first raises AP50 by" in more
    assert sentence(rows[:1], "photos").startswith("With simulation alone the detector reaches")
    only = sentence([row for row in rows if row.arm == "photos"], "photos")
    assert only.startswith("With 10 labelled photos alone the detector reaches AP50 0.")
    assert "; with the" not in only
    unknown = [replace(rows[0], photos=None)]  # a run before it left no record
    assert sentence(unknown, "photos").startswith("With simulation and labelled photos whose number is not known the")
    assert colour(unknown[0]) == "both"
    assert [colour(row) for row in rows[:2]] == ["sim", "both"]


def test_too_few_runs_say_which_are_missing_and_how_long_they_take(groups: list[RunGroup]) -> None:
    got = label_efficiency(groups, SESSIONS, 52, NO_SCENES)
    assert got.worth.status == "not_measured"
    assert got.worth_in_words == "not known"
    assert got.missing == (
        "simulation first: 2 runs of other seeds on 0 photos",
        "simulation first: 3 runs of other seeds on each of 1, 2, 5, 20 and 52 photos",
        "simulation first: 1 run of other seeds on 10 photos",
        "photos alone: 3 runs of other seeds on each of 1, 2, 5, 20 and 52 photos",
        "photos alone: 1 run of other seeds on 10 photos",
    )
    assert got.missing_hours.value == pytest.approx(2 + 5 * 3 + 1 + 5 * 3 + 1)  # each run took an hour
    assert [point.photos for point in got.photos] == [10]
    assert got.stop.startswith("Not known. Runs on 4 numbers")


class Known(Resampled):
    """A run whose AP50 is given, on all photos and on each draw."""

    ap50: np.ndarray = np.zeros(0)  # type: ignore[assignment]


def curve_runs(first: dict[int, float], alone: dict[int, float]) -> list[RunGroup]:
    """Three seeds of each number of photos, with AP50 near the one given."""
    rng, example, groups = np.random.default_rng(0), measured("sim", 0.4), []
    for arm, simulation in ((first, True), (alone, False)):
        for number, ap50 in arm.items():
            members = []
            for seed in range(3):
                run = invented(f"{number}-{simulation}-s{seed}", number, seed, simulation)
                drawn = Known(example.on_real.matched, example.on_real.weights)
                object.__setattr__(drawn, "ap50", np.concatenate([[ap50], rng.normal(ap50, 0.01, 60)]))
                members.append(replace(example, run=run, on_real=drawn))
            groups += grouped(members)
    return groups


def test_simulation_is_worth_the_photos_that_reach_as_much_alone() -> None:
    """0.5 lies halfway between 3 and 7 photos, so that one photo with simulation does the work of 4.66."""
    got = label_efficiency(curve_runs({1: 0.5}, {1: 0.2, 3: 0.4, 7: 0.6, 15: 0.7}), SESSIONS, None, NO_SCENES)
    assert got.worth.value == pytest.approx(2**2.5 - 2)
    assert got.worth.low is not None
    assert got.worth.high is not None
    assert got.worth.value - 1.5 < got.worth.low < got.worth.value < got.worth.high < got.worth.value + 1.5
    assert (got.worth_at, got.missing, got.high_is_all) == (1, (), False)
    assert got.worth_in_words.startswith("4 photos [")


def test_an_interval_that_reaches_the_end_of_the_curve_is_open() -> None:
    got = label_efficiency(curve_runs({1: 0.695}, {1: 0.2, 3: 0.4, 7: 0.6, 15: 0.7}), SESSIONS, None, NO_SCENES)
    assert got.high_is_all
    assert got.worth.high == 14.0
    assert got.worth_in_words.endswith("to more than all]")


def test_more_than_all_photos_is_said_and_not_a_number() -> None:
    got = label_efficiency(curve_runs({1: 0.9}, {1: 0.2, 3: 0.4, 7: 0.6, 15: 0.7}), SESSIONS, None, NO_SCENES)
    assert got.worth.status == "not_measured"
    assert got.worth_in_words.startswith("more than all: 15 photos alone do not reach")
    assert got.high_is_all


@pytest.mark.parametrize(("last", "word"), [(0.801, "Stop"), (0.95, "Not yet")])
def test_labelling_stops_where_ten_more_photos_bring_less_than_half_a_point(last: float, word: str) -> None:
    curve = {0: 0.3, 5: 0.799, 10: 0.8, 20: last} if word == "Stop" else {0: 0.3, 5: 0.6, 10: 0.8, 20: last}
    got = label_efficiency(curve_runs(curve, {}), SESSIONS, None, NO_SCENES)
    assert got.stop.startswith(word)
    assert got.gain_of_ten.value is not None
    assert (got.gain_of_ten.value > 0.5) == (word == "Not yet")
    assert word != "Stop" or got.stop.endswith("less than 0.5 points of AP50.")


def test_the_interval_of_ten_more_photos_is_of_the_middle_nine_tenths_of_the_draws() -> None:
    groups = curve_runs({0: 0.3, 5: 0.6, 10: 0.8, 20: 0.9}, {})
    values = drawn({group.photos or 0: group for group in groups})
    errors, numbers = 1 - np.array([values[n] for n in (0, 5, 10, 20)]), np.array([0.0, 5.0, 10.0, 20.0])
    gains = [fitted(numbers, errors[:, k]).gain(20) for k in range(1, errors.shape[1])]
    got = label_efficiency(groups, SESSIONS, None, NO_SCENES).gain_of_ten
    assert (got.low, got.high) == pytest.approx(tuple(np.quantile(gains, (0.05, 0.95))))


SCALING = {
    "Other scenes": ({80: 0.58, 160: 0.599, 320: 0.6, 640: 0.6}, 0.0005),
    "More scenes": ({80: 0.2, 160: 0.35, 320: 0.48, 640: 0.58}, 0.0005),
    "Not decided": ({80: 0.5, 160: 0.55, 320: 0.57, 640: 0.58}, 0.02),
}


@pytest.mark.parametrize(("word", "curve", "noise"), [(word, *given) for word, given in SCALING.items()], ids=SCALING)
def test_more_scenes_pay_where_twice_as_many_bring_more_than_half_a_point(
    word: str, curve: dict[int, float], noise: float
) -> None:
    example, groups, rng = measured("sim", 0.4), [], np.random.default_rng(0)
    for number, ap50 in curve.items():
        run = invented(f"sim-{number}", 0, 0, True)
        assert run.experiment is not None
        record = replace(run.experiment, trained_on=tuple(map(str, range(number))), data_sha256="same")
        drawn = Known(example.on_real.matched, example.on_real.weights)
        object.__setattr__(drawn, "ap50", np.concatenate([[ap50], ap50 + rng.normal(0, noise, 60)]))
        groups += grouped([replace(example, run=replace(run, experiment=record), on_real=drawn)])
    got = scenes(groups, SESSIONS)
    assert got.stop.startswith(word)
    assert [point.scenes for point in got.points] == [80, 160, 320, 640]
    gain = got.gain_of_double
    assert gain.low is not None
    assert gain.high is not None
    assert (gain.low >= 0.5, gain.high < 0.5) == (word == "More scenes", word == "Other scenes")
    assert got.left.value is not None
    assert scenes(groups[:3], SESSIONS).stop.startswith("Not known. Runs on 4 numbers of scenes")
    assert scenes(groups[:3], SESSIONS).gain_of_double.status == "not_measured"


def test_the_point_without_photos_is_the_run_with_the_most_scenes() -> None:
    few, many = measured("few", 0.4), measured("many", 0.1)
    assert few.run.experiment is not None
    less = replace(few.run, experiment=replace(few.run.experiment, trained_on=("a",)))
    got = label_efficiency(grouped([replace(few, run=less), many]), SESSIONS, None, NO_SCENES)
    assert [point.by_seed for point in got.simulation] == [(float(many.on_real.ap50[0]),)]
