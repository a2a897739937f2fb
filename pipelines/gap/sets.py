"""The data sets of a report, and the table's rows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simgen.dataset.store.locations import Location

if TYPE_CHECKING:
    from hybrid.core.config import BoxesOf
    from hybrid.data.clips import ClipSource
    from pipelines.gap.measure import Result, Run
    from pipelines.gap.report import DataRow, RunRow


@dataclass(frozen=True)
class Sets:
    """What is measured on, by the same categories in the same order."""

    sim: ClipSource
    target: ClipSource
    pictures: tuple[ClipSource, ClipSource]  # compared with each other: simulated, and what is to look like it
    word: str  # what the target is called
    note: str  # which simulated clips


def read_sets(asked: argparse.Namespace, runs: Sequence[Run]) -> Sets:
    from pipelines.common.runs import STAND_IN, read, split_to_measure, target_kind
    from pipelines.gap.measure import held_out, never_seen

    split = split_to_measure(asked.real)
    boxes = _boxes(runs)
    target = read(asked.real, split=split, boxes=boxes)
    never_seen(target, asked.real, runs, split)
    every = read(asked.sim, target.categories, boxes=boxes)
    sim, note = held_out(every, asked.sim, runs)
    if 0 < asked.sim_clips < len(sim):
        sim, note = sim.take(asked.sim_clips), f"{note}; {asked.sim_clips} of them measured"
    # pictures are compared where parts show
    shown = every if boxes == "visible" else read(asked.sim, target.categories)
    if asked.look is not None:
        look = read(asked.look, target.categories)
    else:
        look = target if boxes == "visible" else read(asked.real, target.categories, split)
    return Sets(sim, target, (shown, look), STAND_IN if asked.stand_in else target_kind(asked.real), note)


def _boxes(runs: Sequence[Run]) -> BoxesOf:
    """What the runs' boxes go round.

    Raises:
        DataError: they differ, so that no truth would be fair to all of them.
    """
    from hybrid.core.errors import DataError

    known = {run.model.boxes for run in runs}
    if len(known) > 1:
        told = ", ".join(f"{run.folder.name}: {run.model.boxes}" for run in runs)
        raise DataError(f"boxes of these runs go round different things ({told}): measure them apart")
    return known.pop() if known else "visible"


def as_known(source: ClipSource, run: Run) -> ClipSource:
    """The source with its labels counted as the run's detector counts them.

    Raises:
        DataError: the detector does not know one of the categories.
    """
    import numpy as np

    from hybrid.core.errors import DataError

    missing = [name for name in source.categories if name not in run.categories]
    if missing:
        raise DataError(f"{run.folder}: its detector knows {list(run.categories)}, not {missing} of {source.name}")
    place = np.array([run.categories.index(name) for name in source.categories], np.int64)
    clips = [
        replace(clip, frames=tuple(replace(f, labels=place[f.labels]) for f in clip.frames)) for clip in source.clips
    ]
    return replace(source, categories=run.categories, clips=tuple(clips))


def set_row(path: Location, source: ClipSource, note: str) -> DataRow:
    from pipelines.gap.report import DataRow

    return DataRow(path=str(path), images=len(source.frames), boxes=sum(source.counts().values()), note=note)


def run_row(run: Run, on_sim: Result, on_target: Result) -> RunRow:
    from pipelines.gap.measure import in_report
    from pipelines.gap.report import RunRow

    return RunRow(
        name=run.folder.name,
        trained_on=run.described(),
        branches=run.model.branches,
        steps=run.plain["steps"],
        seconds=float(run.plain.get("seconds", 0.0)),
        sim=in_report(on_sim.metrics),
        target=in_report(on_target.metrics),
    )
