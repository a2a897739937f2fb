"""report.json: what is written can be read, and nothing without a status or with a NaN gets in."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from hybrid.core.errors import RunError
from pipelines.gap.page.listing import figures
from pipelines.gap.schema.figure import Figure, counted, not_measured, too_few
from pipelines.gap.schema.report import SCHEMA, Report, read_report, report_from_json
from pipelines.gap.schema.sections import Picture
from tests.pipelines.gap.example_report import SQUARE, example_report


def plain() -> Any:
    return json.loads(example_report().to_json())


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, text = tmp_path / "report.json", example_report().to_json()
    path.write_text(text)
    again = read_report(path)
    assert again.to_json() == text
    assert "base64" not in text
    rows = list(zip(figures(example_report()), figures(again), strict=True))
    assert len(rows) > 50
    for (place, one), (_, other) in rows:
        assert (one.value is None and other.value is None) or other.value == pytest.approx(one.value), place
        assert (one.status, one.note, one.unit, one.n) == (other.status, other.note, other.unit, other.n), place


def test_a_section_is_one_line_and_what_has_its_default_is_left_out() -> None:
    lines = example_report().to_json().splitlines()
    assert len(lines) == len(plain()) + 2
    assert plain()["answer"]["in_use"][2]["figure"] == {
        "status": "measured", "value": 0.35, "unit": "score", "method": "counted",
    }  # fmt: skip
    exact = replace(example_report().answer.gap, value=16.123456789, low=None, high=None)
    report = replace(example_report(), answer=replace(example_report().answer, gap=exact))
    assert json.loads(report.to_json())["answer"]["gap"]["value"] == 16.1235


def test_every_key_of_a_report_is_described() -> None:
    text = Path("docs/reference/report-json.md").read_text("utf-8")
    keys = {field.name for field in fields(Report)} | {field.name for field in fields(Figure)}
    assert len(keys) > 25
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
    assert f"version {SCHEMA}" in text


def test_without_photos_no_picture_of_a_photo_is_written_and_simulated_ones_stay() -> None:
    report = example_report().without_photos()
    assert {key: one.uri for key, one in report.pictures.items()} == {"sim-0": SQUARE, "real-0": None, "missed-0": None}
    pictures = json.loads(report.to_json())["pictures"]
    assert [key for key, one in pictures.items() if "sha256" in one] == ["sim-0"]
    assert pictures["real-0"]["caption"] == "bolt, 1-1_g4.jpg"


WRONG: dict[str, dict[str, Any]] = {
    "a value that was not measured": dict(status="not_measured", value=0.5, note="x"),
    "no value, but measured": dict(status="measured"),
    "no reason": dict(status="too_few"),
    "an interval without a value": dict(status="too_few", low=0.1, high=0.2, note="x"),
    "one end": dict(status="measured", value=0.5, low=0.4),
    "outside its interval": dict(status="measured", value=0.5, low=0.6, high=0.7),
    "above its interval": dict(status="measured", value=0.8, low=0.6, high=0.7),
    "not a number": dict(status="measured", value=float("nan")),
    "infinite": dict(status="measured", value=0.5, low=0.4, high=float("inf")),
    "a p that is no number": dict(status="measured", value=0.5, p=float("nan")),
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_a_wrong_figure_cannot_be_made(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"figure|interval"):
        Figure(**values)


def test_figures_without_a_value_say_what_is_missing() -> None:
    assert (too_few("four sessions").status, too_few("four sessions").note) == ("too_few", "four sessions")
    assert not_measured("no clip", "flicker") == Figure(status="not_measured", note="no clip", unit="flicker")
    assert counted(3.0, "photos").low is None
    assert counted(3.0, "photos").noted("a").noted("b").note == "a b"


def test_zero_is_left_out_by_an_interval_that_does_not_touch_it() -> None:
    def of(low: float, high: float) -> Figure:
        return Figure(status="measured", value=(low + high) / 2, low=low, high=high)

    assert [of(*ends).leaves_out_zero for ends in ((0.1, 1.0), (-2.0, -1.0), (0.0, 1.0), (-1.0, 1.0))] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not counted(3.0, "photos").leaves_out_zero


def changed(**keys: Any) -> Any:
    return plain() | keys


def without(key: str) -> Any:
    return {name: value for name, value in plain().items() if name != key}


VERSION_1 = {key: [] for key in ("verdict", "runs", "sim", "real", "differences")}
NO_NUMBER = dict(plain()["performance"][0], by_seed=[float("nan")])
BAD: dict[str, tuple[Any, str]] = {
    "a list": ([], "states no schema"),
    "version 1": (VERSION_1, "report of version 1"),
    "version 3": (changed(schema=3), "report of version 3; this program reads version 5: make the report again"),
    "version 6": (changed(schema=6), "report of version 6; this program reads version 5$"),
    "true is no version": (changed(schema=True), "states no schema"),
    "a key of its own": (changed(extra=1), "extra: "),
    "a missing key": (without("trust"), "trust: "),
    "a NaN": (changed(performance=[NO_NUMBER]), r"performance\.0\.by_seed"),
    "a text as a number": (changed(runs=[dict(plain()["runs"][0], steps="400")]), r"runs\.0\.steps: .*'400'"),
    "a figure that is none": (changed(answer=dict(plain()["answer"], gap={"status": "measured"})), r"answer\.gap"),
    "a picture from elsewhere": (
        changed(pictures={"a": dict(plain()["pictures"]["sim-0"], uri="https://example.com/a.jpg")}), r"pictures\.a",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("value", "message"), BAD.values(), ids=BAD)
def test_what_is_no_report_is_refused_in_one_line_that_names_the_key(value: Any, message: str) -> None:
    with pytest.raises(RunError, match=message) as error:
        report_from_json(value, "a.json")
    assert str(error.value).startswith("a.json: ")
    assert "\n" not in str(error.value)


def test_a_report_of_version_4_is_read_as_one_without_the_sections_that_came_later() -> None:
    older = {key: value for key, value in plain().items() if key not in ("pasted", "drawn")}
    report = report_from_json(older | {"schema": 4})
    assert (report.pasted, report.drawn, report.schema) == (None, None, 5)
    assert report == replace(report_from_json(plain()), pasted=None, drawn=None)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(RunError, match=r"report\.json: no JSON: line 1"):
        read_report(tmp_path / "report.json")


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:text/html;base64,AAAA", SQUARE + '" onload="x', SQUARE + "\n"]
)
def test_a_picture_holds_nothing_but_a_jpeg(uri: str) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        Picture(caption="", kind="scene", of="real", uri=uri)
