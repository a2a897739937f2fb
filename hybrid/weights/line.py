"""The detector of a line: `result/detector.json` in the line's folder says which run it is.

`pipelines.line` writes it. A line's folder can be given wherever a run is asked for.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from hybrid.core.errors import RunError
from simgen.dataset.store.files import write_atomically
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

PRESET, RESULT, DETECTOR = "line.yaml", "result", "detector.json"
VERSION, MAX_BYTES = 1, 2**16
_STRICT: dict[str, Any] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, kw_only=True)
class LineDetector:
    """Which run is a line's detector."""

    version: int = VERSION
    run: str  # its folder, relative to result/, with forward slashes
    why: str  # in words
    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT


def write_line_detector(line: Path, detector: LineDetector) -> None:
    """State the detector of the line in the folder `line`, as a whole or not at all."""
    write_atomically(line / RESULT / DETECTOR, json.dumps(asdict(detector), indent=1).encode())


def is_line(folder: Path) -> bool:
    """Whether a folder is that of a line."""
    return (folder / PRESET).is_file() or (folder / RESULT / DETECTOR).is_file()


def run_of_line(line: Path) -> Path:
    """The folder of the run that is the detector of the line in the folder `line`.

    Raises:
        RunError: the line has no detector yet, or its file is damaged or names a folder outside.
    """
    path = line / RESULT / DETECTOR
    if not path.is_file():
        raise RunError(f"{line}: is a line without a detector yet; python -m pipelines.line {line} makes one")
    try:
        plain = read_json(path, MAX_BYTES)
    except TextFileError as error:
        raise RunError(str(error)) from None
    try:
        stated = TypeAdapter(LineDetector).validate_json(json.dumps(plain))
    except ValidationError as error:
        first = error.errors()[0]
        raise RunError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if stated.version != VERSION:
        raise RunError(f"{path}: has version {stated.version}, but this program reads {VERSION}")
    result = line / RESULT
    parts = PurePosixPath(stated.run).parts
    run = result.joinpath(*parts)
    if not parts or PurePosixPath(stated.run).is_absolute() or ".." in parts or not _is_below(run, result):
        raise RunError(f"{path}: run: needs a folder below {result}, but is {stated.run!r:.60}")
    return run


def _is_below(path: Path, folder: Path) -> bool:
    """Whether a path is in a folder, with links followed."""
    return path.resolve().is_relative_to(folder.resolve())
