"""AP50 against the number of labelled photos or simulated scenes: what photos are worth, and what more would bring.

Between the numbers that were trained on, the curve is linear in log2(N + 1); it never falls (isotonic regression, R.
Barlow et al., 1972). What more photos bring is read from an error c + a (N + 1)^-b, fitted by least squares of its
logarithm (J. Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017). Of m scenes it is c + a m^-b
(H. Mikami et al., "A Scaling Law for Synthetic-to-Real Transfer", 2021): c is what only other scenes can win.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import isotonic_regression, least_squares

LEAST_NUMBERS, LEAST_SEEDS = 4, 3
WORTH_IT = 0.5  # points of AP50: less is no reason to label ten more photos
MORE = 10
Curve = Mapping[int, float]  # AP50 by the number of photos


def photos_alone(curve: Curve, reached: float) -> float:
    """How many photos alone reach an AP50: K. Infinite: more than all; minus infinity: fewer than the least number.

    >>> round(photos_alone({1: 0.2, 3: 0.4, 7: 0.6}, 0.5), 6)  # halfway between 3 and 7 in log2(N + 1)
    4.656854
    """
    numbers = sorted(curve)
    rising = isotonic_regression([curve[n] for n in numbers]).x
    if reached > rising[-1]:
        return np.inf
    if reached < rising[0]:
        return -np.inf
    at = int(np.searchsorted(rising, reached, side="left"))
    if at == 0:
        return float(numbers[0])
    low, high = (np.log2(numbers[k] + 1) for k in (at - 1, at))
    part = (reached - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(2 ** (low + part * (high - low)) - 1)


@dataclass(frozen=True)
class Law:
    """The error c + a (N + offset)^-b after N photos, with an offset of 1, or N scenes, with none."""

    c: float
    a: float
    b: float
    offset: float = 1.0

    def error(self, number: int) -> float:
        return float(self.c + self.a * (number + self.offset) ** -self.b)

    def gain(self, number: int, more: int = MORE) -> float:
        """Points of AP50 that `more` photos or scenes bring."""
        return 100 * (self.error(number) - self.error(number + more))


def fitted(numbers: Float[np.ndarray, " n"], errors: Float[np.ndarray, " n"], offset: float = 1.0) -> Law:
    """The law of errors 1 - AP50, with c from 0 and b from 0.1 to 2. `offset`: see `Law`."""
    known = np.log(np.maximum(errors, 1e-4))

    def missing(law: np.ndarray) -> np.ndarray:
        c, a, b = law
        return np.log(np.maximum(c + a * (numbers + offset) ** -b, 1e-6)) - known  # type: ignore[no-any-return]

    first = float(numbers.min() + offset)
    start = (0.5 * float(errors.min()), max(float(errors.max() - 0.5 * errors.min()), 1e-3) * first**0.5, 0.5)
    most = 10.0 * first**2
    found = least_squares(missing, start, bounds=((0.0, 0.0, 0.1), (1.0, most, 2.0)))
    c, a, b = found.x.tolist()
    return Law(c, a, b, offset)
