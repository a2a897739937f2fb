"""Intervals over sessions: against formulas by hand, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from hybrid.core.errors import DataError
from pipelines.gap.sessions import difference_interval, session_weights, sessions_of, share_interval


def test_photos_of_a_session_share_all_of_the_name_but_the_last_number() -> None:
    names = ["0-7_c1.jpg", "0-7_c2.jpg", "0-7_g1.jpg", "a/0-7_c1.jpg", "0-7_c12.jpg"]
    assert sessions_of(names).tolist() == [0, 0, 1, 2, 0]
    assert sessions_of(["x-1.png", "y-2.png"], r"-(\d)").tolist() == [0, 1]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "no regular expression"), ("a", "a group"), ("(b)", "does not fit 1 of 2 names, such as a1")],
)
def test_a_pattern_that_does_not_fit_is_named(pattern: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        sessions_of(["a1", "b2"], pattern)


def test_draws_take_whole_sessions_and_as_many_as_there_are() -> None:
    sessions = np.array([0, 0, 1, 1, 1, 2])
    weights = session_weights(sessions, 200)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 5]].sum(1) == 3).all()
    assert weights[:, 0].std() > 0.5


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
