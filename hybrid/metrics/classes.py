"""Accuracy and F1 of classes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64


def accuracy(truth: Int64[np.ndarray, " n"], predicted: Int64[np.ndarray, " n"]) -> float:
    """The share of right answers."""
    return float((truth == predicted).mean())


def macro_f1(truth: Int64[np.ndarray, " n"], predicted: Int64[np.ndarray, " n"]) -> float:
    """The mean of the F1 of each class that occurs, in the truth or in an answer; each class counts the same.

    F1 = 2 TP / (2 TP + FP + FN) (van Rijsbergen 1979). As scikit-learn's `f1_score(average="macro")`.
    """
    scores = []
    for one in np.union1d(truth, predicted):
        both = int(((truth == one) & (predicted == one)).sum())
        scores.append(2 * both / int((truth == one).sum() + (predicted == one).sum()))
    return float(np.mean(scores))
