"""Every run on every data set, measured once: what was found is kept beside the report and read again the next time.

The key of a stored measurement is a hash of all that decides it: the run's weights, the frames with their boxes, how
the images are looked at. A detector or a data set that changed is measured anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from hybrid.data import ClipSource, DataError
from hybrid.detector import Detector
from hybrid.engine import CONFIG, RUN, load, write_atomically
from hybrid.metrics import Metrics, evaluate, score
from hybrid.progress import bar
from hybrid.tiles import View
from hybrid.types import Detections
from pipelines.report import Measured
from pipelines.runs import EXPERIMENT, fingerprint, view


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

    @property
    def parts(self) -> str:
        return str(json.loads((self.folder / CONFIG).read_text())["model"]["parts"])

    @property
    def view(self) -> View:
        return view(self.plain["train"]["tile_px"])

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
        done = evaluate(_fast(load(run.folder, device=device)), source, run.view, progress)
    cache.mkdir(parents=True, exist_ok=True)
    plain = {
        "run": str(run.folder), "data": source.name, "metrics": done.metrics.to_plain(),
        "detections": [_packed(one) for one in done.detections],
    }  # fmt: skip
    write_atomically(path, json.dumps(plain).encode())
    return Result(done.metrics, done.detections)


def _fast(detector: Detector) -> Detector:
    return detector.to(memory_format=torch.channels_last)


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


def held_out(
    source: ClipSource, data: Path, runs: Sequence[Run], chain: Callable[[Path], Run]
) -> tuple[ClipSource, str]:
    """The clips of the simulated set that none of the runs, nor a run that one of them started from, trained on."""
    trained: set[str] = set()
    for run in runs:
        link: Run | None = run
        while link is not None:
            told = link.experiment
            if told.get("kind") == "simulated" and Path(told["data"]).resolve() == data.resolve():
                trained |= set(told["trained_on"])
            if told.get("mixed_in") and Path(told["mixed_in"]).resolve() == data.resolve():
                trained |= {clip.name for clip in source.clips}
            link = chain(Path(told["init"]["run"])) if told.get("init") else None
    free = [clip.name for clip in source.clips if clip.name not in trained]
    if not free:
        raise DataError(f"{data}: every clip of it was trained on; give --sim another data set of the same preset")
    note = f"{len(free)} of {len(source)} scenes: those no run trained on" if trained else "no run trained on it"
    return source.only(free), note
