"""Laws of the report: figures stand as given, stand-ins are never called real, and nothing is fetched."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pipelines.gap.appearance import Difference
from pipelines.gap.pictures import to_uri
from pipelines.gap.report import DataRow, Measured, Panel, Report, RunRow, best, verdict, write


def measured(ap50: float | None) -> Measured:
    ap = None if ap50 is None else ap50 / 2
    return Measured(
        ap=ap, ap50=ap50, ar=ap50, ap_by_category={"bolt": ap, "washer": None},
        ap50_by_category={"bolt": ap50, "washer": None}, ap_by_size={"small": ap, "large": None},
    )  # fmt: skip


def report(target: str = "stand-in") -> Report:
    rows = [("scratch", 0.31, 0.22), ("sim", 0.93, 0.48), ("sim → 10", 0.91, 0.77)]
    runs = [
        RunRow(
            name=name, trained_on="words", branches="cnn", steps=9, seconds=61.0, sim=measured(a), target=measured(b)
        )
        for name, a, b in rows
    ]
    difference = Difference("noise", "noise", "grey level", 1.0, 4.0, 1.7, 0.1, "sensor.read_noise_e", "more <noise>")
    return Report(
        made="2026-01-01 00:00", target=target, categories=["bolt", "washer"],
        sim=DataRow(path="a", images=40, boxes=99, note=""), real=DataRow(path="b", images=24, boxes=77, note=""),
        runs=runs, differences=[difference], command="python -m pipelines.gap_report",
    )  # fmt: skip


def written(folder: Path, target: str = "stand-in") -> str:
    uri = to_uri(np.zeros((9, 9, 3), np.uint8))
    panel = Panel(scenes=[("a scene", uri)], crops={"missed": [uri]}, histograms={"noise": "<svg></svg>"})
    return write(report(target), panel, folder / "report.html").read_text()


def test_the_best_run_is_the_best_on_the_target_not_on_simulation() -> None:
    assert best(report()).name == "sim → 10"
    assert "AP50 0.77" in verdict(report())[0]
    assert "+0.14" in verdict(report())[1]


def test_figures_stand_in_both_files_and_markup_is_escaped(tmp_path: Path) -> None:
    html = written(tmp_path)
    assert "0.77" in html
    assert "more &lt;noise&gt;" in html
    stored = json.loads((tmp_path / "report.json").read_text())
    assert [run["target"]["ap50"] for run in stored["runs"]] == [0.22, 0.48, 0.77]


def test_it_needs_nothing_from_outside(tmp_path: Path) -> None:
    html = written(tmp_path)
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]+"', html)
    assert "@import" not in html


def test_a_stand_in_is_never_called_real(tmp_path: Path) -> None:
    words = re.sub(r"<style>.*?</style>|--real|<[^>]+>", " ", written(tmp_path), flags=re.S)
    assert "Stand-in" in words
    assert not re.search(r"\breal(ity)?\b", words)


@pytest.mark.parametrize("target", ["real"])
def test_photographs_carry_no_stand_in_banner(tmp_path: Path, target: str) -> None:
    assert "stand-in" not in written(tmp_path, target).lower()
