"""The record of an experiment: `experiment.json` in a run's folder, repeated in `run.json` under "experiment".

It says what a run was trained on, so that a report never measures a run on its own training data. The file has a
version. Files that were written before there was one lack the key `version` and some of the optional keys; they are
read as version 1 with the defaults below.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter, ValidationError

from hybrid.core.errors import RunError
from hybrid.weights.record import weights_file, where_and_why
from hybrid.weights.released import RUNS, released
from simgen.dataset.store.files import write_atomically
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

EXPERIMENT = "experiment.json"
VERSION = 1

DataKind = Literal["simulated", "real", "stand-in"]  # stand-in: a simulated data set used in the place of photos
_LATER = ("photo_digests", "mixed_in_trained_on", "method")  # fields that records of earlier versions lack
_STRICT: dict[str, Any] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, kw_only=True)
class StartingRun:
    """The finished run whose weights a run started from."""

    run: str  # its folder
    sha256: str  # its weights_hash
    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    @property
    def folder(self) -> Path:
        """Its folder. Released weights are those of this installation, wherever the one that trained the run was."""
        stated = Path(self.run)
        own = RUNS / stated.name
        return own if stated.name in released() and weights_hash(own) == self.sha256 else stated


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What a run was trained on and where its weights came from."""

    version: int = VERSION
    script: str  # the pipeline that made it: train_sim, finetune_real
    data: str  # folder, file or URL
    data_sha256: str | None = None  # see pipelines.common.data.data_hash
    kind: DataKind
    shots: int | None = None  # photos that were trained on; None: not a run of finetune_real
    shuffle_seed: int | None = None  # of the shuffle that those photos are the first of
    mixed_in: str | None = None  # a simulated data set that a share of the samples came from
    mixed_in_sha256: str | None = None
    mixed_in_trained_on: tuple[str, ...] | None = None  # the clips of it that were drawn from; None: all of them
    method: str | None = None  # of finetune_real, see hybrid.training.methods.table; None: not recorded
    unlabelled: str | None = None  # photos or video without labels that the method learned from
    warm_up: str | None = None  # photos or video that its backbone learned from before its steps, without labels
    init: StartingRun | None = None  # None: from scratch
    trained_on: tuple[str, ...]  # names of clips; a photo is a clip of one frame
    held_out: tuple[str, ...] = ()
    photo_digests: tuple[str, ...] | None = None  # of the photos trained on, see hybrid.data.shared; None: not recorded
    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def read_experiment(run: Path) -> Experiment | None:
    """The record in the folder `run`; None where the folder has no record, as a run of `hybrid.training` alone.

    Raises:
        RunError: the file is damaged, a value has the wrong type, or a newer version wrote it.
    """
    path = run / EXPERIMENT
    if not path.is_file():
        return None
    try:
        plain = read_json(path)
    except TextFileError as error:
        raise RunError(str(error)) from None
    return _checked(plain, path)


def write_experiment(run: Path, experiment: Experiment) -> None:
    """Write the record into the folder `run`, as a whole or not at all."""
    write_atomically(run / EXPERIMENT, json.dumps(experiment.to_json(), indent=1).encode())


def changed_fields(before: Experiment, now: Experiment) -> list[str]:
    """The names of the fields in which two records differ, but for those that an earlier version did not record."""
    before, now = (replace(one, init=one.init and replace(one.init, run=str(one.init.folder))) for one in (before, now))
    names = [field.name for field in fields(Experiment) if getattr(before, field.name) != getattr(now, field.name)]
    return [name for name in names if name not in _LATER or None not in (getattr(before, name), getattr(now, name))]


def weights_hash(run: Path) -> str:
    """The sha256 of a finished run's averaged weights, or of a file of weights."""
    return hashlib.sha256(weights_file(run).read_bytes()).hexdigest()


def _checked(plain: Any, path: Path) -> Experiment:
    if not isinstance(plain, dict):
        raise RunError(f"{path}: must hold a JSON object, but holds {plain!r:.60}")
    version = plain.get("version", VERSION)
    if isinstance(version, int) and not 1 <= version <= VERSION:
        raise RunError(f"{path}: has version {version}, but this program reads versions 1 to {VERSION}")
    try:
        return TypeAdapter(Experiment).validate_json(json.dumps(plain))
    except ValidationError as error:
        raise RunError(f"{path}: {where_and_why(error)}") from None
