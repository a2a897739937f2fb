"""The calibration error: none where scores are true, and by hand where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.gap.stats.calibration import reliability


def test_true_scores_have_no_error_once_chance_is_taken_off() -> None:
    """Of 400 detections in ten bins, chance alone gives an error of about 0.05."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(12):
        scores = rng.random(400)
        found.append(reliability(scores, rng.random(400) < scores).error)
    assert np.mean(found) < 0.015


def test_scores_that_are_too_high_by_a_fifth_have_that_error() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.4, 1.0, 3000)
    got = reliability(scores, rng.random(3000) < scores - 0.2)
    assert got.error == pytest.approx(0.2, abs=0.03)
    assert all(score > right for score, right, _ in got.bins)


def test_bins_hold_the_same_number_and_go_up() -> None:
    scores = np.random.default_rng(1).random(205)
    got = reliability(scores, scores > 0.5)
    assert sorted({count for _, _, count in got.bins}) == [20, 21]
    assert sum(count for _, _, count in got.bins) == 205
    assert [score for score, _, _ in got.bins] == sorted(score for score, _, _ in got.bins)
    assert got.bins[0][1] == 0.0
    assert got.bins[-1][1] == 1.0
