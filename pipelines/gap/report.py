"""The report: its values, and how they are written as one JSON file and one HTML file without external resources.

All words about the measured data use `GapReport.target`: "real" for photos, "stand-in" for a simulated data set in
their place. So no figure of a stand-in is ever called real.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jinja2

from hybrid.core.config import SCORE
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import Metrics
from pipelines.common.record import DataKind
from pipelines.gap.appearance import Difference
from pipelines.gap.chance import Difference50, Range
from pipelines.gap.finished import FinishedRun
from pipelines.gap.measure import Measurement
from pipelines.gap.pictures import bars
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import Location
from simgen.spec.text.printable import redacted

ByName = Mapping[str, float | None]  # by category or by size; None: the set has no such box


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """One run on one data set: COCO's averages, 0 to 1, or None where the set has no such box."""

    ap: float | None
    ap50: float | None
    ar: float | None
    ap_by_category: ByName
    ap50_by_category: ByName
    ap_by_size: ByName

    @staticmethod
    def of(metrics: Metrics) -> RunScores:
        return RunScores(
            ap=metrics.overall.ap,
            ap50=metrics.overall.ap50,
            ar=metrics.overall.ar,
            ap_by_category={name: scores.ap for name, scores in metrics.by_category.items()},
            ap50_by_category={name: scores.ap50 for name, scores in metrics.by_category.items()},
            ap_by_size={name: scores.ap for name, scores in metrics.by_size.items()},
        )


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run's row in the tables."""

    name: str
    trained_on: str  # in words: what, how much, from which start
    branches: str
    steps: int
    steps_on_target: int  # of it and the runs that it started from, on photos or what stands in for them
    steps_in_all: int
    seconds: float
    sim: RunScores
    target: RunScores
    ap50_range: Range | None = None  # AP50 on the target: the middle 95 % of a bootstrap, see pipelines.gap.chance

    @staticmethod
    def of(run: FinishedRun, on_sim: Measurement, on_target: Measurement, ap50_range: Range | None = None) -> RunRow:
        return RunRow(
            name=run.folder.name,
            trained_on=run.training_data(),
            branches=run.model.branches,
            steps=run.steps,
            steps_on_target=run.steps_on_target,
            steps_in_all=run.steps_in_all,
            seconds=run.seconds,
            sim=RunScores.of(on_sim.metrics),
            target=RunScores.of(on_target.metrics),
            ap50_range=ap50_range,
        )


@dataclass(frozen=True, kw_only=True)
class DataRow:
    """A data set's row in the table of data."""

    path: str
    images: int
    boxes: int
    note: str
    left_out: Sequence[str] = ()  # what the reader could not use: why, how many, an example

    @staticmethod
    def of(path: Location, source: ClipSource, note: str) -> DataRow:
        boxes = sum(source.counts().values())
        left_out = [f"{reason}: {len(items)}, such as {items[0]}" for reason, items in source.skipped.items() if items]
        return DataRow(path=redacted(str(path)), images=len(source.frames), boxes=boxes, note=note, left_out=left_out)


@dataclass(frozen=True, kw_only=True)
class GapReport:
    """All that the JSON file holds."""

    made: str  # ISO date and time
    target: DataKind
    categories: Sequence[str]
    sim: DataRow
    real: DataRow
    compared_with: str = ""  # the photos that the simulated images are compared with
    runs: Sequence[RunRow]
    differences: Sequence[Difference]
    ap50_differences: Sequence[Difference50] = ()  # of every two runs
    command: str


@dataclass(frozen=True, kw_only=True)
class ReportImages:
    """What only the HTML holds: images as data URIs, charts as SVG."""

    score: float = SCORE  # lowest score of the detections in them
    scenes: Sequence[tuple[str, str]] = ()  # caption, data URI
    crops: Mapping[str, Sequence[str]] = field(default_factory=dict)  # data URIs by caption
    histograms: Mapping[str, str] = field(default_factory=dict)  # SVG by the difference's name


def best(report: GapReport) -> RunRow:
    """The run with the highest AP50 on the target."""
    return max(report.runs, key=lambda run: run.target.ap50 or 0.0)


def conclusions(report: GapReport) -> list[str]:
    """What the figures show, in sentences."""
    top, word = best(report), report.target
    lines = [
        f"Best on {word} data: “{top.name}”, AP50 {_two_digits(top.target.ap50)} and AP {_two_digits(top.target.ap)} "
        f"on {report.real.images} {word} images with {report.real.boxes} boxes."
    ]
    if top.sim.ap50 is not None and top.target.ap50 is not None:
        gap = round(top.sim.ap50 - top.target.ap50, 2)
        than = f"{abs(gap):.2f} {'more' if gap > 0 else 'less'} than" if gap else "the same as"
        sim = f"On simulated validation data it has AP50 {_two_digits(top.sim.ap50)}"
        lines.append(f"{sim}: {than} on {word} data.")
    lines += [
        f"“{other}” is not told apart from it: the difference of their AP50 is {_two_digits(ahead)}, and by chance "
        f"of these {word} images it may be {low:+.2f} to {high:+.2f}."
        for other, ahead, low, high in _not_behind(report, top.name)
    ]
    apart = [difference.title for difference in report.differences if difference.distance > difference.floor]
    if apart:
        lines.append(f"The images differ most in {', '.join(apart[:3])}: where to look first, not a proven cause.")
    return lines


def _not_behind(report: GapReport, top: str) -> list[tuple[str, float, float, float]]:
    """(run, best minus run, the range of that) of each run whose distance to the best one may be chance."""
    rows = []
    for pair in report.ap50_differences:
        if pair.may_be_chance and pair.run == top:
            rows.append((pair.other, pair.difference, pair.low, pair.high))
        elif pair.may_be_chance and pair.other == top:
            rows.append((pair.run, -pair.difference, -pair.high, -pair.low))
    return rows


def charts(report: GapReport) -> dict[str, str]:
    """Bar charts as SVG, by the name of the figure."""
    names = [run.name for run in report.runs]
    sets = {"simulated": [run.sim for run in report.runs], report.target: [run.target for run in report.runs]}
    return {
        "AP50": bars(names, {word: [scores.ap50 for scores in rows] for word, rows in sets.items()}, "AP50"),
        "AP": bars(names, {word: [scores.ap for scores in rows] for word, rows in sets.items()}, "AP"),
    }


def write(report: GapReport, images: ReportImages, path: Path) -> Path:
    """Write `path` (HTML), and beside it the JSON file of the same name, each whole or not at all. Returns `path`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"two": _two_digits, "time": _time}
    html = environment.get_template("report.html").render(
        report=report, images=images, charts=charts(report), conclusions=conclusions(report), best=best(report)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = asdict(report) | {"verdict": conclusions(report)}
    write_atomically(path.with_suffix(".json"), (json.dumps(plain, indent=2) + "\n").encode())
    write_atomically(path, html.encode(errors="replace"))
    return path


def _two_digits(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.2f}"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"
