"""Laws of the demo: which commands it runs, that it continues after a stop, that its comparison is fair."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines import demo
from pipelines.common.paths import HTML_MARK

OUT = Path("out/demo")


def commands(**options: Any) -> dict[str, list[str]]:
    return {step.title: [str(word) for word in step.command] for step in demo.plan(OUT, **options)}


def value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def report(target: str = "stand-in", tuned: float = 0.5, alone: float = 0.2, low: float = 0.1) -> dict[str, Any]:
    """What a report's JSON file says about the demo's three runs."""
    runs = [
        {"name": name, "steps_on_target": on_target, "steps_in_all": in_all, "target": {"ap50": ap50},
         "ap50_range": [ap50 - 0.1, ap50 + 0.1]}
        for name, on_target, in_all, ap50 in (
            ("sim", 0, 700, 0.3), ("tuned", 200, 900, tuned), ("scratch", 200, 200, alone))
    ]  # fmt: skip
    pair = {"run": "tuned", "other": "scratch", "difference": tuned - alone, "low": low, "high": low + 0.3}
    marks = {"verdict": [], "sim": {}, "differences": [], "real": {"images": 40}}
    return {"target": target, "runs": runs, "ap50_differences": [pair], **marks}


class Recorder:
    """Replaces subprocess.run: keeps each command and writes the file that says that it has finished."""

    def __init__(self, todo: list[demo.DemoStep], fail_at: int = 99) -> None:
        self.results = {tuple(map(str, step.command)): step.result for step in todo}
        self.ran: list[tuple[str, ...]] = []
        self.fail_at = fail_at

    def __call__(self, command: list[str], **_: object) -> SimpleNamespace:
        if len(self.ran) == self.fail_at:
            return SimpleNamespace(returncode=1)
        self.ran.append(tuple(command[1:]))
        path = self.results[tuple(command[1:])]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HTML_MARK if path.suffix == ".html" else "{}")
        if path.suffix == ".html":
            path.with_suffix(".json").write_text(json.dumps(report()))
        return SimpleNamespace(returncode=0)


def test_both_detectors_do_the_same_steps_on_the_same_photos() -> None:
    by_title = commands()
    sim, tuned, scratch = (by_title[demo.RUNS[name][0]] for name in ("sim", "tuned", "scratch"))
    assert value(tuned, "--data") == value(scratch, "--data") != value(sim, "--data")
    assert value(scratch, "--checkpoint") == "none"
    assert value(tuned, "--checkpoint") == value(sim, "--out")
    for option in ("--tile", "--batch", "--clip-length"):
        assert value(sim, option) == value(tuned, option) == value(scratch, option)
    assert value(tuned, "--steps") == value(scratch, "--steps")


def test_it_is_sized_for_a_quarter_of_an_hour() -> None:
    assert 10 <= sum(step.expected_s for step in demo.plan(OUT, workers=2)) / 60 <= 15


def test_no_data_are_both_trained_and_measured_on() -> None:
    by_title = commands()
    report = by_title["measure and write the report"]
    trained = {value(by_title[title], "--data") for title, _ in demo.RUNS.values()}
    assert value(report, "--real") not in trained
    rendered = [command for command in by_title.values() if "render" in command]
    assert len({(value(c, "--preset"), value(c, "--seed")) for c in rendered}) == len(rendered) == 3


def test_photos_replace_the_stand_in() -> None:
    by_title = commands(real=Path("a.json"), real_test=Path("b.json"))
    assert value(by_title["measure and write the report"], "--real") == "b.json"
    assert value(by_title[demo.RUNS["tuned"][0]], "--data") == "a.json"
    assert sum("standin" in command for command in by_title.values()) == 0


def test_a_quick_demo_runs_the_same_commands_with_fewer_scenes_and_steps() -> None:
    full, quick = commands(), commands(quick=True)
    assert list(full) == list(quick)
    for title, command in quick.items():
        for option in {"--scenes", "--steps"} & set(command):
            assert 2 <= int(value(command, option)) < int(value(full[title], option))


@pytest.mark.parametrize("option", ["--real", "--real-test"])
def test_photos_to_train_on_need_others_to_measure_on(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        demo.app([option, "a.json"])
    assert refused.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "--real and --real-test together" in error


def test_a_missing_photo_file_is_named_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        demo.app(["--real", str(tmp_path / "a.json"), "--real-test", "b.json", "--out", str(tmp_path / "out")])
    assert refused.value.code == 2
    assert f"{tmp_path / 'a.json'}: there is no such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_photos_of_other_parts_are_refused_before_anything_is_rendered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "cats.json"
    photos.write_text(json.dumps({"categories": [{"id": 1, "name": "cat"}]}))
    assert run_demo(["--real", str(photos), "--real-test", str(photos), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "cats.json" in error
    assert "['cat']" in error
    assert "bolt" in error
    assert not (tmp_path / "out").exists()


def test_of_photos_that_label_other_parts_too_those_that_are_rendered_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, categories in (("a", ("washer", "screw", "bolt")), ("b", ("bolt", "clip", "nut"))):
        rows = [{"id": k, "name": category} for k, category in enumerate(categories)]
        (tmp_path / f"{name}.json").write_text(json.dumps({"categories": rows}))
    started: list[list[str]] = []
    monkeypatch.setattr(demo, "carry_out", lambda todo: started.extend([[*map(str, step.command)] for step in todo]))
    monkeypatch.setattr(demo, "conclusion", lambda *_: [])
    line = ["--real", str(tmp_path / "a.json"), "--real-test", str(tmp_path / "b.json"), "--out", str(tmp_path / "out")]
    assert run_demo(line) == 0
    narrowed = [command[command.index("--categories") + 1 :] for command in started if "--categories" in command]
    assert [words[0] for words in narrowed] == ["bolt"] * 3  # both trainings on photos, and the report
    assert all("washer" not in words and "nut" not in words for words in narrowed)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({}, "Simulation helped at the same 200 steps on the stand-in photos. It cost 700 more steps"),
        ({"tuned": 0.2, "alone": 0.5, "low": -0.5}, "Simulation did not help at the same 200 steps"),
        ({"low": -0.1}, "No difference beyond chance at the same 200 steps"),
        ({"tuned": 0.04, "alone": 0.01}, "Neither detector has learned enough"),
        ({"target": "real"}, "Simulation helped at the same 200 steps on the photos."),
    ],
)
def test_the_last_three_lines_follow_the_figures_whichever_way_they_came_out(
    tmp_path: Path, figures: dict[str, Any], words: str
) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report(**figures)))
    lines = demo.conclusion(tmp_path, own_photos=figures.get("target") == "real", quick=False)
    result, meaning, next_command = lines[-3:]
    tuned, alone = figures.get("tuned", 0.5), figures.get("alone", 0.2)
    assert f"AP50 {tuned:.2f} with simulation first, {alone:.2f} with" in result
    assert f"{tuned - alone:+.2f} (95 % range" in result
    assert words in meaning
    assert next_command.startswith("Next:    python -m ")


def test_the_difference_is_that_of_the_demo_in_whichever_order_the_report_has_it(tmp_path: Path) -> None:
    turned = report()
    turned["ap50_differences"] = [{"run": "scratch", "other": "tuned", "difference": -0.3, "low": -0.4, "high": -0.1}]
    (tmp_path / "report.json").write_text(json.dumps(turned))
    assert "+0.30 (95 % range +0.10 to +0.40)" in "\n".join(demo.conclusion(tmp_path, own_photos=False, quick=False))


def test_the_table_states_steps_on_photos_and_in_all(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report()))
    lines = demo.conclusion(tmp_path, own_photos=False, quick=False)
    head, sim, tuned, scratch = (re.split(r"\s{2,}", line.strip()) for line in lines[1:5])
    assert head == ["steps on stand-in photos", "steps in all", "AP50", "95 % range"]
    assert sim == ["simulation alone", "0", "700", "0.30", "0.20 to 0.40"]
    assert tuned[1:4] == ["200", "900", "0.50"]
    assert scratch[:4] == ["stand-in photos alone", "200", "200", "0.20"]


def test_a_trial_says_that_its_figures_mean_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report()))
    lines = demo.conclusion(tmp_path, own_photos=False, quick=True)
    assert "this was a trial" in lines[-2]
    assert lines[-1] == "Next:    python -m pipelines.demo"


def run_demo(line: list[str]) -> int:
    with pytest.raises(SystemExit) as end:
        demo.app(line)
    return int(end.value.code or 0)


def test_a_stopped_demo_continues_at_the_step_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line, todo = ["--out", str(tmp_path), "--workers", "1"], demo.plan(tmp_path)
    assert len(todo) == 7
    stopped = Recorder(todo, fail_at=3)
    monkeypatch.setattr(subprocess, "run", stopped)
    assert run_demo(line) == 2
    assert f"“{todo[3].title}” ended with status 1; the same command continues from here" in capsys.readouterr().err
    rest = Recorder(todo)
    monkeypatch.setattr(subprocess, "run", rest)
    assert run_demo(line) == 0
    assert [*stopped.ran, *rest.ran] == [tuple(map(str, step.command)) for step in todo]
    printed = capsys.readouterr().out
    assert printed.count("already done") == 3
    assert "stand-in" in printed
    assert str(tmp_path / "report.html") in printed
    third = Recorder(todo)
    monkeypatch.setattr(subprocess, "run", third)
    assert run_demo(line) == 0
    assert third.ran == []


def test_expected_times_follow_the_pace_of_the_steps_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 20.0, 20.0, 30.0, 30.0, 60.0, 60.0, 70.0])
    monkeypatch.setattr(demo.time, "monotonic", lambda: next(clock))
    kinds: tuple[tuple[str, demo.Kind], ...] = (("a", "render"), ("b", "train"), ("c", "render"), ("d", "train"))
    todo = [demo.DemoStep(name, 10.0, [name], tmp_path / name, kind) for name, kind in kinds]
    monkeypatch.setattr(subprocess, "run", Recorder(todo))
    demo.carry_out(todo)
    assert capsys.readouterr().out.splitlines() == [
        "[1/4] a: about 10 s, 40 s to the end",
        "[2/4] b: about 20 s, 60 s to the end",  # a took twice its time
        "[3/4] c: about 20 s, 30 s to the end",  # b took its own time: so will d
        "[4/4] d: about 10 s, 10 s to the end",
    ]


def test_a_fast_renderer_promises_no_fast_training(tmp_path: Path) -> None:
    pace = demo.Pace()
    render, train = (demo.DemoStep(kind, 100.0, [], tmp_path, kind) for kind in ("render", "train"))
    pace.add(render, 40.0)
    assert pace.seconds(render) == 40.0
    assert pace.seconds(train) == 100.0
    pace.add(train, 120.0)
    assert pace.seconds(train) == 120.0
