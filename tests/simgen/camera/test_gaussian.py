import numpy as np
import pytest
from scipy import stats

from simgen.camera.sensor.gaussian import standard_normal


def test_numbers_are_gaussian():
    drawn = standard_normal((1000, 1001), np.random.default_rng(3)).ravel()
    assert drawn.dtype == np.float32
    assert drawn.mean() == pytest.approx(0, abs=4e-3)
    assert drawn.var() == pytest.approx(1, abs=6e-3)
    assert stats.kurtosis(drawn) == pytest.approx(0, abs=0.02)
    for x in (-3.0, -1.5, -0.2, 0.7, 2.5):
        assert (drawn < x).mean() == pytest.approx(stats.norm.cdf(x), abs=2e-3)
    assert np.abs(drawn).max() > 4


def test_neighbours_know_nothing_of_each_other():
    drawn = standard_normal((700, 701), np.random.default_rng(4))
    for a, b in ((drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1]), (drawn[:, 4:], drawn[:, :-4])):
        assert np.mean(a * b) == pytest.approx(0, abs=8e-3)
        assert np.mean(a**2 * b**2) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("shape", [(1,), (5, 1, 1), (3, 7, 3), (0,)])
def test_any_shape_and_the_same_seed_the_same_numbers(shape):
    one, other = (standard_normal(shape, np.random.default_rng(7)) for _ in range(2))
    assert one.shape == shape
    assert (one == other).all()
    generator = np.random.default_rng(7)
    first, second = standard_normal((64,), generator), standard_normal((64,), generator)
    assert (first != second).any()
