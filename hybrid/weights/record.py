"""The files of a finished run and its record, `run.json`. Loads no torch, so that a wrong path is told at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybrid.core.errors import RunError
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

RUN = "run.json"  # the record of a finished run
WEIGHTS = ("ema", "raw")
LARGEST_TILE_PX = 16_384


def weights_file(run: Path, weights: str = "ema") -> Path:
    """The file of a run's weights, or `run` itself where it is such a file.

    Raises:
        RunError: there are no such weights.
    """
    if weights not in WEIGHTS:
        raise RunError(f"weights: there are {list(WEIGHTS)}, not {weights!r}")
    file = run / f"{weights}.safetensors" if run.is_dir() else run
    if not file.is_file():
        raise RunError(f"{file}: there is no such file; a run writes it when it has finished")
    return file


def run_record(run: Path) -> Mapping[str, Any]:
    """The content of a run's `run.json`; empty where there is none.

    Raises:
        RunError: it is no JSON object.
    """
    if not (run / RUN).is_file():
        return {}
    try:
        record = read_json(run / RUN)
    except TextFileError as error:
        raise RunError(str(error)) from None
    return _object(record, run, "it")


def trained_tile_px(run: Path) -> int | None:
    """The side of the tiles that a run was trained on, in pixels; None where `run` has no record.

    Raises:
        RunError: the record states none.
    """
    record = run_record(run)
    if not record:
        return None
    tile = _object(record.get("train"), run, "train").get("tile_px")
    if not isinstance(tile, int) or isinstance(tile, bool) or not 0 < tile <= LARGEST_TILE_PX:
        raise RunError(f"{run / RUN}: train.tile_px is {tile!r:.60}; needs a whole number above 0")
    return tile


def stated_point(run: Path) -> tuple[float, str] | None:
    """The score at which a run's detections have the best F1, and where this score is from; None: not stated.

    Raises:
        RunError: the record states something else there.
    """
    stated = run_record(run).get("operating_point")
    if stated is None:
        return None
    point = _object(stated, run, "operating_point")
    score = point.get("score")
    if score is None:
        return None
    if not isinstance(score, int | float) or isinstance(score, bool) or not (math.isfinite(score) and 0 <= score <= 1):
        raise RunError(f"{run / RUN}: operating_point.score is {score!r:.60}; needs a number from 0 to 1")
    frames, where = point.get("frames"), point.get("on")
    return float(score), f"best F1 on {frames!s:.20} frames {where!s:.200}"


def _object(value: Any, run: Path, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RunError(f"{run / RUN}: {what} is no JSON object")
    return value
