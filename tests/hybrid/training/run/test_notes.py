"""When a training writes what: checkpoints, the tracker's rows, pictures; and what is best so far."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.errors import RunError
from hybrid.data.clips import ClipSource
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.run import best as best_module
from hybrid.training.run import notes as module
from hybrid.training.run.best import BestWeights
from hybrid.training.run.notes import Notes
from hybrid.training.run.pictures import COLUMNS, _sheet, evaluating
from hybrid.training.run.summary import OPERATING_FRAMES, _operating_frames, _readable
from hybrid.training.run.trackers import IDS, _keep_id, _known_id
from tests.hybrid.training.methods.test_clip_data import of_labels
from tests.hybrid.training.run.test_stopped import batch
from tests.hybrid.variants import SMALL


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Log:
    """In place of MetricsLog: a line every second step."""

    def __init__(self, *_: object) -> None:
        self.last: dict[str, float] = {"loss": 1.0}
        self.line: dict[str, float] = {}

    def add(self, step: int, losses: object, wait_s: float, measured: object, over: bool) -> bool:
        self.line = {"step": float(step), "loss": 0.5}
        return step % 2 == 0 or over

    def state(self) -> dict[str, Any]:
        return {"log": 1}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What was written, in order, in place of files."""
    done: list[tuple[object, ...]] = []
    tracker = SimpleNamespace(
        add=lambda step, row: done.append(("row", step, row)), close=lambda: done.append(("end",))
    )
    monkeypatch.setattr(module, "MetricsLog", Log)
    monkeypatch.setattr(module, "open_tracker", lambda log_to, *_: done.append(("tracker", log_to)) or tracker)
    monkeypatch.setattr(module, "write_atomically", lambda path, content: done.append((path.name, content)))
    monkeypatch.setattr(module, "write_csv", lambda *_: done.append(("table",)))
    monkeypatch.setattr(module, "write_samples", lambda *_: done.append(("pictures",)))
    return done


def notes(clock: Clock, monkeypatch: pytest.MonkeyPatch, first: bool = True, **changes: object) -> tuple[Notes, Any]:
    monkeypatch.setattr(module, "time", clock)
    training: Any = SimpleNamespace(
        config=TrainConfig(steps=9, checkpoint_every_s=10, pictures_every_s=0, log_to="wandb", **changes),  # type: ignore[arg-type]
        steps_done=0, kept={}, averaged=None, watch=SimpleNamespace(is_far=False),
        device=SimpleNamespace(is_first=first), to_bytes=lambda state: b"%d" % len(state),
    )  # fmt: skip
    return Notes(training, Path("run"), ClipSource("set", ("bolt",), ()), None), training


def step(made: Notes, training: Any, over: bool = False) -> None:
    training.steps_done += 1
    made.add({}, 0.0, {}, over, lambda: {"best": torch.zeros(3)})


def test_a_checkpoint_is_due_after_its_time_and_never_of_a_training_that_may_be_lost(
    written: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    made, training = notes(clock, monkeypatch)
    saved = []
    for clock.now, far in ((9.9, False), (10, True), (11, False), (20.9, False), (21, False)):
        training.watch.is_far = far
        before = len(written)
        step(made, training)
        saved.append(("checkpoint.safetensors", b"2") in written[before:])  # the log's state, and what else is kept
    assert saved == [False, False, True, False, True]
    training.watch.is_far = True
    step(made, training, over=True)  # the last one is written whatever was
    assert written[-2:] == [("checkpoint.safetensors", b"2"), ("table",)]


def test_the_tracker_gets_the_lines_of_the_log_without_their_step(
    written: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, training = notes(Clock(), monkeypatch)
    for _ in range(4):
        step(made, training)
    made.close()
    assert written == [("tracker", "wandb"), ("row", 2, {"loss": 0.5}), ("row", 4, {"loss": 0.5}), ("end",)]
    assert made.last == {"loss": 1.0}


def test_pictures_are_drawn_now_and_then_but_not_at_the_end(
    written: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for every_s, expected in ((0.0, 0), (5.0, 2)):
        clock = Clock()
        made, training = notes(clock, monkeypatch)
        training.config = training.config.model_copy(update={"pictures_every_s": every_s})
        del written[:]
        for clock.now in (1.0, 5.0, 9.0, 10.0):
            step(made, training)
        clock.now = 99.0
        step(made, training, over=True)
        assert written.count(("pictures",)) == expected


def test_a_process_that_is_not_the_first_has_no_log_and_no_tracker_and_keeps_its_batch(
    written: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, training = notes(Clock(), monkeypatch, first=False)
    assert written == [("tracker", "files")]
    assert made.last == {}
    said: list[object] = []
    monkeypatch.setattr(module, "stop", lambda *words: said.extend(words) or RunError("told"))
    lost = batch(1, 1)
    assert str(made.stop(lost, "NaN")) == "told"
    assert said == [Path("run"), training.device, lost, "NaN", 0, training.config.learning_rate]
    assert written[-1] == ("end",)


def best(aps: list[float], folder: Path, patience: int = 0, **kept: torch.Tensor) -> BestWeights:
    config = TrainConfig(steps=100, validate_every=7, patience=patience)
    return BestWeights(folder, config, lambda network: aps.pop(0), kept)


@given(st.lists(st.integers(0, 5), max_size=12), st.integers(0, 12), st.integers(1, 4))
def test_the_first_best_is_kept_and_a_resumed_training_knows_it(aps: list[int], cut: int, patience: int) -> None:
    saved: list[int] = []
    scores = [ap / 10 for ap in aps]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best_module, "save_detector", lambda file, network: saved.append(1))
        patch.setattr(best_module, "evaluating", lambda network: torch.no_grad())
        left, network = list(scores), Network.__new__(Network)
        watched, resumed = best(left, Path("run"), patience), False
        for k in range(len(scores)):
            if k == cut:
                watched, resumed = best(left, Path("run"), patience, **watched.state()), True
            assert watched.measured(k + 1, network) == scores[k]
            so_far = scores[: k + 1]
            first = so_far.index(max(so_far))
            assert watched.record(k + 1)["early_stop"] == {
                "best_step": first + 1, "ap": max(so_far), "steps_done": k + 1, "early": True,
            }  # fmt: skip
            assert watched.is_over == (k - first >= patience)
    assert resumed == (cut < len(scores))
    assert len(saved) == sum(all(ap > earlier for earlier in scores[:k]) for k, ap in enumerate(scores))


def test_measurements_are_due_every_so_many_steps_and_at_the_end(tmp_path: Path) -> None:
    watched = best([], tmp_path)
    assert [k for k in range(1, 101) if watched.is_due(k)] == [*range(7, 99, 7), 100]
    assert (watched.weights(), watched.record(100), watched.is_over) == (None, {}, False)
    never = BestWeights(tmp_path, TrainConfig(steps=100), lambda network: 1.0, {})
    assert not any(never.is_due(k) for k in range(1, 101))
    assert best([], tmp_path, best=torch.zeros(2)).record(9) == {}  # of no use: as if nothing was measured


def test_modes_come_back_also_after_an_error() -> None:
    network = Network(replace(SMALL, branches="cnn")).train()
    network.backbone.stages()[1].eval()
    before = [one.training for one in network.modules()]

    def fail() -> None:
        with evaluating(network) as same:
            assert same is network
            assert not any(one.training for one in network.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [one.training for one in network.modules()] == before
    assert len(set(before)) == 2


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_a_sheet_has_rows_of_three_with_each_picture_in_its_cell(heights: list[int]) -> None:
    pictures = [np.full((high, 4, 3), k + 1, np.uint8) for k, high in enumerate(heights)]
    made, wide, high = _sheet(pictures), min(COLUMNS, len(heights)), max(heights)
    assert made.shape == (high * -(-len(heights) // wide), 4 * wide, 3)
    for k, own in enumerate(heights):
        row, column = divmod(k, wide)
        cell = made[row * high : (row + 1) * high, 4 * column : 4 * column + 4]
        assert (cell[:own] == k + 1).all()
        assert not cell[own:].any()


@pytest.mark.parametrize("content", ["", "{", "[1]", '"a"', '{"id": 3}', '{"id": null}', '{"name": "a"}'])
def test_an_id_that_is_none_begins_a_new_run(content: str, tmp_path: Path) -> None:
    assert _known_id(tmp_path, "mlflow") is None
    (tmp_path / IDS).write_text(content)
    assert _known_id(tmp_path, "mlflow") is None


@settings(max_examples=15)
@given(st.text(max_size=20))
def test_an_id_is_read_as_it_was_kept(tmp_path_factory: pytest.TempPathFactory, run_id: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    _keep_id(folder, "mlflow", run_id)
    assert _known_id(folder, "mlflow") == run_id
    assert _known_id(folder, "wandb") is None
    assert json.loads((folder / IDS).read_text()) == {"tracker": "mlflow", "id": run_id}


def source_of(lengths: list[int], folder: Path = Path()) -> ClipSource:
    clips = []
    for k, length in enumerate(lengths):
        clip = of_labels(f"c{k}", *[[0]] * length)
        clips.append(
            replace(clip, frames=tuple(replace(one, path=folder / f"{k}-{i}.png") for i, one in enumerate(clip.frames)))
        )
    return ClipSource("set", ("bolt",), tuple(clips))


@settings(max_examples=15)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_about_a_dozen_frames_find_the_operating_point_but_one_clip_at_least(lengths: list[int]) -> None:
    chosen = _operating_frames(source_of(lengths))
    assert 1 <= len(chosen) <= min(len(lengths), OPERATING_FRAMES)
    if set(lengths) == {1}:
        assert len(chosen.frames) == min(len(lengths), OPERATING_FRAMES)
    if sum(lengths) <= OPERATING_FRAMES:
        assert len(chosen) == len(lengths)


def test_a_clip_of_which_a_file_is_gone_is_not_measured_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source_of([1, 2, 1], tmp_path)
    for frame in source.frames:
        frame.path.touch()
    assert _readable(source).clips == source.clips
    assert capsys.readouterr().err == ""
    (tmp_path / "1-1.png").unlink()
    assert [clip.name for clip in _readable(source).clips] == ["c0", "c2"]
    told = capsys.readouterr().err
    assert told == f"note: not measured on, since a file is gone: 1 clips, such as of {tmp_path / '1-1.png'}\n"
