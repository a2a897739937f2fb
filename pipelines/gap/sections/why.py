"""Whether the simulation covers what the camera sees, one picture statistic at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wasserstein_distance

from hybrid.data.clips import ClipSource
from hybrid.data.pixels import decode
from pipelines.gap.appearance import STATISTICS, Statistic, Values, causes, image_statistics, pooled
from pipelines.gap.schema.figure import Figure, counted, not_measured, too_few
from pipelines.gap.schema.sections import Coverage, Named, Why
from pipelines.gap.stats.coverage import Outside, icc, outside
from pipelines.gap.stats.grouping import PhotoSessions, renumbered

LEVELS = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)
COMPARED = 150  # pictures of each data set
LEAVE_IT = "leave it"


@dataclass(frozen=True)
class Looks:
    """The picture statistics of both sides; `sessions` has the session of each photo in `real`."""

    simulated: Values
    real: Values
    sessions: PhotoSessions
    of_parts: bool  # False: the photos have no boxes, so that nothing is known of parts


def looks(sim: ClipSource, real: ClipSource, sessions: PhotoSessions, seed: int = 0) -> Looks:
    """The statistics of one frame of each simulated scene, and of the photos. `sessions` are those of all frames.

    Of clips, frames from all over the clip are taken, not the first one alone.
    """
    rng = np.random.default_rng(seed)
    scenes = [clip.frames[int(rng.integers(len(clip.frames)))] for clip in sim.clips[:COMPARED]]
    some = evenly(len(real.frames), COMPARED)
    photos = [real.frames[k] for k in some]
    return Looks(
        simulated=image_statistics((decode(one), one.boxes_xyxy_px.astype(float)) for one in scenes),
        real=image_statistics((decode(one), one.boxes_xyxy_px.astype(float)) for one in photos),
        sessions=renumbered(sessions, sessions.of_frame[some].tolist()),
        of_parts=any(len(one.labels) for one in photos),
    )


def evenly(count: int, most: int) -> list[int]:
    """`most` indices from all over `count`, or all of them."""
    return list(range(count)) if count <= most else [k * count // most for k in range(most)]


def why(seen: Looks, note: str) -> Why:
    """What lies beyond the simulated range first, then what is not decided."""
    names = [name for name, one in STATISTICS.items() if seen.of_parts or not one.of_parts]
    floors = {name: STATISTICS[name].floor for name in names if STATISTICS[name].floor is not None}
    shares = outside(
        {name: seen.simulated[name] for name in names},
        {name: seen.real[name] for name in names},
        seen.sessions.of_frame,
        {name: floor for name, floor in floors.items() if floor is not None},
    )
    compared = [name for name in names if _compared(name, seen)]
    follows = causes({name: shares[name].beyond for name in compared if shares[name].verdict == "beyond"})
    rows = [_row(name, seen, shares[name], follows.get(name, ())) for name in compared]
    order = ("beyond", "not_decided", "covered", "cannot_be_told", "too_few")
    rows.sort(key=lambda row: (order.index(row.verdict), -_most(row)))
    left_out = "" if seen.of_parts else " They have no boxes: nothing is said of the parts."
    return Why(levels=LEVELS, coverage=tuple(rows), features=(), note=note + left_out)


def alikeness(seen: Looks) -> tuple[Named, ...]:
    """ICC of each statistic's mean over a photo, within sessions."""
    rows = []
    for name, statistic in STATISTICS.items():
        having = [k for k, values in enumerate(seen.real[name]) if len(values)]
        means = np.array([seen.real[name][k].mean() for k in having])
        value = icc(means, seen.sessions.of_frame[having]) if having else None
        figure = too_few("no session has two photos", "ICC") if value is None else counted(value, "ICC", len(having))
        rows.append(Named(label=statistic.title, figure=figure))
    return tuple(rows)


def _compared(name: str, seen: Looks) -> bool:
    return min(len(pooled(seen.simulated[name])), len(pooled(seen.real[name]))) >= 2


def _most(row: Coverage) -> float:
    return max(row.below.value or 0.0, row.above.value or 0.0)


def _row(name: str, seen: Looks, found: Outside, follows: Sequence[str]) -> Coverage:
    statistic, simulated, real = STATISTICS[name], pooled(seen.simulated[name]), pooled(seen.real[name])
    first = " and of ".join(STATISTICS[cause].title for cause in follows)
    so = f"may follow: widen the range of {first} first, then look again" if follows else ""
    return Coverage(
        name=name, title=statistic.title, unit=statistic.unit, below=found.below, above=found.above,
        simulated=_quantiles(simulated), real=_quantiles(real), distance=_distance(simulated, real),
        verdict=found.verdict, so=so or advice(statistic, found, _quantiles(real)), knobs=statistic.knobs,
    )  # fmt: skip


def advice(statistic: Statistic, found: Outside, real: Sequence[float]) -> str:
    """What to do. It widens the range on the side that is violated, and never narrows it.

    `real` are the quantiles of the photos at `LEVELS`.
    """
    if found.verdict == "too_few":
        return f"not known: {found.below.note or found.above.note}"
    if found.verdict == "cannot_be_told":
        return "cannot be told: under what 8 bits resolve"
    if found.verdict == "beyond":
        lines = []
        if "below" in found.beyond:
            lines.append(f"widen the range down to {real[0]:.3g} {statistic.unit}: {statistic.higher}")
        if "above" in found.beyond:
            lines.append(f"widen the range up to {real[-1]:.3g} {statistic.unit}: {statistic.lower}")
        return "; ".join(lines)
    side, share = max((("below", found.below), ("above", found.above)), key=lambda one: one[1].value or 0.0)
    if found.verdict == "covered" or (share.value or 0.0) <= 0.05:
        return LEAVE_IT
    text = statistic.higher if side == "below" else statistic.lower
    return f"not decided by {share.n_units} sessions; to try: {text}"


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, LEVELS))


def _distance(simulated: np.ndarray, real: np.ndarray) -> Figure:
    spread = float(np.sqrt((simulated.var() + real.var()) / 2.0)) or 1.0
    value = float(wasserstein_distance(simulated, real)) / spread
    return counted(value, "standard deviations", len(real), "A description: a wide simulated range is no fault.")


def no_pictures(missing: str) -> Why:
    """The section where there are no photos to look at."""
    none = not_measured(missing, "share")
    rows = tuple(
        Coverage(
            name=name, title=one.title, unit=one.unit, below=none, above=none, simulated=(), real=(),
            distance=none, verdict="too_few", so=f"not known: {missing}", knobs=one.knobs,
        )
        for name, one in STATISTICS.items()
    )  # fmt: skip
    return Why(levels=LEVELS, coverage=rows, features=(), note=missing)
