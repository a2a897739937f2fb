"""Counting as a user runs it: one command for a video, one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from typer.testing import CliRunner

from hybrid.cli import app
from hybrid.model.network import Network
from hybrid.weights.checkpoint import save_detector
from hybrid.weights.record import RUN
from tests.hybrid.photos import CATEGORIES
from tests.hybrid.variants import full


def predict(*line: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["predict", "--whole", "--runtime", "torch", *map(str, line)])
    return done.exit_code, done.stdout, done.stderr


def test_counting_at_the_command_line(tmp_path: Path) -> None:
    run, belt, stills, out = (tmp_path / name for name in ("run", "belt.avi", "photos", "out/counted.avi"))
    torch.manual_seed(1)
    config = full(CATEGORIES, width=16, heads=2, queries=20, memory_frames=2, quiet_start=False)
    run.mkdir()
    save_detector(run / "ema.safetensors", Network(config))
    (run / RUN).write_text(json.dumps({"train": {"tile_px": 96}}))
    rng = np.random.default_rng(0)
    video = cv2.VideoWriter(str(belt), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for _ in range(3):
        video.write(rng.integers(0, 255, (48, 64, 3)).astype(np.uint8))
    video.release()
    stills.mkdir()
    cv2.imwrite(str(stills / "a.png"), np.zeros((48, 64, 3), np.uint8))

    code, told, noted = predict("--checkpoint", run, "--source", belt, "--count-line", "0.5", "--out", out)
    assert code == 0, noted
    assert "latency in the detector: p50 " in told
    assert "counted at  bolt  washer  all  unconfirmed\nline " in told
    names = {path.name for path in out.parent.iterdir()}
    assert names == {"counted.avi", "counted.jsonl", "counted_events.jsonl", "counted_counts.csv"}
    for options, says in (
        (["--source", belt, "--count-line", "a"], "--count-line a: is no line; it needs a number such as 0.7"),
        (["--source", belt, "--count-line", "999"], "error: count line or region outside the picture"),
        (["--source", belt, "--count-region", tmp_path / "no.yaml"], "no.yaml: there is no such file"),
        (["--source", stills, "--count-line", "0.5"], "needs tracks, but photos holds stills"),
    ):
        code, _, noted = predict("--checkpoint", run, *options)
        assert (code, says in noted) == (2, True), noted
