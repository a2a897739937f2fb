"""A run's folder: whose it is, its log, its checkpoint's name."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from hybrid.core.errors import RunError
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.samples.sampler import Share
from hybrid.training.schedule import rate
from hybrid.training.step import Training
from hybrid.weights.checkpoint import RUN, config_of, load, portable
from simgen.dataset.store.files import write_atomically

CHECKPOINT, CONFIG, METRICS = "checkpoint.safetensors", "config.json", "metrics.jsonl"


@dataclass(frozen=True)
class Summary:
    """What a finished run left behind, as `run.json` says it."""

    folder: Path
    run: Mapping[str, Any]

    def load(self, weights: str = "ema") -> Network:
        return load(self.folder, weights)


def run_identity(detector: Network, shares: Sequence[Share], config: TrainConfig) -> dict[str, Any]:
    data = [
        {"name": share.source.name, "weight": share.weight, "clips": len(share.source), "boxes": share.source.counts()}
        for share in shares
    ]
    model = portable(detector.config)
    return json.loads(json.dumps({"model": model, "train": config.identity(), "data": data}))  # type: ignore[no-any-return]


def claim(folder: Path, identity: Mapping[str, Any], resume: bool) -> Summary | None:
    """Make the folder this run's own, or the finished run that it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    stated = folder / CONFIG
    if not stated.is_file():
        write_atomically(stated, json.dumps(identity, indent=1).encode())
        return None
    changed = sorted(_differences(_up_to_date(json.loads(stated.read_text())), identity))
    if changed:
        raise RunError(f"{folder}: holds a run of another config: {'; '.join(changed[:8])}. Choose another folder")
    if not resume:
        raise RunError(f"{folder}: holds a run of this config already; resume it, or choose another folder")
    return Summary(folder, json.loads((folder / RUN).read_text())) if (folder / RUN).is_file() else None


def _up_to_date(stated: Any) -> Any:
    """A run's config as it was stated, with the keys that have been added since at their defaults."""
    try:
        known = json.loads(json.dumps({"model": asdict(config_of(stated["model"])), "train": {}}))
        known["train"] = TrainConfig(**stated["train"]).identity()
        return {**stated, **known}
    except (KeyError, TypeError, ValueError):  # of another version, or spoiled: compared as it stands
        return stated


def _differences(before: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            yield from _differences(before.get(key), now.get(key), f"{where}.{key}" if where else key)
    elif before != now:
        yield f"{where} was {before!r:.80} and is {now!r:.80}"


class Log:
    """metrics.jsonl: means over `log_every` steps. What a killed run logged past its checkpoint is taken back."""

    def __init__(self, path: Path, done: int) -> None:
        self._path, self.last = path, dict[str, float]()
        lines = path.read_text().splitlines() if path.is_file() else []
        kept = [line for line in lines if _logged_step(line) <= done]
        write_atomically(path, "".join(line + "\n" for line in kept).encode())
        self._sums: dict[str, Tensor] = {}
        self._since, self._count, self._waited_s = time.monotonic(), 0, 0.0

    def add(self, training: Training, losses: Mapping[str, Tensor], wait_s: float) -> None:
        config = training.config
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count, self._waited_s = self._count + 1, self._waited_s + wait_s
        if training.done % config.log_every and training.done != config.steps:
            return
        now = time.monotonic()
        means = {name: float(total) / self._count for name, total in self._sums.items()}
        line = {
            "step": training.done,
            "learning_rate": config.learning_rate * rate(config, training.done - 1),
            "loss": means.pop("total"),
            **means,
            "seconds_per_step": (now - self._since) / self._count,
            "data_wait_share": self._waited_s / max(1e-9, now - self._since),
        }
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.last = {"loss": line["loss"], "s/step": line["seconds_per_step"]}
        self._sums, self._since, self._count, self._waited_s = {}, now, 0, 0.0


def _logged_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # half a line, from a kill
