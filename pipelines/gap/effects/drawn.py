"""Which of the values drawn for a simulated scene cost the detector, within their simulated ranges.

Each scene's values were drawn at random and apart from each other, so a scene is an experiment: its loss is regressed
on one value at a time. That is sensitivity within the range, in simulation alone. It says nothing of photos, and so
not what to change in the simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int64
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from hybrid.core.progress import Together
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource
from hybrid.metrics.video import FREE, IOU, FrameDetections, boxes_taken
from hybrid.predict.suppression import one_label
from pipelines.gap.effects.scene_values import NO_VALUES, SceneValues, scene_values
from pipelines.gap.finished import FinishedRun
from pipelines.gap.schema.effects import Drawn, DrawnValue
from pipelines.gap.schema.figure import Figure, not_measured, too_few
from pipelines.gap.stats.interval import LEVEL, holm
from simgen.dataset.store.locations import Location

LEAST_SCENES = 60
MOST_ROWS = 12  # beside those beyond chance
POINTS = "points of F1"
METHOD = "least squares of the scenes' loss on this value alone; HC3 standard error, 95 % t interval over scenes"
Column = Float[np.ndarray, " scenes"]


def drawn_values(
    run: FinishedRun, place: Location, source: ClipSource, detections: Sequence[Detections], score: float | None,
    show: Together | None = None,
) -> Drawn:  # fmt: skip
    """The section, of a run's detections in the simulated scenes at `place` that it never learned from.

    `score`: in use; None: the run's own.
    """
    used = run.score if score is None else score
    loss = losses(detections, source, used)
    enough = int(np.isfinite(loss).sum()) >= LEAST_SCENES
    values = scene_values(place, source, show) if enough else NO_VALUES
    found = drawn(loss, values, used)
    if any(one.experiment is None or not one.experiment.trained_on for one in run.lineage):
        unknown = f"{run.folder.name} does not record its scenes: make sure that --sim holds others, of another seed."
        return replace(found, note=f"{found.note} {unknown}")
    return found


def losses(detections: Sequence[Detections], source: ClipSource, score: float) -> Column:
    """100 (1 - F1) of each scene with the detections of `score` or more; NaN where it has no part.

    F1 is 2 right / (2 right + false + missed), of all frames of the scene. Each object has one label, as in use.
    """
    values, first = [], 0
    for clip in source.clips:
        right = false = parts = 0
        for every, frame in zip(detections[first : first + len(clip.frames)], clip.frames, strict=True):
            shown = one_label(every.take(every.scores >= score))
            taken = boxes_taken(FrameDetections.of(shown), frame, np.ones(len(frame.labels), bool), IOU)
            right += sum(one >= 0 for one in taken)
            false += sum(one == FREE for one in taken)
            parts += len(frame.labels)
        first += len(clip.frames)
        values.append(100 * (1 - 2 * right / (right + false + parts)) if parts else np.nan)
    return np.array(values)


def drawn(loss: Column, values: SceneValues, score: float) -> Drawn:
    """The section.

    Args:
        loss: of each scene, in points; NaN where it has none.
        values: drawn for the same scenes.
        score: of the detections that count.
    """
    note = (
        f"The loss of a scene is 1 - F1 of the detections of {score:.2f} or more: parts missed and false alarms "
        "together. Scenes that the detector learned from, and scenes without a part, are left out."
    )
    having = np.isfinite(loss)
    count = int(having.sum())
    if values.missing or count < LEAST_SCENES:
        short = f"{LEAST_SCENES - count} more simulated scenes are needed that no run learned from: {count} of "
        short += f"{LEAST_SCENES} are there. --sim-clips takes more of --sim, where it has more."
        none = not_measured(values.missing, POINTS) if values.missing else too_few(short, POINTS, count, count)
        return Drawn(loss=none, rows=(), tested=0, left_out=(), note=note)
    rows: dict[str, DrawnValue] = {}
    few: list[str] = []
    for key, column in values.columns.items():
        known = having & np.isfinite(column)
        if int(known.sum()) < LEAST_SCENES:
            few.append(key)
            continue
        row = _row(key, column[known], loss[known], values.sets[known], key in values.logarithmic)
        if row is not None:
            rows[key] = row
    corrected = holm({key: row.effect for key, row in rows.items()})
    tested = [replace(row, effect=corrected[key]) for key, row in rows.items()]
    tested.sort(key=lambda row: (row.effect.p, -abs(row.effect.value or 0.0)))
    shown = [row for k, row in enumerate(tested) if k < MOST_ROWS or (row.effect.p_holm or 0.0) < 1 - LEVEL]
    mean = _mean(loss[having])
    return Drawn(loss=mean, rows=tuple(shown), tested=len(tested), left_out=_left_out(few, values), note=note)


def _mean(loss: Column) -> Figure:
    mean = float(loss.mean())
    figure = Figure(
        status="measured", value=mean, unit=POINTS, method="mean over scenes", n=len(loss), n_units=len(loss)
    )
    if float(np.ptp(loss)) < 1e-9:
        return figure
    ends = ttest_1samp(loss, 0.0).confidence_interval(LEVEL)
    method = "mean over scenes; 95 % t interval"
    return replace(figure, low=min(float(ends.low), mean), high=max(float(ends.high), mean), method=method)


def _left_out(few: Sequence[str], values: SceneValues) -> tuple[str, ...]:
    lines = [f"{len(few)} values drawn in fewer than {LEAST_SCENES} scenes, such as {few[0]}"] if few else []
    return (*lines, *values.left_out)


@dataclass(frozen=True)
class Slope:
    """A straight line through the scenes: its slope, standard error and degrees of freedom."""

    value: float
    error: float
    freedom: int


def slope(x: Column, y: Column, sets: Int64[np.ndarray, " scenes"]) -> Slope | None:
    """The slope of y on x by least squares, with a level of its own for each data set; None: x does not vary.

    The standard error holds also where the scatter differs along x: HC3 of J. MacKinnon and H. White, "Some
    heteroskedasticity-consistent covariance matrix estimators with improved finite sample properties", Journal of
    Econometrics 29, 1985.
    """
    levels = (sets[:, None] == np.unique(sets)[None]).astype(np.float64)
    share = levels.sum(0)
    inside = x - levels @ (levels.T @ x / share)
    spread = float(inside @ inside)
    freedom = len(x) - len(share) - 1
    if freedom < 1 or spread <= 1e-12 * max(1.0, float(np.abs(x).max()) ** 2) * len(x):
        return None
    centred = y - levels @ (levels.T @ y / share)
    value = float(inside @ centred) / spread
    leverage = inside**2 / spread + levels @ (1 / share)
    left = (centred - value * inside) / np.maximum(1 - leverage, 1e-9)
    return Slope(value, float(np.sqrt((inside**2 * left**2).sum())) / spread, freedom)


def _row(key: str, x: Column, loss: Column, sets: Int64[np.ndarray, " scenes"], logarithmic: bool) -> DrawnValue | None:
    """None: nine scenes in ten have the same value."""
    low, high = (float(end) for end in np.quantile(x, [0.05, 0.95]))
    at = np.log(x) if logarithmic else x
    found = slope(at, loss, sets)
    if low == high or found is None or found.error <= 0:
        return None
    width = float(np.log(high) - np.log(low)) if logarithmic else high - low
    effect, error = found.value * width, found.error * width
    half = float(student.ppf((1 + LEVEL) / 2, found.freedom)) * error
    p = float(2 * student.sf(abs(effect) / error, found.freedom))
    figure = Figure(
        status="measured", value=effect, low=effect - half, high=effect + half, unit=POINTS, method=METHOD,
        n=len(x), n_units=len(x), p=p,
    )  # fmt: skip
    return DrawnValue(key=key, low=low, high=high, effect=figure)
