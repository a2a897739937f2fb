"""The curves go where a user wants them, in one run even if it is resumed; a missing package is told."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hybrid.core.errors import ConfigError
from hybrid.training.config import TrainConfig
from hybrid.training.run.folder import write_csv
from hybrid.training.run.trackers import LOG_TO, open_tracker

SETTINGS = {"steps": 5, "learning_rate": 0.1}


def test_every_choice_of_the_config_has_a_tracker_or_tells_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TrainConfig.model_fields["log_to"].annotation.__args__ == LOG_TO  # type: ignore[union-attr]
    for name, module in (("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow"), ("wandb", "wandb")):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
        with pytest.raises(ConfigError, match=rf"--log-to {name}: .* is not installed: pip install .sim2line.{name}"):
            open_tracker(name, tmp_path, SETTINGS, 0)
    open_tracker("files", tmp_path, SETTINGS, 0).add(1, {"loss": 2.0})
    assert not list(tmp_path.iterdir())


def fake_mlflow(calls: list[Any]) -> ModuleType:
    module = ModuleType("mlflow")

    def start_run(run_id: str | None, run_name: str | None) -> SimpleNamespace:
        calls.append(("start", run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "made"))

    module.__dict__.update(
        set_experiment=lambda name: None,
        start_run=start_run,
        log_params=lambda settings: calls.append(settings),
        log_metrics=lambda values, step: calls.append((step, values)),
        end_run=lambda: calls.append("end"),
    )
    return module


def test_mlflow_goes_on_in_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setitem(sys.modules, "mlflow", fake_mlflow(calls))
    folder = tmp_path / "run"
    folder.mkdir()
    for step in (2, 4):
        tracker = open_tracker("mlflow", folder, SETTINGS, step)
        tracker.add(step, {"loss": 0.5})
        tracker.close()
    assert calls == [
        ("start", None, "run"), {"steps": "5", "learning_rate": "0.1"}, (2, {"loss": 0.5}), "end",
        ("start", "made", None), (4, {"loss": 0.5}), "end",
    ]  # fmt: skip


def test_wandb_goes_on_in_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[dict[str, Any]] = []

    def init(**given: Any) -> SimpleNamespace:
        begun.append(given)
        return SimpleNamespace(id=given["id"] or "made", log=lambda values, step: None, finish=lambda: None)

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    for _ in range(2):
        open_tracker("wandb", tmp_path, SETTINGS, 0).close()
    assert [given["id"] for given in begun] == [None, "made"]
    assert begun[0]["config"] == SETTINGS


def test_a_run_that_changes_its_tracker_begins_anew_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setitem(sys.modules, "mlflow", fake_mlflow(calls))
    (tmp_path / "tracker.json").write_text('{"tracker": "wandb", "id": "of another"}')
    open_tracker("mlflow", tmp_path, SETTINGS, 0).close()
    assert calls[0] == ("start", None, tmp_path.name)
    (tmp_path / "tracker.json").write_text('{"id": "of an earlier version"}')
    open_tracker("mlflow", tmp_path, SETTINGS, 0).close()
    assert ("start", "of an earlier version", None) in calls


def test_a_tracker_that_fails_later_is_left_out_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Any] = []
    broken = fake_mlflow(calls)

    def fails(values: dict[str, float], step: int) -> None:
        calls.append(step)
        raise OSError("the server\nis gone")

    broken.__dict__["log_metrics"] = fails
    monkeypatch.setitem(sys.modules, "mlflow", broken)
    tracker = open_tracker("mlflow", tmp_path, SETTINGS, 0)
    for step in (2, 4):
        tracker.add(step, {"loss": 0.5})
    tracker.close()
    assert calls[2:] == [2]
    told = "--log-to mlflow: the server is gone: step 2 and those after it are in the run's folder alone"
    assert capsys.readouterr().err == f"note: {told}\n"


def test_a_tracker_that_cannot_begin_is_answered_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**given: Any) -> None:
        raise RuntimeError("No API key configured.\nUse `wandb login` to log in. " + "x" * 2000)

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    with pytest.raises(ConfigError) as caught:
        open_tracker("wandb", tmp_path, SETTINGS, 0)
    assert str(caught.value).startswith("--log-to wandb: No API key configured. Use `wandb login` to log in. xx")
    assert len(str(caught.value)) < 800


def test_tensorboard_gets_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    tracker = open_tracker("tensorboard", tmp_path, SETTINGS, 0)
    tracker.add(3, {"loss": 0.25})
    tracker.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [(3, 0.25)]


def test_the_table_has_a_column_for_each_key_and_gaps_where_a_row_has_none(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2, "validation_ap": 0.5}\n{"st'
    )
    write_csv(tmp_path / "metrics.jsonl", tmp_path / "metrics.csv")
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"step": "1", "loss": "2.5", "validation_ap": ""},
        {"step": "2", "loss": "2", "validation_ap": "0.5"},
    ]
