"""plan.yaml: the options of a report as a file. Paths in it are relative to its folder; the command line goes first."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from hybrid.core.errors import DataError
from simgen.spec.errors import ConfigError
from simgen.spec.text.yaml_text import read_tree

PATHS = ("real", "sim", "look", "out", "unlabelled", "write_config")  # texts that are paths, or URLs
KEYS: Mapping[str, type] = {
    "sim": str, "real": str, "look": str, "unlabelled": str, "write_config": str, "runs": list, "out": str,
    "sessions": str, "run_to_look_at": str, "iterate": int, "trial_scenes": int, "trial_steps": int,
    "rename": dict, "categories": list, "sim_clips": int, "wanted_recall": float, "quick": bool, "final": bool,
    "stand_in": bool, "without_photos": bool, "work_area": tuple,
}  # fmt: skip
_WORDS = {str: "a text", list: "a list of texts", dict: "pairs such as Bolt: bolt", int: "a whole number",
          float: "a number", bool: "true or false", tuple: "corners: [[120, 80], [900, 80], [9, 9]]"}  # fmt: skip


def read_plan(path: Path) -> dict[str, Any]:
    """The values of a plan, by the names of the options; only those that it gives.

    Raises:
        ConfigError: it is no YAML, has an unknown key, or a value has the wrong type. Names the line.
    """
    tree = read_tree(path)
    values: dict[str, Any] = {}
    for key, value in tree.values.items():
        where = tree.where((key,))
        if key not in KEYS:
            close = get_close_matches(key.replace("-", "_"), KEYS, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(KEYS)}"
            raise ConfigError(f"{where}: {key}: no such key{hint}")
        if not _fits(value, KEYS[key]):
            raise ConfigError(f"{where}: {key}: needs {_WORDS[KEYS[key]]}, got {value!r:.60}")
        values[key] = _beside(path.parent, value) if key in PATHS else value
    if "runs" in values:
        values["runs"] = [Path(_beside(path.parent, one)) for one in values["runs"]]
    if "rename" in values:
        values["rename"] = [f"{old}={new}" for old, new in values["rename"].items()]
    if "work_area" in values:
        values["work_area"] = " ".join(f"{x},{y}" for x, y in values["work_area"])
    return values


def _fits(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)
    if kind is dict:
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    if kind is tuple:
        return isinstance(value, list) and all(
            isinstance(one, list) and len(one) == 2 and all(_fits(number, float) for number in one) for one in value
        )
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _beside(folder: Path, text: str) -> str:
    """A path as it is seen from the plan's folder; a URL as it is."""
    return text if "://" in text else str(folder / text)


def polygon(text: str) -> Float[np.ndarray, "corners 2"]:
    """The corners (x, y) of a work area: "120,80 1800,80 960,900", in pixels or as shares of width and height.

    Raises:
        DataError: it is no list of three corners or more, or encloses nothing.
    """
    try:
        corners = np.array([[float(number) for number in corner.split(",")] for corner in text.split()], np.float64)
    except ValueError:
        corners = np.zeros((0, 2))
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all() or (corners < 0).any():
        corners = np.zeros((0, 2))
    if cv2.contourArea(corners.astype(np.float32)) <= 0:
        raise DataError(f"work_area: {text:.60}: needs three corners X,Y or more, in pixels or from 0 to 1")
    return corners
