"""Which commands a line's folder asks for, and that nothing in them depends on the test photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.line import steps
from pipelines.line.contents import Line
from pipelines.line.running.engine import Step
from pipelines.line.sizes import FINE_TUNE, PHOTOS_ALONE, PRETRAIN, Costs, Sizes
from tests.pipelines.line.lines import labelled, line

SIZES = Sizes(scenes=30, steps={PRETRAIN: 70, FINE_TUNE: 20, PHOTOS_ALONE: 20})


def planned(of: Line, compare: bool = False) -> dict[str, Step]:
    return {step.name: step for step in steps.plan(of, SIZES, Costs(), steps.Shape(of), compare, 2)}


def words(step: Step) -> list[str]:
    return [str(word) for word in step.command]


def value(step: Step, option: str) -> str:
    return words(step)[words(step).index(option) + 1]


@pytest.mark.parametrize(
    ("holds", "compare", "names"),
    [
        ({}, False, ["render", PRETRAIN, "export"]),
        ({"pictures": 3}, False, ["render", PRETRAIN, "export", "look"]),
        ({"test": True}, False, ["render", PRETRAIN, "report", "export"]),
        ({"train": True}, False, ["render", PRETRAIN, FINE_TUNE, "export"]),
        ({"train": True, "test": True, "pictures": 1}, False,
         ["render", PRETRAIN, FINE_TUNE, "report", "export", "look"]),
        ({"train": True, "test": True}, True, ["render", PRETRAIN, FINE_TUNE, PHOTOS_ALONE, "report", "export"]),
        ({"test": True}, True, ["render", PRETRAIN, "report", "export"]),
    ],
)  # fmt: skip
def test_the_folder_decides_what_is_done(
    tmp_path: Path, holds: dict[str, Any], compare: bool, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "has_onnx", lambda: True)
    assert list(planned(line(tmp_path, **holds), compare)) == names
    monkeypatch.setattr(steps, "has_onnx", lambda: False)
    assert list(planned(line(tmp_path, **holds), compare)) == [name for name in names if name != "export"]


def test_what_is_read_is_what_an_earlier_step_writes_in_the_lines_own_folder(tmp_path: Path) -> None:
    todo = planned(line(tmp_path, train=True, test=True, pictures=2), compare=True)
    assert tmp_path / value(todo["render"], "--out") / "manifest.json" == todo["render"].result
    assert value(todo[PRETRAIN], "--data") == value(todo["render"], "--out")
    for name in (PRETRAIN, FINE_TUNE, PHOTOS_ALONE):
        assert tmp_path / value(todo[name], "--out") / "run.json" == todo[name].result
    assert value(todo[FINE_TUNE], "--checkpoint") == value(todo[PRETRAIN], "--out")
    assert value(todo[FINE_TUNE], "--data") == "photos/train.json"
    assert value(todo["report"], "--real") == "photos/test.json"
    for step in todo.values():
        assert step.result.is_relative_to(tmp_path / "result")
        assert not any(str(tmp_path) in word for word in words(step)), "the folder may be moved"


def test_the_report_looks_at_photos_without_labels_where_there_are_some(tmp_path: Path) -> None:
    few, many = (planned(line(tmp_path / str(n), test=True, pictures=n))["report"] for n in (1, 2))
    assert value(few, "--look") == "photos"
    assert few.made_of != many.made_of, "other photos make another report"
    assert "--look" not in words(planned(line(tmp_path / "none", train=True, test=True))["report"])


def test_no_training_and_no_choice_sees_a_test_photo(tmp_path: Path) -> None:
    todo = planned(line(tmp_path, train=True, test=True, pictures=2))
    for name, step in todo.items():
        assert ("photos/test.json" in words(step)) == (name == "report")
    assert value(todo["export"], "--checkpoint") == "result/runs/fine-tune"
    assert steps.chosen([PRETRAIN]) == PRETRAIN
    assert steps.chosen([PRETRAIN, FINE_TUNE, PHOTOS_ALONE]) == FINE_TUNE


def test_both_detectors_that_are_compared_do_the_same_steps_on_the_same_photos(tmp_path: Path) -> None:
    todo = planned(line(tmp_path, train=True, test=True), compare=True)
    tuned, alone = todo[FINE_TUNE], todo[PHOTOS_ALONE]
    assert value(alone, "--checkpoint") == "none"
    for option in ("--data", "--steps", "--clip-length"):
        assert value(tuned, option) == value(alone, option)


def test_boxes_of_parts_that_are_not_rendered_are_left_out_by_name(tmp_path: Path) -> None:
    more = ("bolt", "bracket", "screw")
    todo = planned(line(tmp_path, train=labelled(tmp_path, "train", more), test=labelled(tmp_path, "test", more)))
    assert words(todo[FINE_TUNE])[-3:] == ["--categories", "bolt", "bracket"]
    assert words(todo["report"])[-3:] == ["--categories", "bolt", "bracket"]
    same = planned(line(tmp_path, train=True, test=True))
    assert not [step for step in same.values() if "--categories" in words(step)]


def test_a_part_that_photos_do_not_label_is_kept_and_only_what_all_know_is_compared(tmp_path: Path) -> None:
    fewer = line(tmp_path, train=labelled(tmp_path, "train", ("bolt",)), test=True)
    todo = planned(fewer)
    assert "--categories" not in words(todo[FINE_TUNE])
    assert "--categories" not in words(todo["report"])
    compared = planned(fewer, compare=True)
    assert words(compared["report"])[-2:] == ["--categories", "bolt"]


def test_a_stopped_rendering_may_go_on_with_another_number_of_workers(tmp_path: Path) -> None:
    of = line(tmp_path)
    one, four = (steps.render_step(of, 100, Costs(), steps.Shape(of), workers) for workers in (1, 4))
    assert value(one, "--shard-scenes") == value(four, "--shard-scenes")
    assert "--resume" in words(one)


def test_clips_are_trained_on_as_long_as_the_preset_has_frames(tmp_path: Path) -> None:
    assert value(planned(line(tmp_path, frames=1))[PRETRAIN], "--clip-length") == "1"
    assert value(planned(line(tmp_path, frames=8))[PRETRAIN], "--clip-length") == "2"
