"""Laws of the demo: it is the line's command on the example, its comparison is fair, photos are checked first."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines import demo
from pipelines.common.record import DataKind
from pipelines.line import steps
from pipelines.line.conclusion import conclusion
from pipelines.line.contents import Line
from pipelines.line.running import engine
from pipelines.line.running.engine import Pace, Step
from pipelines.line.sizes import FINE_TUNE, PHOTOS_ALONE, PRETRAIN
from pipelines.line.work import Work
from tests.pipelines.gap.example_report import difference, measured_report
from tests.pipelines.line.lines import Engine, line


def planned(of: Line, quick: bool = False) -> dict[str, Step]:
    asked = demo.ask(of, Path("out/demo"), 2, quick)
    work = Work.begin(of, Path("out/demo"), asked, True, lambda text: None)
    return {step.name: step for step in work.steps(Pace())}


def value(step: Step, option: str) -> str:
    command = [str(word) for word in step.command]
    return command[command.index(option) + 1]


@pytest.fixture
def example(tmp_path: Path) -> Line:
    """The demo's line with its stand-in."""
    return demo.prepared(tmp_path / "demo", None, None, quick=False)


Ends = tuple[float, float] | None


def report(
    target: DataKind = "stand-in",
    tuned: float = 0.5,
    alone: float = 0.2,
    ends: Ends = (10.0, 40.0),
    turned: bool = False,
) -> str:
    """A report's JSON about the demo's three runs; `ends` are those of the difference, in points."""
    rows = {PRETRAIN: (0, 700, 0.3), FINE_TUNE: (200, 900, tuned), PHOTOS_ALONE: (200, 200, alone)}
    runs = {name: (*row, (max(row[2] - 0.1, 0.0), row[2] + 0.1)) for name, row in rows.items()}
    value = 100 * (tuned - alone)
    pair = difference(FINE_TUNE, PHOTOS_ALONE, value, ends)
    if turned and ends is not None:
        pair = difference(PHOTOS_ALONE, FINE_TUNE, -value, (-ends[1], -ends[0]))
    return measured_report(runs, pair, target)


def concluded(folder: Path, stored: str, stand_in: bool = True) -> list[str]:
    of = line(folder, train=True, test=True, stand_in=stand_in)
    (folder / "result").mkdir(exist_ok=True)
    (folder / "result/report.json").write_text(stored)
    return conclusion(of, folder, (PRETRAIN, FINE_TUNE, PHOTOS_ALONE), None)


def test_the_example_is_copied_whole_and_comes_with_the_cad_file_of_its_part(example: Line) -> None:
    assert example.categories == ("bolt", "bracket", "washer")
    names = {path.relative_to(demo.EXAMPLE) for path in demo.EXAMPLE.rglob("*") if path.is_file()}
    assert {Path("bracket.step"), Path("parts/bracket.glb"), Path("line.yaml"), Path("standin.yaml")} <= names
    for name in names:
        assert (example.folder / name).read_bytes() == (demo.EXAMPLE / name).read_bytes()
    (example.folder / "line.yaml").write_text("base: tiny\n")
    again = demo.prepared(example.folder, None, None, quick=False)
    assert again.categories == ("bolt", "nut", "washer"), "what the user has changed stays"


def test_the_parts_file_is_that_of_the_cad_file() -> None:
    import hashlib

    from simgen.assets.cad.packed import read_packed

    file = demo.EXAMPLE / "parts/bracket.glb"
    part = read_packed(file.read_bytes(), str(file))
    assert part.origin.sha256 == hashlib.sha256((demo.EXAMPLE / "bracket.step").read_bytes()).hexdigest()


def test_both_detectors_do_the_same_steps_on_the_same_photos(example: Line) -> None:
    todo = planned(example)
    sim, tuned, alone = (todo[name] for name in (PRETRAIN, FINE_TUNE, PHOTOS_ALONE))
    assert value(tuned, "--data") == value(alone, "--data") != value(sim, "--data")
    assert value(alone, "--checkpoint") == "none"
    assert value(tuned, "--checkpoint") == value(sim, "--out")
    for option in ("--tile", "--batch", "--clip-length"):
        assert value(sim, option) == value(tuned, option) == value(alone, option)
    assert value(tuned, "--steps") == value(alone, "--steps") == "200"
    assert value(sim, "--steps") == "700"


def test_it_is_sized_for_a_quarter_of_an_hour(example: Line) -> None:
    assert 10 <= sum(step.expected_s for step in planned(example).values()) / 60 <= 15


def test_no_data_are_both_trained_and_measured_on(example: Line) -> None:
    todo = planned(example)
    measured = value(todo["report"], "--real")
    assert measured not in {value(todo[name], "--data") for name in (PRETRAIN, FINE_TUNE, PHOTOS_ALONE)}
    rendered = [step for step in todo.values() if step.kind == "render"]
    assert len({(value(step, "--preset"), value(step, "--seed")) for step in rendered}) == len(rendered) == 3
    assert {value(step, "--out") for step in rendered} == {
        value(todo[FINE_TUNE], "--data"), measured, value(todo[PRETRAIN], "--data"),
    }  # fmt: skip


def test_a_quick_demo_runs_the_same_commands_with_fewer_scenes_and_steps(tmp_path: Path, example: Line) -> None:
    full, quick = planned(example), planned(demo.prepared(tmp_path / "quick", None, None, quick=True), quick=True)
    assert list(full) == list(quick)
    for name, step in quick.items():
        for option in {"--scenes", "--steps"} & set(step.command):
            assert 2 <= int(value(step, option)) < int(value(full[name], option))


def fasteners(folder: Path, names: tuple[str, ...] = ("bolt", "washer"), seed: int = 0) -> Path:
    from tests.pipelines.scripts import photographs

    return photographs(folder, names, seed=seed)


def test_photos_replace_the_stand_in(tmp_path: Path) -> None:
    a, b = fasteners(tmp_path / "a", ("washer", "screw", "bolt")), fasteners(tmp_path / "b", seed=1)
    todo = planned(demo.prepared(tmp_path / "demo", a, b, quick=False))
    assert [step.name for step in todo.values() if step.kind == "render"] == ["render"]
    assert value(todo["report"], "--real") == str(b)
    assert value(todo[FINE_TUNE], "--data") == value(todo[PHOTOS_ALONE], "--data") == str(a)
    assert [str(word) for word in todo[FINE_TUNE].command][-4:] == ["--categories", "bolt", "nut", "washer"]


def run_demo(words: list[str]) -> int:
    with pytest.raises(SystemExit) as end:
        demo.app(words)
    return int(end.value.code or 0)


@pytest.mark.parametrize("option", ["--real", "--real-test"])
def test_photos_to_train_on_need_others_to_measure_on(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo([option, "a.json"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "--real and --real-test together" in error


def test_what_cannot_be_used_is_named_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, cats = tmp_path / "out", fasteners(tmp_path / "cats", ("cat",))
    assert run_demo(["--real", str(tmp_path / "a.json"), "--real-test", "b.json", "--out", str(out)]) == 2
    assert f"{tmp_path / 'a.json'}: there is no such file" in capsys.readouterr().err
    assert run_demo(["--real", str(cats), "--real-test", str(cats), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    for words in (str(cats), "['cat']", "'bolt'"):
        assert words in error
    bolts = fasteners(tmp_path / "bolts")
    assert run_demo(["--real", str(bolts), "--real-test", str(bolts), "--out", str(out)]) == 2
    assert "what is trained on cannot be measured on" in capsys.readouterr().err
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").touch()
    assert run_demo(["--out", str(out)]) == 2
    assert "is not empty and holds no line" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({}, "Simulation helped at the same 200 steps on the stand-in photos. It cost 700 more steps"),
        ({"tuned": 0.2, "alone": 0.5, "ends": (-50.0, -10.0)}, "Simulation did not help at the same 200 steps"),
        ({"ends": (-10.0, 70.0)}, "No difference beyond chance at the same 200 steps"),
        ({"ends": None}, "Whether that is chance cannot be told at the same 200 steps"),
        ({"tuned": 0.04, "alone": 0.01, "ends": None}, "Neither detector has learned enough"),
        ({"target": "real"}, "Simulation helped at the same 200 steps on the photos."),
    ],
)
def test_the_last_three_lines_follow_the_figures_whichever_way_they_came_out(
    tmp_path: Path, figures: dict[str, Any], words: str
) -> None:
    lines = concluded(tmp_path, report(**figures), stand_in=figures.get("target") != "real")
    result, meaning, next_command = lines[-3:]
    tuned, alone = figures.get("tuned", 0.5), figures.get("alone", 0.2)
    assert f"AP50 {tuned:.2f} with simulation first, {alone:.2f} with" in result
    assert f"{tuned - alone:+.2f}" in result
    assert ("(95 % interval" in result) == (figures.get("ends", ()) is not None)
    assert words in meaning
    assert next_command == f"Next:    hybrid predict --checkpoint {tmp_path} --source PHOTO.jpg --out found"


def test_the_difference_is_that_of_the_demo_in_whichever_order_the_report_has_it(tmp_path: Path) -> None:
    assert "+0.30 (95 % interval +0.10 to +0.40)" in "\n".join(concluded(tmp_path, report(turned=True)))


def test_the_table_states_steps_on_photos_and_in_all(tmp_path: Path) -> None:
    lines = concluded(tmp_path, report())
    head, sim, tuned, alone = (re.split(r"\s{2,}", text.strip()) for text in lines[1:5])
    assert head == ["steps on stand-in photos", "steps in all", "AP50", "95 % interval"]
    assert sim == ["simulation alone", "0", "700", "0.30", "0.20 to 0.40"]
    assert tuned[1:4] == ["200", "900", "0.50"]
    assert alone[:4] == ["stand-in photos alone", "200", "200", "0.20"]


def test_a_stopped_demo_continues_and_a_trial_is_not_taken_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    ran = Engine(fails=PRETRAIN)
    monkeypatch.setattr(engine, "run", ran.run)
    assert run_demo(["--quick", "--out", str(out)]) == 2
    assert "pretrain on simulation, 14 steps: the disk is full" in capsys.readouterr().err
    assert ran.names == ["standin-train", "standin-test", "render"]
    rest = Engine()
    monkeypatch.setattr(engine, "run", rest.run)
    monkeypatch.setattr("pipelines.line.work.conclusion", lambda *words: [str(words[-1])])
    assert run_demo(["--quick", "--out", str(out)]) == 0
    assert rest.names[:4] == [PRETRAIN, FINE_TUNE, PHOTOS_ALONE, "report"]
    assert capsys.readouterr().out.splitlines()[-1] == f"python -m pipelines.demo --out {out} --again"
    assert run_demo(["--out", str(out)]) == 2
    assert "was begun with a quick demo, now the demo is asked for" in capsys.readouterr().err


@pytest.mark.slow
def test_a_quick_demo_ends_with_a_report_and_a_detector_that_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command with real processes, on the smallest sizes."""
    pytest.importorskip("pybullet", reason="rendering needs PyBullet, which has wheels for Python 3.11 and older")
    monkeypatch.setattr(steps, "has_onnx", lambda: True)
    out = tmp_path / "demo"
    assert run_demo(["--quick", "--out", str(out), "--workers", "1"]) == 0
    told = capfd.readouterr().out
    assert "Result:  " in told
    assert "nothing: this was a trial" in told
    assert (out / "result/report.html").is_file()
    assert (out / "result/detector.onnx").stat().st_size > 10**6
    assert json.loads((out / "result/detector.json").read_text())["run"] == "runs/fine-tune"
    from hybrid.cli import app as hybrid

    picture = tmp_path / "photo.jpg"
    shutil.copy(Path(__file__).parents[2] / "assets/conveyor.jpg", picture)
    with pytest.raises(SystemExit) as end:
        hybrid(["predict", "--checkpoint", str(out), "--source", str(picture), "--out", str(tmp_path / "found")])
    assert end.value.code == 0
    shutil.move(out, tmp_path / "moved")
    assert run_demo(["--quick", "--out", str(tmp_path / "moved"), "--workers", "1"]) == 0
    assert "about" not in capfd.readouterr().out.split("already done")[-1]
