"""Counts of numbers, of a size that does not grow with them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

FINE = 50  # logarithmic steps for each factor of e: a quantile is right to 1 %
LEAST = 1e-3


@dataclass
class Spread:
    """How positive numbers are spread: their count, ends and mean exactly, their quantiles to 1 %."""

    count: int = 0
    least: float = math.inf
    most: float = -math.inf
    total: float = 0.0
    _steps: Counter[int] = field(default_factory=Counter)

    def add(self, value: float | int) -> None:
        """Count a number. Those below a thousandth count as that in the quantiles."""
        self.count += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)
        self._steps[round(math.log(max(value, LEAST)) * FINE)] += 1

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The number below which this share of them lies; 0 without any."""
        seen, wanted = 0, share * self.count
        for step in sorted(self._steps):
            seen += self._steps[step]
            if seen >= wanted:
                return min(max(math.exp(step / FINE), self.least), self.most)
        return 0.0


@dataclass
class Bins:
    """Counts in equal bins from low to high. What lies outside counts in the first or the last one."""

    low: float | int
    high: float | int
    counts: list[int]

    @classmethod
    def empty(cls, low: float | int, high: float | int, bins: int) -> Bins:
        return cls(low, high, [0] * bins)

    def add(self, value: float | int) -> None:
        width = self.high - self.low
        place = int((value - self.low) / width * len(self.counts)) if width > 0 else 0
        self.counts[min(max(place, 0), len(self.counts) - 1)] += 1


def quantile(counts: Counter[int], share: float) -> int:
    """The whole number at or below which this share of the counted ones lies; 0 without any."""
    seen, wanted = 0, share * counts.total()
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            return value
    return 0
