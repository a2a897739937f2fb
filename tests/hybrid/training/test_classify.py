"""`hybrid classify`: clips of every kind are read with their classes, and what is predicted stands in the table."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from hybrid.classify import app
from hybrid.core.errors import DataError
from hybrid.metrics.classes import macro_f1
from hybrid.training.methods.classifier import VideoClassifier
from hybrid.training.methods.clip_data import find_clips, read_clips, read_table

SMALL = ["--frames", "2", "--size", "32", "--backbone", "tiny", "--weights", "none", "--steps", "2", "--batch", "2"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of frames: clip k of a class has frames of the grey levels 0, 10, 20, ... plus k."""
    folder = tmp_path_factory.mktemp("clips")
    for name in ("ok", "bad"):
        for k in range(3):
            clip = folder / name / str(k)
            clip.mkdir(parents=True)
            for frame in range(10):
                cv2.imwrite(str(clip / f"{frame}.png"), np.full((20, 30, 3), 10 * frame + k, np.uint8))
    return folder


def run(*line: object, fails: bool = False) -> str:
    result = CliRunner().invoke(app, [str(word) for word in line])
    assert result.exit_code == (2 if fails else 0), result.output
    return result.output


def test_folders_give_the_classes_and_frames_are_spread_evenly(clips: Path) -> None:
    files = find_clips(clips)
    assert [(file.name, file.label) for file in files[:4]] == [
        ("bad/0", "bad"), ("bad/1", "bad"), ("bad/2", "bad"), ("ok/0", "ok"),
    ]  # fmt: skip
    read = read_clips(files[:2], 4, 32)
    assert read.clips.shape == (2, 4, 32, 32, 3)
    assert read.clips[:, :, 0, 0, 0].tolist() == [[0, 30, 60, 90], [1, 31, 61, 91]]
    longer = read_clips(find_clips(clips / "ok" / "1"), 12, 32)  # one clip, of fewer frames than asked for
    assert (longer.names, longer.clips.shape[1]) == (("1",), 12)


def test_a_table_gives_the_classes_and_its_faults_are_told_with_their_row(clips: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("clip,class\nok/0,good\n\nbad/1,odd\n")
    assert [(file.name, file.label) for file in find_clips(clips, table)] == [("bad/1", "odd"), ("ok/0", "good")]
    for text, message in (
        ("ok/0,good\nok/1\n", r"t\.csv:2: needs two columns"),
        ("ok/0,good\nok/0,bad\n", r"t\.csv:2: 'ok/0' stands there twice"),
        ("clip,class\n", "holds no row"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            read_table(table)
    table.write_text("ok/7,good\n")
    with pytest.raises(DataError, match="there is no clip 'ok/7'; there are bad/0"):
        find_clips(clips, table)


def test_train_and_predict_from_the_command_line(clips: Path, tmp_path: Path) -> None:
    saved, out = tmp_path / "c.safetensors", tmp_path / "classes.csv"
    said = run("train", "--data", clips, "--out", saved, "--holdout", "0.34", *SMALL)
    assert "clips of each class: 3 of bad, 3 of ok" in said
    assert "on 2 held-out clips: accuracy" in said
    said = run("predict", "--checkpoint", saved, "--source", clips, "--out", out)
    rows = list(csv.reader(out.read_text().splitlines()))
    assert rows[0] == ["clip", "class", "probability", "bad", "ok"]
    read = read_clips(find_clips(clips), 2, 32)
    shares = VideoClassifier.load(saved).predict_shares(read.clips)
    for row, name, share in zip(rows[1:], read.names, shares, strict=True):
        assert row[0] == name
        assert row[1] == ("bad", "ok")[int(share.argmax())]
        np.testing.assert_allclose([float(value) for value in row[2:]], [share.max(), *share], atol=1e-4)
        assert f"{name:5}  {row[1]}  {share.max():.3f}" in said
    run("predict", "--checkpoint", saved, "--source", clips, "--out", out, fails=True)


def test_mistakes_are_one_line(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.safetensors"
    for line, message in (
        (["--data", clips / "ok"], "needs clips of two classes or more, got none"),
        (["--data", tmp_path / "no"], "there is no such file or folder"),
        (["--data", tmp_path], "holds no clip"),
        (["--data", clips, "--holds", "bolt"], "is no simulated data set"),
        (["--data", clips, "--kind", "rnn", *SMALL], "--kind rnn: choose from cnn, cnn+rnn"),
        (["--data", clips, "--holdout", "0.1", *SMALL], "the class 'bad' has 3 clips"),
    ):
        said = run("train", *line, "--out", out, fails=True)
        assert message in said
        assert "error: " in said
    assert not out.exists()


def test_macro_f1_counts_every_class_the_same() -> None:
    truth, said = np.array([0, 0, 0, 0, 1, 2]), np.array([0, 0, 0, 1, 1, 1])
    assert macro_f1(truth, said) == pytest.approx((6 / 7 + 2 / 4 + 0) / 3)
    assert macro_f1(truth, truth) == 1
