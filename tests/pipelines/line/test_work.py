"""Continuing, what has changed, and the time: laws of a line over several calls. Nothing is trained here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hybrid.core.errors import DataError, RunError
from hybrid.weights.line import run_of_line
from pipelines.line import trial, work
from pipelines.line.contents import Line
from pipelines.line.running import engine
from pipelines.line.sizes import FINE_TUNE, PRETRAIN, Costs
from pipelines.line.state import STATE, differences
from tests.pipelines.line.lines import PRESET, Engine, labelled, line

COSTS = Costs(
    scene_s=1.0, step_s=1.0, train_start_s=10.0, render_start_s=10.0, report_s=30.0, export_s=10.0, look_s=10.0
)
Call = Callable[..., Engine]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """One call of the command with the given line; returns the engine that it ran on."""
    monkeypatch.setattr(work, "conclusion", lambda *_: [])
    monkeypatch.setattr(trial, "measured", lambda *_: COSTS)

    def called(
        of: Line, fails: str = "", seconds: Callable[[engine.Step], float] = lambda step: 0.0, **asked: Any
    ) -> Engine:
        ran = Engine(fails, seconds)
        monkeypatch.setattr(engine, "run", ran.run)
        monkeypatch.setattr(engine.time, "monotonic", ran.clock)
        began = work.Work.begin(of, Path("my_line"), work.Ask(**{"quick": True, **asked}), False, lambda text: None)
        began.done()
        return ran

    return called


def steps_of(engine: Engine) -> dict[str, int]:
    return {step.name: step.size for step in engine.ran if step.size}


def test_a_stopped_line_continues_at_the_step_that_failed(tmp_path: Path, call: Call) -> None:
    of = line(tmp_path, train=True, test=True, pictures=1)
    with pytest.raises(RunError, match="the disk is full"):
        call(of, fails=FINE_TUNE)
    assert run_of_line(tmp_path) == tmp_path / "result/runs/pretrain", "the best that there is so far"
    rest = call(of)
    assert rest.names == [FINE_TUNE, "report", "export", "look"]
    assert run_of_line(tmp_path) == tmp_path / "result/runs/fine-tune"
    assert call(of).names == []


def test_a_changed_preset_or_part_stops_the_line_and_nothing_is_mixed(tmp_path: Path, call: Call) -> None:
    of = line(tmp_path, train=True)
    call(of)
    other = replace(of, preset={**PRESET, "parts": {"mesh": {"sha256": "bb"}}})
    words = r"my_line: changed since “render 4 scenes”: line\.yaml\.parts\.mesh\.sha256 was 'aa', is 'bb'; .*--again"
    with pytest.raises(RunError, match=words):
        call(other)
    assert call(of).names == [], "put back"
    (tmp_path / "result/runs/pretrain/mine.txt").write_text("kept")
    anew = call(other, again=True)
    assert anew.names == ["render", PRETRAIN, FINE_TUNE, "export"]
    assert (tmp_path / "result/earlier-1/data/sim/manifest.json").exists()
    assert (tmp_path / "result/earlier-1/runs/pretrain/mine.txt").read_text() == "kept"
    assert not (tmp_path / "result/runs/pretrain/mine.txt").exists()
    assert call(other).names == []


def test_photos_that_are_labelled_later_are_trained_on_and_all_that_follows_is_made_again(
    tmp_path: Path, call: Call
) -> None:
    call(line(tmp_path, pictures=2))
    later = call(line(tmp_path, train=True, test=True, pictures=2))
    assert later.names == [FINE_TUNE, "report", "export", "look"]
    assert call(line(tmp_path, train=True, test=True, pictures=3)).names == ["report", "look"], "a photo more"
    changed = line(tmp_path, train=labelled(tmp_path, "train", sha256="2"), test=labelled(tmp_path, "test"), pictures=3)
    with pytest.raises(RunError, match=r"“fine-tune on the photos, 3 steps”: photos/train\.json was '1', is '2'"):
        call(changed)
    assert call(changed, again=True).names == [FINE_TUNE, "report", "export", "look"]
    relabelled = replace(changed, test=labelled(tmp_path, "test", sha256="9"))
    assert call(relabelled).names == ["report"], "test photos decide nothing but the report"


def test_labels_that_are_taken_away_leave_the_detector_of_simulation(tmp_path: Path, call: Call) -> None:
    call(line(tmp_path, train=True))
    assert call(line(tmp_path)).names == ["export"]
    assert run_of_line(tmp_path) == tmp_path / "result/runs/pretrain"


def test_another_size_is_refused_unless_all_begins_anew(tmp_path: Path, call: Call) -> None:
    of = line(tmp_path)
    call(of)
    with pytest.raises(RunError, match=r"was begun with --quick, now --minutes 30 is asked for: .*--again"):
        call(of, quick=False, minutes=30.0)
    assert call(of, quick=False).names == [], "without a size it continues"
    anew = call(of, quick=False, minutes=30.0, again=True)
    assert anew.names == ["render", PRETRAIN, "export"]
    assert (tmp_path / "result/earlier-1" / STATE).is_file()


def test_scenes_and_steps_fit_into_the_minutes(tmp_path: Path, call: Call) -> None:
    of = line(tmp_path, train=True, test=True)
    expected = call(of, quick=False, minutes=20.0, seconds=lambda step: step.expected_s)
    sizes = steps_of(expected)
    assert sum(step.expected_s for step in expected.ran) <= 20 * 60 < sum(step.expected_s for step in expected.ran) + 5
    assert sizes["render"] > 200
    assert sizes[PRETRAIN] > sizes[FINE_TUNE] > 100


def test_a_machine_that_becomes_slow_gets_fewer_steps_and_ends_in_time(tmp_path: Path, call: Call) -> None:
    of = line(tmp_path, train=True)
    as_told = steps_of(call(of, quick=False, minutes=20.0, seconds=lambda step: step.expected_s))
    slow = call(
        line(tmp_path / "b", train=True),
        quick=False,
        minutes=20.0,
        seconds=lambda step: step.expected_s * (2.0 if step.kind == "render" else 1.5),
    )
    sizes = steps_of(slow)
    assert sizes["render"] == as_told["render"], "decided before anything was known"
    assert sizes[PRETRAIN] < 0.8 * as_told[PRETRAIN]
    assert slow.now_s - 1000.0 <= 1.02 * 20 * 60


def test_photos_that_are_labelled_after_the_time_was_spent_get_time_of_their_own(tmp_path: Path, call: Call) -> None:
    call(line(tmp_path), quick=False, minutes=20.0, seconds=lambda step: step.expected_s)
    later = call(line(tmp_path, train=True), quick=False, seconds=lambda step: step.expected_s)
    assert 200 < steps_of(later)[FINE_TUNE] < 400


def test_too_short_a_time_is_refused_before_anything_is_made(tmp_path: Path, call: Call) -> None:
    with pytest.raises(DataError, match="--minutes 1: on this machine"):
        call(line(tmp_path), quick=False, minutes=1.0)
    assert not (tmp_path / "result").exists()


def test_a_dry_run_writes_nothing_and_tells_each_step_with_its_time(tmp_path: Path, call: Call) -> None:
    of = line(tmp_path, train=True)
    begun = work.Work.begin(of, Path("my_line"), work.Ask(minutes=20.0), True, lambda text: None)
    told = "\n".join(begun.told())
    assert not (tmp_path / "result").exists()
    for words in ("render", "pretrain on simulation", "fine-tune on the photos", "in all", " min"):
        assert words in told
    call(of)
    before = (tmp_path / "result" / STATE).read_bytes()
    again = work.Work.begin(of, Path("my_line"), work.Ask(again=True, minutes=20.0), True, lambda text: None)
    assert "done" not in "\n".join(again.told())
    assert (tmp_path / "result" / STATE).read_bytes() == before


def test_a_folder_of_results_that_is_somebody_elses_is_left_alone(tmp_path: Path, call: Call) -> None:
    of = line(tmp_path)
    (tmp_path / "result").mkdir()
    (tmp_path / "result/notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"result: holds notes\.txt, and was not made by this command"):
        call(of)
    (tmp_path / "result/notes.txt").unlink()
    call(of)
    state = tmp_path / "result" / STATE
    for damaged, words in (("{", "no JSON"), ('{"version": 9}', "has version 9"), ('{"version": 1}', "asked")):
        state.write_text(damaged)
        with pytest.raises(RunError, match=words):
            call(of)


def test_the_state_says_how_long_each_step_took_over_all_calls(tmp_path: Path, call: Call) -> None:
    of = line(tmp_path)
    with pytest.raises(RunError):
        call(of, fails=PRETRAIN, seconds=lambda step: 7.0)
    call(of, seconds=lambda step: 5.0)
    spent = json.loads((tmp_path / "result" / STATE).read_text())["spent_s"]
    assert spent == {"render": 7.0, PRETRAIN: 12.0, **({"export": 5.0} if "export" in spent else {})}


def test_differences_are_named_with_short_values() -> None:
    before = {"a": {"b": 1, "c": [1, 2]}, "d": "x" * 50, "gone": 1}
    now = {"a": {"b": 2, "c": [1, 2]}, "d": "y" * 50, "new": 2}
    assert differences(before, now) == ["a.b was 1, is 2", "d", "gone", "new"]
    assert differences(before, before) == []
