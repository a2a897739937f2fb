"""Find labels that are unlike the rest of their category: far outside the middle half of all sizes and shapes.

Tukey's outer fences (Exploratory Data Analysis, 1977) on logarithms: three times the interquartile range beyond the
quartiles. The quartiles come from a sample of fixed size, the candidates are the most extreme few, so that memory does
not grow with the data set.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from simgen.dataset.check.report import Box, Picture, Problem

SAMPLE = 20_000  # of each category and measure
EXTREMES = 20  # stored on each side
FENCE = 3.0  # interquartile ranges
LEAST_SPREAD = 0.4  # of logarithms: the least spread that is assumed, for categories of nearly equal labels
LEAST_LABELS = 50  # a category with fewer labels is not judged


class Statistics:
    """Collects labels, and in the end reports the outliers."""

    def __init__(self) -> None:
        self._measures: dict[tuple[str, str], _Measure] = defaultdict(_Measure)

    def add(self, category: str, box_xyxy_px: Box, where: str, picture: Picture) -> None:
        """Add a label of a completely visible part. Occluded and cut parts have any size."""
        x0, y0, x1, y1 = box_xyxy_px
        if x1 > x0 and y1 > y0:
            label = (where, picture, box_xyxy_px)
            self._measures[category, "area"].add(math.log((x1 - x0) * (y1 - y0)), label)
            self._measures[category, "width to height"].add(math.log((x1 - x0) / (y1 - y0)), label)

    def outliers(self) -> Iterator[Problem]:
        for (category, name), measure in sorted(self._measures.items()):
            low, high = measure.fences()
            for value, (where, picture, box) in measure.beyond(low, high):
                usual = f"{math.exp(low):.3g} to {math.exp(high):.3g}"
                text = f"{category}: {name} of its box is {math.exp(value):.3g}, where others have {usual}"
                yield Problem("statistics", where, text, picture, (box,))


class _Measure:
    def __init__(self) -> None:
        self.count = 0
        self._sample: list[float] = []
        self._ends: tuple[list[tuple[float, int, object]], ...] = ([], [])  # the largest of -value, and of value
        self._rng = np.random.default_rng(0)  # chooses the sample

    def add(self, value: float, label: tuple[str, Picture, Box]) -> None:
        self.count += 1
        if len(self._sample) < SAMPLE:
            self._sample.append(value)
        elif (place := int(self._rng.integers(self.count))) < SAMPLE:
            self._sample[place] = value
        for end, signed in zip(self._ends, (-value, value), strict=True):
            entry = (signed, -self.count, label)  # the count breaks ties
            if len(end) < EXTREMES:
                heapq.heappush(end, entry)
            elif signed > end[0][0]:
                heapq.heapreplace(end, entry)

    def fences(self) -> tuple[float, float]:
        if self.count < LEAST_LABELS:
            return -math.inf, math.inf
        first, third = np.quantile(self._sample, [0.25, 0.75])
        reach = FENCE * max(float(third - first), LEAST_SPREAD)
        return float(first) - reach, float(third) + reach

    def beyond(self, low: float, high: float) -> Iterator[tuple[float, tuple[str, Picture, Box]]]:
        for sign, end in zip((-1, 1), self._ends, strict=True):
            for signed, _, label in sorted(end, reverse=True):
                if not low <= sign * signed <= high:
                    yield sign * signed, label  # type: ignore[misc]
