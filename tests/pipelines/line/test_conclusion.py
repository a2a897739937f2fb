"""The last three lines follow the figures, whichever way they came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hybrid.core.errors import RunError
from pipelines.common.record import DataKind
from pipelines.line.conclusion import conclusion, detections
from pipelines.line.contents import Line
from pipelines.line.sizes import FINE_TUNE, PRETRAIN
from tests.pipelines.gap.example_report import measured_report
from tests.pipelines.line.lines import line

GIVEN = Path("my_line")


def last(of: Line, *trainings: str, after_trial: str | None = None) -> list[str]:
    return conclusion(of, GIVEN, trainings, after_trial)[-3:]


def ran(of: Line, name: str, **record: Any) -> None:
    folder = of.folder / "result/runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(record))


def held_out(ap50: float, frames: int) -> dict[str, Any]:
    return {"validation": {"ema": {"overall": {"ap50": ap50}, "frames": frames}}}


def measured(of: Line, ap50: float | None, ap50_range: tuple[float, float] | None, target: DataKind = "real") -> None:
    report = measured_report({FINE_TUNE: (20, 90, ap50, ap50_range)}, target=target, images=8)
    (of.folder / "result").mkdir(exist_ok=True)
    (of.folder / "result/report.json").write_text(report)


def test_without_photos_it_says_that_nothing_is_known_of_the_line(tmp_path: Path) -> None:
    of = line(tmp_path)
    ran(of, PRETRAIN, **held_out(0.97, 8))
    result, meaning, then = last(of, PRETRAIN)
    assert result == (
        "Result:  a detector of bolt, bracket, from simulation alone. "
        "AP50 0.97 on 8 simulated scenes that were held out."
    )
    assert "is not known" in meaning
    assert then == "Next:    put photos of your line into my_line/photos, and run the same command again"


def test_with_photos_that_nobody_labelled_it_says_what_was_found_and_claims_nothing(tmp_path: Path) -> None:
    of = line(tmp_path, pictures=2)
    ran(of, PRETRAIN)
    folder = tmp_path / "result/detections"
    folder.mkdir(parents=True)
    rows = [{"frame": "0.jpg", "detections": [{}, {}]}, {"frame": "1.jpg", "detections": [{}]}]
    (folder / "detections.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result, meaning, then = last(of, PRETRAIN)
    assert "AP50" not in result
    assert "It found 3 parts on 2 photos. How many of them are right is not known" in meaning
    assert "my_line/result/detections.jpg" in then
    assert "my_line/photos/test.json" in then
    (folder / "detections.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"detections\.jsonl: cannot be read"):
        detections(folder / "detections.jsonl")


@pytest.mark.parametrize(
    ("ap50", "ap50_range", "result", "meaning", "then"),
    [
        (
            0.95,
            (0.9, 0.98),
            "AP50 0.95 (95 % interval 0.90 to 0.98) on 8 photos",
            "It finds the parts",
            "hybrid predict",
        ),
        (0.6, None, "AP50 0.60 on 8 photos that it was not trained on.", "Some parts are missed", "--again"),
        (0.01, None, "AP50 0.01", "too little: nothing can be said", "--again"),
        (None, None, "nothing could be measured", "hold no box", "hybrid predict"),
    ],
)
def test_what_was_measured_is_said_with_its_range(
    tmp_path: Path, ap50: float | None, ap50_range: tuple[float, float] | None, result: str, meaning: str, then: str
) -> None:
    of = line(tmp_path, train=True, test=True)
    ran(of, PRETRAIN, steps=900)
    measured(of, ap50, ap50_range)
    for text, words in zip(last(of, PRETRAIN, FINE_TUNE), (result, meaning, then), strict=True):
        assert words in text


@pytest.mark.parametrize(
    ("steps", "then"), [(61, "--again, with more minutes: 61 steps are few"), (900, "label ten other photos")]
)
def test_more_time_comes_before_more_labels(tmp_path: Path, steps: int, then: str) -> None:
    of = line(tmp_path, test=True)
    ran(of, PRETRAIN, steps=steps)
    (tmp_path / "result/report.json").write_text(measured_report({PRETRAIN: (0, steps, 0.33, None)}, images=8))
    assert then in last(of, PRETRAIN)[-1]
    ran(of, PRETRAIN, steps="many")
    with pytest.raises(RunError, match=r"run\.json: cannot be read"):
        last(of, PRETRAIN)


def test_a_trial_says_that_its_figures_mean_nothing(tmp_path: Path) -> None:
    of = line(tmp_path, train=True, test=True)
    measured(of, 0.99, None)
    _, meaning, then = last(of, PRETRAIN, FINE_TUNE, after_trial="the whole command")
    assert "nothing: this was a trial" in meaning
    assert then == "Next:    the whole command"


def test_a_stand_in_is_never_called_photos(tmp_path: Path) -> None:
    of = line(tmp_path, train=True, test=True, stand_in=True)
    measured(of, 0.95, None, target="stand-in")
    lines = conclusion(of, GIVEN, (PRETRAIN, FINE_TUNE), None)
    assert "another simulated world, no photos." in "\n".join(lines)
    assert "on 8 stand-in photos" in lines[-3]


def test_what_was_made_is_listed_as_the_user_gave_the_folder(tmp_path: Path) -> None:
    of = line(tmp_path)
    ran(of, PRETRAIN)
    (tmp_path / "result/detector.onnx").touch()
    assert "my_line/result/detector.onnx: the detector as ONNX, for pictures of 128 x 96 px" in conclusion(
        of, GIVEN, (PRETRAIN,), None
    )
