"""More scenes or other scenes: what the AP50 of simulation alone says at several numbers of scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pipelines.gap.schema.figure import Figure, not_measured
from pipelines.gap.schema.sections import Scenes, ScenesPoint
from pipelines.gap.sections.efficiency import MOST_FITS, drawn
from pipelines.gap.sections.runs import POINTS, RunGroup, figure_of
from pipelines.gap.stats.curve import LEAST_NUMBERS, WORTH_IT, fitted
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import LEAST_SESSIONS

METHOD = "error c + a m^-b of m scenes, fitted on each draw of sessions and seeds; the middle 95 %"
HOLD_OUT = "0.55, 0.77 and 0.89"  # beside 0.1: a half, a quarter and an eighth of the scenes


def scenes(groups: Sequence[RunGroup], sessions: PhotoSessions) -> Scenes:
    """Of runs on simulation alone that differ in the number of scenes: the first such family with the most numbers."""
    family = _family(groups)
    points = tuple(
        ScenesPoint(
            scenes=number, ap50=figure_of([one.on_real for one in group.members], "ap50", sessions),
            by_seed=tuple(float(one.on_real.ap50[0]) for one in group.members),
        )
        for number, group in family.items()
    )  # fmt: skip
    if len(family) < LEAST_NUMBERS or sessions.count < LEAST_SESSIONS:
        missing = (
            f"Runs on {LEAST_NUMBERS} numbers of scenes of one preset with the same settings are needed, and "
            f"{LEAST_SESSIONS} sessions; there are {len(family)} and {sessions.count}. train_sim with --holdout "
            f"{HOLD_OUT} trains on a half, a quarter and an eighth of the scenes."
        )
        none = not_measured(missing, POINTS)
        return Scenes(points=points, stop=f"Not known. {missing}", gain_of_double=none, left=none)
    numbers, values = np.array(list(family), np.float64), drawn(family)
    errors = 1 - np.array([values[int(number)] for number in numbers])
    laws = [fitted(numbers, errors[:, k], 0.0) for k in range(min(errors.shape[1], MOST_FITS + 1))]
    most = int(numbers[-1])
    gain = _figure(np.array([law.gain(most, most) for law in laws]), most)
    left = _figure(np.array([100 * law.c for law in laws]), most)
    return Scenes(points=points, stop=_stop(gain, left), gain_of_double=gain, left=left)


def _family(groups: Sequence[RunGroup]) -> dict[int, RunGroup]:
    """Groups that saw simulation alone, by the number of scenes: all with the same settings and the same preset."""
    families: dict[tuple[str, str], dict[int, RunGroup]] = {}
    for group in groups:
        run = group.first
        if run.photos == 0 and run.preset and run.scenes and np.isfinite(group.members[0].on_real.ap50[0]):
            families.setdefault((run.method, run.preset), {}).setdefault(run.scenes, group)
    return dict(sorted(max(families.values(), key=len, default={}).items()))


def _figure(values: Float[np.ndarray, " draws"], most: int) -> Figure:
    """The value of all photos first, then of the draws."""
    value, low, high = float(values[0]), *(float(np.quantile(values[1:], level)) for level in (0.025, 0.975))
    return Figure(
        status="measured", value=value, low=min(low, value), high=max(high, value), unit=POINTS, method=METHOD, n=most
    )


def _stop(gain: Figure, left: Figure) -> str:
    assert gain.low is not None
    assert gain.high is not None
    if gain.high < WORTH_IT:
        return (
            f"Other scenes: twice as many of these bring less than {WORTH_IT} points of AP50, and {left.value:.0f} "
            "points stay that none of them wins."
        )
    if gain.low >= WORTH_IT:
        return f"More scenes: twice as many bring {gain.value:.1f} points of AP50 [{gain.low:.1f}, {gain.high:.1f}]."
    return f"Not decided: twice as many bring {gain.low:.1f} to {gain.high:.1f} points of AP50."
