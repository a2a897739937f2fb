"""Classifiers of clips, trained and measured alike: what does looking at time bring?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from hybrid.core.config import lite
from hybrid.core.errors import DataError
from hybrid.metrics.classes import accuracy, macro_f1
from hybrid.training.methods.classifier import VideoClassifier
from hybrid.training.methods.clip_data import ReadClips
from hybrid.training.methods.clip_net import KINDS

TIMED = 5  # repetitions; the fastest counts

Clips = UInt8[np.ndarray, "n t h w 3"]
Indices = Int64[np.ndarray, " n"]


@dataclass(frozen=True)
class Split:
    """Clips to learn from and clips to measure on."""

    classes: tuple[str, ...]
    clips: Clips
    labels: Indices
    held_out: UInt8[np.ndarray, "m t h w 3"]
    truth: Int64[np.ndarray, " m"]


@dataclass(frozen=True)
class Result:
    """What a classifier got right on the held-out clips, and what it costs."""

    measured: int  # clips; 0: none, and the figures are NaN
    accuracy: float
    f1: float  # the mean of the classes
    parameters: int


def split(read: ReadClips, holdout: float, seed: int) -> Split:
    """Hold out a share of the clips of each class, by a shuffle.

    Raises:
        DataError: `holdout` leaves a class without a clip on one side.
    """
    classes = tuple(sorted(set(read.labels)))
    labels = read.indices(classes)
    rng = np.random.default_rng(seed)
    out = np.zeros(len(labels), bool)
    for index, name in enumerate(classes):
        rows = rng.permutation(np.flatnonzero(labels == index))
        count = round(holdout * len(rows))
        if holdout and not 0 < count < len(rows):
            raise DataError(
                f"the class {name!r} has {len(rows)} clips: a share of {holdout:g} leaves none to learn from, or none "
                "to measure on. More clips, or another --holdout (0: measure nothing)"
            )
        out[rows[:count]] = True
    return Split(classes, read.clips[~out], labels[~out], read.clips[out], labels[out])


def trained(
    data: Split, kind: str, seed: int, *, backbone: str, weights: str, **options: Any
) -> tuple[VideoClassifier, Result]:
    """A classifier of a kind, and what it gets right on the held-out clips. `options` are those of its `fit`.

    Raises:
        DataError: there is no such kind.
    """
    if kind not in KINDS:
        raise DataError(f"--kind {kind}: choose from {', '.join(KINDS)}")
    config = replace(lite(("object",)), backbone=backbone, weights=weights)
    made = VideoClassifier(data.classes, config, seed, kind=kind)
    made.fit(data.clips, data.labels, **options)
    parameters = sum(parameter.numel() for parameter in made.net.parameters())
    if not len(data.truth):
        return made, Result(0, float("nan"), float("nan"), parameters)
    said = made.predict(data.held_out)
    return made, Result(len(said), accuracy(data.truth, said), macro_f1(data.truth, said), parameters)


def table(data: Split, seeds: int, **options: Any) -> Iterator[str]:
    """The lines of a table in Markdown: a row for each kind, with the mean and the range over the seeds."""
    yield f"{len(data.clips)} clips to learn from, {len(data.truth)} to measure on; seeds 0 to {seeds - 1}"
    yield "| kind | accuracy | macro F1 | ms per clip | parameters |"
    yield "|---|---|---|---|---|"
    for kind in KINDS:
        runs = [trained(data, kind, seed, **options) for seed in range(seeds)]
        results = [result for _, result in runs]
        right, f1 = (_mean_and_range([getattr(one, name) for one in results]) for name in ("accuracy", "f1"))
        time_ms = _milliseconds(runs[0][0], data.clips[:1])
        yield f"| {kind} | {right} | {f1} | {time_ms:.0f} | {results[0].parameters:,} |"


def _mean_and_range(values: list[float]) -> str:
    text = f"{np.mean(values):.3f}"
    return text if len(values) == 1 else f"{text} ({min(values):.3f} to {max(values):.3f})"


def _milliseconds(classifier: VideoClassifier, clip: Clips) -> float:
    """The time of one clip: the fastest of some repetitions, after one that is not counted."""
    times = []
    for _ in range(TIMED + 1):
        began = time.perf_counter()
        classifier.predict_shares(clip)
        times.append(time.perf_counter() - began)
    return 1000 * min(times[1:])
