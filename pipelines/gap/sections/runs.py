"""Runs with what was measured of them, sorted into groups that differ in the training's seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import Score
from pipelines.gap.finished import FinishedRun
from pipelines.gap.schema.figure import Figure, counted, too_few
from pipelines.gap.schema.sections import Measures, Run
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import LEAST_SESSIONS, share_figure
from pipelines.gap.stats.resampled import DRAWS, Measurement, Resampled, resampled

POINTS = "points of AP50"
UNITS = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "recall": "AR"}
NO_BOX = "No object of a category that is measured."


@dataclass(frozen=True)
class Measured:
    """A run, measured on simulated validation data and on the test photos."""

    run: FinishedRun
    sim: Measurement
    real: Measurement
    on_sim: Resampled
    on_real: Resampled

    @property
    def name(self) -> str:
        return self.run.folder.name


@dataclass(frozen=True)
class RunGroup:
    """Runs that differ in their seed alone, by seed."""

    members: tuple[Measured, ...]

    @property
    def name(self) -> str:
        names = [one.name for one in self.members]
        shared = next(
            (names[0][:k] for k in range(len(names[0]), 0, -1) if all(n.startswith(names[0][:k]) for n in names)), ""
        )
        return names[0] if len(names) == 1 else shared.rstrip("-_ .") or names[0]

    @property
    def first(self) -> FinishedRun:
        return self.members[0].run

    @property
    def photos(self) -> int | None:
        return self.first.photos


def run_to_look_at(runs: Sequence[FinishedRun], named: str | None) -> tuple[FinishedRun, str]:
    """The run that the sections are about, and its name with the reason. Never chosen by what it reaches on the test.

    Not named: the first from simulation that saw no photo, for what fails there is what the simulation lacks. Else the
    one from simulation that saw most photos, as in the first sentence. Photos alone only where there is nothing else.

    Raises:
        DataError: `named` is none of them.
    """
    if named is not None:
        for run in runs:
            if named in (run.folder.name, str(run.folder)):
                return run, f"{run.folder.name}: named with --run-to-look-at"
        raise DataError(f"--run-to-look-at {named}: there are {[run.folder.name for run in runs]}")
    after_simulation = [run for run in runs if run.arm == "simulation"]
    alone = next((run for run in after_simulation if run.photos == 0), None)
    if alone is not None:
        return alone, f"{alone.folder.name}: the first run that saw no photo"
    most = max(after_simulation, key=lambda run: run.photos or 0, default=None)
    if most is None:
        return runs[0], f"{runs[0].folder.name}: the first run, as none is known to have started from simulation"
    seen = f"the most, {most.photos}" if most.photos else "a number that is not known"
    return most, f"{most.folder.name}: every run from simulation saw photos; this one saw {seen}"


def draws_of(measurement: Measurement, source: ClipSource, sessions: PhotoSessions) -> Resampled:
    """The measurement on draws of the sessions; none where there are too few sessions for an interval."""
    draws = DRAWS if sessions.count >= LEAST_SESSIONS else 0
    return resampled(measurement.detections, source.frames, sessions.of_frame, draws)


def grouped(measured: Sequence[Measured]) -> list[RunGroup]:
    """Runs by all that they share, in the order of the first of each group.

    Two runs of one seed are no seeds of one way of training: they differ in something that no record holds, such as the
    photos without parts that they saw. So they stand apart.

    Raises:
        DataError: a run is named twice.
    """
    folders = [one.run.folder.resolve() for one in measured]
    twice = [one.run.folder for one in measured if folders.count(one.run.folder.resolve()) > 1]
    if twice:
        raise DataError(f"--runs: {twice[0]} is named twice; its two copies would count as two seeds")
    groups: dict[tuple[object, int], list[Measured]] = {}
    for one in measured:
        run = one.run
        alone = run.folder if run.experiment is None or run.seed is None else None
        key = (run.arm, run.photos, run.steps, run.steps_in_all, run.recipe, repr(run.model), alone)
        twins = sum(run.seed == other.run.seed for known, own in groups.items() if known[0] == key for other in own)
        groups.setdefault((key, twins), []).append(one)
    return [RunGroup(tuple(sorted(own, key=lambda one: one.run.seed or 0))) for own in groups.values()]


def measures(runs: Sequence[Resampled], sessions: PhotoSessions) -> Measures:
    """The figures of runs that differ in their seed alone."""
    return Measures(**{name: figure_of(runs, name, sessions) for name in UNITS})


def figure_of(runs: Sequence[Resampled], name: str, sessions: PhotoSessions) -> Figure:
    """One of `UNITS` of runs that differ in their seed alone."""
    values, unit = [getattr(one, name) for one in runs], UNITS[name]
    table, photos = np.array(values), len(sessions.of_frame)
    if not np.isfinite(table[:, 0]).all():
        return too_few(NO_BOX, unit, 0, sessions.count)
    return share_figure(table[:, 0].tolist(), table[:, 1:], sessions.count, unit, photos)


def run_row(one: Measured) -> Run:
    """A run's row in the table of all runs."""
    run = one.run
    return Run(
        name=one.name, trained_on=run.training_data(), branches=run.model.branches, steps=run.steps,
        steps_on_target=run.steps_on_target, steps_in_all=run.steps_in_all, seconds=float(run.seconds),
        simulated=_plain(one.sim.metrics.overall), real=_plain(one.real.metrics.overall),
    )  # fmt: skip


def _plain(score: Score) -> Measures:
    return Measures(
        ap=_value(score.ap, "AP", score.boxes), ap50=_value(score.ap50, "AP50", score.boxes),
        ap75=_value(score.ap75, "AP75", score.boxes), recall=_value(score.ar, "AR", score.boxes),
    )  # fmt: skip


def _value(value: float | None, unit: str, boxes: int) -> Figure:
    return too_few(NO_BOX, unit, boxes) if value is None else counted(value, unit, boxes)
