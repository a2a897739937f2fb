"""The folder of a run: which run it belongs to, and the log of its losses."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from hybrid.core.errors import RunError
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.schedule import rate
from hybrid.weights.checkpoint import config_of, load, portable
from hybrid.weights.record import RUN
from simgen.dataset.store.files import write_atomically
from simgen.spec.differences import differences

CHECKPOINT, CONFIG, METRICS = "checkpoint.safetensors", "config.json", "metrics.jsonl"


@dataclass(frozen=True)
class Summary:
    """The result of a training: the run's folder, and the content of its `run.json`."""

    folder: Path
    run: Mapping[str, Any]

    def load(self, weights: str = "ema") -> Network:
        """The trained network: its moving average ("ema") or the weights after the last step ("raw")."""
        return load(self.folder, weights)


def run_identity(detector: Network, sources: Sequence[WeightedSource], config: TrainConfig) -> dict[str, Any]:
    """What decides the weights of a run, as JSON. Two runs of one identity are the same run."""
    data = [
        {"name": one.source.name, "weight": one.weight, "clips": len(one.source), "boxes": one.source.counts()}
        for one in sources
    ]
    model = portable(detector.config)
    return json.loads(json.dumps({"model": model, "train": config.identity(), "data": data}))  # type: ignore[no-any-return]


def claim_folder(folder: Path, identity: Mapping[str, Any], resume: bool) -> Summary | None:
    """Write the run's identity into a new folder, or check that the folder holds the same run.

    Returns:
        The summary of a run that has finished; None where there are steps to do.

    Raises:
        RunError: the folder holds another run, or the same one and `resume` is False.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = folder / CONFIG
    if not stored.is_file():
        write_atomically(stored, json.dumps(identity, indent=1).encode())
        return None
    before = _with_todays_keys(json.loads(stored.read_text()))
    changes = sorted(f"{d.path} was {d.before!r:.80} and is {d.after!r:.80}" for d in differences(before, identity))
    if changes:
        raise RunError(f"{folder}: holds a run of another config: {'; '.join(changes[:8])}. Choose another folder")
    if not resume:
        raise RunError(f"{folder}: holds a run of this config already; resume it, or choose another folder")
    return Summary(folder, json.loads((folder / RUN).read_text())) if (folder / RUN).is_file() else None


def _with_todays_keys(stored: Any) -> Any:
    """A stored identity with today's names for its keys, and defaults for the keys that earlier versions lacked."""
    try:
        model = json.loads(json.dumps(asdict(config_of(stored["model"]))))
        return {**stored, "model": model, "train": TrainConfig.from_stored(stored["train"]).identity()}
    except (KeyError, TypeError, ValueError, AttributeError):  # of a later version, or damaged: compared as it is
        return stored


class MetricsLog:
    """metrics.jsonl: one line of means every `log_every` steps.

    Lines of steps after the checkpoint, which a killed run wrote, are removed first: these steps are done again.
    """

    def __init__(self, path: Path, config: TrainConfig, steps_done: int) -> None:
        self._path, self._config, self.last = path, config, dict[str, float]()
        lines = path.read_text().splitlines() if path.is_file() else []
        valid = [line for line in lines if _step_of(line) <= steps_done]
        write_atomically(path, "".join(line + "\n" for line in valid).encode())
        self._sums: dict[str, Tensor] = {}
        self._since, self._count, self._waited_s = time.monotonic(), 0, 0.0

    def add(self, step: int, losses: Mapping[str, Tensor], wait_s: float) -> None:
        """Add the losses of step `step`, counted from 1, for which `wait_s` seconds were spent waiting for data."""
        config = self._config
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count, self._waited_s = self._count + 1, self._waited_s + wait_s
        if step % config.log_every and step != config.steps:
            return
        now = time.monotonic()
        means = {name: float(total) / self._count for name, total in self._sums.items()}
        line = {
            "step": step,
            "learning_rate": config.learning_rate * rate(config, step - 1),
            "loss": means.pop("total"),
            **means,
            "seconds_per_step": (now - self._since) / self._count,
            "data_wait_share": self._waited_s / max(1e-9, now - self._since),
        }
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.last = {"loss": line["loss"], "s/step": line["seconds_per_step"]}
        self._sums, self._since, self._count, self._waited_s = {}, now, 0, 0.0


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # an incomplete line of a killed run
