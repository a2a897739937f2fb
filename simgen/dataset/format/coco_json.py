"""The one reader of COCO JSON files. The file may come from anywhere, so its size and its form are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simgen.spec.errors import CocoError, TextFileError
from simgen.spec.text.bounded import NotRead, bounded_bytes
from simgen.spec.text.json_text import parse_json

MAX_COCO_BYTES = 2 * 2**30  # a larger file is refused before it is read


def read_coco_json(
    path: Path,
    needed: Mapping[str, Sequence[str]],
    optional: Mapping[str, Sequence[str]] | None = None,
    most_bytes: int | None = None,
) -> dict[str, Any]:
    """The JSON object in the file, with the tables of COCO (https://cocodataset.org/#format-data) that a caller reads.

    Args:
        needed: keys that each row of a table must have, by the name of the table: {"images": ("id", "file_name")}.
            With an empty sequence the table must be a list, and its rows are not checked.
        optional: the same for tables that may be missing.
        most_bytes: the largest file that is read; `MAX_COCO_BYTES` by default.

    Raises:
        CocoError: the file is missing, too large, no regular file or no JSON (or is nested too deep for Python's
            parser); a table is not a list; a row lacks a key, or has a list or an object as an id. The message does
            not name the file.
    """
    document = _parsed(path, MAX_COCO_BYTES if most_bytes is None else most_bytes)
    for table, keys in {**needed, **(optional or {})}.items():
        rows = document.get(table) if isinstance(document, dict) else None
        if rows is None and table not in needed and isinstance(document, dict):
            continue
        if not isinstance(rows, list):
            raise CocoError(f"no COCO JSON: it needs a list under {table!r}", readable=True)
        _check_rows(table, rows, keys)
    return dict(document)


def _parsed(path: Path, most_bytes: int) -> Any:
    try:
        return parse_json(bounded_bytes(path, most_bytes))
    except NotRead as error:
        raise CocoError(_why(error, path, most_bytes)) from None
    except TextFileError as error:
        raise CocoError(f"cannot be read as JSON: {error}"[:300]) from None


def _why(error: NotRead, path: Path, most_bytes: int) -> str:
    if error.fault == "missing":
        return "there is no such file"
    if error.fault == "too large":
        return f"{error.size_bytes} bytes, more than the {most_bytes} that are read"
    if error.fault == "no file":
        return (
            f"is a folder; give one of its JSON files{_named(jsons_in(path))}" if path.is_dir() else "is no plain file"
        )
    return f"cannot be read as JSON: {error.why}"


def jsons_in(folder: Path) -> list[str]:
    """The JSON files in a folder and in the folders in it, by their names relative to it; ten at most."""
    try:
        below = [file for pattern in ("*.json", "*/*.json") for file in sorted(folder.glob(pattern))]
    except OSError:
        return []
    return [file.relative_to(folder).as_posix() for file in below if file.is_file()][:10]


def _named(files: Sequence[str]) -> str:
    return f": {', '.join(files)}" if files else "; it holds none"


def _check_rows(table: str, rows: list[Any], keys: Sequence[str]) -> None:
    for number, row in enumerate(rows):
        for key in keys:
            if not isinstance(row, dict) or key not in row:
                raise CocoError(f"{table}[{number}] has no {key!r}", readable=True)
            if key.endswith("id") and isinstance(row[key], list | dict):
                raise CocoError(f"{table}[{number}]: {key!r} is no id: {row[key]!r:.60}", readable=True)
