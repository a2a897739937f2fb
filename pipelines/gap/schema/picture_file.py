"""NAME-pictures.json: the pictures of a report, beside its report.json, which so is small and can be committed.

report.json has of each picture the caption and a hash. So a page can be drawn without this file, and pictures of
another report are not taken for its own. One line for each picture: `"key": "data:image/jpeg;base64,..."`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hybrid.core.errors import RunError
from pipelines.gap.schema.report import Report
from pipelines.gap.schema.sections import picture_hash
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

SCHEMA = 1
MOST_BYTES = 256 * 2**20


def beside(report: Path) -> Path:
    """The file of pictures that belongs to a report.json.

    >>> beside(Path("out/report.json")).name
    'report-pictures.json'
    """
    return report.with_name(f"{report.stem}-pictures.json")


def pictures_to_json(report: Report) -> str:
    """The pictures of a report as a JSON text, by key; those that were left out are not in it."""
    there = {key: one.uri for key, one in report.pictures.items() if one.uri is not None}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(uri)}" for key, uri in there.items())
    return f'{{\n"schema": {SCHEMA},\n"pictures": {{\n{lines}\n}}\n}}\n'


def with_pictures(report: Report, path: Path) -> Report:
    """The report with those of its pictures that are in the file at `path`; without any where there is none.

    Raises:
        RunError: there is a file, and it holds no pictures of a report.
    """
    if not path.exists():
        return report
    try:
        plain = read_json(path, MOST_BYTES)
    except TextFileError as error:
        raise RunError(str(error)) from None
    uris = plain.get("pictures") if isinstance(plain, dict) and plain.get("schema") == SCHEMA else None
    if not isinstance(uris, dict) or not all(isinstance(uri, str) for uri in uris.values()):
        raise RunError(f"{path}: holds no pictures of a report (schema {SCHEMA})")
    return _joined(report, uris, path)


def _joined(report: Report, uris: dict[str, str], path: Path) -> Report:
    pictures = dict(report.pictures)
    for key, one in pictures.items():
        uri = uris.get(key)
        if uri is None or one.sha256 is None or picture_hash(uri) != one.sha256:
            continue  # left out, or of another report
        try:
            pictures[key] = replace(one, uri=uri)
        except ValueError as error:
            raise RunError(f"{path}: {key}: {error}") from None
    return replace(report, pictures=pictures)
