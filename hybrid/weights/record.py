"""The files of a finished run and its record, `run.json`. Loads no torch, so that a wrong path is told at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, TypeAdapter, ValidationError

from hybrid.core.errors import RunError
from hybrid.weights.released import run_at
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json
from simgen.spec.text.printable import printable

RUN = "run.json"  # the record of a finished run
WEIGHTS = ("ema", "raw")
LEAST_TILE_PX, LARGEST_TILE_PX = 32, 16_384
_LENIENT: dict[str, Any] = {"extra": "ignore", "strict": True}  # other keys are for the reader of the file


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """How a run was trained."""

    tile_px: Annotated[int, Field(ge=LEAST_TILE_PX, le=LARGEST_TILE_PX)]  # side of its tiles
    seed: int | None = None
    __pydantic_config__: ClassVar[dict[str, Any]] = _LENIENT


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """The score at which a run's detections have the best F1 at an IoU of 0.5, and where that was measured."""

    score: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    frames: Annotated[int, Field(ge=0)] | None = None
    on: str | None = None  # such as "held out"
    __pydantic_config__: ClassVar[dict[str, Any]] = _LENIENT


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is read of a `run.json`. A detector needs `train`; the report needs the categories and the steps too."""

    categories: tuple[str, ...] | None = None
    steps: Annotated[int, Field(ge=0)] | None = None
    train: TrainedOn
    seconds: Annotated[float, Field(ge=0.0)] = 0.0  # earlier versions did not state it
    operating_point: OperatingPoint | None = None
    __pydantic_config__: ClassVar[dict[str, Any]] = _LENIENT


def weights_file(run: Path, weights: str = "ema") -> Path:
    """The file of a run's weights, or `run` itself where it is such a file. `run` may be a name of `released`.

    Raises:
        RunError: there are no such weights.
    """
    if weights not in WEIGHTS:
        raise RunError(f"weights: there are {list(WEIGHTS)}, not {weights!r}")
    run = run_at(run)
    file = run / f"{weights}.safetensors" if run.is_dir() else run
    if not file.is_file():
        writes = "`hybrid export` writes one" if run.suffix == ".onnx" else "a run writes it when it has finished"
        raise RunError(f"{file}: there is no such file; {writes}")
    return file


def read_record(run: Path) -> RunRecord | None:
    """The record of the run in this folder; None where it has none, or where this is a file of weights.

    Raises:
        RunError: the file is damaged, or a value is missing, has the wrong type or is out of bounds. Names the key.
    """
    path = run_at(run) / RUN
    if not path.is_file():
        return None
    try:
        plain = read_json(path)
    except TextFileError as error:
        raise RunError(str(error)) from None
    if not isinstance(plain, dict):
        raise RunError(f"{path}: must hold a JSON object, but holds {plain!r:.60}")
    try:
        return TypeAdapter(RunRecord).validate_json(json.dumps(plain))
    except ValidationError as error:
        raise RunError(f"{path}: {where_and_why(error)}") from None


def where_and_why(error: ValidationError) -> str:
    """The first mistake of a JSON value in words: the key, what it needs, what it is."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    shown = "" if first["type"] == "missing" else f", but is {first['input']!r:.60}"
    return printable(f"{where}: {first['msg']}{shown}")
