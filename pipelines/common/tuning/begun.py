"""A run that was begun in a folder goes on with what it was begun with, where the user says nothing else.

Defaults change from version to version. A half-finished run of an earlier version must still be resumed by the command
that began it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.core.errors import RunError
from pipelines.common.record import Experiment, read_experiment
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json


@dataclass(frozen=True)
class Begun:
    """What the run in a folder was begun with."""

    experiment: Experiment
    categories: tuple[str, ...] | None = None  # of its detector; None: no step was done yet
    sim_share: float | None = None  # None: as `categories`, or nothing is mixed in


def begun_in(out: Path) -> Begun | None:
    """The run that was begun in the folder `out`; None where there is none, or only damaged files: `claim` says so."""
    try:
        experiment = read_experiment(out)
        stored: Any = read_json(out / "config.json") if (out / "config.json").is_file() else {}
    except (RunError, TextFileError):
        return None
    if experiment is None:
        return None
    try:
        names = tuple(str(name) for name in stored["model"]["categories"])
        weights = [float(one["weight"]) for one in stored["data"]]
    except (KeyError, TypeError, ValueError):
        return Begun(experiment)
    return Begun(experiment, names, weights[1] if len(weights) == 2 else None)
