"""Whether the simulated range of a statistic covers the real one: the share of real values outside the simulated 5 % to
95 % quantiles. Were both alike, 5 % would lie on each side.

A simulation that varies more than reality is no fault: randomization means to. So only what lies outside counts, and a
distance between the distributions never does. Photos come in sessions, which the intervals resample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64
from scipy.optimize import brentq
from scipy.stats import beta, nct, norm
from scipy.stats import t as student

from pipelines.gap.schema.figure import Figure, lacking, too_few
from pipelines.gap.schema.sections import Verdict
from pipelines.gap.sessions import session_weights
from pipelines.gap.stats.interval import LEVEL, holm, share_interval, spread

TAIL = 0.05  # of the simulated values, on each side
MOST_OUTSIDE = 0.10  # the upper end of the interval, where a side is called covered
SIGNIFICANT = 0.05
LEAST_SESSIONS, LEAST_PHOTOS, LEAST_SCENES = 6, 20, 100
DRAWS = 500
PerPicture = Sequence[Float[np.ndarray, "_"]]  # the numbers of each picture
Side = Literal["below", "above"]


@dataclass(frozen=True)
class Outside:
    """The share of real values on each side of the simulated range, and what it means."""

    below: Figure
    above: Figure
    verdict: Verdict

    @property
    def beyond(self) -> tuple[Side, ...]:
        """The sides on which reality lies beyond the range."""
        return sides_beyond(self.below, self.above)


def sides_beyond(below: Figure, above: Figure) -> tuple[Side, ...]:
    """The sides on which more than TAIL of the real values lie, beyond chance."""
    sides: tuple[tuple[Side, Figure], ...] = (("below", below), ("above", above))
    return tuple(side for side, figure in sides if _is_beyond(figure))


def outside(
    simulated: Mapping[str, PerPicture],
    real: Mapping[str, PerPicture],
    sessions: Int64[np.ndarray, " photos"],
    floors: Mapping[str, float],
) -> dict[str, Outside]:
    """For each statistic, the shares outside with p corrected over all statistics and both sides.

    Args:
        simulated: the numbers of each scene, by statistic.
        real: the numbers of each photo, by statistic.
        sessions: the session of each photo.
        floors: the least value that can be told from 0, for the statistics that have one.
    """
    missing = _missing(simulated, sessions)
    if missing:
        few = too_few(missing, "share", len(sessions), len(np.unique(sessions)))
        return {name: Outside(few, few, "too_few") for name in real}
    shares: dict[str, Figure] = {}
    blind = []
    for name, values in real.items():
        least = floors.get(name, -np.inf)
        known = np.maximum(np.concatenate([np.zeros(0), *simulated[name]]), least)
        own = [np.maximum(one, least) for one in values]
        if not len(known) or not any(len(one) for one in own):
            shares |= {f"{side} {name}": too_few("no value", "share") for side in ("below", "above")}
            continue
        low, high = np.quantile(known, [TAIL, 1 - TAIL])
        shares[f"below {name}"] = share_outside([-one for one in own], -float(low), sessions)
        shares[f"above {name}"] = share_outside(own, float(high), sessions)
        if low == high == least and max(float(one.max()) for one in own if len(one)) <= least:
            blind.append(name)
    shares = holm(shares)
    return {
        name: Outside(below, above, "cannot_be_told" if name in blind else _verdict(below, above))
        for name in real
        for below, above in [(shares[f"below {name}"], shares[f"above {name}"])]
    }


def share_outside(values: PerPicture, limit: float, sessions: Int64[np.ndarray, " photos"]) -> Figure:
    """The share of the values above `limit`, with an interval over sessions; p: that it is 5 % or less."""
    beyond = np.array([float((one > limit).sum()) for one in values])
    counts = np.array([float(len(one)) for one in values])
    units = int(sessions.max()) + 1
    share = float(beyond.sum() / counts.sum())
    figure = Figure(
        status="measured", value=share, unit="share", n=int(counts.sum()), n_units=units,
        method="95 % t interval over sessions, on the logit scale; p: one sided, of 5 % or less",
    )  # fmt: skip
    if share == 0.0:
        high = _most_beyond(values, limit, sessions)
        return replace(
            figure, low=0.0, high=high, p=1.0,
            method="no value is outside: upper end of a one-sided tolerance interval of a normal model of the sessions",
        )  # fmt: skip
    weights = session_weights(sessions, DRAWS)
    drawn = weights @ beyond / np.maximum(weights @ counts, 1e-12)
    found, width = share_interval([share], drawn[None], units), spread([share], drawn[None], units)
    if width is None or found.low is None:
        return _alike(figure, units)
    inner = float(np.clip(share, 1e-3, 1 - 1e-3))
    steps = (_logit(inner) - _logit(TAIL)) * inner * (1 - inner) / width.error
    return replace(figure, low=found.low, high=found.high, p=float(student.sf(steps, width.freedom)))


def _alike(figure: Figure, sessions: int) -> Figure:
    """The share where all sessions have the same: as if each of them were one picture (Clopper and Pearson, 1934)."""
    share = figure.value or 0.0
    hits = share * sessions
    low, high = float(beta.ppf(0.025, hits, sessions - hits + 1)), 1.0
    if hits < sessions:
        high = float(beta.ppf(0.975, hits + 1, sessions - hits))
    p = float(beta.cdf(TAIL, hits, sessions - hits + 1))  # of as many hits or more, at 5 %
    method = "all sessions have the same share: exact, each session as one picture; p: one sided, of 5 % or less"
    return replace(figure, low=min(low, share), high=max(high, share), p=p, method=method)


def _most_beyond(values: PerPicture, limit: float, sessions: Int64[np.ndarray, " photos"]) -> float:
    """The share above `limit`, at most, with 95 % confidence, where none of the values is.

    The bound of a normal population from as many independent pictures as the sessions are worth (D. Owen, A Survey of
    Properties and Applications of the Noncentral t-Distribution, Technometrics 10, 1968).
    """
    means = np.array([one.mean() if len(one) else np.nan for one in values])
    kept = np.isfinite(means)
    pictures = independent(means[kept], sessions[kept])
    every = np.concatenate(list(values))
    spread_of_all = float(every.std(ddof=1)) if len(every) > 1 else 0.0
    if pictures < 2 or spread_of_all <= 1e-9 * max(1.0, float(np.abs(every).max())):  # all the same, but for rounding
        return float(1 - (1 - LEVEL) ** (1 / max(pictures, 1.0)))
    steps = (limit - float(every.mean())) / spread_of_all * np.sqrt(pictures)

    def confidence_over(share: float) -> float:
        return noncentral_t(steps, pictures - 1, float(norm.isf(share) * np.sqrt(pictures))) - LEVEL

    least, most = 1e-4, 0.9
    if confidence_over(least) >= 0:
        return least
    return float(brentq(confidence_over, least, most)) if confidence_over(most) > 0 else most


def noncentral_t(x: float, freedom: float, shift: float) -> float:
    """The distribution function of the noncentral t. Far in its tails, where scipy's is NaN, the normal approximation.

    M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 1964, 26.7.10.
    """
    exact = float(nct.cdf(x, freedom, shift))
    if np.isfinite(exact):
        return exact
    return float(norm.cdf((x * (1 - 1 / (4 * freedom)) - shift) / np.sqrt(1 + x**2 / (2 * freedom))))


def independent(values: Float[np.ndarray, " n"], sessions: Int64[np.ndarray, " n"]) -> float:
    """How many independent pictures these are worth: n / (1 + (m - 1) ICC), L. Kish, Survey Sampling, 1965."""
    size = len(values) / max(1, len(np.unique(sessions)))
    return len(values) / (1 + (size - 1) * max(0.0, icc(values, sessions) or 0.0))


def icc(values: Float[np.ndarray, " n"], sessions: Int64[np.ndarray, " n"]) -> float | None:
    """ICC(1), how alike the values of a session are: 0 as any others, 1 equal (P. Shrout and J. Fleiss, 1979).

    None: fewer than two sessions, none with two values, or all values are equal.
    """
    names, own = np.unique(sessions, return_inverse=True)
    sizes = np.bincount(own).astype(np.float64)
    groups, total = len(names), len(values)
    if groups < 2 or total <= groups:
        return None
    means = np.bincount(own, values) / sizes
    between = float((sizes * (means - values.mean()) ** 2).sum()) / (groups - 1)
    within = float(((values - means[own]) ** 2).sum()) / (total - groups)
    size = (total - float((sizes**2).sum()) / total) / (groups - 1)
    whole = between + (size - 1) * within
    return (between - within) / whole if whole > 0 else None


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _missing(simulated: Mapping[str, PerPicture], sessions: np.ndarray) -> str:
    scenes = max((len(values) for values in simulated.values()), default=0)
    have = (
        (len(np.unique(sessions)), LEAST_SESSIONS, "sessions"),
        (len(sessions), LEAST_PHOTOS, "photos"),
        (scenes, LEAST_SCENES, "scenes"),
    )
    return lacking(have)


def _is_beyond(figure: Figure) -> bool:
    return figure.p_holm is not None and figure.p_holm < SIGNIFICANT and (figure.value or 0.0) > TAIL


def _verdict(below: Figure, above: Figure) -> Verdict:
    if "measured" not in (below.status, above.status):
        return "too_few"
    if sides_beyond(below, above):
        return "beyond"
    covered = all(one.high is not None and one.high <= MOST_OUTSIDE for one in (below, above))
    return "covered" if covered else "not_decided"
