"""Distances in features, with sessions and scenes as wholes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pipelines.gap.features.distance import distance, neighbours, reduced


def drawn(units: int, each: int, seed: int, shift: float = 0.0, between: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Points of units that differ from each other by more than their points do; the numbers of the units."""
    rng = np.random.default_rng(seed)
    middles = np.repeat(rng.normal(shift, between, (units, 3)), each, 0)
    return middles + rng.normal(0, 0.2, middles.shape), np.repeat(np.arange(units), each)


def test_mmd_is_that_of_its_definition() -> None:
    (a, of_a), (b, of_b) = drawn(3, 2, 0), drawn(4, 2, 1, shift=1.0)
    both = np.concatenate([a, b])
    squares = cdist(both, both, "sqeuclidean")
    kernel = np.exp(-squares / np.median(squares[np.triu_indices(len(both), 1)]))
    n, m = len(a), len(b)
    by_hand = 0.0
    for i in range(n):
        by_hand += sum(kernel[i, j] for j in range(n) if j != i) / (n * (n - 1))
    for i in range(m):
        by_hand += sum(kernel[n + i, n + j] for j in range(m) if j != i) / (m * (m - 1))
    by_hand -= 2 * sum(kernel[i, n + j] for i in range(n) for j in range(m)) / (n * m)
    assert distance(a, of_a, b, of_b).value == pytest.approx(by_hand)


def test_the_same_world_in_other_sessions_is_no_difference_and_another_world_is() -> None:
    sim = drawn(40, 4, 1)
    p_alike = [distance(*drawn(8, 6, seed), *sim).p for seed in range(10, 18)]
    assert np.mean(np.array(p_alike) < 0.05) <= 0.25  # photos of a session are alike: single ones would say 1.0
    far = distance(*drawn(8, 6, 2, shift=3.0), *sim)
    assert far.p == pytest.approx(1 / 501)
    assert far.value > far.floor


def test_the_floor_is_what_two_halves_of_the_sessions_differ_by() -> None:
    sim = drawn(30, 4, 1)
    alike, unlike = (distance(*drawn(8, 6, 3, between=width), *sim).floor for width in (0.05, 2.0))
    assert alike < 0.3 * unlike


def test_a_part_that_no_simulated_one_resembles_is_told() -> None:
    real, sessions = drawn(6, 5, 4, between=0.3)
    simulated = real + 0.01
    real[7] += 9.0
    got = neighbours(real, sessions, simulated[::-1])
    assert np.flatnonzero(got.unlike).tolist() == [7]
    assert got.novelty[7] > 5
    others = np.delete(np.arange(30), 7)
    assert (got.nearest[others] == 29 - others).all()


def test_a_neighbour_of_the_same_session_does_not_count_as_usual() -> None:
    real = np.array([[0.0], [0.01], [5.0], [5.01]])
    got = neighbours(real, np.array([0, 0, 1, 1]), np.array([[2.0]]))
    assert not got.unlike.any()  # the other session is 5 away, simulation 2 to 3
    assert got.novelty == pytest.approx(np.array([2.0, 1.99, 3.0, 3.01]) / 4.99, rel=0.01)


def test_components_keep_distances_and_units_of_features_do_not_count() -> None:
    (a, _), (b, _) = drawn(4, 3, 5), drawn(4, 3, 6)
    one, other = reduced(a, b)
    scaled = reduced(a * np.array([1.0, 100.0, 1e-3]), b * np.array([1.0, 100.0, 1e-3]))
    assert cdist(one, other) == pytest.approx(cdist(*scaled))
    assert one[:, 0].var() + other[:, 0].var() > one[:, 2].var() + other[:, 2].var()
    assert reduced(a, b, 2)[0].shape == (12, 2)
