"""Measuring finished runs on data sets. Detections are stored beside the report, so that a second report is fast.

The key of a stored measurement is a hash of all that it depends on: the run's weights, the frames with their boxes, and
the view (tiles and scales) through which the detector looks at them. If one of these changes, it is measured again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from hybrid.core.config import ModelConfig
from hybrid.core.errors import DataError, RunError
from hybrid.core.progress import bar
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import Metrics, evaluate, score
from hybrid.predict.tiles import View, view_of
from hybrid.weights.checkpoint import load, load_config
from hybrid.weights.record import RUN
from pipelines.common.record import EXPERIMENT, Experiment, read_experiment, weights_hash
from simgen.dataset.store.files import write_atomically

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

    @cached_property
    def model(self) -> ModelConfig:
        return load_config(self.folder)

    @property
    def view(self) -> View:
        """The tiles and scales at which the detector looks at images: as it was trained."""
        return view_of(self.tile_px)

    def training_data(self) -> str:
        """What it was trained on, in words that never call a stand-in real."""
        if self.experiment is None:
            return "unknown"
        words = f"{len(self.experiment.trained_on)} {_KINDS[self.experiment.kind]}"
        if self.experiment.mixed_in:
            words += f", with {Path(self.experiment.mixed_in).name} mixed in"
        init = self.experiment.init
        return words + (f", from {Path(init.run).name}" if init else ", from scratch")


def open_run(folder: Path) -> FinishedRun:
    """The finished run in `folder`.

    Raises:
        DataError: there is none, or it has not finished.
        RunError: one of its files is damaged.
    """
    if not (folder / RUN).is_file():
        problem = "has not finished" if (folder / EXPERIMENT).is_file() else "is no run"
        raise DataError(f"{folder}: {problem}: it has no {RUN}")
    try:
        summary = json.loads((folder / RUN).read_bytes())
        return FinishedRun(
            folder=folder,
            categories=tuple(summary["categories"]),
            steps=int(summary["steps"]),
            seconds=float(summary.get("seconds", 0.0)),
            tile_px=int(summary["train"]["tile_px"]),
            experiment=read_experiment(folder),
        )
    except KeyError as error:
        raise RunError(f"{folder / RUN}: has no {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{folder / RUN}: is damaged: {error}") from None


@dataclass(frozen=True)
class Measurement:
    """One run on one data set: its metrics, and its detections in each frame."""

    metrics: Metrics
    detections: list[Detections]


def measure(run: FinishedRun, source: ClipSource, cache: Path, title: str) -> Measurement:
    """The run's metrics and detections on `source`, from the folder `cache` if it has been measured before.

    The categories of `source` must be the run's, in its order; see `pipelines.gap.sets.with_labels_of`.
    `title` is the name of the progress bar.
    """
    path = cache / f"{_key(run, source)}.json"
    if path.is_file():
        detections = [_from_json(frame) for frame in json.loads(path.read_text())["detections"]]
        return Measurement(score(detections, source.frames, source.categories), detections)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with bar(title) as progress:
        evaluation = evaluate(load(run.folder, device=device), source, run.view, progress)
    cache.mkdir(parents=True, exist_ok=True)
    plain = {
        "run": str(run.folder), "data": source.name, "metrics": evaluation.metrics.to_plain(),
        "detections": [_to_json(frame) for frame in evaluation.detections],
    }  # fmt: skip
    write_atomically(path, json.dumps(plain).encode())
    return Measurement(evaluation.metrics, evaluation.detections)


def _key(run: FinishedRun, source: ClipSource) -> str:
    digest = hashlib.sha256(f"{weights_hash(run.folder)} {asdict(run.view)} {source.categories}".encode())
    for frame in source.frames:
        digest.update(f"{frame.path.resolve()} {frame.offset} {frame.path.stat().st_mtime_ns}".encode())
        digest.update(frame.boxes_xyxy_px.tobytes() + frame.labels.tobytes())
    return digest.hexdigest()[:24]


def _to_json(detections: Detections) -> dict[str, Any]:
    return {
        "boxes_xyxy_px": detections.boxes_xyxy_px.tolist(),
        "scores": detections.scores.tolist(),
        "labels": detections.labels.tolist(),
    }


def _from_json(plain: dict[str, Any]) -> Detections:
    return Detections(
        torch.tensor(plain["boxes_xyxy_px"], dtype=torch.float32).reshape(-1, 4),
        torch.tensor(plain["scores"], dtype=torch.float32),
        torch.tensor(plain["labels"], dtype=torch.int64),
    )
