"""Whether scores mean what they say: the expected calibration error of detections (D-ECE), without its bias.

F. Kueppers et al., "Multivariate Confidence Calibration for Object Detection", CVPR-W 2020: the mean distance of score
and share of right detections over bins. Bins of equal mass. Even a perfectly calibrated detector has an error above 0
by chance, so the mean of 200 resamples in which each detection is right with the probability of its score is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

LEAST_SCORE = 0.05
LEAST_DETECTIONS = 200
BINS = 10
RESAMPLES = 200


@dataclass(frozen=True)
class Reliability:
    """Mean score, share that is right and number of detections of each bin; the error in all, without its bias."""

    bins: tuple[tuple[float, float, int], ...]
    error: float


def reliability(scores: Float[np.ndarray, " n"], correct: Bool[np.ndarray, " n"]) -> Reliability:
    """Of detections at IoU 0.5, in any order."""
    order = np.argsort(scores, kind="stable")
    scores, correct = scores[order], correct[order]
    parts = [part for part in np.array_split(np.arange(len(scores)), BINS) if len(part)]
    chance = np.random.default_rng(0).random((RESAMPLES, len(scores))) < scores
    bias = float(np.mean([_error(scores, row, parts) for row in chance]))
    rows = tuple((float(scores[part].mean()), float(correct[part].mean()), len(part)) for part in parts)
    return Reliability(rows, max(0.0, _error(scores, correct, parts) - bias))


def _error(scores: np.ndarray, correct: np.ndarray, parts: list[np.ndarray]) -> float:
    distances = [len(part) * abs(float(scores[part].mean() - correct[part].mean())) for part in parts]
    return sum(distances) / max(1, len(scores))
