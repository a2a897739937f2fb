"""Every run on every data set, measured once: what was found is kept beside the report and read again the next time.

The key of a stored measurement is a hash of all that decides it: the run's weights, the frames with their boxes, how
the images are looked at. A detector or a data set that changed is measured anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from hybrid.core.config import ModelConfig
from hybrid.core.errors import DataError
from hybrid.core.progress import bar
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import Metrics, evaluate, score
from hybrid.predict.tiles import View, view_of
from hybrid.weights.checkpoint import RUN, load, load_config
from pipelines.common.runs import EXPERIMENT, data_hash, fingerprint
from pipelines.gap.report import Measured
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import Location, location


@dataclass(frozen=True)
class Run:
    """A finished run as its folder tells it."""

    folder: Path
    plain: dict[str, Any]

    @property
    def experiment(self) -> dict[str, Any]:
        told = self.folder / EXPERIMENT
        return dict(json.loads(told.read_text())) if told.is_file() else {}

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(self.plain["categories"])

    @cached_property
    def model(self) -> ModelConfig:
        return load_config(self.folder)

    @property
    def view(self) -> View:
        return view_of(self.plain["train"]["tile_px"])

    def described(self) -> str:
        """What it was trained on, in words that never call a stand-in real."""
        told = self.experiment
        if not told:
            return "not told"
        kind = {"simulated": "simulated scenes", "real": "photos", "stand-in": "stand-in clips"}[told["kind"]]
        words = f"{len(told['trained_on'])} {kind}"
        if told.get("mixed_in"):
            words += f", with {Path(told['mixed_in']).name} mixed in"
        return words + (f", from {Path(told['init']['run']).name}" if told.get("init") else ", from scratch")


def open_run(folder: Path) -> Run:
    """The run in `folder`.

    Raises:
        DataError: there is none that has finished.
    """
    if not (folder / RUN).is_file():
        begun = "has not finished" if (folder / EXPERIMENT).is_file() else "is no run"
        raise DataError(f"{folder}: {begun}: it has no {RUN}")
    return Run(folder, json.loads((folder / RUN).read_text()))


@dataclass(frozen=True)
class Result:
    metrics: Metrics
    detections: list[Detections]


def measure(run: Run, source: ClipSource, cache: Path, title: str) -> Result:
    """The run's figures and detections on `source`, whose categories are the run's."""
    path = cache / f"{_key(run, source)}.json"
    if path.is_file():
        found = [_unpacked(one) for one in json.loads(path.read_text())["detections"]]
        return Result(score(found, source.frames, source.categories), found)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with bar(title) as progress:
        done = evaluate(load(run.folder, device=device), source, run.view, progress)
    cache.mkdir(parents=True, exist_ok=True)
    plain = {
        "run": str(run.folder), "data": source.name, "metrics": done.metrics.to_plain(),
        "detections": [_packed(one) for one in done.detections],
    }  # fmt: skip
    write_atomically(path, json.dumps(plain).encode())
    return Result(done.metrics, done.detections)


def _key(run: Run, source: ClipSource) -> str:
    digest = hashlib.sha256(f"{fingerprint(run.folder)} {asdict(run.view)} {source.categories}".encode())
    for frame in source.frames:
        digest.update(f"{frame.path.resolve()} {frame.offset} {frame.path.stat().st_mtime_ns}".encode())
        digest.update(frame.boxes_xyxy_px.tobytes() + frame.labels.tobytes())
    return digest.hexdigest()[:24]


def _packed(found: Detections) -> dict[str, Any]:
    return {
        "boxes_xyxy_px": found.boxes_xyxy_px.tolist(),
        "scores": found.scores.tolist(),
        "labels": found.labels.tolist(),
    }


def _unpacked(plain: dict[str, Any]) -> Detections:
    return Detections(
        torch.tensor(plain["boxes_xyxy_px"], dtype=torch.float32).reshape(-1, 4),
        torch.tensor(plain["scores"], dtype=torch.float32),
        torch.tensor(plain["labels"], dtype=torch.int64),
    )


def in_report(metrics: Metrics) -> Measured:
    overall = metrics.overall
    return Measured(
        ap=overall.ap,
        ap50=overall.ap50,
        ar=overall.ar,
        ap_by_category={name: one.ap for name, one in metrics.by_category.items()},
        ap50_by_category={name: one.ap50 for name, one in metrics.by_category.items()},
        ap_by_size={name: one.ap for name, one in metrics.by_size.items()},
    )


def lineage(run: Run) -> list[Run]:
    """The run, the one that it started from, and so on."""
    told = run.experiment.get("init")
    return [run] + (lineage(open_run(Path(told["run"]))) if told else [])


def trained_on(run: Run, source: ClipSource, data: Location, split: str = "train") -> set[str]:
    """The clips of the set at `data` that the run or one before it trained on."""
    clips: set[str] = set()
    for told in (one.experiment for one in lineage(run)):
        if _same(told, "data", data, split):
            clips |= set(told["trained_on"])
        if _same(told, "mixed_in", data, split):
            clips |= {clip.name for clip in source.clips}
    return clips


def _same(told: dict[str, Any], key: str, data: Location, split: str) -> bool:
    if told.get(f"{key}_sha256"):
        return bool(told[f"{key}_sha256"] == data_hash(data, split))
    return bool(told.get(key)) and location(told[key]).resolve() == data.resolve()


def never_seen(source: ClipSource, data: Location, runs: Sequence[Run], split: str = "train") -> None:
    """Test data are for measuring alone.

    Raises:
        DataError: a run trained on some of them.
    """
    for run in runs:
        clips = trained_on(run, source, data, split)
        if clips:
            raise DataError(f"{data}: {run.folder} trained on {len(clips)} of its clips: nothing to measure it on")


def held_out(source: ClipSource, data: Location, runs: Sequence[Run]) -> tuple[ClipSource, str]:
    """The clips of the simulated set that none of the runs, nor one that it started from, trained on.

    Raises:
        DataError: there are none.
    """
    trained = set().union(*(trained_on(run, source, data) for run in runs))
    free = [clip.name for clip in source.clips if clip.name not in trained]
    if not free:
        raise DataError(f"{data}: every clip of it was trained on; give --sim another data set of the same preset")
    note = f"{len(free)} of {len(source)} scenes: those no run trained on" if trained else "no run trained on it"
    return source.only(free), note
