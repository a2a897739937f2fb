import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.spec.knobs import Choice, IntRange, LogUniform, Streams, Uniform

positive = st.floats(1e-6, 1e6)


@given(positive, positive, st.integers(0, 2**32))
def test_draws_keep_to_their_range(a, b, seed):
    low, high = sorted((a, b))
    rng = np.random.default_rng(seed)
    slack = 1 + 1e-12
    for knob in (Uniform(low, high), LogUniform(low, high)):
        assert low / slack <= knob.draw(rng) <= high * slack


def test_log_uniform_is_uniform_in_the_logarithm():
    rng = np.random.default_rng(0)
    logs = [math.log10(LogUniform(0.01, 100.0).draw(rng)) for _ in range(4000)]
    counts, _ = np.histogram(logs, bins=4, range=(-2, 2))
    assert counts.sum() == 4000
    assert np.abs(counts - 1000).max() < 120


def test_int_range_reaches_both_ends():
    rng = np.random.default_rng(0)
    assert {IntRange(2, 4).draw(rng) for _ in range(200)} == {2, 3, 4}


def test_choice_follows_its_weights():
    rng = np.random.default_rng(0)
    draws = [Choice({"a": 3.0, "b": 1.0, "never": 0.0}).draw(rng) for _ in range(4000)]
    assert "never" not in draws
    assert 0.70 < draws.count("a") / 4000 < 0.80


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Uniform(2.0, 1.0), r"low=2\.0.*high=1\.0"),
        (lambda: Uniform(0.0, math.nan), "finite"),
        (lambda: LogUniform(0.0, 1.0), "0 < low"),
        (lambda: IntRange(3, 2), "low=3.*high=2"),
        (lambda: Choice({}), "at least one"),
        (lambda: Choice({"a": -1.0, "b": 2.0}), "none below"),
    ],
)
def test_a_bad_knob_says_what_it_got(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_streams_of_different_names_seeds_and_scenes_are_independent():
    names = ["parts", "light", "sensor", "camera"]
    draws = [[Streams(3, i)(name).uniform() for i in range(400)] for name in names]
    draws.append([Streams(4, i)("parts").uniform() for i in range(400)])
    draws.append([Streams(3, i + 1)("parts").uniform() for i in range(400)])
    assert np.abs(np.corrcoef(draws) - np.eye(len(draws))).max() < 0.2


def test_a_stream_can_be_drawn_again():
    assert Streams(1, 2)("x").integers(2**60) == Streams(1, 2)("x").integers(2**60)
