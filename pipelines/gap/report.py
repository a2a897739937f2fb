"""The report as values, and their writing: one JSON and one HTML file that needs nothing beside itself.

Every word about the measured data goes through `Report.target`: "real" for photographs, "stand-in" for a simulated
data set that takes their place. A figure of a stand-in never bears the name of reality.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jinja2

from pipelines.gap.appearance import Difference
from pipelines.gap.pictures import bars

Scores = Mapping[str, float | None]  # by the name of a category or a size; None where there is nothing to find


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run on one data set. COCO's averages: 0..1, None where the set has no such box."""

    ap: float | None
    ap50: float | None
    ar: float | None
    ap_by_category: Scores
    ap50_by_category: Scores
    ap_by_size: Scores


@dataclass(frozen=True, kw_only=True)
class RunRow:
    name: str
    trained_on: str  # in words: what, how much, from which start
    branches: str
    steps: int
    seconds: float
    sim: Measured
    target: Measured


@dataclass(frozen=True, kw_only=True)
class DataRow:
    path: str
    images: int
    boxes: int
    note: str


@dataclass(frozen=True, kw_only=True)
class Report:
    made: str  # ISO date and time
    target: str  # "real" | "stand-in"
    categories: Sequence[str]
    sim: DataRow
    real: DataRow
    runs: Sequence[RunRow]
    differences: Sequence[Difference]
    command: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What the HTML alone holds: pictures as data URIs, by caption."""

    scenes: Sequence[tuple[str, str]] = ()
    crops: Mapping[str, Sequence[str]] = field(default_factory=dict)
    histograms: Mapping[str, str] = field(default_factory=dict)  # SVG, by the difference's name


def best(report: Report) -> RunRow:
    return max(report.runs, key=lambda run: run.target.ap50 or 0.0)


def verdict(report: Report) -> list[str]:
    """What the figures say, in sentences; nothing that they do not say."""
    top, word = best(report), report.target
    lines = [
        f"Best on {word} data: “{top.name}”, AP50 {_2(top.target.ap50)} and AP {_2(top.target.ap)} "
        f"on {report.real.images} {word} pictures with {report.real.boxes} boxes."
    ]
    if top.sim.ap50 is not None and top.target.ap50 is not None:
        gap = top.sim.ap50 - top.target.ap50
        lines.append(f"On simulated validation the same run has AP50 {_2(top.sim.ap50)}: a gap of {gap:+.2f}.")
    apart = [d.title for d in report.differences if d.distance > d.floor]
    if apart:
        lines.append(f"The pictures differ most in {', '.join(apart[:3])}: where to look first, not a proven cause.")
    return lines


def _2(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.2f}"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def charts(report: Report) -> dict[str, str]:
    names = [run.name for run in report.runs]
    sets = {"simulated": [r.sim for r in report.runs], report.target: [r.target for r in report.runs]}
    return {
        "AP50": bars(names, {word: [m.ap50 for m in rows] for word, rows in sets.items()}, "AP50"),
        "AP": bars(names, {word: [m.ap for m in rows] for word, rows in sets.items()}, "AP"),
    }


def write(report: Report, panel: Panel, path: Path) -> Path:
    """`path` (HTML) and the JSON of the same name beside it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"two": _2, "time": _time}
    html = environment.get_template("report.html").render(
        report=report, panel=panel, charts=charts(report), verdict=verdict(report), best=best(report)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(asdict(report) | {"verdict": verdict(report)}, indent=2) + "\n")
    return path
