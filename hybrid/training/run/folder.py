"""The folder of a run: which run it belongs to, and the log of its losses."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
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
LOG, COUNT = "log/", "count"  # names in a checkpoint
LARGEST = 1e300  # of a number in metrics.jsonl
_KEY = re.compile(r"[\w/.-]{1,80}")
CHECKPOINT, CONFIG, METRICS, CSV = "checkpoint.safetensors", "config.json", "metrics.jsonl", "metrics.csv"


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
    warm_up: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What decides the weights of a run, as JSON. Two runs of one identity are the same run.

    `methods` are the settings of the training methods that take part, `warm_up` those of the stage before the steps.
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
    if warm_up is not None:
        identity["warm_up"] = dict(warm_up)
    return json.loads(json.dumps(identity))  # type: ignore[no-any-return]


def claim_folder(folder: Path, identity: Mapping[str, Any], resume: bool) -> bool:
    """Write the run's identity into a new folder, or check that the folder holds the same run.

    Returns:
        Whether the run has finished. If not, there are steps to do.

    Raises:
        RunError: the folder holds another run, or the same one and `resume` is False.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_left(folder)
    stored = folder / CONFIG
    if not stored.is_file():
        write_atomically(stored, json.dumps(identity, indent=1).encode())
        return False
    before = _with_todays_keys(_json_of(stored))
    changes = sorted(f"{d.path} was {d.before!r:.80} and is {d.after!r:.80}" for d in differences(before, identity))
    if changes:
        shown = printable("; ".join(changes[:8]))
        raise RunError(f"{folder}: holds a run of another config: {shown}. Choose another folder")
    if not resume:
        raise RunError(f"{folder}: holds a run of this config already; resume it, or choose another folder")
    return (folder / RUN).is_file()


def _json_of(path: Path) -> Any:
    try:
        return read_json(path)
    except TextFileError as error:
        raise RunError(str(error)) from None


def record_of(folder: Path) -> Mapping[str, Any]:
    """The record of a finished run.

    Raises:
        RunError: it is damaged.
    """
    path = folder / RUN
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

    Lines of steps after the checkpoint, which a killed run wrote, are removed first: these steps are done again. The
    sums of the steps since the last line are kept in the checkpoint, so that the next line is exact.
    """

    def __init__(
        self, path: Path, config: TrainConfig, steps_done: int, kept: Mapping[str, Tensor] | None = None
    ) -> None:
        """`kept`: what `state` returned at the checkpoint."""
        self._path, self._config, self.last = path, config, dict[str, float]()
        self.line: dict[str, float] = {}  # the last line written
        valid = [row for row in read_metrics(path) if row["step"] <= steps_done] if path.is_file() else []
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in valid).encode())
        sums = {name.removeprefix(LOG): value for name, value in (kept or {}).items() if name.startswith(LOG)}
        self._count = int(sums.pop(COUNT, torch.zeros(())))
        self._sums = sums if self._count else dict[str, Tensor]()
        self._since, self._timed, self._waited_s = time.monotonic(), 0, 0.0

    def state(self) -> dict[str, Tensor]:
        """The sums since the last line, for the checkpoint."""
        return {LOG + name: value for name, value in self._sums.items()} | {LOG + COUNT: torch.tensor(self._count)}

    def add(
        self,
        step: int,
        losses: Mapping[str, Tensor],
        wait_s: float,
        measured: Mapping[str, float] | None = None,
        last: bool = False,
    ) -> bool:
        """Add the losses of step `step`, counted from 1. Returns whether it made a line.

        Args:
            step: it makes a line if it is a multiple of `log_every`, the last one, or has something `measured`.
            losses: of the step.
            wait_s: how long it waited for data.
            measured: on held-out clips, for the line.
            last: no step follows.
        """
        config = self._config
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count, self._timed, self._waited_s = self._count + 1, self._timed + 1, self._waited_s + wait_s
        if step % config.log_every and step != config.steps and not last and not measured:
            return False
        now = time.monotonic()
        means = {name: float(total) / self._count for name, total in self._sums.items()}
        line = {
            "step": step,
            "learning_rate": config.learning_rate * rate(config, step - 1),
            "loss": means.pop("total"),
            **means,
            **(measured or {}),
            "seconds_per_step": (now - self._since) / self._timed,
            "data_wait_share": self._waited_s / max(1e-9, now - self._since),
        }
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.line = line
        self.last = {"loss": line["loss"], "s/step": line["seconds_per_step"]}
        self._sums, self._since, self._count, self._timed, self._waited_s = {}, now, 0, 0, 0.0
        return True


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


def write_csv(metrics: Path, table: Path) -> None:
    """Write the rows of a metrics.jsonl as CSV, a column for each key; empty where a row has no value."""
    rows = read_metrics(metrics)
    names = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(table, text.getvalue().encode())


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
