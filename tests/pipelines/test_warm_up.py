"""`--warm-up`: a stage before the training on pictures without labels, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.training.methods.warm_up import WARM_UP
from pipelines.common.unlabelled import warm_up_on
from tests.pipelines.scripts import SMALL, photographs, record, refused, script

NEW = ["--checkpoint", "none", "--preset", "tiny", "--steps", "1", *SMALL[4:]]


@pytest.mark.slow
def test_a_new_detector_warms_up_and_both_its_steps_and_its_record_know_it(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos", count=2)
    (tmp_path / "photos/0.txt").write_text("no picture")
    (tmp_path / "photos/broken.png").write_bytes(b"no picture")
    words = ["--data", photos, *NEW, "--warm-up", tmp_path / "photos", "--warm-up-steps", 2, "--out", tmp_path / "run"]
    finished = script("finetune_real", *words)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert "the backbone learns from 2 pictures, whose labels are not read" in finished.stderr
    assert "1, such as broken.png" in finished.stderr
    run = json.loads((tmp_path / "run/run.json").read_text())
    assert {key: run["warm_up"][key] for key in ("name", "steps", "frames")} == {
        "name": "masked-pictures", "steps": 2, "frames": 2,
    }  # fmt: skip
    assert (tmp_path / "run" / WARM_UP).is_file()
    assert record(tmp_path / "run")["warm_up"] == str(tmp_path / "photos")
    assert "differs in warm_up" in refused(script("finetune_real", "--data", photos, *NEW, "--out", tmp_path / "run"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--warm-up", "{gone}"], "--warm-up {gone}: there is no such file or folder"),
        (["--warm-up", "{empty}"], "--warm-up {empty}: holds no picture and no video"),
        (["--warm-up", "{broken}"], "--warm-up: {broken}: none of its pictures and videos can be used: "),
        (["--warm-up", "{broken}", "--checkpoint", "fasteners"], "changes the backbone, and the heads of "),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path: Path, words: list[str], message: str) -> None:
    places = {name: tmp_path / name for name in ("gone", "empty", "broken")}
    for name in ("empty", "broken"):
        places[name].mkdir()
    (places["broken"] / "a.png").write_bytes(b"no picture")
    photos = photographs(tmp_path / "photos", count=1)
    filled = [word.format(**places) for word in words]
    error = refused(script("finetune_real", "--data", photos, *NEW, *filled, "--out", tmp_path / "run"))
    assert message.format(**places) in error
    assert not (tmp_path / "run").exists()


def test_the_simulated_training_looks_at_the_pictures_first_too(tiny_data_set: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(b"no picture")
    words = ["--data", tiny_data_set, *SMALL, "--warm-up", tmp_path / "photos", "--out", tmp_path / "run"]
    assert "none of its pictures and videos can be used" in refused(script("train_sim", *words))
    assert not (tmp_path / "run").exists()


def test_videos_are_read_when_the_stage_begins_and_a_data_sets_labels_are_not(tmp_path: Path) -> None:
    made = cv2.VideoWriter(str(tmp_path / "belt.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for level in range(7):
        made.write(np.full((48, 64, 3), 30 * level, np.uint8))
    made.release()
    how = warm_up_on(tmp_path / "belt.avi", 3, ("bolt",), tmp_path / "run")
    assert how is not None
    assert not (tmp_path / "run").exists()
    assert [len(clip.frames) for clip in how.source().clips] == [6, 1]
    assert len(list((tmp_path / "run/warm-up").rglob("*.jpg"))) == 7

    labelled = warm_up_on(photographs(tmp_path / "photos"), 3, ("bolt",), tmp_path / "other")
    assert labelled is not None
    assert sum(len(frame.labels) for frame in labelled.source().frames) == 0
    assert len(labelled.source().frames) == 6
    assert warm_up_on(None, 3, ("bolt",), tmp_path / "other") is None
    with pytest.raises(DataError, match=r"--warm-up: .*gone: there is no such file"):
        warm_up_on(tmp_path / "gone", 3, ("bolt",), tmp_path / "other")
