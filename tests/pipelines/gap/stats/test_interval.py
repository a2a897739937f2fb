"""Intervals over sessions: against formulas by hand, and how often they hold the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from pipelines.gap.schema.figure import Figure, counted
from pipelines.gap.sessions import session_weights
from pipelines.gap.stats.interval import (
    difference_figure,
    difference_interval,
    holm,
    mean_figure,
    share_figure,
    share_interval,
    smallest_difference,
    spread,
    unpaired_figure,
)


def test_one_seed_gives_a_t_interval_of_the_sessions_alone() -> None:
    draws = np.random.default_rng(0).normal(0.0, 0.02, (1, 4000))
    got = difference_interval([0.1], draws, 6)
    error = draws.std(ddof=1) * np.sqrt(6 / 5)
    assert got.high is not None
    assert got.high - 0.1 == pytest.approx(student.ppf(0.975, 5) * error)


def test_seeds_add_their_variance_and_the_degrees_of_freedom_are_those_of_welch() -> None:
    draws = np.random.default_rng(0).normal(0.0, 0.02, (3, 4000))
    values = [0.05, 0.10, 0.15]
    got = difference_interval(values, draws, 8)
    one, two = draws.mean(0).var(ddof=1) * 8 / 7, np.var(values, ddof=1) / 3
    freedom = (one + two) ** 2 / (one**2 / 7 + two**2 / 2)
    assert got.low is not None
    assert 0.1 - got.low == pytest.approx(student.ppf(0.975, freedom) * np.sqrt(one + two))


def test_a_share_stays_between_0_and_1_and_is_wider_towards_the_middle() -> None:
    draws = np.random.default_rng(0).normal(0.97, 0.02, (1, 4000))
    got = share_interval([0.97], draws, 6)
    assert got.low is not None
    assert got.high is not None
    assert 0 < got.low < 0.97 < got.high < 1
    assert 0.97 - got.low > got.high - 0.97


def test_fewer_than_five_sessions_give_no_interval() -> None:
    draws = np.random.default_rng(0).normal(0.9, 0.02, (1, 50))
    assert share_interval([0.9], draws, 4).low is None
    assert difference_interval([0.1], draws, 4).high is None
    assert share_interval([0.9], draws, 5).low is not None


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Means of 6 sessions of 4 photos that differ by session: 95 % intervals, 300 worlds."""
    rng = np.random.default_rng(1)
    held = 0
    sessions = np.repeat(np.arange(6), 4)
    for world in range(300):
        photos = rng.normal(0, 0.1, 6)[sessions] + rng.normal(0, 0.05, 24)
        weights = session_weights(sessions, 200, world)
        got = difference_interval([float(photos.mean())], (weights @ photos / 24)[None], 6)
        assert got.low is not None
        assert got.high is not None
        held += got.low <= 0 <= got.high
    assert 0.90 <= held / 300 <= 0.98


def test_shares_in_sessions_by_photos_hold_the_truth_too_seldom_and_by_sessions_as_often_as_they_say() -> None:
    """Recall of 12 sessions of 4 photos of 10 objects, whose difficulty the session shares; 200 worlds."""
    rng = np.random.default_rng(3)
    sessions, photos = np.repeat(np.arange(12), 4), np.arange(48)
    difficulty = rng.normal(1.0, 1.0, 20_000)
    truth = float((1 / (1 + np.exp(-difficulty))).mean())
    held = dict.fromkeys(("sessions", "photos"), 0)
    for world in range(200):
        easy = rng.normal(1.0, 1.0, 12)[sessions]
        found = rng.binomial(10, 1 / (1 + np.exp(-easy)))
        for name, units in (("sessions", sessions), ("photos", photos)):
            draws = session_weights(units, 200, world)
            share = (draws @ found) / (draws.sum(1) * 10)
            got = share_interval([float(found.mean() / 10)], share[None], int(units.max()) + 1)
            assert got.low is not None
            assert got.high is not None
            held[name] += got.low <= truth <= got.high
    assert held["sessions"] >= 0.90 * 200
    assert held["photos"] <= 0.80 * 200


def normal(middle: float, seeds: int = 1) -> np.ndarray:
    return np.random.default_rng(0).normal(middle, 0.02, (seeds, 2000))


def test_a_share_says_what_it_counts_and_that_one_seed_holds_no_training_noise() -> None:
    one, three = share_figure([0.9], normal(0.9), 6, "AP50", 24), share_figure([0.9] * 3, normal(0.9, 3), 6, "AP50", 24)
    assert (one.n, one.n_units, one.seeds, one.unit) == (24, 6, 1, "AP50")
    assert "no training noise" in one.note
    assert three.note == ""


def test_without_an_interval_the_value_stays_and_the_note_says_why() -> None:
    few = share_figure([0.9], normal(0.9), 4, "AP50", 16)
    assert (few.value, few.low, few.high) == (0.9, None, None)
    assert "5 sessions are needed, and there are 4" in few.note
    same = share_figure([1.0], np.ones((1, 50)), 8, "AP50", 16)
    assert (same.value, same.low) == (1.0, None)
    assert "nothing varies" in same.note
    assert smallest_difference([0.0], np.zeros((1, 50)), 8, 16).status == "not_measured"


def test_an_interval_of_a_share_near_1_holds_it_and_a_rate_is_never_under_0() -> None:
    share = share_figure([0.9999], np.random.default_rng(0).uniform(0.999, 1.0, (1, 200)), 6, "AP50", 24)
    assert share.high is not None
    assert share.value is not None
    assert share.value <= share.high <= 1.0
    rate = mean_figure([0.01], normal(0.01), 6, "a photo", 24)
    assert rate.low == 0.0


def test_a_draw_without_a_value_is_left_out() -> None:
    draws = normal(0.5)
    draws[0, :100] = np.nan
    found, other = spread([0.5], draws, 6), spread([0.5], draws[:, 100:], 6)
    assert found is not None
    assert found == other
    assert spread([0.5], np.full((1, 10), np.nan), 6) is None


def test_a_difference_is_in_points_and_its_p_is_of_students_t() -> None:
    draws = normal(0.03)
    got = difference_figure([0.03], draws, 6, "points of AP50", 24)
    error = 100 * draws.std(ddof=1) * np.sqrt(6 / 5)
    assert got.value == pytest.approx(3.0)
    assert got.p == pytest.approx(2 * student.sf(3.0 / error, 5))
    assert got.low is not None
    assert got.low == pytest.approx(3.0 - student.ppf(0.975, 5) * error)


def test_of_two_data_sets_the_variances_of_both_and_of_the_seeds_add() -> None:
    """By hand, with the degrees of freedom of Welch and Satterthwaite. The seeds' values are those of all photos."""
    rng, seeds = np.random.default_rng(3), np.array([[0.80, 0.86, 0.89], [0.61, 0.62, 0.75]])
    first, second = (np.c_[own, rng.normal(own.mean(), wide, (1, 500)).repeat(3, 0)]
                     for own, wide in zip(seeds, (0.01, 0.03), strict=True))  # fmt: skip
    by_seed = 100 * (seeds[0] - seeds[1])
    terms = [
        (1e4 * first[0, 1:].var(ddof=1) * 40 / 39, 39),
        (1e4 * second[0, 1:].var(ddof=1) * 6 / 5, 5),
        (by_seed.var(ddof=1) / 3, 2),
    ]
    whole = sum(variance for variance, _ in terms)
    freedom = whole**2 / sum(variance**2 / own for variance, own in terms)
    got = unpaired_figure(first, second, 40, 6, "points")
    assert got.value == pytest.approx(by_seed.mean())
    assert got.low == pytest.approx(by_seed.mean() - student.ppf(0.975, freedom) * np.sqrt(whole))
    assert got.p == pytest.approx(2 * student.sf(by_seed.mean() / np.sqrt(whole), freedom))
    assert unpaired_figure(first, second, 40, 4, "points").low is None


def test_an_interval_leaves_out_zero_where_p_is_under_a_twentieth_and_only_there() -> None:
    for value in np.linspace(0.0, 0.1, 41):
        got = difference_figure([float(value)], normal(0.0), 6, "points", 24)
        assert got.p is not None
        assert got.leaves_out_zero == (got.p < 0.05)


def test_the_smallest_difference_is_2_8_standard_errors() -> None:
    draws = normal(0.0)
    got = smallest_difference([0.0], draws, 6, 24)
    assert got.value == pytest.approx(2.8 * 100 * draws.std(ddof=1) * np.sqrt(6 / 5))


def with_p(p: float | None) -> Figure:
    return replace(counted(1.0, "points"), p=p)


def test_holm_multiplies_the_smallest_p_by_all_and_never_falls() -> None:
    got = holm({name: with_p(p) for name, p in (("a", 0.04), ("b", 0.01), ("c", 0.03), ("d", None), ("e", 0.9))})
    expected = {"a": 0.09, "b": 0.04, "c": 0.09, "e": 0.9}
    assert {name: got[name].p_holm for name in expected} == pytest.approx(expected)
    assert got["d"].p_holm is None
    assert holm({"a": with_p(0.6), "b": with_p(0.7)})["a"].p_holm == 1.0
    assert holm({}) == {}
