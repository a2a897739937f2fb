"""What a finished run says of itself: run.json and curves.png."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hybrid.core.progress import Progress
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import evaluate, operating_score
from hybrid.predict.suppression import one_label
from hybrid.predict.tiles import View
from hybrid.training.run.folder import METRICS
from hybrid.training.samples.sampler import Share
from hybrid.training.step import Training
from hybrid.weights.checkpoint import WEIGHTS, load

OPERATING_FRAMES = 12  # on which the operating point is found where nothing is held out


@dataclass(frozen=True)
class Clock:
    """Seconds of this process's steps, and of them those spent waiting for data."""

    steps: int
    seconds: float
    waited_s: float


def report(training: Training, shares: Sequence[Share], clock: Clock) -> dict[str, Any]:
    import numpy

    return {
        "steps": training.done,
        "this_process": {
            "steps": clock.steps,
            "seconds": clock.seconds,
            "data_wait_share": clock.waited_s / max(1e-9, clock.seconds),
        },
        "device": str(training.at.device),
        "devices": training.at.world,
        "threads": torch.get_num_threads(),
        "machine": platform.platform(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__},
        "git": _git_revision(),
        "parameters": sum(parameter.numel() for parameter in training.detector.parameters()),
        "categories": list(training.detector.config.categories),
        "train": training.config.model_dump(mode="json"),
        "data": [
            {
                "name": share.source.name,
                "weight": share.weight,
                "clips": len(share.source),
                "frames": len(share.source.frames),
                "boxes": share.source.counts(),
                "skipped": {reason: len(what) for reason, what in share.source.skipped.items()},
            }
            for share in shares
        ],
    }


def _git_revision() -> str | None:
    here = Path(__file__).parent
    try:
        asked = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def measured(
    folder: Path,
    validation: ClipSource | None,
    shares: Sequence[Share],
    view: View | None,
    device: torch.device,
    measuring: Progress,
) -> dict[str, Any]:
    """How good both weights are on what was held out, and the score from which on the averaged ones' answers are best.

    Where nothing is held out that score is found on a few frames that were trained on: what is there scores little
    higher than elsewhere, and what is not scores alike.
    """
    source, on, told = validation, "held out", dict[str, Any]()
    if source is None:
        source, on = shares[0].source, "trained on"
        source = source.take(max(1, OPERATING_FRAMES * len(source) // max(OPERATING_FRAMES, len(source.frames))))
        if not any(len(frame.labels) for frame in source.frames):
            return {"operating_point": None}
    names = WEIGHTS if validation is not None else ("ema",)
    found = {weights: evaluate(load(folder, weights, str(device)), source, view, measuring) for weights in names}
    if validation is not None:
        told["validation"] = {weights: one.metrics.to_plain() for weights, one in found.items()}
    best = operating_score([one_label(one) for one in found["ema"].detections], source.frames)
    return told | {"operating_point": {"score": best, "frames": len(source.frames), "on": on}}


def curves(folder: Path) -> None:
    """curves.png: the losses, and the learning rate, over the steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, rates = figure.subplots(1, 2)
    aside = {"step", "learning_rate", "grad_norm", "seconds_per_step", "data_wait_share"}
    for name in sorted({key for row in rows for key in row} - aside):
        width = 2.0 if name == "loss" else 0.8
        losses.plot([row["step"] for row in rows], [row.get(name) for row in rows], label=name, linewidth=width)
    losses.set(xlabel="step", ylabel="loss", yscale="log")
    losses.legend(fontsize=7)
    rates.plot([row["step"] for row in rows], [row["learning_rate"] for row in rows], label="learning rate")
    rates.set(xlabel="step", ylabel="learning rate")
    FigureCanvasAgg(figure)
    figure.savefig(folder / "curves.png")
