"""A line's folder stands for the run that it states, and for no other place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hybrid.core.errors import RunError
from hybrid.weights.line import LineDetector, run_of_line, write_line_detector
from hybrid.weights.record import weights_file
from hybrid.weights.released import run_at


@pytest.fixture
def line(tmp_path: Path) -> Path:
    folder = tmp_path / "my_line"
    run = folder / "result/runs/fine-tune"
    run.mkdir(parents=True)
    (folder / "line.yaml").write_text("base: tiny\n")
    (run / "ema.safetensors").write_bytes(b"weights")
    return folder


def test_a_lines_folder_is_taken_wherever_a_run_is(line: Path) -> None:
    write_line_detector(line, LineDetector(run="runs/fine-tune", why="simulation, then photos"))
    run = line / "result/runs/fine-tune"
    assert run_at(line) == run_at(str(line)) == run
    assert weights_file(line) == run / "ema.safetensors"
    assert run_at(run) == run


def test_a_line_that_has_no_detector_yet_says_how_to_make_one(line: Path) -> None:
    with pytest.raises(RunError, match=rf"{line}: is a line without a detector yet; python -m pipelines\.line {line}"):
        weights_file(line)


@pytest.mark.parametrize("run", ["/etc", "../..", "runs/../../..", "", "runs/out"])
def test_a_run_outside_of_the_results_is_refused(line: Path, run: str) -> None:
    (line / "result/runs/out").symlink_to("/")
    (line / "result/detector.json").write_text(json.dumps({"version": 1, "run": run, "why": ""}))
    with pytest.raises(RunError, match="run: needs a folder below"):
        run_of_line(line)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "detector.json"),
        ("[]", "detector.json"),
        ('{"version": 2, "run": "runs/fine-tune", "why": ""}', "has version 2"),
        ('{"version": 1, "run": 3, "why": ""}', "run: "),
        ('{"version": 1, "why": ""}', "run: "),
        ('{"version": 1, "run": "runs/fine-tune", "why": "", "more": 1}', "more: "),
        (" " * 2**17, "bytes"),
    ],
)
def test_a_damaged_file_is_one_line(line: Path, text: str, words: str) -> None:
    (line / "result/detector.json").write_text(text)
    with pytest.raises(RunError, match=words) as refused:
        run_of_line(line)
    assert "\n" not in str(refused.value)
