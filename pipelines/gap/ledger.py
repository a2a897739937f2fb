"""How often the test photos were read: `<test>.reads.jsonl` beside the data, a line for each reading.

Each line holds the hash of the line before, so that a line that was taken out or changed is noticed. A report that was
made before, of the same runs on the same data for the same purpose, is not a new reading.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hybrid.core.errors import DataError
from pipelines.common.data import MANIFEST
from pipelines.gap.schema.sections import Reading
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import Location
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import parse_json, read_text
from simgen.spec.text.printable import printable

Purpose = Literal["look", "final", "ask"]
Kind = Literal["reads", "asks"]  # readings of the test photos, questions to the pool
MOST_BYTES = 4 * 2**20
_TEXTS = ("time", "data", "runs", "names", "purpose", "before")


@dataclass(frozen=True)
class Ledger:
    """The readings so far."""

    path: Path | None  # None: the data are at a URL, beside which nothing is written
    lines: tuple[str, ...]
    whole: bool  # no line was changed or taken out

    @property
    def readings(self) -> tuple[Reading, ...]:
        rows = [parse_json(line) for line in self.lines]
        return tuple(Reading(time=row["time"], runs=row["names"], purpose=row["purpose"]) for row in rows)

    def in_words(self) -> str:
        """How often the test data were read, for the page."""
        if self.path is None:
            return "How often the test data were read is not known: they are at a URL."
        final = sum(one.purpose == "final" for one in self.readings)
        times = "once" if len(self.lines) == 1 else f"{len(self.lines)} times"
        text = f"The test data were read {times}, {final} of them as final."
        return text if self.whole else f"{text} A line of {self.path.name} was changed or taken out."


def ledger_of(data: Location, kind: Kind = "reads") -> Path | None:
    """Where the readings of a data set are counted: beside its file or folder."""
    if not isinstance(data, Path):
        return None
    data = data.parent if data.name == MANIFEST else data
    return data.with_name(f"{data.name}.{kind}.jsonl")


def read_ledger(data: Location, kind: Kind = "reads") -> Ledger:
    """The readings of a data set so far.

    Raises:
        DataError: the file is damaged. Names the line.
    """
    path = ledger_of(data, kind)
    if path is None or not path.exists():
        return Ledger(path, (), whole=True)
    try:
        lines = tuple(line for line in read_text(path, MOST_BYTES).split("\n") if line.strip())
        rows = [_row(line, f"{path}:{k}") for k, line in enumerate(lines, 1)]
    except TextFileError as error:
        raise DataError(str(error)) from None
    befores = ["", *(_hash(line) for line in lines)]
    return Ledger(path, lines, all(row["before"] == before for row, before in zip(rows, befores, strict=False)))


def _row(line: str, where: str) -> dict[str, str]:
    try:
        row: Any = parse_json(line)
    except TextFileError as error:
        raise DataError(f"{where}: {error}") from None
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in _TEXTS):
        raise DataError(f"{where}: a reading needs the texts {', '.join(_TEXTS)}; move the file away to begin anew")
    return {key: printable(row[key]) for key in _TEXTS}


def count_reading(
    data: Location,
    data_sha256: str,
    runs: Sequence[tuple[str, str]],
    purpose: Purpose,
    time: str,
    kind: Kind = "reads",
) -> Ledger:
    """The readings with this one, which is written down unless it stands there.

    Args:
        data: the test data, or the pool.
        data_sha256: of them.
        runs: the name and the sha256 of each run that is measured.
        purpose: final, or only to look; ask: whether a change is kept.
        time: now.
        kind: which ledger.

    Raises:
        DataError: the ledger is damaged.
        OSError: it cannot be written.
    """
    ledger = read_ledger(data, kind)
    if ledger.path is None:
        return ledger
    sha256s = _hash(" ".join(sorted(sha256 for _, sha256 in runs)))
    new = {
        "time": time, "data": data_sha256, "runs": sha256s, "names": ", ".join(name for name, _ in runs),
        "purpose": purpose, "before": _hash(ledger.lines[-1]) if ledger.lines else "",
    }  # fmt: skip
    same = ("data", "runs", "purpose")
    if any(all(row[key] == new[key] for key in same) for row in map(parse_json, ledger.lines)):
        return ledger
    lines = (*ledger.lines, json.dumps(new))
    write_atomically(ledger.path, ("\n".join(lines) + "\n").encode())
    return Ledger(ledger.path, lines, ledger.whole)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
