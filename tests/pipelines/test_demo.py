"""Laws of the demo: which commands it runs, that it continues after a stop, that its comparison is fair."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines import demo

OUT = Path("out/demo")


def commands(**options: Any) -> dict[str, list[str]]:
    return {step.title: [str(word) for word in step.command] for step in demo.plan(OUT, **options)}


def value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


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
        path.write_text("{}")
        return SimpleNamespace(returncode=0)


def test_the_run_without_simulation_has_the_same_photos_and_as_many_steps_in_all() -> None:
    by_title = commands()
    sim, tuned, scratch = (by_title[demo.RUNS[name][0]] for name in ("sim", "tuned", "scratch"))
    assert value(tuned, "--data") == value(scratch, "--data")
    assert value(scratch, "--checkpoint") == "none"
    assert value(tuned, "--checkpoint") == value(sim, "--out")
    for option in ("--tile", "--batch", "--clip-length"):
        assert value(sim, option) == value(tuned, option) == value(scratch, option)
    assert int(value(scratch, "--steps")) == int(value(sim, "--steps")) + int(value(tuned, "--steps"))


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
    clock = iter([0.0, 20.0, 20.0, 30.0])  # the first step takes twice its expected 10 s
    monkeypatch.setattr(demo.time, "monotonic", lambda: next(clock))
    todo = [demo.DemoStep(name, 10.0, [name], tmp_path / name) for name in ("first", "second")]
    monkeypatch.setattr(subprocess, "run", Recorder(todo))
    demo.carry_out(todo)
    assert capsys.readouterr().out.splitlines() == [
        "[1/2] first: about 10 s, 20 s to the end",
        "[2/2] second: about 20 s, 20 s to the end",
    ]
