"""Figures with intervals over sessions and training seeds, paired differences, and the correction for several of them.

Photos of a session are alike, so intervals that resample photos are far too narrow (of 95 % intervals over 6 sessions
of 4 photos, 70 % held the truth; over sessions with Student's t, 93 %). The variance is that of a bootstrap over whole
sessions, times S / (S - 1), plus that of the training's seeds, divided by their number (B. Efron and R. Tibshirani, An
Introduction to the Bootstrap, 1993, ch. 6 and 13). The degrees of freedom are those of F. Satterthwaite (1946) and
B. Welch (1947). The interval of a share is made on the logit scale, so that it stays between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from pipelines.gap.schema.figure import Figure, counted, not_measured

LEAST_SESSIONS = 5  # fewer give no interval
LEVEL = 0.95
SEEN_AT = 2.8  # standard errors of a difference that is seen 4 times out of 5: 1.96 + 0.84
ONE_SEED = "One training seed: no training noise is in the interval."
Draws = Float[np.ndarray, "seeds draws"]


@dataclass(frozen=True)
class Interval:
    """A value and its interval; low and high are None where there are too few sessions."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Spread:
    """The standard error of a mean over seeds, and its degrees of freedom."""

    error: float
    freedom: float

    @property
    def half_width(self) -> float:
        return float(student.ppf((1 + LEVEL) / 2, self.freedom)) * self.error

    def p_two_sided(self, value: float) -> float:
        """Of the hypothesis that the true value is 0."""
        return float(2 * student.sf(abs(value) / self.error, self.freedom))


def spread(by_seed: Sequence[float], draws: Draws, sessions: int) -> Spread | None:
    """The spread over sessions and seeds; None: fewer than five sessions, or nothing varies between them.

    Args:
        by_seed: the value of each training seed, on all photos.
        draws: the same on each draw of the sessions, the same draws for all seeds; NaN where it has no value.
        sessions: how many there are.
    """
    means = draws.mean(0)
    means = means[np.isfinite(means)]
    if sessions < LEAST_SESSIONS or len(means) < 2:
        return None
    of_sessions = float(means.var(ddof=1)) * sessions / (sessions - 1)
    seeds = len(by_seed)
    of_seeds = float(np.var(by_seed, ddof=1)) / seeds if seeds > 1 else 0.0
    whole = of_sessions + of_seeds
    if whole <= 1e-18:
        return None
    parts = of_sessions**2 / (sessions - 1) + (of_seeds**2 / (seeds - 1) if seeds > 1 else 0.0)
    return Spread(float(np.sqrt(whole)), whole**2 / parts)


def share_interval(by_seed: Sequence[float], draws: Draws, sessions: int) -> Interval:
    """The interval of a mean over seeds of a share in 0..1, such as AP50. Arguments as in `spread`."""
    value, found = float(np.mean(by_seed)), spread(by_seed, draws, sessions)
    if found is None:
        return Interval(value, None, None)
    middle = float(np.clip(value, 1e-3, 1 - 1e-3))
    half = found.half_width / (middle * (1 - middle))  # of the logit
    logit = np.log(middle / (1 - middle))
    low, high = (float(1 / (1 + np.exp(-(logit + sign * half)))) for sign in (-1, 1))
    return Interval(value, min(low, value), max(high, value))


def difference_interval(by_seed: Sequence[float], draws: Draws, sessions: int) -> Interval:
    """As `share_interval`, for a paired difference of two runs, on its own scale."""
    value, found = float(np.mean(by_seed)), spread(by_seed, draws, sessions)
    if found is None:
        return Interval(value, None, None)
    return Interval(value, value - found.half_width, value + found.half_width)


def share_figure(by_seed: Sequence[float], draws: Draws, sessions: int, unit: str, photos: int) -> Figure:
    """The figure of a share, such as AP50, with its interval. Arguments as in `spread`."""
    found = share_interval(by_seed, draws, sessions)
    method = "mean over seeds; 95 % t interval over sessions, on the logit scale"
    return _figure(found, unit, method, photos, sessions, len(by_seed))


def mean_figure(by_seed: Sequence[float], draws: Draws, sessions: int, unit: str, photos: int) -> Figure:
    """The figure of a rate that is not negative, such as false alarms a photo."""
    found = difference_interval(by_seed, draws, sessions)
    if found.low is not None:
        found = Interval(found.value, max(0.0, found.low), found.high)
    return _figure(found, unit, "mean over seeds; 95 % t interval over sessions", photos, sessions, len(by_seed))


def difference_figure(
    by_seed: Sequence[float], draws: Draws, sessions: int, unit: str, photos: int, scale: float = 100.0
) -> Figure:
    """The figure of a paired difference, times `scale`, with its p. `by_seed` and `draws` hold differences."""
    values, scaled = [scale * value for value in by_seed], scale * draws
    found, width = difference_interval(values, scaled, sessions), spread(values, scaled, sessions)
    method = "paired by sessions and seeds; 95 % t interval over sessions"
    figure = _figure(found, unit, method, photos, sessions, len(by_seed))
    return figure if width is None else replace(figure, p=width.p_two_sided(found.value))


def unpaired_figure(
    first: Float[np.ndarray, "seeds draws1"],
    second: Float[np.ndarray, "seeds draws2"],
    first_units: int,
    second_units: int,
    unit: str,
    scale: float = 100.0,
) -> Figure:
    """The difference of the same runs on two data sets, times `scale`. Column 0 holds the values on all of each set.

    The variances of both sets add, and that of the seeds' differences; degrees of freedom by Welch and Satterthwaite.
    """
    by_seed = scale * (first[:, 0] - second[:, 0])
    value, seeds = float(by_seed.mean()), len(by_seed)
    parts = [
        spread([float(scale * one[:, 0].mean())], scale * one[:, 1:].mean(0, keepdims=True), units)
        for one, units in ((first, first_units), (second, second_units))
    ]
    units = min(first_units, second_units)
    if units < LEAST_SESSIONS:
        return _figure(Interval(value, None, None), unit, "", 0, units, seeds)
    terms = [(part.error**2, part.freedom) for part in parts if part is not None]
    terms += [(float(by_seed.var(ddof=1)) / seeds, seeds - 1.0)] if seeds > 1 else []
    whole = sum(variance for variance, _ in terms)
    if whole <= 0:
        return _figure(Interval(value, None, None), unit, "", 0, units, seeds)
    found = Spread(float(np.sqrt(whole)), whole**2 / sum(variance**2 / freedom for variance, freedom in terms))
    interval = Interval(value, value - found.half_width, value + found.half_width)
    figure = _figure(interval, unit, "two data sets; 95 % t interval over scenes and sessions", 0, units, seeds)
    return replace(figure, p=found.p_two_sided(value))


def smallest_difference(by_seed: Sequence[float], draws: Draws, sessions: int, photos: int) -> Figure:
    """The difference of two runs that these photos would show 4 times out of 5, in points of AP50."""
    unit = "points of AP50"
    width = spread([100 * value for value in by_seed], 100 * draws, sessions)
    if width is None:
        return not_measured(_why_none(sessions), unit)
    value = float(SEEN_AT * width.error)
    return replace(
        counted(value, unit, photos), method="2.8 standard errors of the paired difference", n_units=sessions
    )


def holm(family: Mapping[str, Figure]) -> dict[str, Figure]:
    """The figures with `p_holm`: their p, corrected for how many there are (S. Holm, 1979). Those without p stay."""
    having = sorted((figure.p, name) for name, figure in family.items() if figure.p is not None)
    corrected, largest = dict(family), 0.0
    for k, (p, name) in enumerate(having):
        largest = max(largest, min(1.0, (len(having) - k) * p))
        corrected[name] = replace(family[name], p_holm=largest)
    return corrected


def _figure(found: Interval, unit: str, method: str, photos: int, sessions: int, seeds: int) -> Figure:
    note = _why_none(sessions) if found.low is None else ONE_SEED if seeds == 1 else ""
    return Figure(
        status="measured", value=found.value, low=found.low, high=found.high, unit=unit,
        method=method if found.low is not None else "mean over seeds", n=photos, n_units=sessions, seeds=seeds,
        note=note,
    )  # fmt: skip


def _why_none(sessions: int) -> str:
    if sessions < LEAST_SESSIONS:
        return f"No interval: {LEAST_SESSIONS} sessions are needed, and there are {sessions}."
    return "No interval: nothing varies between the sessions."
