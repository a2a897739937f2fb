"""Laws of the demo: what it runs, that it goes on where it was stopped, that it compares like with like."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines import demo


def commands(*line: str) -> dict[str, list[str]]:
    return {step.title: [str(word) for word in step.command] for step in demo.steps(demo.arguments(line))}


def value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


class Recorder:
    """In the place of subprocess.run: notes what was asked for, and does it by making the file that says so."""

    def __init__(self, todo: list[demo.Step], fail_at: int = 99) -> None:
        self.done = {tuple(map(str, step.command)): step.done for step in todo}
        self.ran: list[tuple[str, ...]] = []
        self.fail_at = fail_at

    def __call__(self, command: list[str], **_: object) -> SimpleNamespace:
        if len(self.ran) == self.fail_at:
            return SimpleNamespace(returncode=1)
        self.ran.append(tuple(command[1:]))
        path = self.done[tuple(command[1:])]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        return SimpleNamespace(returncode=0)


def test_without_simulation_has_the_same_photos_tiles_and_as_many_steps_in_all() -> None:
    told = commands()
    sim, tuned, scratch = (told[demo.RUNS[name][0]] for name in ("sim", "tuned", "scratch"))
    assert value(tuned, "--data") == value(scratch, "--data")
    assert value(scratch, "--checkpoint") == "none"
    assert value(tuned, "--checkpoint") == value(sim, "--out")
    for option in ("--tile", "--batch", "--clip-length"):
        assert value(sim, option) == value(tuned, option) == value(scratch, option)
    assert int(value(scratch, "--steps")) == int(value(sim, "--steps")) + int(value(tuned, "--steps"))


def test_what_is_measured_on_was_never_trained_on() -> None:
    told = commands()
    report = told["measure and write the report"]
    trained = {value(told[title], "--data") for title, _ in demo.RUNS.values()}
    assert value(report, "--real") not in trained
    rendered = [command for command in told.values() if "render" in command]
    assert len({(value(c, "--preset"), value(c, "--seed")) for c in rendered}) == len(rendered) == 3


def test_photos_take_the_place_of_the_stand_in(tmp_path: Path) -> None:
    told = commands("--real", "a.json", "--real-test", "b.json")
    assert value(told["measure and write the report"], "--real") == "b.json"
    assert value(told[demo.RUNS["tuned"][0]], "--data") == "a.json"
    assert sum("standin" in command for command in told.values()) == 0


def test_photos_to_learn_from_alone_are_refused() -> None:
    with pytest.raises(SystemExit) as refused:
        demo.arguments(["--real", "a.json"])
    assert refused.value.code == 2


def test_a_stopped_demo_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--out", str(tmp_path)]
    todo = demo.steps(demo.arguments(line))
    assert len(todo) == 7
    stopped = Recorder(todo, fail_at=3)
    monkeypatch.setattr(subprocess, "run", stopped)
    with pytest.raises(SystemExit) as end:
        demo.main(line)
    assert end.value.code == 2
    assert "the same command goes on from here" in capsys.readouterr().err
    rest = Recorder(todo)
    monkeypatch.setattr(subprocess, "run", rest)
    demo.main(line)
    assert [*stopped.ran, *rest.ran] == [tuple(map(str, step.command)) for step in todo]
    told = capsys.readouterr().out
    assert "stand-in" in told
    assert str(tmp_path / "report.html") in told
    assert "to the end" in told
    third = Recorder(todo)
    monkeypatch.setattr(subprocess, "run", third)
    demo.main(line)
    assert third.ran == []
