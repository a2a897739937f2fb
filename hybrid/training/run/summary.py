"""The record of a finished run: run.json and curves.png."""

from __future__ import annotations

import io
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hybrid.core.progress import Progress
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import evaluate, operating_score
from hybrid.model.network import Network
from hybrid.predict.suppression import one_label
from hybrid.predict.tiles import View
from hybrid.training.config import TrainConfig
from hybrid.training.device import TrainingDevice
from hybrid.training.run.folder import read_metrics
from hybrid.training.samples.sampler import WeightedSource
from hybrid.weights.checkpoint import load
from hybrid.weights.record import WEIGHTS
from simgen.dataset.store.files import write_atomically
from simgen.spec.text.printable import printable

OPERATING_FRAMES = 12  # training frames to find the operating point on, where no data are held out
NO_LOSSES = {
    "step",
    "learning_rate",
    "grad_norm",
    "seconds_per_step",
    "data_wait_share",
    "validation_ap",
}  # keys of metrics.jsonl


@dataclass(frozen=True)
class StepTimes:
    """How long the steps of this process took, and how much of it was waiting for data."""

    steps: int
    seconds: float
    waited_s: float


def run_record(
    detector: Network, sources: Sequence[WeightedSource], config: TrainConfig, device: TrainingDevice, times: StepTimes
) -> dict[str, Any]:
    """Settings, data, machine and times of a run, for its run.json."""
    import numpy

    return {
        "steps": config.steps,
        "this_process": {
            "steps": times.steps,
            "seconds": times.seconds,
            "data_wait_share": times.waited_s / max(1e-9, times.seconds),
        },
        "device": str(device.torch_device),
        "devices": device.world_size,
        "threads": torch.get_num_threads(),
        "machine": platform.platform(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__},
        "git": _git_revision(),
        "parameters": sum(parameter.numel() for parameter in detector.parameters()),
        "categories": list(detector.config.categories),
        "train": config.model_dump(mode="json"),
        "data": [
            {
                "name": one.source.name,
                "weight": one.weight,
                "clips": len(one.source),
                "frames": len(one.source.frames),
                "boxes": one.source.counts(),
                "skipped": {reason: len(items) for reason, items in one.source.skipped.items()},
            }
            for one in sources
        ],
    }


def _git_revision() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def measure_run(
    folder: Path,
    validation: ClipSource | None,
    sources: Sequence[WeightedSource],
    view: View | None,
    device: torch.device,
    progress: Progress,
) -> dict[str, Any]:
    """The accuracy of both weights on held-out data, and the operating point: the score with the best F1.

    Without held-out data, the operating point is found on a few frames of the training data and nothing else is
    measured. Objects score only slightly higher there than on new data, and the background scores the same.
    """
    weights: tuple[str, ...] = WEIGHTS
    source, record = validation, dict[str, Any]()
    if source is None:
        weights, source = ("ema",), _operating_frames(sources[0].source)
    source = _readable(source)
    if not any(len(frame.labels) for frame in source.frames):
        return {"operating_point": None}
    results = {name: evaluate(load(folder, name, str(device)), source, view, progress) for name in weights}
    if validation is not None:
        record["validation"] = {name: result.metrics.to_plain() for name, result in results.items()}
    data = "trained on" if validation is None else "held out"
    score = operating_score([one_label(one) for one in results["ema"].detections], source.frames)
    return record | {"operating_point": {"score": score, "frames": len(source.frames), "on": data}}


def _readable(source: ClipSource) -> ClipSource:
    """The clips all of whose files are still there: a training takes hours, and a lost photo must not end it."""
    there = {path: path.exists() for path in {frame.path for frame in source.frames}}
    clips = tuple(clip for clip in source.clips if all(there[frame.path] for frame in clip.frames))
    gone = next((str(path) for path, exists in there.items() if not exists), None)
    if gone is not None:
        count = len(source) - len(clips)
        sys.stderr.write(f"note: not measured on, since a file is gone: {count} clips, such as of {printable(gone)}\n")
    return replace(source, clips=clips)


def _operating_frames(source: ClipSource) -> ClipSource:
    """Clips with about OPERATING_FRAMES frames together, one or more."""
    return source.take(max(1, OPERATING_FRAMES * len(source) // max(OPERATING_FRAMES, len(source.frames))))


def plot_curves(metrics: Path, picture: Path) -> None:
    """Plot the losses and the learning rate over the steps, from a metrics.jsonl to a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_metrics(metrics)
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, rates = figure.subplots(1, 2)
    names = sorted({key for row in rows for key in row} - NO_LOSSES)
    for name in names:
        width = 2.0 if name == "loss" else 0.8
        losses.plot([row["step"] for row in rows], [row.get(name) for row in rows], label=name, linewidth=width)
    losses.set(xlabel="step", ylabel="loss", yscale="log")
    if names:
        losses.legend(fontsize=7)
    rates.plot([row["step"] for row in rows], [row.get("learning_rate") for row in rows], label="learning rate")
    rates.set(xlabel="step", ylabel="learning rate")
    FigureCanvasAgg(figure)
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png")
    write_atomically(picture, encoded.getvalue())
