"""The folder of a run: which run it belongs to, and the log of its losses."""

from __future__ import annotations

import json
import re
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
from simgen.dataset.store.files import remove_left, write_atomically
from simgen.spec.differences import differences
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import parse_json, read_json, read_text
from simgen.spec.text.printable import printable

MOST_METRICS_BYTES = 2**30  # a line has some 500 bytes
LARGEST = 1e300  # of a number in metrics.jsonl
_KEY = re.compile(r"[\w/.-]{1,80}")
CHECKPOINT, CONFIG, METRICS = "checkpoint.safetensors", "config.json", "metrics.jsonl"


@dataclass(frozen=True)
class Summary:
    """The result of a training: the run's folder, and the content of its `run.json`."""

    folder: Path
    run: Mapping[str, Any]

    def load(self, weights: str = "ema") -> Network:
        """The trained network: its moving average ("ema") or the weights after the last step ("raw")."""
        return load(self.folder, weights)


def run_identity(
    detector: Network,
    sources: Sequence[WeightedSource],
    config: TrainConfig,
    methods: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What decides the weights of a run, as JSON. Two runs of one identity are the same run.

    `methods` are the settings of the training methods that take part.
    """
    data = [
        {"name": one.source.name, "weight": one.weight, "clips": len(one.source), "boxes": one.source.counts()}
        | ({} if one.look is None else {"look": one.look.name, "photos": len(one.look)})
        for one in sources
    ]
    model = portable(detector.config)
    identity = {"model": model, "train": config.identity(), "data": data}
    if methods:
        identity["methods"] = list(methods)
    return json.loads(json.dumps(identity))  # type: ignore[no-any-return]


def claim_folder(folder: Path, identity: Mapping[str, Any], resume: bool) -> Summary | None:
    """Write the run's identity into a new folder, or check that the folder holds the same run.

    Returns:
        The summary of a run that has finished; None where there are steps to do.

    Raises:
        RunError: the folder holds another run, or the same one and `resume` is False.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_left(folder)
    stored = folder / CONFIG
    if not stored.is_file():
        write_atomically(stored, json.dumps(identity, indent=1).encode())
        return None
    before = _with_todays_keys(_json_of(stored))
    changes = sorted(f"{d.path} was {d.before!r:.80} and is {d.after!r:.80}" for d in differences(before, identity))
    if changes:
        shown = printable("; ".join(changes[:8]))
        raise RunError(f"{folder}: holds a run of another config: {shown}. Choose another folder")
    if not resume:
        raise RunError(f"{folder}: holds a run of this config already; resume it, or choose another folder")
    return Summary(folder, _record_of(folder / RUN)) if (folder / RUN).is_file() else None


def _json_of(path: Path) -> Any:
    try:
        return read_json(path)
    except TextFileError as error:
        raise RunError(str(error)) from None


def _record_of(path: Path) -> Mapping[str, Any]:
    record = _json_of(path)
    if not isinstance(record, Mapping):
        raise RunError(f"{path}: must hold a JSON object, but holds {record!r:.60}")
    return record


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
        valid = [row for row in read_metrics(path) if row["step"] <= steps_done] if path.is_file() else []
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in valid).encode())
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


def read_metrics(path: Path) -> list[dict[str, int | float]]:
    """The rows of a metrics.jsonl, each with its `step`. Other lines are left out: a killed run cuts its last one.

    Raises:
        RunError: the file cannot be read.
    """
    try:
        lines = read_text(path, MOST_METRICS_BYTES).splitlines()
    except TextFileError as error:
        raise RunError(str(error)) from None
    return [row for line in lines if (row := _row(line)) is not None]


def _row(line: str) -> dict[str, int | float] | None:
    try:
        plain = parse_json(line)
    except TextFileError:
        return None
    if not isinstance(plain, dict) or not all(type(value) in (int, float) for value in plain.values()):
        return None
    in_range = {key: value for key, value in plain.items() if _KEY.fullmatch(key) and abs(value) < LARGEST}
    step = in_range.get("step", -1)
    return in_range if step == int(step) and step >= 0 else None
