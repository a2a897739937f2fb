"""Accuracy and F1 of classes: against a count one by one, and what may not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.metrics.classes import accuracy, macro_f1

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    truth, said = np.array(pairs, np.int64).T
    return truth.copy(), said.copy()


def f1_of(one: int, pairs: list[tuple[int, int]]) -> float:
    """From precision and recall, one answer after the other."""
    right = sum(a == b == one for a, b in pairs)
    if not right:
        return 0.0
    precision, recall = right / sum(b == one for _, b in pairs), right / sum(a == one for a, _ in pairs)
    return 2 / (1 / precision + 1 / recall)


@given(PAIRS)
def test_macro_f1_is_the_mean_of_the_harmonic_means_of_precision_and_recall(pairs: list[tuple[int, int]]) -> None:
    there = {one for pair in pairs for one in pair}
    assert macro_f1(*columns(pairs)) == pytest.approx(sum(f1_of(one, pairs) for one in there) / len(there))


@given(PAIRS, st.permutations(range(5)), st.randoms(use_true_random=False))
def test_other_numbers_of_the_classes_and_another_order_of_the_clips_change_nothing(
    pairs: list[tuple[int, int]], numbers: list[int], rng
) -> None:
    renamed = [(numbers[a], numbers[b]) for a, b in pairs]
    rng.shuffle(renamed)
    for score in (accuracy, macro_f1):
        assert score(*columns(renamed)) == pytest.approx(score(*columns(pairs)))


@given(PAIRS)
def test_truth_and_answers_may_change_places_and_only_all_right_is_one(pairs: list[tuple[int, int]]) -> None:
    truth, said = columns(pairs)
    for score in (accuracy, macro_f1):
        assert score(truth, said) == pytest.approx(score(said, truth))
        assert 0 <= score(truth, said) <= 1
        assert (score(truth, said) == 1) == all(a == b for a, b in pairs)
        assert (score(truth, said) == 0) == all(a != b for a, b in pairs)


def test_a_rare_class_weighs_as_much_as_a_frequent_one() -> None:
    """99 of 100 clips are right, and the only clip of class 1 is not."""
    truth, said = np.array([0] * 99 + [1]), np.zeros(100, np.int64)
    assert accuracy(truth, said) == 0.99
    assert macro_f1(truth, said) == pytest.approx((2 * 99 / 199 + 0) / 2)
