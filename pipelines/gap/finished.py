"""What the files in a finished run's folder say about it: `run.json`, `experiment.json`, the header of its weights.

Two runs are seeds of one way of training where their `recipe` is the same: all settings but the seed and the shuffle.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from hybrid.core.config import SCORE, ModelConfig
from hybrid.core.errors import DataError, RunError
from hybrid.predict.tiles import View, view_of
from hybrid.training.config import TrainConfig
from hybrid.weights.checkpoint import load_config
from hybrid.weights.record import RUN, read_record
from hybrid.weights.released import run_at
from pipelines.common.data import MANIFEST
from pipelines.common.record import EXPERIMENT, Experiment, read_experiment
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

_KINDS = {"simulated": "simulated scenes", "real": "photos", "stand-in": "stand-in clips"}


@dataclass(frozen=True)
class FinishedRun:
    """What the files in a finished run's folder say about it."""

    folder: Path
    categories: tuple[str, ...]
    steps: int
    seconds: float
    tile_px: int  # side of the training tile
    experiment: Experiment | None  # None: trained by `hybrid.training` alone, so nothing is known about its data
    score: float = SCORE  # lowest score of a detection that is shown: the run's operating point
    seed: int | None = None  # of its training; None: not recorded

    @cached_property
    def model(self) -> ModelConfig:
        return load_config(self.folder)

    @property
    def view(self) -> View:
        """The tiles and scales at which the detector looks at images: as it was trained."""
        return view_of(self.tile_px)

    @cached_property
    def lineage(self) -> tuple[FinishedRun, ...]:
        """This run, the run that it started from, and so on.

        Raises:
            DataError, RunError: one of them cannot be opened, or a run started from itself.
        """
        runs: list[FinishedRun] = [self]
        while runs[-1].experiment is not None and runs[-1].experiment.init is not None:
            folder, record = runs[-1].experiment.init.folder, runs[-1].folder / EXPERIMENT
            if any(run.folder.resolve() == folder.resolve() for run in runs):
                raise RunError(f"{record}: init.run: {folder} started from this very run")
            if not folder.exists():
                raise DataError(f"{record}: init.run: there is no folder {folder}; put that run back there")
            runs.append(open_run(folder))
        return tuple(runs)

    @property
    def steps_in_all(self) -> int:
        """Its steps and those of the runs before it."""
        return sum(run.steps for run in self.lineage)

    @property
    def steps_on_target(self) -> int:
        """As `steps_in_all`, without the steps on simulated data alone."""
        on_target = [run for run in self.lineage if run.experiment is None or run.experiment.kind != "simulated"]
        return sum(run.steps for run in on_target)

    @property
    def photos(self) -> int | None:
        """How many labelled photos it and the runs before it were trained on; None: not known."""
        seen: set[tuple[str, str]] = set()
        shots: list[int] = []
        for run in self.lineage:
            if run.experiment is None:
                return None
            if run.experiment.kind != "simulated":
                seen |= {
                    (run.experiment.data_sha256 or run.experiment.data, name) for name in run.experiment.trained_on
                }
                shots += [] if run.experiment.shots is None else [run.experiment.shots]
        return max([len(seen), *shots]) if seen else 0

    @property
    def scenes(self) -> int | None:
        """How many simulated scenes it, or the run before it that saw some, was trained on; None: none or not known."""
        of_scenes = [one.experiment for one in self.lineage if one.experiment and one.experiment.kind == "simulated"]
        return len(of_scenes[0].trained_on) or None if of_scenes else None

    @cached_property
    def method(self) -> str:
        """All settings of its training and of the runs before it, as JSON: without the seed and its own data."""
        return json.dumps([_settings(run) for run in self.lineage], sort_keys=True)

    @cached_property
    def recipe(self) -> str:
        """`method` with the data: the same for runs that differ in the seed and the shuffle of the photos alone."""
        records = [run.experiment for run in self.lineage if run.experiment is not None]
        data = [
            [one.data_sha256 or one.data, one.shots if one.kind != "simulated" else len(one.trained_on)]
            for one in records
        ]
        return json.dumps([self.method, data])

    @cached_property
    def preset(self) -> str | None:
        """Tells the preset of its scenes from others: the config of the data set or, where it is gone, the data's hash.

        None: it was not trained on simulated scenes alone.
        """
        record = self.experiment
        if record is None or record.kind != "simulated":
            return None
        try:
            config = read_json(Path(record.data) / MANIFEST)["request"]["config"]
        except (TextFileError, KeyError, TypeError):
            return record.data_sha256 or record.data
        return json.dumps(config, sort_keys=True)

    @property
    def arm(self) -> Literal["simulation", "photos", "unknown"]:
        """Whether it, or a run before it, saw simulated scenes, or photos alone."""
        experiments = [run.experiment for run in self.lineage]
        if any(one is not None and (one.kind == "simulated" or one.mixed_in) for one in experiments):
            return "simulation"
        return "unknown" if any(one is None for one in experiments) else "photos"

    def training_data(self) -> str:
        """What it was trained on, in words that never call a stand-in real."""
        if self.experiment is None:
            return "unknown"
        shots = self.experiment.shots if self.experiment.kind == "real" else None  # a video has many frames
        words = f"{shots or len(self.experiment.trained_on)} {_KINDS[self.experiment.kind]}"
        if self.experiment.mixed_in:
            words += f", with {Path(self.experiment.mixed_in).name} mixed in"
        init = self.experiment.init
        return words + (f", from {Path(init.run).name}" if init else "")


def _settings(run: FinishedRun) -> list[Any]:
    """How one run was trained, without the seed: settings, what the record says of the method, and other sources."""
    file = run_at(run.folder) / RUN
    stated = read_json(file) if file.is_file() else {}
    train = {key: value for key, value in stated.get("train", {}).items() if key != "seed"}
    with suppress(AttributeError, TypeError, ValueError):  # of another version: compared as it is
        train = TrainConfig.from_stored(train).identity() | {"seed": None}
    listed = stated.get("data")
    sources = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    weights = [f"{weight:.6g}" if isinstance(weight := one.get("weight"), float) else weight for one in sources]
    others = [[str(one.get("name")).rsplit("/", 1)[-1], one.get("frames")] for one in sources[1:]]
    record = run.experiment
    how = None if record is None else [record.kind, record.method, record.mixed_in_sha256, record.warm_up]
    return [train, weights, others, how, None if record is None else record.unlabelled]


def open_run(folder: Path) -> FinishedRun:
    """The finished run in `folder`.

    Raises:
        DataError: there is none, or it has not finished.
        RunError: one of its files is damaged, or a value in it has the wrong type. Names the file and the key.
    """
    stated = read_record(folder)
    if stated is None:
        problem = "has not finished" if (folder / EXPERIMENT).is_file() else "is no run"
        raise DataError(f"{folder}: {problem}: it has no {RUN}")
    if stated.categories is None or stated.steps is None:
        raise RunError(f"{folder / RUN}: needs both categories and steps")
    point = stated.operating_point
    score = SCORE if point is None or point.score is None else point.score
    experiment = read_experiment(folder)
    train, seconds = stated.train, stated.seconds
    return FinishedRun(folder, stated.categories, stated.steps, seconds, train.tile_px, experiment, score, train.seed)
