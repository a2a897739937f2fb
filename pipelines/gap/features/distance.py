"""Distances between two sets of features, whose members come in sessions and scenes.

MMD squared: A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012, equation 3, unbiased, with a Gaussian kernel
whose width is the median distance. Photos of a session are alike, so the test permutes whole sessions and scenes:
permuting single parts would call every simulation different. A distance describes, and is no ground for advice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.spatial.distance import cdist

DIMENSIONS = 32
PERMUTATIONS = 500
HALVES = 200  # of the real sessions, for the floor
AT = 0.95
Features = Float[np.ndarray, "_ _"]


@dataclass(frozen=True)
class Distance:
    """MMD squared of two sets, and what it would be by chance."""

    value: float
    p: float  # by permuting whole sessions and scenes
    floor: float  # the 95th percentile between two halves of the real sessions


def reduced(real: Features, simulated: Features, dimensions: int = DIMENSIONS) -> tuple[Features, Features]:
    """Both sets by their common principal components; every feature counts the same before."""
    both = np.concatenate([real, simulated]).astype(np.float64)
    spread = both.std(0)
    both = (both - both.mean(0)) / np.where(spread > 1e-9, spread, 1.0)
    directions = np.linalg.svd(both, full_matrices=False)[2]
    found = both @ directions[:dimensions].T
    return found[: len(real)], found[len(real) :]


def distance(
    real: Features, sessions: Int64[np.ndarray, " n"], simulated: Features, scenes: Int64[np.ndarray, " m"],
    seed: int = 0,
) -> Distance:  # fmt: skip
    """How far the sets are apart. Sessions and scenes are numbered from 0."""
    rng = np.random.default_rng(seed)
    units = np.concatenate([sessions, scenes + sessions.max() + 1])
    kernel = _kernel(np.concatenate([real, simulated]))
    sums = _by_unit(kernel, units)
    count, inside = len(sums.sizes), int(sessions.max()) + 1
    value = float(sums.mmd2(_mask(np.arange(inside)[None], count))[0])
    drawn = np.array([rng.permutation(count)[:inside] for _ in range(PERMUTATIONS)])
    p = (1 + int((sums.mmd2(_mask(drawn, count)) >= value).sum())) / (1 + PERMUTATIONS)
    own = _by_unit(kernel[: len(real), : len(real)], sessions)
    halves = np.array([rng.permutation(inside)[: inside // 2] for _ in range(HALVES)])
    return Distance(value, p, float(np.quantile(own.mmd2(_mask(halves, inside)), AT)))


def _kernel(points: Features) -> Float[np.ndarray, "n n"]:
    squares = cdist(points, points, "sqeuclidean")
    others = squares[np.triu_indices(len(points), 1)]
    width = float(np.median(others)) if len(others) else 1.0
    return np.asarray(np.exp(-squares / (width or 1.0)))


def _mask(chosen: Int64[np.ndarray, "draws k"], count: int) -> Bool[np.ndarray, "draws units"]:
    mask = np.zeros((len(chosen), count), bool)
    np.put_along_axis(mask, chosen, True, 1)
    return mask


@dataclass(frozen=True)
class _Sums:
    """A kernel matrix, added up by units: so a draw of units costs little."""

    pairs: Float[np.ndarray, "u u"]
    own: Float[np.ndarray, " u"]  # of the diagonal
    sizes: Float[np.ndarray, " u"]

    def mmd2(self, first: Bool[np.ndarray, "draws u"]) -> Float[np.ndarray, " draws"]:
        """Of the units in each mask against the others."""
        a, b = first.astype(np.float64), (~first).astype(np.float64)
        within = [self._within(one) for one in (a, b)]
        across = np.einsum("du,uv,dv->d", a, self.pairs, b) / np.maximum((a @ self.sizes) * (b @ self.sizes), 1)
        return np.asarray(within[0] + within[1] - 2 * across)

    def _within(self, one: Float[np.ndarray, "draws u"]) -> Float[np.ndarray, " draws"]:
        count = one @ self.sizes
        whole = np.einsum("du,uv,dv->d", one, self.pairs, one) - one @ self.own
        return np.asarray(whole / np.maximum(count * (count - 1), 1))


def _by_unit(kernel: Float[np.ndarray, "n n"], units: Int64[np.ndarray, " n"]) -> _Sums:
    inside = (units[:, None] == np.arange(int(units.max()) + 1)).astype(np.float64)
    return _Sums(inside.T @ kernel @ inside, inside.T @ np.diag(kernel), inside.sum(0))


@dataclass(frozen=True)
class Neighbours:
    """The nearest simulated part of each real one."""

    nearest: Int64[np.ndarray, " n"]
    novelty: Float[np.ndarray, " n"]  # its distance, in median distances of real parts to those of other sessions
    unlike: Bool[np.ndarray, " n"]  # farther than 95 % of the real parts are from a real one of another session


def neighbours(real: Features, sessions: Int64[np.ndarray, " n"], simulated: Features) -> Neighbours:
    """Of real parts of one category among simulated ones; at least two sessions are needed."""
    to_simulated = cdist(real, simulated)
    to_others = cdist(real, real)
    to_others[sessions[:, None] == sessions[None]] = np.inf
    own = to_others.min(1)
    nearest = to_simulated.argmin(1)
    least = to_simulated[np.arange(len(real)), nearest]
    usual = float(np.median(own)) or 1.0
    return Neighbours(nearest.astype(np.int64), least / usual, least > float(np.quantile(own, AT)))
