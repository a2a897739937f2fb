"""How far an AP50, or the difference of two, could be chance: a bootstrap over the clips of the test data.

Every draw takes as many clips as there are, with replacement (B. Efron and R. Tibshirani, An Introduction to the
Bootstrap, 1993, ch. 13: percentile intervals). All runs get the same draws, so that the differences are paired.
It covers the choice of the test images, not that of the training's seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import matched_frames
from hybrid.metrics.video import average_precision

DRAWS = 400
Range = tuple[float, float]  # the middle 95 % of the draws


@dataclass(frozen=True, kw_only=True)
class Difference50:
    """AP50 of `run` minus AP50 of `other` on the target, both by name, and the middle 95 % of the draws."""

    run: str
    other: str
    difference: float
    low: float
    high: float

    @property
    def may_be_chance(self) -> bool:
        return self.low <= 0.0 <= self.high


def ap50_draws(
    sources: Sequence[ClipSource], detections: Sequence[Sequence[Detections]]
) -> Float[np.ndarray, "runs draws"]:
    """AP50 of each run on each draw of the clips; NaN where a draw has no box.

    `sources` are the same clips for all runs, each with the labels as the run numbers them.
    """
    clips = sources[0].clips
    clip_of_frame = np.repeat(np.arange(len(clips)), [len(clip.frames) for clip in clips])
    counts = np.random.default_rng(0).multinomial(len(clips), [1 / len(clips)] * len(clips), size=DRAWS)
    weights = counts.astype(np.float64)[:, clip_of_frame]
    matched = [matched_frames(one, source.frames) for source, one in zip(sources, detections, strict=True)]
    return np.array([[average_precision(one, weight) for weight in weights] for one in matched], np.float64)


def ap50_ranges(draws: Float[np.ndarray, "runs draws"]) -> list[Range | None]:
    """The middle 95 % of each run's draws; None where no draw has a box."""
    return [_middle(values) for values in draws]


def ap50_differences(
    names: Sequence[str], ap50s: Sequence[float | None], draws: Float[np.ndarray, "runs draws"]
) -> list[Difference50]:
    """The difference of every two runs that have an AP50."""
    pairs = []
    for i, j in combinations(range(len(names)), 2):
        first, second, middle = ap50s[i], ap50s[j], _middle(draws[i] - draws[j])
        if first is not None and second is not None and middle is not None:
            low, high = middle
            pairs.append(Difference50(run=names[i], other=names[j], difference=first - second, low=low, high=high))
    return pairs


def _middle(values: Float[np.ndarray, " draws"]) -> Range | None:
    valid = values[np.isfinite(values)]
    if not len(valid):
        return None
    low, high = np.percentile(valid, [2.5, 97.5])
    return float(low), float(high)
