"""The engine: what a step prints, how it fails, how long the rest takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid.core.errors import RunError
from pipelines.line.running import engine
from pipelines.line.running.display import Display
from pipelines.line.running.engine import Kind, Pace, Step
from tests.pipelines.line.lines import Engine


def printing(tmp_path: Path, code: str) -> tuple[Step, list[str]]:
    """Run a step with this code, and return the lines that the display gets."""
    step, lines = Step("say", "say something", 1.0, ["-c", code], tmp_path / "done"), list[str]()
    engine.run(step, tmp_path, tmp_path / "logs/say.log", lines.append)
    return step, lines


def test_a_step_runs_in_the_folder_and_all_that_it_prints_is_kept(tmp_path: Path) -> None:
    code = "import os, sys, pipelines; print(os.getcwd()); print('note: \\x1b[31mred', file=sys.stderr)"
    _, lines = printing(tmp_path, code)
    assert lines == [str(tmp_path), "note: \\x1b[31mred"]
    assert (tmp_path / "logs/say.log").read_text().startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('error: a.json: no box', file=sys.stderr); sys.exit(2)",
         "say something: a.json: no box; the same command continues from here"),
        ("import sys; print('simgen: note: x'); print('simgen: line.yaml: bad'); sys.exit(2)",
         "say something: line.yaml: bad; the same command"),
        ("1 / 0", "say something: ended with status 1: ZeroDivisionError: division by zero; what it printed is in "),
        ("import sys; sys.exit(4)", "ended with status 4: it printed nothing"),
    ],
)  # fmt: skip
def test_a_step_that_fails_is_one_line_with_its_own_error(tmp_path: Path, code: str, words: str) -> None:
    with pytest.raises(RunError) as failed:
        printing(tmp_path, code)
    assert words in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_data_set_that_lacks_some_scenes_is_used(tmp_path: Path) -> None:
    _, lines = printing(tmp_path, "open('done', 'w'); print('  left out: scene 3: it fell'); raise SystemExit(4)")
    assert lines == ["  left out: scene 3: it fell"]


def test_the_display_shows_notes_and_hides_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.begin("[1/2] render", 100.0, 60.0)
        for text in (
            "12 clips, 24 frames",
            "note: two boxes left out",
            "3 of 160 scenes, 1.2 scenes/s",
            "  left out: a",
        ):
            display.line(text)
    assert capsys.readouterr().out.splitlines() == [
        "[1/2] render: about 2 min, 3 min to the end", "note: two boxes left out", "  left out: a",
    ]  # fmt: skip


def test_a_count_tells_how_long_the_step_still_takes_and_a_count_of_a_part_of_it_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("pipelines.line.running.display.time.monotonic", lambda: now[0])
    with Display() as display:
        display.begin("pretrain on simulation", 1000.0, 100.0)
        for now[0], text in ((40.0, "pretrain: 0 of 100, loss 3"), (80.0, "pretrain: 20 of 100"), (90.0, "30 of 100"),
                             (200.0, "measuring: 1 of 4"), (240.0, "measuring: 2 of 4")):  # fmt: skip
            display.line(text)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  0 of 100, about 16 min, 18 min to the end",  # nothing is known: as was expected
        "  20 of 100, about 3 min, 4 min to the end",
        "  measuring: 1 of 4, about 13 min, 15 min to the end",
        "  measuring: 2 of 4, about 13 min, 14 min to the end",
    ]


def test_expected_times_follow_the_pace_of_the_steps_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds: tuple[tuple[str, Kind], ...] = (("a", "render"), ("b", "train"), ("c", "render"), ("d", "train"))
    todo = [Step(name, name, 10.0, [name], tmp_path / name, kind) for name, kind in kinds]
    ran = Engine(seconds=lambda step: {"a": 20.0, "b": 10.0, "c": 30.0, "d": 10.0}[step.name])
    monkeypatch.setattr(engine, "run", ran.run)
    monkeypatch.setattr(engine.time, "monotonic", ran.clock)
    engine.carry_out(
        lambda pace: todo,
        lambda step: step.result.exists(),
        lambda step: True,
        lambda step, s: None,
        tmp_path,
        tmp_path,
    )
    told = [text for text in capsys.readouterr().out.splitlines() if "to the end" in text]
    assert told == [
        "[1/4] a: about 10 s, 40 s to the end",
        "[2/4] b: about 20 s, 60 s to the end",  # a took twice its time
        "[3/4] c: about 20 s, 30 s to the end",  # b took its own time: so will d
        "[4/4] d: about 10 s, 10 s to the end",
    ]


def test_a_fast_renderer_promises_no_fast_training(tmp_path: Path) -> None:
    pace = Pace()
    render, train = (Step(kind, kind, 100.0, [], tmp_path, kind) for kind in ("render", "train"))
    pace.add(render, 40.0)
    assert pace.seconds(render) == 40.0
    assert pace.seconds(train) == 100.0
    pace.add(train, 120.0)
    assert pace.seconds(train) == 120.0
