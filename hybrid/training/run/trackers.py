"""Where else the rows of metrics.jsonl go while a training runs: TensorBoard, MLflow or Weights & Biases.

`metrics.jsonl` and `metrics.csv` are always written, without any package. A tracker's own id of the run is kept in
`tracker.json`, so that a resumed run goes on in the same place. A tracker that cannot begin is a mistake that the user
can put right. One that fails later, such as over a network that is down, is left out with a note: the training goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, get_args, runtime_checkable

from hybrid.core.console import note
from hybrid.core.errors import ConfigError
from hybrid.training.config import LogTo
from simgen.dataset.store.files import write_atomically
from simgen.spec.errors import TextFileError
from simgen.spec.install import install_hint
from simgen.spec.text.json_text import read_json
from simgen.spec.text.printable import printable

LOG_TO: tuple[LogTo, ...] = get_args(LogTo)
IDS, PROJECT = "tracker.json", "sim2line"
MOST_WORDS = 700  # characters of a tracker's own message


@runtime_checkable
class Tracker(Protocol):
    """Takes the rows of the log."""

    def add(self, step: int, values: Mapping[str, float]) -> None: ...
    def close(self) -> None: ...


class _Nowhere:
    def add(self, step: int, values: Mapping[str, float]) -> None:
        pass

    def close(self) -> None:
        pass


class _TensorBoard:
    def __init__(self, folder: Path, settings: Mapping[str, Any], first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # events after the checkpoint, of steps that are done again, are hidden
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _MlFlow:
    def __init__(self, folder: Path, settings: Mapping[str, Any], first_step: int) -> None:
        import mlflow

        self._mlflow: Any = mlflow
        mlflow.set_experiment(PROJECT)
        known = _known_id(folder, "mlflow")
        run = mlflow.start_run(run_id=known, run_name=None if known else folder.name)
        if known is None:
            _keep_id(folder, "mlflow", run.info.run_id)
            mlflow.log_params({key: str(value)[:250] for key, value in settings.items()})

    def add(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


class _WeightsAndBiases:
    def __init__(self, folder: Path, settings: Mapping[str, Any], first_step: int) -> None:
        import wandb

        known = _known_id(folder, "wandb")
        self._run: Any = wandb.init(
            project=PROJECT, name=folder.name, id=known, resume="allow", dir=str(folder), config=dict(settings)
        )
        if known is None:
            _keep_id(folder, "wandb", self._run.id)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _Guarded:
    """A tracker whose first failure is told, and which is then left out."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name, self._tracker = name, tracker

    def add(self, step: int, values: Mapping[str, float]) -> None:
        self._do(lambda: self._tracker.add(step, values), f"step {step} and those after it are")

    def close(self) -> None:
        self._do(self._tracker.close, "the end of the run is")

    def _do(self, what: Callable[[], None], lost: str) -> None:
        try:
            what()
        except Exception as error:  # each package has its own classes
            self._tracker = _Nowhere()
            note(f"--log-to {self._name}: {_words(error)}: {lost} in the run's folder alone")


_TRACKERS: dict[str, Callable[[Path, Mapping[str, Any], int], Tracker]] = {
    "tensorboard": _TensorBoard,
    "mlflow": _MlFlow,
    "wandb": _WeightsAndBiases,
}


def open_tracker(log_to: str, folder: Path, settings: Mapping[str, Any], first_step: int) -> Tracker:
    """The tracker of this name, for the run in `folder`.

    Args:
        log_to: one of LOG_TO.
        folder: of the run.
        settings: of the run, to show beside it.
        first_step: the steps that are done already.

    Raises:
        ConfigError: its package is not installed, and how to install it; or the tracker cannot begin, and why.
    """
    check_installed(log_to)
    if log_to not in _TRACKERS:
        return _Nowhere()
    try:
        return _Guarded(log_to, _TRACKERS[log_to](folder, settings, first_step))
    except Exception as error:  # each package has its own classes
        raise ConfigError(f"--log-to {log_to}: {_words(error)}. The same command without it goes on") from None


def _words(error: Exception) -> str:
    """What a tracker says, as one line of a length that can be read."""
    text = printable(" ".join(str(error).split())).rstrip(".") or type(error).__name__
    return text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]} ..."


def check_installed(log_to: str) -> None:
    """Check that a tracker's package can be imported.

    Raises:
        ConfigError: it is not installed. Says how to install it.
    """
    try:
        if log_to in _TRACKERS:
            import_module("torch.utils.tensorboard" if log_to == "tensorboard" else log_to)
    except ImportError as error:
        raise ConfigError(
            f"--log-to {log_to}: {error.name or log_to} is not installed: {install_hint(log_to)}"
        ) from None


def _known_id(folder: Path, tracker: str) -> str | None:
    """The tracker's id of this run; None where it has none yet. Files of earlier versions do not say whose id it is."""
    try:
        stored = read_json(folder / IDS) if (folder / IDS).is_file() else {}
    except TextFileError:
        return None
    found = stored.get("id") if isinstance(stored, dict) and stored.get("tracker", tracker) == tracker else None
    return found if isinstance(found, str) else None


def _keep_id(folder: Path, tracker: str, run_id: str) -> None:
    write_atomically(folder / IDS, json.dumps({"tracker": tracker, "id": run_id}).encode())
