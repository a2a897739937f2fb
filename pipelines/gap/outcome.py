"""What a report's figures say about simulation: a table, and three lines that are computed from the figures.

Reads the JSON file of a report; loads neither torch nor OpenCV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from hybrid.core.errors import RunError
from hybrid.weights.record import where_and_why
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

LEAST_AP50 = 0.05  # a detector below it has not learned enough to be compared


class _Values(BaseModel):
    ap50: float | None


class _Run(BaseModel):
    name: str
    steps_on_target: int
    steps_in_all: int
    target: _Values
    ap50_range: tuple[float, float] | None


class _Pair(BaseModel):
    run: str
    other: str
    low: float
    high: float


class _Data(BaseModel):
    images: int


class Report(BaseModel):
    """What is read of a report's JSON file; see pipelines.gap.report."""

    target: str
    real: _Data
    runs: list[_Run]
    ap50_differences: list[_Pair]


@dataclass(frozen=True)
class Outcome:
    """The comparison of a run that saw simulation first with one that saw the photos alone."""

    photos: str  # what the photos are called: photos, or stand-in photos
    images: int  # measured on
    steps: int  # on the photos, the same for both
    extra_steps: int  # that the first run did on simulation
    ap50: tuple[float, float]  # with simulation, without
    low: float  # the middle 95 % of the difference, see pipelines.gap.chance
    high: float

    @property
    def difference(self) -> float:
        return self.ap50[0] - self.ap50[1]

    def figures(self) -> str:
        """What came out."""
        first, alone = self.ap50
        return (
            f"AP50 {first:.2f} with simulation first, {alone:.2f} with {self.photos} alone: {self.difference:+.2f} "
            f"(95 % range {self.low:+.2f} to {self.high:+.2f}) on {self.images} {self.photos}."
        )

    def meaning(self) -> str:
        """What it means, in whichever direction it came out."""
        same = f"at the same {self.steps} steps on the {self.photos}"
        if max(self.ap50) < LEAST_AP50:
            return f"Neither detector has learned enough {same}: nothing can be said. More steps are needed."
        if self.low <= 0.0 <= self.high:
            return f"No difference beyond chance {same}. More test photos or more steps would tell."
        if self.difference > 0:
            return f"Simulation helped {same}. It cost {self.extra_steps} more steps, and no labels."
        return f"Simulation did not help {same}: the detector without it is better. Look at the report's differences."


def read_report(path: Path) -> Report:
    """The JSON file of a report.

    Raises:
        RunError: it cannot be read, or is no report of this version.
    """
    try:
        report = read_json(path)
    except TextFileError as error:
        raise RunError(str(error)) from None
    try:
        return Report.model_validate(report)
    except ValidationError as error:
        raise RunError(f"{path}: is no report of this version: {where_and_why(error)}") from None


def outcome(report: Report, first: str, alone: str) -> Outcome | None:
    """The comparison of the runs of these names; None where one of them has no AP50."""
    rows = {row.name: row for row in report.runs}
    for pair in report.ap50_differences:
        if {pair.run, pair.other} == {first, alone} <= rows.keys():
            bounds = sorted((1.0 if pair.run == first else -1.0) * bound for bound in (pair.low, pair.high))
            return Outcome(
                photos=photos_of(report),
                images=report.real.images,
                steps=rows[alone].steps_on_target,
                extra_steps=rows[first].steps_in_all - rows[first].steps_on_target,
                ap50=(rows[first].target.ap50 or 0.0, rows[alone].target.ap50 or 0.0),
                low=bounds[0],
                high=bounds[1],
            )
    return None


def photos_of(report: Report) -> str:
    """What the target's images are called. Those of a stand-in are never called photos alone."""
    return "photos" if report.target == "real" else "stand-in photos"


def table(report: Report, titles: Mapping[str, str]) -> list[str]:
    """The lines of a table with a row for each run; `titles` are their words, by name."""
    head = ("", f"steps on {photos_of(report)}", "steps in all", "AP50", "95 % range")
    rows = [head]
    for row in report.runs:
        value, bounds = row.target.ap50, row.ap50_range
        rows.append(
            (
                titles.get(row.name, row.name),
                str(row.steps_on_target),
                str(row.steps_in_all),
                "-" if value is None else f"{value:.2f}",
                "-" if bounds is None else f"{bounds[0]:.2f} to {bounds[1]:.2f}",
            )
        )
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
