"""Runs whose detections are invented: nothing is trained and no picture is read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from hybrid.metrics.detection import score
from pipelines.common.record import Experiment, StartingRun
from pipelines.gap.finished import FinishedRun
from pipelines.gap.sections.runs import Measured, draws_of
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.resampled import Measurement
from tests.pipelines.gap.scenes import scattered, source_of

FRAMES = 18
SESSIONS = PhotoSessions(np.repeat(np.arange(6), 3), "pattern", "by hand")
SCENES = PhotoSessions(np.arange(FRAMES), "clips", "one for each scene")
CATEGORIES = ("bolt", "nut")
Photos = tuple[list[Detections], list[FrameRecord]]


class Invented(FinishedRun):
    """A run without a folder."""

    @property
    def model(self) -> SimpleNamespace:  # type: ignore[override]
        return SimpleNamespace(branches="cnn")

    @property
    def lineage(self) -> tuple[FinishedRun, ...]:  # type: ignore[override]
        return (self,)


def experiment(kind: str, photos: int, mixed_in: str | None) -> Experiment:
    return Experiment(
        script="finetune_real", data="photos.json", kind=kind, shots=photos if kind == "real" else None,  # type: ignore[arg-type]
        trained_on=tuple(map(str, range(photos))), mixed_in=mixed_in,
        init=None if kind == "simulated" else StartingRun(run="sim", sha256="ab"),
    )  # fmt: skip


def invented(name: str, photos: int, seed: int, simulation: bool) -> Invented:
    """A run on these photos, after simulation or alone; on simulated scenes where there are none."""
    record = experiment("real" if photos else "simulated", photos or 30, "sim" if simulation and photos else None)
    return Invented(Path(name), CATEGORIES, 100, 3600.0, 64, record, 0.3, seed)


def measured(
    name: str,
    missed: float,
    photos: int = 0,
    seed: int = 0,
    simulation: bool = True,
    sessions: PhotoSessions = SESSIONS,
) -> Measured:
    """A run that misses this share of the parts. All see the same boxes. With photos it is not drawn on scenes."""
    run = invented(name, photos, seed, simulation)
    on_sim, on_real = (worse(scattered(FRAMES, world, parts=4, missed=0.05), missed, seed) for world in (1, 2))
    first, second = (Measurement(score(*one, CATEGORIES), one[0]) for one in (on_sim, on_real))
    drawn = draws_of(second, source_of(on_real[1]), sessions)
    return Measured(run, first, second, drawn if photos else draws_of(first, source_of(on_sim[1]), SCENES), drawn)


def worse(photos: Photos, missed: float, seed: int) -> Photos:
    """The detections without a share of them, drawn by the seed."""
    rng = np.random.default_rng(100 + seed)
    kept = []
    for one in photos[0]:
        keep = np.flatnonzero(rng.random(len(one.scores)) >= missed)
        kept.append(one.take(torch.from_numpy(keep)))
    return kept, photos[1]
