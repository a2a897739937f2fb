"""Measuring finished runs on data sets. Detections are stored beside the report, so that a second report is fast.

The key of a stored measurement is a hash of all that it depends on: the run's weights, the frames with their boxes, and
the view (tiles and scales) through which the detector looks at them. If one of these changes, it is measured again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from hybrid.core.progress import bar
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import Metrics, evaluate, score
from hybrid.weights.checkpoint import load
from pipelines.common.record import weights_hash
from pipelines.gap.finished import FinishedRun
from simgen.dataset.store.files import write_atomically


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
    detections = _stored(path)
    if detections is not None and len(detections) == len(source.frames):
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


def _stored(path: Path) -> list[Detections] | None:
    """The detections in a file of the cache; None where there is none, or it is damaged: then they are made again."""
    try:
        return [_from_json(frame) for frame in json.loads(path.read_bytes())["detections"]]
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError):
        return None


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
