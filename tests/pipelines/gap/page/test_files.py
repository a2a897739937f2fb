"""The three files of a report: the page is drawn from the two JSON files, or from report.json alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hybrid.core.errors import RunError
from pipelines.gap.page.files import draw_again, write_report
from tests.pipelines.gap.example_report import SQUARE, example_report


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_report(example_report(), tmp_path / "report.html")
    return tmp_path


def test_report_json_has_no_pictures_and_the_page_is_drawn_the_same_from_both_files(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == ["report-pictures.json", "report.html", "report.json"]
    assert SQUARE not in (written / "report.json").read_text()
    assert json.loads((written / "report-pictures.json").read_text()) == {
        "schema": 1, "pictures": {"sim-0": SQUARE, "real-0": SQUARE},
    }  # fmt: skip
    page = (written / "report.html").read_text()
    assert page.count(SQUARE) == 4
    assert draw_again(written / "report.json", written / "again.html", photos=True) == ""
    assert (written / "again.html").read_text() == page


def test_without_the_file_of_pictures_the_page_has_none_and_says_so(written: Path) -> None:
    (written / "report-pictures.json").unlink()
    told = draw_again(written / "report.json", written / "again.html", photos=True)
    page = (written / "again.html").read_text()
    assert told == f"2 pictures are not on the page: {written / 'report-pictures.json'} is not there"
    assert "data:image/jpeg" not in page
    assert "2 pictures are not on this page" in page
    assert page.count("picture not there") >= 2
    assert "1 pictures" in draw_again(written / "report.json", written / "again.html", photos=False)


def test_pictures_of_another_report_are_not_taken_for_its_own(written: Path) -> None:
    file = written / "report-pictures.json"
    file.write_text(file.read_text().replace("/9j/4AAQ", "/9j/4BBQ", 1))  # of the first one
    assert "1 pictures are not on the page" in draw_again(written / "report.json", written / "again.html", photos=True)
    assert "does not hold them" in draw_again(written / "report.json", written / "again.html", photos=True)


@pytest.mark.parametrize("text", ["[]", "{", '{"schema": 2, "pictures": {}}', '{"schema": 1, "pictures": {"a": 1}}'])
def test_a_damaged_file_of_pictures_is_named(written: Path, text: str) -> None:
    (written / "report-pictures.json").write_text(text)
    with pytest.raises(RunError, match=r"report-pictures\.json") as error:
        draw_again(written / "report.json", written / "again.html", photos=True)
    assert "\n" not in str(error.value)


def test_a_picture_that_is_no_jpeg_is_refused_even_with_its_hash(written: Path) -> None:
    from pipelines.gap.schema.sections import picture_hash

    report, uri = json.loads((written / "report.json").read_text()), 'data:text/html,"onload="x'
    report["pictures"]["sim-0"]["sha256"] = picture_hash(uri)
    (written / "report.json").write_text(json.dumps(report))
    (written / "report-pictures.json").write_text(json.dumps({"schema": 1, "pictures": {"sim-0": uri}}))
    with pytest.raises(RunError, match=r"sim-0: a picture must be a JPEG"):
        draw_again(written / "report.json", written / "again.html", photos=True)


def test_no_photo_is_written_where_they_are_left_out(tmp_path: Path) -> None:
    example = example_report()
    plain = {key: one if one.of == "simulated" else replace(one, uri=None) for key, one in example.pictures.items()}
    write_report(replace(example, pictures=plain), tmp_path / "report.html")
    assert list(json.loads((tmp_path / "report-pictures.json").read_text())["pictures"]) == ["sim-0"]
    assert "pictures are not on this page" not in (tmp_path / "report.html").read_text()
