"""Paths that a command line gives, checked before torch is loaded: a slip of the pen is answered at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from hybrid.core.errors import DataError, RunError
from hybrid.data.clips import IMAGE_SUFFIXES
from hybrid.predict.io.video import VIDEO_SUFFIXES
from hybrid.weights.record import RUN
from pipelines.common.data import MANIFEST, data_sets, is_yolo
from pipelines.common.record import EXPERIMENT
from simgen.dataset.store.locations import Location, location
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

WEIGHTS, CONFIG = "ema.safetensors", "config.json"  # files of a run, see hybrid.training.loop
HTML_MARK = '<meta name="generator" content="pipelines.gap_report">'
_HTML_TITLE = "<title>Simulation and "  # of reports of earlier versions
_JSON_MARKS = (  # keys of a report's JSON file, in versions 1 and 2
    {"verdict", "runs", "sim", "real", "differences"},
    {"schema", "answer", "performance", "runs", "pictures"},
)
_PICTURES = re.compile(rb'\{\s*"schema": \d+,\s*"pictures": \{')
_LISTINGS = (".json", ".yaml", ".yml")


def data_at(text: str, option: str) -> Location:
    """The data that an option names.

    Raises:
        DataError: nothing is there, or it is a folder that holds no data set. Names the annotation files in it.
    """
    path = location(text)
    if not isinstance(path, Path):
        return path
    if not path.exists():
        beside = _listings(path.parent) if path.suffix in _LISTINGS and path.parent.is_dir() else []
        hint = f"; {path.parent} holds {_some(beside)}" if beside else ""
        raise DataError(f"{option} {path}: there is no such file or folder{hint}")
    if path.is_dir() and not (data_sets(path)[0] / MANIFEST).exists() and not is_yolo(path):
        inside = _listings(path)
        if inside:
            raise DataError(
                f"{option} {path}: is a folder with neither manifest.json (simulated) nor data.yaml (YOLO): "
                f"name the file of labels in it: {_some(inside)}"
            )
    return path


def _listings(folder: Path) -> list[Path]:
    """The JSON and YAML files in a folder and in the folders in it."""
    return sorted(path for depth in ("*", "*/*") for path in folder.glob(depth) if path.suffix in _LISTINGS)


def _some(paths: list[Path]) -> str:
    return ", ".join(map(str, paths[:4])) + (", ..." if len(paths) > 4 else "")


def check_runs(folders: Iterable[Path], option: str) -> None:
    """Check that each is the folder of a finished run, or a file of weights.

    Raises:
        DataError: one is not.
    """
    for folder in folders:
        if not folder.exists():
            raise DataError(f"{option} {folder}: there is no such folder")
        if folder.is_dir() and not ((folder / RUN).is_file() or (folder / WEIGHTS).is_file()):
            unfinished = (folder / EXPERIMENT).is_file() or (folder / CONFIG).is_file()
            problem = "the run in it has not finished; the command that began it goes on" if unfinished else "is no run"
            raise DataError(f"{option} {folder}: {problem}: it has no {RUN}")


def check_sim(sim: str | None) -> None:
    """Check that `--sim` names data; `none` names none.

    Raises:
        DataError: nothing is there.
    """
    if sim is not None and sim != "none":
        data_at(sim, "--sim")


def check_unlabelled(path: Path | None, option: str = "--unlabelled") -> None:
    """Check that there is a picture or a video to learn from.

    Raises:
        DataError: there is none.
    """
    if path is None or path.suffix in _LISTINGS or (path / "manifest.json").is_file():
        return
    kinds = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    if not path.exists():
        raise DataError(f"{option} {path}: there is no such file or folder")
    files = (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else iter([path])
    if not any(file.suffix.lower() in kinds for file in files):
        raise DataError(f"{option} {path}: holds no picture and no video ({', '.join(kinds)})")


def check_folder(out: Path, option: str = "--out") -> None:
    """Check that a folder is there or can be made.

    Raises:
        RunError: a file is in the way, or the folder cannot be written to.
    """
    there = next(path for path in (out, *out.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        raise RunError(f"{option} {out}: {there} is a file, a folder is needed")
    if not os.access(there, os.W_OK):
        raise RunError(f"{option} {out}: {there} cannot be written to")


def check_report(out: Path, overwrite: bool) -> None:
    """Check that a report can be written to `out` and the two JSON files beside it.

    An earlier report is replaced. Any other file is not, unless `overwrite`.

    Raises:
        DataError: `out` is no .html, is a folder, or a file that is no report is in the way.
    """
    if out.suffix != ".html":
        raise DataError(f"--out: {out} must end in .html")
    check_folder(out.parent)
    pictures = out.with_name(f"{out.stem}-pictures.json")
    for path, is_report in (
        (out, _is_html_report), (out.with_suffix(".json"), _is_json_report), (pictures, _is_pictures),
    ):  # fmt: skip
        if path.is_dir():
            raise DataError(f"--out: {path} is a folder, a file is needed")
        if path.exists() and not overwrite and not is_report(path):
            raise DataError(f"--out: {path} exists and is no report; choose another name, or say --overwrite")


def _is_html_report(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(2000).decode("utf-8", "replace")
    return HTML_MARK in head or _HTML_TITLE in head


def _is_json_report(path: Path) -> bool:
    try:
        plain = read_json(path, 2**28)
    except TextFileError:
        return False
    return isinstance(plain, dict) and any(plain.keys() >= marks for marks in _JSON_MARKS)


def _is_pictures(path: Path) -> bool:
    with path.open("rb") as file:
        return _PICTURES.match(file.read(200)) is not None
