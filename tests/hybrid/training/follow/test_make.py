"""`hybrid follow`: from a rendered data set to a file that `Detector.load` takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hybrid.cli import app
from hybrid.core.errors import DataError
from hybrid.data.shards import read_shards
from hybrid.predict.detector import Detector
from hybrid.predict.linking.evidence import NAMES
from hybrid.training.follow.clips import read_known, stored_name
from hybrid.weights.follower import load_follower
from hybrid.weights.released import DEFAULT


def store(folder: Path, data: Path) -> None:
    """What a good detector finds in each clip, where its detections are looked for: so none has to run."""
    source, rng = read_shards(str(data)), np.random.default_rng(0)
    folder.mkdir(parents=True)
    for clip in source.clips:
        boxes = [frame.boxes_xyxy_px + rng.normal(0, 0.5, frame.boxes_xyxy_px.shape) for frame in clip.frames]
        numbers = [np.full(len(one), k) for k, one in enumerate(boxes)]
        every = np.concatenate(boxes).astype(np.float32)
        arrays = {
            "boxes": every, "scores": rng.uniform(0.5, 0.9, len(every)).astype(np.float32),
            "labels": np.concatenate([frame.labels for frame in clip.frames]), "frames": np.concatenate(numbers),
        }  # fmt: skip
        np.savez_compressed(folder / f"{clip.name}.npz", count=len(clip.frames), **arrays)


def run(*line: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["follow", *map(str, line)])
    return done.exit_code, done.output


def test_one_command_makes_a_follower_and_says_what_it_is_worth(occluded_data_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "own.safetensors"
    store(tmp_path / f"own-{stored_name(DEFAULT)}" / "0", occluded_data_set)
    code, told = run("--data", occluded_data_set, "--out", out, "--steps", 3, "--holdout", 0.5, "--layers", 1)
    assert code == 0, told
    assert "learned from 2 clips" in told
    assert "on 2 held-out clips, at the detector's own false alarms" in told
    assert "hidden recall" in told
    _, kept = load_follower(out, NAMES)
    assert kept.config.layers == 1
    assert kept.made_from == "detector fasteners, 2 clips of data"
    assert Detector.load(follower=out).judge is not None
    assert Detector.load(follower="rules").judge is None
    code, told = run("--data", occluded_data_set, "--out", out)
    assert (code, "exists" in told) == (2, True), told


def test_what_does_not_do_is_said_in_words(tiny_data_set: Path, occluded_data_set: Path, tmp_path: Path) -> None:
    code, told = run("--data", tiny_data_set, "--out", tmp_path / "a.safetensors")
    assert (code, "no clip of 4 frames or more" in told) == (2, True), told
    code, told = run("--data", tmp_path / "nothing", "--out", tmp_path / "a.safetensors")
    assert (code, "nothing" in told) == (2, True), told
    code, told = run("--data", tiny_data_set, "--out", tmp_path / "a.txt")
    assert (code, ".safetensors" in told) == (2, True), told
    store(tmp_path / "stored", occluded_data_set)
    first = sorted((tmp_path / "stored").iterdir())[0]
    with np.load(first) as rows:
        np.savez_compressed(first, **{**rows, "count": 3})
    with pytest.raises(DataError, match="is of 3 frames, the clip has 5: delete it"):
        read_known(occluded_data_set, tmp_path / "stored", DEFAULT)
    first.write_bytes(first.read_bytes()[:200])
    with pytest.raises(DataError, match=r"is damaged .*: delete it"):
        read_known(occluded_data_set, tmp_path / "stored", DEFAULT)
