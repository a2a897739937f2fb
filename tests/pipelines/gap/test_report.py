"""Laws of the report: figures stand as given, stand-ins are never called real, and nothing is fetched."""

import errno
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.data.clips import ClipSource
from pipelines.gap.appearance import Difference
from pipelines.gap.chance import Difference50
from pipelines.gap.pictures import to_uri
from pipelines.gap.report import DataRow, GapReport, ReportImages, RunRow, RunScores, best, conclusions, write


def measured(ap50: float | None) -> RunScores:
    ap = None if ap50 is None else ap50 / 2
    return RunScores(
        ap=ap, ap50=ap50, ar=ap50, ap_by_category={"bolt": ap, "washer": None},
        ap50_by_category={"bolt": ap50, "washer": None}, ap_by_size={"small": ap, "large": None},
    )  # fmt: skip


def report(target: str = "stand-in") -> GapReport:
    rows = [("scratch", 0.31, 0.22), ("sim", 0.93, 0.48), ("sim → 10", 0.91, 0.77)]
    runs = [
        RunRow(
            name=name,
            trained_on="words",
            branches="cnn",
            steps=9,
            steps_on_target=9,
            steps_in_all=20,
            seconds=61.0,
            sim=measured(a),
            target=measured(b),
        )
        for name, a, b in rows
    ]
    difference = Difference("noise", "noise", "grey level", 1.0, 4.0, 1.7, 0.1, "sensor.read_noise_e", "more <noise>")
    return GapReport(
        made="2026-01-01 00:00", target=target, categories=["bolt", "washer"],
        sim=DataRow(path="a", images=40, boxes=99, note=""), real=DataRow(path="b", images=24, boxes=77, note=""),
        runs=runs, differences=[difference], command="python -m pipelines.gap_report",
    )  # fmt: skip


def written(folder: Path, target: str = "stand-in") -> str:
    uri = to_uri(np.zeros((9, 9, 3), np.uint8))
    images = ReportImages(scenes=[("a scene", uri)], crops={"missed": [uri]}, histograms={"noise": "<svg></svg>"})
    return write(report(target), images, folder / "report.html").read_text()


def test_the_best_run_is_the_best_on_the_target_not_on_simulation() -> None:
    assert best(report()).name == "sim → 10"
    assert "AP50 0.77" in conclusions(report())[0]
    assert ": 0.14 more than on stand-in data." in conclusions(report())[1]


@pytest.mark.parametrize(("sim", "words"), [(0.56, "0.21 less than"), (0.77, "the same as"), (0.7701, "the same as")])
def test_a_target_that_is_easier_than_simulation_is_no_negative_gap(sim: float, words: str) -> None:
    rows = [replace(row, sim=measured(sim)) for row in report().runs]
    line = conclusions(changed(runs=rows))[1]
    assert f"AP50 {sim:.2f}: {words} on stand-in data." in line


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


@pytest.fixture
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts take most of the time of writing a page."""
    monkeypatch.setattr("pipelines.gap.report.charts", lambda report: {})


def changed(**change: object) -> GapReport:
    return replace(report(), **change)  # type: ignore[arg-type]


def test_the_first_of_equal_runs_is_the_best_and_an_unmeasured_one_is_never() -> None:
    rows = [replace(row, target=measured(value)) for row, value in zip(report().runs, (None, 0.4, 0.4), strict=True)]
    assert best(changed(runs=rows)).name == "sim"


def test_without_a_figure_a_dash_stands_and_no_gap_is_claimed(tmp_path: Path, without_charts: None) -> None:
    rows = [replace(row, sim=measured(None), target=measured(None)) for row in report().runs]
    lines = conclusions(changed(runs=rows))
    assert "AP50 \N{EN DASH} and AP \N{EN DASH}" in lines[0]
    assert not any("than on" in line or "same as" in line for line in lines)
    html = write(changed(runs=rows), ReportImages(), tmp_path / "report.html").read_text()
    assert '<td class="n">\N{EN DASH}</td>' in html
    assert "None" not in html


def test_only_differences_beyond_chance_are_named_and_at_most_three() -> None:
    (one,) = report().differences
    four = [replace(one, name=name, title=f"{name} of images") for name in ("a", "b", "c", "d")]
    by_chance = replace(one, title="chance", distance=0.1)
    line = conclusions(changed(differences=[by_chance, *four]))[-1]
    assert "differ most in a of images, b of images, c of images:" in line
    assert "differ most" not in " ".join(conclusions(changed(differences=[by_chance])))


def test_a_difference_by_chance_is_marked_in_the_page(tmp_path: Path, without_charts: None) -> None:
    (one,) = report().differences
    path = tmp_path / "report.html"
    assert "why chance" not in write(report(), ReportImages(), path).read_text()
    assert "why chance" in write(changed(differences=[replace(one, distance=0.1)]), ReportImages(), path).read_text()


def test_the_page_holds_all_images_and_escapes_their_captions(tmp_path: Path, without_charts: None) -> None:
    images = ReportImages(
        scenes=[("real: <1>.png", "data:a"), ("real: 2.png", "data:b")],
        crops={"real: missed": ["data:c", "data:d"], "real: false alarms": []},
        histograms={"noise": "<svg id='noise'></svg>"},
    )
    html = write(report(), images, tmp_path / "deep/folder/report.html").read_text()
    assert [html.count(f'src="data:{name}"') for name in "abcd"] == [1, 1, 1, 1]
    assert "real: &lt;1&gt;.png" in html
    assert '<span class="note">none</span>' in html  # no false alarm
    assert "<svg id='noise'></svg>" in html


def test_a_page_without_images_has_no_heading_for_them(tmp_path: Path, without_charts: None) -> None:
    html = write(report(), ReportImages(), tmp_path / "report.html").read_text()
    assert "Failures, close up" not in html
    assert "Detections of" not in html


def test_the_json_file_keeps_the_names_that_scripts_read(tmp_path: Path, without_charts: None) -> None:
    write(report(), ReportImages(), tmp_path / "report.html")
    stored = json.loads((tmp_path / "report.json").read_text())
    assert set(stored) == {
        "made", "target", "categories", "sim", "real", "compared_with", "runs", "differences", "ap50_differences",
        "command", "verdict",
    }  # fmt: skip
    assert set(stored["runs"][0]) == {
        "name", "trained_on", "branches", "steps", "steps_on_target", "steps_in_all", "seconds", "sim", "target",
        "ap50_range",
    }  # fmt: skip
    assert set(stored["runs"][0]["target"]) == {
        "ap", "ap50", "ar", "ap_by_category", "ap50_by_category", "ap_by_size",
    }  # fmt: skip
    assert stored["runs"][0]["target"]["ap_by_category"] == {"bolt": 0.11, "washer": None}
    assert stored["verdict"] == conclusions(report())


def test_times_are_seconds_below_a_minute_and_minutes_above(tmp_path: Path, without_charts: None) -> None:
    rows = [replace(row, seconds=value) for row, value in zip(report().runs, (59.4, 60.0, 3600.0), strict=True)]
    html = write(changed(runs=rows), ReportImages(), tmp_path / "report.html").read_text()
    for text in ("59 s", "1.0 min", "60.0 min"):
        assert f'<td class="n">{text}</td>' in html


@pytest.mark.parametrize("name", ["a$\\q$", "<script>alert(1)</script>", "日本", "a\x1b[31m", "a\udcff", "--><b>"])
def test_any_name_of_a_run_can_be_shown_and_none_is_markup(tmp_path: Path, name: str) -> None:
    rows = [replace(row, name=name) for row in report().runs[:1]]
    html = write(changed(runs=rows), ReportImages(), tmp_path / "report.html").read_text()
    assert "<script" not in html
    assert "<b>" not in html.replace("<b>more", "")
    assert json.loads((tmp_path / "report.json").read_text())["runs"][0]["name"] == name


def test_runs_that_chance_may_have_put_in_their_order_are_named() -> None:
    pairs = [
        Difference50(run="scratch", other="sim → 10", difference=-0.55, low=-0.7, high=-0.4),
        Difference50(run="sim", other="sim → 10", difference=-0.29, low=-0.6, high=0.05),
    ]
    lines = [line for line in conclusions(changed(ap50_differences=pairs)) if "not told apart" in line]
    assert lines == [
        "“sim” is not told apart from it: the difference of their AP50 is 0.29, and by chance of these stand-in images "
        "it may be -0.05 to +0.60."
    ]


def test_a_disk_that_is_full_leaves_the_earlier_report(
    tmp_path: Path, without_charts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(report(), ReportImages(), tmp_path / "report.html")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("simgen.dataset.store.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(changed(made="later"), ReportImages(), path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_what_was_left_out_of_a_data_set_stands_in_the_page_with_its_count_and_an_example(
    tmp_path: Path, without_charts: None
) -> None:
    source = ClipSource("set", ("bolt",), (), {"image file missing": ("a<b>.png", "c.png"), "none": ()})
    row = DataRow.of(tmp_path / "a.json", source, "all")
    html = write(changed(real=row), ReportImages(), tmp_path / "report.html").read_text()
    assert "Left out: image file missing: 2, such as a&lt;b&gt;.png" in html
    assert html.count("Left out:") == 1
