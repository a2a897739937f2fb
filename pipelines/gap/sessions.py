"""Intervals over sessions: photos that were taken without touching camera, light or background.

Photos of a session are alike, so intervals that resample photos are far too narrow (of 95 % intervals over 6 sessions
of 4 photos, 70 % held the truth; over sessions with Student's t, 93 %). The interval is a t interval on the logit
scale; its variance is that of a bootstrap over whole sessions, and of the training's seeds where there are several
(B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 6 and 13; F. Satterthwaite, 1946, for the
degrees of freedom).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from scipy.stats import t as student

from hybrid.core.errors import DataError

LEAST_SESSIONS = 5  # fewer give no interval
LEVEL = 0.95
STEM_WITHOUT_LAST_NUMBER = r"^(.*?)\d*\.[^.]*$"  # 0-7_c1.jpg to 0-7_c4.jpg are the session 0-7_c


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value and its interval; low and high are None where there are too few sessions."""

    value: float
    low: float | None
    high: float | None


def sessions_of(names: Sequence[str], pattern: str = STEM_WITHOUT_LAST_NUMBER) -> Int64[np.ndarray, " n"]:
    """The session of each photo, as numbers from 0 in the order of first appearance.

    Args:
        names: of the photos.
        pattern: a regular expression whose first group is the session's name.

    Raises:
        DataError: the pattern is no regular expression with a group, or does not fit a name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(f"sessions: {pattern!r} is no regular expression: {error}") from None
    if not compiled.groups:
        raise DataError(f"sessions: {pattern!r} needs a group in brackets: the part of the name that tells sessions")
    fits = [compiled.search(name) for name in names]
    if missing := [name for name, fit in zip(names, fits, strict=True) if fit is None]:
        raise DataError(
            f"sessions: {pattern!r} does not fit {len(missing)} of {len(names)} names, such as {missing[0]}"
        )
    keys = [fit.group(1) for fit in fits if fit is not None]
    number = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys], np.int64)


def session_weights(sessions: Int64[np.ndarray, " n"], draws: int, seed: int = 0) -> Float[np.ndarray, "draws n"]:
    """How often each photo counts in each draw of as many sessions as there are, with replacement."""
    count = int(sessions.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=draws)
    return drawn[:, sessions].astype(np.float64)


def share_interval(by_seed: Sequence[float], draws: Float[np.ndarray, "seeds draws"], sessions: int) -> Interval:
    """The interval of a mean over seeds of a share in 0..1, such as AP50, on the logit scale.

    Args:
        by_seed: the value of each training seed, on all photos.
        draws: the same on each draw of the sessions, the same draws for all seeds.
        sessions: how many there are.
    """
    value = float(np.mean(by_seed))
    middle = float(np.clip(value, 1e-3, 1 - 1e-3))
    slope = 1 / (middle * (1 - middle))  # of the logit
    half = _half_width(by_seed, draws, sessions)
    if half is None:
        return Interval(value=value, low=None, high=None)
    logit = np.log(middle / (1 - middle))
    low, high = (1 / (1 + np.exp(-(logit + sign * half * slope))) for sign in (-1, 1))
    return Interval(value=value, low=float(low), high=float(high))


def difference_interval(by_seed: Sequence[float], draws: Float[np.ndarray, "seeds draws"], sessions: int) -> Interval:
    """As `share_interval`, for a paired difference of two runs, on its own scale."""
    value, half = float(np.mean(by_seed)), _half_width(by_seed, draws, sessions)
    if half is None:
        return Interval(value=value, low=None, high=None)
    return Interval(value=value, low=value - half, high=value + half)


def _half_width(by_seed: Sequence[float], draws: Float[np.ndarray, "seeds draws"], sessions: int) -> float | None:
    """Half of the interval: t times the standard error, by Welch and Satterthwaite."""
    means = np.nanmean(draws, 0)
    if sessions < LEAST_SESSIONS or np.isnan(means).all():
        return None
    of_sessions = float(np.nanvar(means, ddof=1)) * sessions / (sessions - 1)
    seeds = len(by_seed)
    of_seeds = float(np.var(by_seed, ddof=1)) / seeds if seeds > 1 else 0.0
    whole = of_sessions + of_seeds
    if whole == 0:
        return 0.0
    freedom = whole**2 / (of_sessions**2 / (sessions - 1) + (of_seeds**2 / (seeds - 1) if seeds > 1 else 0.0))
    return float(student.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(whole))
