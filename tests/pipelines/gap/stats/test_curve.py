"""Photos that simulation is worth, and the gain of ten more: by hand, and on curves whose law is known."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.gap.stats.curve import Law, fitted, photos_alone

CURVE = {1: 0.2, 3: 0.4, 7: 0.6, 15: 0.7}


@pytest.mark.parametrize(
    ("reached", "photos"), [(0.2, 1.0), (0.4, 3.0), (0.5, 2**2.5 - 1), (0.65, 2**3.5 - 1), (0.7, 15.0)]
)
def test_between_the_numbers_the_curve_is_a_line_of_the_logarithm(reached: float, photos: float) -> None:
    assert photos_alone(CURVE, reached) == pytest.approx(photos)


def test_beyond_the_curve_nothing_is_guessed() -> None:
    assert photos_alone(CURVE, 0.701) == np.inf
    assert photos_alone(CURVE, 0.199) == -np.inf


def test_a_curve_that_falls_is_made_level() -> None:
    """0.5 and 0.3 become 0.4 each; the fewest photos that reach it count."""
    assert photos_alone({1: 0.2, 3: 0.5, 7: 0.3, 15: 0.8}, 0.4) == pytest.approx(3.0)
    assert photos_alone({1: 0.2, 3: 0.5, 7: 0.3, 15: 0.8}, 0.6) == pytest.approx(2**3.5 - 1)


@pytest.mark.parametrize("law", [Law(0.1, 0.5, 0.5), Law(0.02, 0.7, 1.2), Law(0.0, 0.4, 0.2)])
def test_a_law_is_found_again(law: Law) -> None:
    numbers = (0, 1, 2, 5, 10, 20, 52)
    got = fitted(np.array(numbers, float), np.array([law.error(n) for n in numbers]))
    assert (got.c, got.a, got.b) == pytest.approx((law.c, law.a, law.b), abs=2e-3)
    assert got.gain(52) == pytest.approx(law.gain(52), abs=0.01)


def test_scenes_are_counted_from_none_and_photos_from_one() -> None:
    law = Law(0.1, 0.8, 0.5, 0.0)
    numbers = (1, 2, 4, 8, 16)
    got = fitted(np.array(numbers, float), np.array([law.error(n) for n in numbers]), 0.0)
    assert (got.c, got.a, got.b) == pytest.approx((law.c, law.a, law.b), abs=2e-3)


def test_the_gain_of_ten_photos_by_hand() -> None:
    assert Law(0.1, 1.0, 1.0).gain(9) == pytest.approx(100 * (1 / 10 - 1 / 20))


@pytest.mark.parametrize("law", [Law(0.2, 5.0, 0.6, 0.0), Law(0.05, 2.0, 0.3, 0.0), Law(0.3, 40.0, 1.2, 0.0)])
def test_a_law_of_scenes_is_found_again(law: Law) -> None:
    numbers = (80, 160, 320, 640)
    got = fitted(np.array(numbers, float), np.array([law.error(n) for n in numbers]), 0.0)
    assert got.c == pytest.approx(law.c, abs=0.02)
    assert got.gain(640, 640) == pytest.approx(law.gain(640, 640), abs=0.1)


def test_the_gain_of_twice_as_many_scenes_by_hand() -> None:
    assert Law(0.1, 2.0, 1.0, 0.0).gain(10, 10) == pytest.approx(100 * (2 / 10 - 2 / 20))
