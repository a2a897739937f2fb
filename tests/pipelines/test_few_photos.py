"""Fine-tuning with few photos or none: by each way, on the smallest data; and mistakes, each in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.common.tuning import auto
from tests.pipelines.scripts import SMALL, done, photographs, record, refused, script

ONE = ["--steps", "1", *SMALL[2:]]


def test_without_a_label_the_detector_adapts_to_pictures(line: Path, tmp_path: Path) -> None:
    photographs(tmp_path / "photos", count=2)
    words = ["--checkpoint", line / "sim", "--unlabelled", tmp_path / "photos", *ONE, "--out", tmp_path / "run"]
    assert "by mean-teacher on no labelled photo" in done(script("finetune_real", *words))
    run = json.loads((tmp_path / "run/run.json").read_text())
    assert [one["name"] for one in run["methods"]] == ["mean-teacher"]
    assert record(tmp_path / "run")["trained_on"] == []
    assert record(tmp_path / "run")["unlabelled"] == str(tmp_path / "photos")
    assert run["categories"] == ["bolt", "nut", "washer"]
    assert any(key.startswith("teacher/") for key in json.loads((tmp_path / "run/metrics.jsonl").read_text()))


@pytest.mark.slow
def test_the_method_is_chosen_over_sessions_and_recorded(
    line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "CANDIDATES", ("wise-ft",))
    photos = photographs(tmp_path / "photos", count=2)
    words = ["--checkpoint", line / "sim", "--data", photos, *ONE, "--method", "auto", "--sim", "none"]
    told = done(script("finetune_real", *words, "--sessions", r"(\d)\.png", "--out", tmp_path / "run"))
    assert "2 sessions by" in told
    assert "--method auto: wise-ft (mean AP" in told
    assert record(tmp_path / "run")["method"] == "wise-ft"
    run = json.loads((tmp_path / "run/run.json").read_text())
    assert run["methods"] == [{"name": "wise-ft", "alphas": [0.25, 0.5, 0.75, 1.0], "chosen": False, "alpha": 0.5}]
    assert sorted(path.name for path in (tmp_path / "run-auto").iterdir()) == ["wise-ft-0", "wise-ft-1"]
    error = refused(script("finetune_real", *words, "--out", tmp_path / "other"))  # 0.png, 1.png: one session
    assert "are of one session" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs photos: --data with labels, --unlabelled without, or both"),
        (["--unlabelled", "{empty}"], "holds no picture and no video"),
        (["--unlabelled", "{gone}"], "there is no such file or folder"),
        (["--data", "{dogs}"], "the photos label ['dog'], the checkpoint knows ['bolt', 'nut', 'washer']"),
        (["--data", "{photos}", "--method", "ema"], "--method ema: choose from ['plain', "),
        (["--data", "{photos}", "--method", "mean-teacher"], "give them: --unlabelled DIR"),
        (["--data", "{photos}", "--lr", "0"], "learning_rate: needs more than 0 and at most 1"),
        (["--unlabelled", "{pictures}", "--sim", "none"], "nothing has labels"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(line: Path, tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").touch()
    places = {
        "empty": tmp_path / "empty", "gone": tmp_path / "gone", "pictures": tmp_path / "photos",
        "dogs": photographs(tmp_path / "dogs", ("dog",), count=1), "photos": photographs(tmp_path / "photos", count=1),
    }  # fmt: skip
    filled = [word.format(**places) for word in words]
    error = refused(script("finetune_real", "--checkpoint", line / "sim", *filled, *ONE, "--out", tmp_path / "run"))
    assert message in error
    assert not (tmp_path / "run/run.json").exists()


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from torch import zeros

    save_file({"conv1.weight": zeros(2)}, tmp_path / "other.safetensors")
    photos = photographs(tmp_path / "photos", count=1)
    words = ["--data", photos, *ONE, "--out", tmp_path / "run"]
    assert "holds no detector" in refused(
        script("finetune_real", "--checkpoint", tmp_path / "other.safetensors", *words)
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_search_of_two_trials_goes_on_and_prints_the_best_command(line: Path, tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos", count=3)
    words = ["--checkpoint", line / "sim", "--data", photos, "--holdout", 0.3, "--sim", "none", *ONE, "--steps", 2]
    words += ["--search", "lr=1e-4..1e-3", "method=plain,wise-ft", "--out", tmp_path / "tune"]
    first = done(script("tune", *words, "--trials", 1))
    assert "trial 0: complete AP " in first
    assert "lr 0.0003 method plain" in first
    both = done(script("tune", *words, "--trials", 2))
    assert both.startswith("trial 1: complete AP ")
    command = both.splitlines()[-1]
    assert command.startswith("python -m pipelines.finetune_real --checkpoint ")
    assert " --steps 2 " in command
    assert command.endswith(f"--out {tmp_path / 'tune-best'}")
    assert len(list((tmp_path / "tune/trials").iterdir())) == 2
    assert not list((tmp_path / "tune").rglob("*.safetensors"))
    assert "another folder" in refused(script("tune", *words, "--seed", 3))
