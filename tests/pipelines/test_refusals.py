"""Mistakes of a user: each is answered with one line that names it, before anything is written. And help, fast."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.scripts import photographs, refused, script

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("how", ["module", "file"])
def test_help_comes_without_torch_both_ways(how: str) -> None:
    run = "runpy.run_module(f'pipelines.{name}'" if how == "module" else "runpy.run_path(f'pipelines/{name}.py'"
    code = f"""
import runpy, sys
sys.modules["torch"] = None
for name in ("train_sim", "finetune_real", "tune", "gap_report", "demo", *(["line"] if {how!r} == "module" else [])):
    sys.argv = [name, "--help"]
    try:
        {run}, run_name="__main__")
    except SystemExit as end:
        assert not end.code, name
    sys.modules.pop(f"pipelines.{{name}}", None)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("Usage: ") == (6 if how == "module" else 5)
    assert result.stdout.count("--out") >= 5


def test_missing_data_are_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert "gone" in refused(script("train_sim", "--data", gone, "--out", tmp_path / "run"))
    (tmp_path / "empty").mkdir()
    error = refused(script("train_sim", "--data", tmp_path / "empty", "--out", tmp_path / "run"))
    assert "manifest.json" in error
    error = refused(
        script("finetune_real", "--checkpoint", "none", "--data", f"{gone}.json", "--out", tmp_path / "run")
    )
    assert "gone.json: there is no such file" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--shots", "99"], "--shots 99"),
        (["--shots", "-1"], "--shots"),
        (["--steps", "0"], "steps"),
        (["--tile", "50"], "tile_px"),
        (["--branches", "rnn"], "--branches"),
        (["--holdout", "1.0"], "holdout"),
        (["--backbone-rate", "2"], "backbone_rate"),
        (["--frozen-stages", "4"], "frozen_stages"),
    ],
)
def test_senseless_options_are_named(tmp_path: Path, options: list[str], word: str) -> None:
    photos = photographs(tmp_path / "photos")
    error = refused(
        script("finetune_real", "--checkpoint", "none", "--data", photos, "--out", tmp_path / "run", *options)
    )
    assert word in error


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "photos")
    error = refused(
        script("finetune_real", "--checkpoint", tmp_path / "no", "--data", photos, "--out", tmp_path / "run")
    )
    assert str(tmp_path / "no") in error


def test_the_report_takes_released_weights_by_name_and_refuses_a_name_that_is_none(tmp_path: Path) -> None:
    words = ["--sim", tmp_path / "gone", "--real", photographs(tmp_path / "photos"), "--out", tmp_path / "report.html"]
    assert "--sim" in refused(script("gap_report", "--runs", "fasteners", *words))  # the runs are looked at before
    assert "--runs nothing: there is no such folder" in refused(script("gap_report", "--runs", "nothing", *words))
