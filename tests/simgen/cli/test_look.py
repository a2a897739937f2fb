"""simgen preview, stats and view as a user meets them."""

import json

import pytest

from simgen.cli import look
from tests.simgen.cli.test_cli import simgen


def test_a_preset_is_previewed_as_a_page_and_as_a_sheet_and_leaves_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stdout, _ = simgen("preview", "tiny", "--clips", 1, "--html", "tiny.html", "--set", "parts.count=3", "--seed", 9)
    assert stdout.startswith("tiny.html (1 scene, ")
    text = (tmp_path / "tiny.html").read_text()
    assert '"preset":"tiny","seed":9,"clips":1' in text
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.html"]
    assert simgen("preview", "tiny", "--clips", 1, "--frames", 1)[0].startswith("tiny.png (")


def test_what_is_meant_by_a_name(tmp_path, monkeypatch, tiny_data_set):
    monkeypatch.chdir(tmp_path)
    assert look._preset("tiny") == "tiny"
    assert look._preset("my.yaml") == "my.yaml"
    assert look._preset(str(tiny_data_set)) is None
    assert look._preset("s3://bucket/belt.yaml") is None
    (tmp_path / "line").mkdir()
    assert look._preset("line") is None
    (tmp_path / "line" / "line.yaml").write_text("base: tiny\n")
    assert look._preset("line") == "line/line.yaml"
    (tmp_path / "tiny").symlink_to(tiny_data_set)  # a data set goes before a preset of the same name
    assert look._preset("tiny") is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["conveyr"], "conveyr: no such folder, and no such preset; did you mean 'conveyor'? there are belt, "),
        (["tiny", "--html", "a.html", "--out", "a.png"], "--html and --out: give one of them"),
        (["tiny", "--html", "a.png"], "--html: needs a name that ends in .html, got a.png"),
        (["tiny", "--set", "parts.cuont=3"], "--set: parts.cuont: no such knob; did you mean 'count'?"),
    ],
)
def test_a_mistake_is_one_line(arguments, expected):
    assert simgen("preview", *arguments, status=2)[1].startswith(f"simgen: {expected}")


def test_knobs_of_a_data_set_cannot_be_set(tiny_data_set):
    stderr = simgen("preview", tiny_data_set, "--set", "parts.count=3", status=2)[1]
    assert stderr == "simgen: --set: changes knobs of a preset; the scenes of a data set are made already\n"


def test_stats_prints_a_table_and_writes_its_files(tiny_data_set, tmp_path):
    stdout, _ = simgen(
        "stats", tiny_data_set, "--clips", 1, "--json", tmp_path / "s.json", "--html", tmp_path / "s.html"
    )
    assert f"{tiny_data_set}: tiny, seed 0" in stdout
    assert json.loads((tmp_path / "s.json").read_text())["format"] == "simgen-stats/1"
    assert (tmp_path / "s.html").read_text().startswith("<!doctype html>")
    assert "problem" not in stdout


def test_stats_of_a_data_set_with_a_fault_ends_with_status_1(tiny_data_set, tmp_path):
    for path in tiny_data_set.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "shard-00000.tar").write_bytes(b"x" * 600)
    stdout, stderr = simgen("stats", tmp_path, status=1)
    assert stdout.count("problem: ") == 1
    assert stderr == f"simgen: {tmp_path}: 1 problem\n"


def test_view_writes_a_recording_and_says_where_no_screen_is(tiny_data_set, tmp_path, monkeypatch):
    pytest.importorskip("rerun", reason="needs rerun-sdk, of the extra view")
    stdout, _ = simgen("view", tiny_data_set, "--clips", 2, "--save", tmp_path / "a.rrd")
    assert stdout.startswith(f"{tmp_path / 'a.rrd'} (2 clips, ")
    assert (tmp_path / "a.rrd").read_bytes()[:4] == b"RRF2"
    assert "ends in .rrd" in simgen("view", tiny_data_set, "--save", tmp_path / "a.mp4", status=2)[1]
    monkeypatch.setattr(look, "has_screen", lambda: False)
    assert "there is no screen here" in simgen("view", tiny_data_set, status=2)[1]
