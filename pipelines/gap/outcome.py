"""What a report's figures say about simulation: a table, and three lines that are computed from the figures.

Reads the JSON file of a report; loads neither torch nor OpenCV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.gap.schema.figure import Figure
from pipelines.gap.schema.report import Report

LEAST_AP50 = 0.05  # a detector below it has not learned enough to be compared


@dataclass(frozen=True)
class Outcome:
    """The comparison of a run that saw simulation first with one that saw the photos alone."""

    photos: str  # what the photos are called: photos, or stand-in photos
    images: int  # measured on
    steps: int  # on the photos, the same for both
    extra_steps: int  # that the first run did on simulation
    ap50: tuple[float, float]  # with simulation, without
    interval: tuple[float, float] | None  # of the difference, 95 %; None: too few sessions

    @property
    def difference(self) -> float:
        return self.ap50[0] - self.ap50[1]

    def figures(self) -> str:
        """What came out."""
        first, alone = self.ap50
        ends = self.interval
        chance = "" if ends is None else f" (95 % interval {ends[0]:+.2f} to {ends[1]:+.2f})"
        return (
            f"AP50 {first:.2f} with simulation first, {alone:.2f} with {self.photos} alone: {self.difference:+.2f}"
            f"{chance} on {self.images} {self.photos}."
        )

    def meaning(self) -> str:
        """What it means, in whichever direction it came out."""
        same = f"at the same {self.steps} steps on the {self.photos}"
        if max(self.ap50) < LEAST_AP50:
            return f"Neither detector has learned enough {same}: nothing can be said. More steps are needed."
        if self.interval is None:
            return f"Whether that is chance cannot be told {same}: the test {self.photos} are of fewer than 5 sessions."
        if self.interval[0] <= 0.0 <= self.interval[1]:
            return f"No difference beyond chance {same}. More test photos or more steps would tell."
        if self.difference > 0:
            return f"Simulation helped {same}. It cost {self.extra_steps} more steps, and no labels."
        return f"Simulation did not help {same}: the detector without it is better. Look at the report's differences."


def outcome(report: Report, first: str, alone: str) -> Outcome | None:
    """The comparison of the runs of these names; None where one of them has no AP50."""
    rows = {row.name: row for row in report.runs}
    for pair in report.comparisons:
        if {pair.first, pair.second} == {first, alone} and {first, alone} <= rows.keys():
            sign = 1.0 if pair.first == first else -1.0
            ends = [sign * end / 100 for end in (pair.difference.low, pair.difference.high) if end is not None]
            return Outcome(
                photos=photos_of(report),
                images=images(report),
                steps=rows[alone].steps_on_target,
                extra_steps=rows[first].steps_in_all - rows[first].steps_on_target,
                ap50=(rows[first].real.ap50.value or 0.0, rows[alone].real.ap50.value or 0.0),
                interval=(min(ends), max(ends)) if ends else None,
            )
    return None


def images(report: Report) -> int:
    """How many test pictures there are."""
    return sum(one.images for one in report.data if one.role == "test")


def ap50_of(report: Report, run: str) -> Figure | None:
    """AP50 of a run on the test pictures, with its interval; None where there is no such run.

    A run that has other seeds beside it has no interval of its own: that of the page is of their mean.
    """
    groups = {name: row.real.ap50 for row in report.performance for name in row.runs}
    value = next((row.real.ap50 for row in report.runs if row.name == run), None)
    return value if value is None or len(_seeds(report, run)) > 1 else groups.get(run, value)


def _seeds(report: Report, run: str) -> tuple[str, ...]:
    """The runs of its group."""
    return next((row.runs for row in report.performance if run in row.runs), ())


def photos_of(report: Report) -> str:
    """What the target's images are called. Those of a stand-in are never called photos alone."""
    return "photos" if report.target == "real" else "stand-in photos"


def table(report: Report, titles: Mapping[str, str]) -> list[str]:
    """The lines of a table with a row for each run; `titles` are their words, by name.

    A run that has other seeds beside it has no interval of its own.
    """
    rows = [("", f"steps on {photos_of(report)}", "steps in all", "AP50", "95 % interval")]
    for row in report.runs:
        ap50 = ap50_of(report, row.name) or row.real.ap50
        value = "-" if ap50.value is None else f"{ap50.value:.2f}"
        ends = "-" if ap50.low is None else f"{ap50.low:.2f} to {ap50.high:.2f}"
        rows.append((titles.get(row.name, row.name), str(row.steps_on_target), str(row.steps_in_all), value, ends))
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
