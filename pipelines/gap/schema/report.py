"""report.json, version 5: written by the report, read to draw the page, to compare two reports, and by the demo.

Each section is one line. Keys that have their default (an empty note, no interval) are left out, and numbers have six
digits. Pictures are in a file of their own, see `picture_file`. The form is described in docs/reference/report-json.md.
A report of version 4 is one without `pasted` and `drawn`, and is read as such.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter, ValidationError

from hybrid.core.errors import RunError
from hybrid.weights.record import where_and_why
from pipelines.common.record import DataKind
from pipelines.gap.schema.effects import Drawn, Pasted
from pipelines.gap.schema.figure import STRICT
from pipelines.gap.schema.sections import (
    Answer,
    Comparison,
    DataSet,
    DoNext,
    Knob,
    LabelEfficiency,
    Performance,
    Picture,
    Run,
    Trust,
    Where,
    Why,
)
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

SCHEMA: Literal[5] = 5
READ_TOO = 4  # as version 5 without the sections that came with it
DIGITS = 6  # of a number
_EARLIER = {"verdict", "runs", "sim", "real", "differences"}  # keys of version 1, which stated no version
MOST_BYTES = 32 * 2**20


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the page shows, in its order."""

    schema: Literal[5] = SCHEMA
    made: str  # date and time
    title: str
    target: DataKind  # what the test data are called: real, or stand-in where they were simulated too
    mode: Literal["quick", "full", "final"]
    categories: tuple[str, ...]
    answer: Answer
    performance: tuple[Performance, ...]
    comparisons: tuple[Comparison, ...]
    label_efficiency: LabelEfficiency
    where: Where
    why: Why
    knobs: tuple[Knob, ...]
    do_next: DoNext
    trust: Trust
    runs: tuple[Run, ...]
    data: tuple[DataSet, ...]
    command: str
    pictures: dict[str, Picture]  # by key
    pasted: Pasted | None = None  # None: not tried
    drawn: Drawn | None = None  # None: not tried
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    def to_json(self) -> str:
        """As a JSON text, with the hashes of the pictures in their place."""
        report = replace(self, pictures={key: one.named() for key, one in self.pictures.items()})
        lines = [f"{json.dumps(key)}: {_line(value)}" for key, value in {"schema": SCHEMA, **_compact(report)}.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def without_photos(self) -> Report:
        """The same without the pictures of photos; their captions stay."""
        kept = {
            key: one if one.of == "simulated" else replace(one, uri=None, sha256=None)
            for key, one in self.pictures.items()
        }
        return replace(self, pictures=kept)

    @property
    def missing_pictures(self) -> int:
        """How many pictures the report has that are not there, since the file of pictures is not."""
        return sum(one.uri is None and one.sha256 is not None for one in self.pictures.values())


def _line(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _compact(item: Any) -> Any:
    """As JSON values, without what has its default."""
    if is_dataclass(item):
        values = {field.name: (getattr(item, field.name), _default(field)) for field in fields(item)}
        return {name: _compact(value) for name, (value, default) in values.items() if value != default}
    if isinstance(item, dict):
        return {key: _compact(value) for key, value in item.items()}
    if isinstance(item, tuple):
        return [_compact(value) for value in item]
    return float(f"{item:.{DIGITS}g}") if isinstance(item, float) else item


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def report_from_json(plain: Any, name: str = "the report") -> Report:
    """The report of a JSON value.

    Raises:
        RunError: it is no report of this version. Names `name` and the first wrong key.
    """
    if isinstance(plain, dict) and "schema" not in plain and plain.keys() >= _EARLIER:
        raise RunError(f"{name}: is a report of version 1; this program reads version {SCHEMA}: make the report again")
    version = plain.get("schema") if isinstance(plain, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise RunError(f"{name}: is no report: it states no schema")
    if version == READ_TOO:
        plain, version = plain | {"schema": SCHEMA}, SCHEMA
    if version != SCHEMA:
        again = ": make the report again" if version < SCHEMA else ""
        raise RunError(f"{name}: is a report of version {version}; this program reads version {SCHEMA}{again}")
    try:
        return _ADAPTER.validate_json(json.dumps(plain))
    except ValidationError as error:
        raise RunError(f"{name}: is no report of version {SCHEMA}: {where_and_why(error)}") from None


_ADAPTER = TypeAdapter(Report)


def read_report(path: Path) -> Report:
    """The report in a JSON file.

    Raises:
        RunError: it cannot be read, or is no report of this version.
    """
    try:
        plain = read_json(path, MOST_BYTES)
    except TextFileError as error:
        raise RunError(str(error)) from None
    return report_from_json(plain, str(path))
