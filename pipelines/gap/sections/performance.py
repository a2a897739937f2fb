"""AP, AP50, AP75 and recall of each group of runs, their paired differences, and the gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from pipelines.gap.schema.figure import Figure, not_measured, too_few
from pipelines.gap.schema.sections import Comparison, Performance
from pipelines.gap.sections.runs import NO_BOX, POINTS, RunGroup, measures
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import (
    LEAST_SESSIONS,
    difference_figure,
    holm,
    smallest_difference,
    unpaired_figure,
)
from pipelines.gap.stats.resampled import AT_50, Resampled, average_precisions


def performance(group: RunGroup, sim: PhotoSessions, real: PhotoSessions) -> Performance:
    """A group of runs on both data sets."""
    on_real = [one.on_real for one in group.members]
    few = real.count < LEAST_SESSIONS
    return Performance(
        name=group.name,
        runs=tuple(one.name for one in group.members),
        trained_on=group.first.training_data(),
        photos=group.photos,
        arm=group.first.arm,
        simulated=measures([one.on_sim for one in group.members], sim),
        real=measures(on_real, real),
        by_seed=tuple(float(one.ap50[0]) for one in on_real if np.isfinite(one.ap50[0])),
        by_session=_by_session(on_real, real) if few else (),
    )


def _by_session(runs: Sequence[Resampled], sessions: PhotoSessions) -> tuple[tuple[str, float], ...]:
    numbers = np.unique(sessions.of_frame)
    alone = (sessions.of_frame == numbers[:, None]).astype(np.float64)
    values = np.mean([average_precisions(one.matched[AT_50], alone) for one in runs], 0)
    return tuple((f"session {k + 1}", float(value)) for k, value in enumerate(values) if np.isfinite(value))


def comparisons(groups: Sequence[RunGroup], sessions: PhotoSessions) -> tuple[Comparison, ...]:
    """AP50 on the photos of every two groups, the first minus the second; their p corrected as one family."""
    pairs = list(combinations(groups, 2))
    figures: dict[str, Figure] = {}
    for k, (a, b) in enumerate(pairs):
        values = paired(a, b)
        if np.isfinite(values[:, 0]).all():
            photos = len(sessions.of_frame)
            figures[str(k)] = difference_figure(values[:, 0].tolist(), values[:, 1:], sessions.count, POINTS, photos)
    return tuple(
        Comparison(first=pairs[int(k)][0].name, second=pairs[int(k)][1].name, difference=figure)
        for k, figure in holm(figures).items()
    )


def paired(a: RunGroup, b: RunGroup) -> np.ndarray:
    """AP50 on the photos, one minus the other, for each pair of seeds: [pairs, draws]; column 0 is all photos.

    Runs of the same seed are a pair; where no seed is in both groups, they are paired in their order.
    """
    of_a, of_b = ({one.run.seed: one for one in group.members} for group in (a, b))
    common = [seed for seed in of_a if seed is not None and seed in of_b]
    pairs = [(of_a[seed], of_b[seed]) for seed in common] or list(zip(a.members, b.members, strict=False))
    return np.array([first.on_real.ap50 - second.on_real.ap50 for first, second in pairs])


def smallest(groups: Sequence[RunGroup], sessions: PhotoSessions) -> Figure:
    """The smallest difference between two detectors that these photos show: by the first two that are measured."""
    for a, b in combinations(groups, 2):
        values = paired(a, b)
        if np.isfinite(values[:, 0]).all():
            photos = len(sessions.of_frame)
            return smallest_difference(values[:, 0].tolist(), values[:, 1:], sessions.count, photos)
    return not_measured("Two runs are needed.", POINTS)


def gap(group: RunGroup, sim: PhotoSessions, real: PhotoSessions) -> Figure:
    """AP50 on simulated validation data minus AP50 on the photos, of a group that saw no photo."""
    if group.photos != 0:
        seen = "an unknown number of" if group.photos is None else str(group.photos)
        return not_measured(f"{group.name} saw {seen} photos. The gap needs a run that saw none.", POINTS)
    labels = [
        set(one.matched[AT_50].truth_labels.tolist()) for one in (group.members[0].on_sim, group.members[0].on_real)
    ]
    if labels[0] != labels[1]:
        names = [group.first.categories[k] for k in sorted(labels[0] ^ labels[1])]
        return not_measured(
            f"Only one of the two data sets holds {', '.join(names)}: the means differ in them.", POINTS
        )
    on_sim = np.array([one.on_sim.ap50 for one in group.members])
    on_real = np.array([one.on_real.ap50 for one in group.members])
    if not (np.isfinite(on_sim[:, 0]).all() and np.isfinite(on_real[:, 0]).all()):
        return too_few(NO_BOX, POINTS)
    figure = unpaired_figure(on_sim, on_real, sim.count, real.count, POINTS)
    return replace(figure, n=len(real.of_frame))
