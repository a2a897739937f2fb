"""Coverage: hand cases, an independent ICC, and how often a simulation that covers is blamed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway, nct, norm

from pipelines.gap.stats.coverage import Outside, icc, independent, noncentral_t, outside, share_outside

SESSIONS = np.repeat(np.arange(12), 4)


def one_each(values: np.ndarray) -> list[np.ndarray]:
    return [np.array([value]) for value in values]


def photos(middle: float, between: float, within: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return middle + rng.normal(0, between, 12)[SESSIONS] + rng.normal(0, within, 48)


def judged(real: np.ndarray, scenes: int = 200, floor: float = -np.inf, spread: float = 1.0) -> Outside:
    simulated = np.random.default_rng(9).normal(0, spread, scenes)
    return outside({"a": one_each(simulated)}, {"a": one_each(real)}, SESSIONS, {"a": floor})["a"]


def test_shares_are_counted_over_all_values_by_hand() -> None:
    values = [np.array([1.0, 2.0, 3.0]), np.array([4.0]), np.array([]), np.array([0.5, 0.6, 9.0, 0.1])]
    got = share_outside(values, 2.5, np.array([0, 1, 2, 3]))
    assert (got.value, got.n, got.n_units) == (pytest.approx(3 / 8), 8, 4)


def test_a_narrow_reality_inside_a_wide_simulation_is_covered_however_far_the_distributions_are() -> None:
    got = judged(photos(0.0, 0.05, 0.05))
    assert (got.below.value, got.above.value) == (0.0, 0.0)
    assert got.verdict == "covered"
    assert got.beyond == ()
    assert got.above.high is not None
    assert got.above.high < 0.02


def test_reality_near_the_limit_with_few_sessions_is_not_called_covered() -> None:
    got = judged(np.where(SESSIONS % 2, 1.5, 0.0) - abs(photos(0.0, 0.0, 0.05)))
    assert got.above.value == 0.0
    assert got.verdict == "not_decided"


def test_a_bound_of_a_normal_population_is_that_of_the_tables() -> None:
    """Factor 2.155 bounds 90 % with 95 % confidence from 13 values (NIST handbook, 7.2.6.3; ISO 16269-6)."""
    values = np.random.default_rng(1).normal(0, 1, 13)
    values = (values - values.mean()) / values.std(ddof=1)
    limit = 2.155
    assert values.max() < limit
    got = share_outside(one_each(values), limit, np.arange(13))
    assert got.high == pytest.approx(0.10, abs=0.001)


@pytest.mark.parametrize(("limit", "verdict"), [(1.9, "covered"), (1.8, "not_decided")])
def test_a_side_is_covered_where_at_most_a_tenth_can_lie_beyond(limit: float, verdict: str) -> None:
    """Factor 1.853 bounds 90 % with 95 % confidence from 24 values (NIST handbook, 7.2.6.3; ISO 16269-6)."""
    values = norm.ppf((np.arange(24) + 0.5) / 24).clip(-1.2, 1.2)  # all of them under the limit
    values = (values - values.mean()) / values.std(ddof=1)
    simulated = np.linspace(-limit / 0.9, limit / 0.9, 1001)  # with its 5 % and 95 % marks at the limit
    got = outside({"a": one_each(simulated)}, {"a": one_each(values)}, np.arange(24), {})["a"]
    assert (got.below.value, got.above.value, got.verdict) == (0.0, 0.0, verdict)


@pytest.mark.parametrize(("middle", "side"), [(2.5, "above"), (-2.5, "below")])
def test_reality_beyond_the_range_is_told_with_its_side(middle: float, side: str) -> None:
    got = judged(photos(middle, 0.5, 0.2))
    assert (got.verdict, got.beyond) == ("beyond", (side,))


def test_photos_that_all_lie_beyond_are_told_by_their_sessions_by_hand() -> None:
    """All of 12 sessions: p is 0.05 ** 12, and the exact lower bound 0.025 ** (1 / 12)."""
    got = judged(photos(9.0, 0.1, 0.1))
    assert (got.verdict, got.beyond, got.above.value, got.above.high) == ("beyond", ("above",), 1.0, 1.0)
    assert got.above.low == pytest.approx(0.025 ** (1 / 12))
    assert got.above.p == pytest.approx(0.05**12)


def test_photos_of_one_odd_session_are_not_beyond() -> None:
    real = photos(0.0, 0.1, 0.1)
    real[:4] = 9.0  # 8 % of the photos, all of one session
    got = judged(real)
    assert got.above.value == pytest.approx(4 / 48)
    assert got.verdict == "not_decided"


def test_too_little_data_says_what_it_takes() -> None:
    few = outside({"a": one_each(np.zeros(99))}, {"a": one_each(np.zeros(19))}, np.arange(19) % 5, {})["a"]
    assert few.verdict == "too_few"
    assert few.below.note == "Too few: 5 of 6 sessions, 19 of 20 photos, 99 of 100 scenes."


def test_values_under_the_floor_cannot_be_told_but_one_side_over_it_can() -> None:
    under = photos(0.1, 0.01, 0.01)
    both = outside({"n": one_each(np.full(200, 0.2))}, {"n": one_each(under)}, SESSIONS, {"n": 0.29})["n"]
    assert both.verdict == "cannot_be_told"
    simulated = np.random.default_rng(0).uniform(1.0, 3.0, 200)
    told = outside({"n": one_each(simulated)}, {"n": one_each(under)}, SESSIONS, {"n": 0.29})["n"]
    assert told.below.value == 1.0
    assert told.above.value == 0.0
    over = outside({"n": one_each(np.full(200, 0.2))}, {"n": one_each(under + 0.5)}, SESSIONS, {"n": 0.29})["n"]
    assert (over.verdict, over.beyond) == ("beyond", ("above",))  # of photos over the floor, by hand: all lie above


def test_p_is_corrected_over_statistics_and_sides() -> None:
    real = photos(1.2, 0.6, 0.3)
    simulated = one_each(np.random.default_rng(9).normal(0, 1, 200))
    one = outside({"a": simulated}, {"a": one_each(real)}, SESSIONS, {})["a"].above
    names = [f"s{k}" for k in range(10)]
    many = outside(dict.fromkeys(names, simulated), {n: one_each(real) for n in names}, SESSIONS, {})["s0"].above
    assert one.p is not None
    assert one.p_holm == pytest.approx(2 * one.p)
    assert many.p_holm == pytest.approx(min(1.0, 20 * one.p))


def test_a_simulation_like_reality_is_seldom_blamed() -> None:
    """40 worlds of 12 sessions; 5 % by chance are expected, corrected over both sides."""
    simulated = one_each(norm.ppf((np.arange(400) + 0.5) / 400))
    blamed = 0
    for seed in range(40):
        real = photos(0.0, 0.8, 0.6, seed)
        blamed += outside({"a": simulated}, {"a": one_each(real)}, SESSIONS, {})["a"].verdict == "beyond"
    assert blamed <= 4


def test_icc_is_that_of_the_analysis_of_variance() -> None:
    values = photos(0.0, 1.0, 0.5)
    ratio = f_oneway(*(values[k == SESSIONS] for k in range(12))).statistic
    assert icc(values, SESSIONS) == pytest.approx((ratio - 1) / (ratio + 3))  # four photos a session
    assert icc(np.arange(6.0), np.zeros(6, int)) is None
    assert icc(np.arange(6.0), np.arange(6)) is None
    assert icc(np.ones(6), np.array([0, 0, 1, 1, 2, 2])) is None


def test_icc_of_sessions_of_unequal_size_by_hand() -> None:
    values, sessions = np.array([1.0, 3.0, 6.0]), np.array([0, 0, 1])
    between, within, size = 2 * (2 - 10 / 3) ** 2 + (6 - 10 / 3) ** 2, 2.0, 3 - 5 / 3
    assert icc(values, sessions) == pytest.approx((between - within) / (between + (size - 1) * within))


def test_photos_of_a_session_that_are_alike_are_worth_one() -> None:
    alike = np.repeat(np.random.default_rng(0).normal(size=12), 4)
    assert independent(alike, SESSIONS) == pytest.approx(12.0)
    assert independent(np.random.default_rng(0).normal(size=48), SESSIONS) > 30


@pytest.mark.parametrize(("x", "freedom", "shift", "wanted"), [(1.846, 99.0, 37.19, 0.0), (-3.0, 51.0, 11.86, 0.0)])
def test_far_in_the_tails_there_is_a_number_where_scipy_has_none(
    x: float, freedom: float, shift: float, wanted: float
) -> None:
    assert noncentral_t(x, freedom, shift) == pytest.approx(wanted, abs=1e-9)


def test_the_approximation_is_near_the_exact_value(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [(5.0, 30.0, 4.0), (12.0, 60.0, 11.0), (2.0, 20.0, -1.0)]
    exact = [noncentral_t(*case) for case in cases]
    monkeypatch.setattr(nct, "cdf", lambda *_: np.nan)
    assert [noncentral_t(*case) for case in cases] == pytest.approx(exact, abs=0.01)


def test_a_reality_that_hardly_varies_in_a_very_wide_simulation_gives_bounds() -> None:
    for spread in (1.0, 10.0, 100.0, 1000.0):
        got = judged(photos(0.0, 1e-3, 1e-3), spread=spread)
        assert (got.below.value, got.above.value) == (0.0, 0.0)
        assert got.above.high is not None
        assert 0.0 < got.above.high < 0.05


def test_values_that_are_all_the_same_are_worth_a_session_each_whatever_their_rounding() -> None:
    got = share_outside([np.array([-0.29])] * 52, -0.29, np.repeat(np.arange(13), 4))
    assert np.full(52, -0.29).std(ddof=1) > 0.0  # the sum rounds
    assert got.high == pytest.approx(1 - 0.05 ** (1 / 13))
