"""Percentiles of how long the frames of a stream take, in memory that does not grow with the stream."""

from __future__ import annotations

import math
from collections import Counter

STEP = 1.02  # ratio of a bin's upper end to its lower one: percentiles are right to 2 %
SHORTEST_S = 1e-6


class Latency:
    """Counts durations in bins of equal ratio.

    >>> latency = Latency()
    >>> for _ in range(99):
    ...     latency.add(0.01)
    >>> latency.add(0.5)
    >>> latency.told()
    'p50 10 ms, p95 10 ms, p99 10 ms'
    """

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        self._bins[round(math.log(max(seconds, SHORTEST_S)) / math.log(STEP))] += 1

    def percentile_s(self, percent: int) -> float:
        """The duration that so many per cent of the frames do not exceed; 0 where there are none."""
        due = percent / 100 * self._bins.total()
        for place in sorted(self._bins):
            due -= self._bins[place]
            if due <= 1e-9:
                return float(STEP**place)
        return 0.0

    def told(self) -> str:
        figures = {percent: 1000 * self.percentile_s(percent) for percent in (50, 95, 99)}
        return ", ".join(f"p{percent} {ms:.{0 if ms >= 9.95 else 1}f} ms" for percent, ms in figures.items())
