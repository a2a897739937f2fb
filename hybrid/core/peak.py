"""Where the peak of a sampled line is, between its samples."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def fraction(line: Float[np.ndarray, " n"], at: int) -> float:
    """How far the peak lies from the highest sample: that of the parabola through it and its neighbours.

    Args:
        line: the samples.
        at: the index of the highest one.

    Returns:
        -0.5 to 0.5 samples; 0.0 at an end of the line, and where the neighbours are as high.

    >>> fraction(np.array([0.0, 3.0, 4.0, 3.0]), 2)
    0.0
    >>> round(fraction(-np.square(np.arange(5) - 2.3), 2), 3)
    0.3
    """
    if not 0 < at < len(line) - 1:
        return 0.0
    low, top, high = (float(one) for one in line[at - 1 : at + 2])
    bend = 2 * top - low - high
    return float(np.clip((high - low) / (2 * bend), -0.5, 0.5)) if bend > 0 else 0.0
