"""A wrong path is answered by its option and itself, with what would do; nothing that is no report is overwritten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid.core.errors import DataError, RunError
from pipelines.common.paths import check_folder, check_report, check_runs, data_at
from pipelines.gap.schema.picture_file import pictures_to_json
from tests.pipelines.gap.example_report import example_report

VERSION_1 = json.dumps({"verdict": [], "runs": [], "sim": {}, "real": {}, "differences": []})


def test_a_folder_in_the_place_of_a_file_of_labels_is_answered_with_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    labels = tmp_path / "annotations/instances_default.json"
    labels.write_text("{}")
    with pytest.raises(DataError, match="name the file of labels in it") as refused:
        data_at(str(tmp_path), "--data")
    assert f"--data {tmp_path}:" in str(refused.value)
    assert str(labels) in str(refused.value)


def test_a_missing_file_is_answered_with_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text("{}")
    with pytest.raises(DataError, match="there is no such file") as refused:
        data_at(str(tmp_path / "trian.json"), "--real")
    assert str(tmp_path / "train.json") in str(refused.value)


@pytest.mark.parametrize("name", ["manifest.json", "data.yaml"])
def test_a_data_set_is_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    (tmp_path / "labels.json").write_text("{}")
    assert data_at(str(tmp_path), "--data") == tmp_path


def test_a_run_that_has_not_finished_is_reported_from_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--runs .*gone: there is no such folder"):
        check_runs([tmp_path / "gone"], "--runs")
    with pytest.raises(DataError, match="is no run"):
        check_runs([tmp_path], "--runs")
    (tmp_path / "config.json").touch()
    with pytest.raises(DataError, match="has not finished"):
        check_runs([tmp_path], "--runs")
    (tmp_path / "run.json").touch()
    check_runs([tmp_path], "--runs")


@pytest.mark.parametrize("below", ["", "run", "deep/run"])
def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RunError, match="file is a file"):
        check_folder(file / below)
    check_folder(tmp_path / "new" / below)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("suffix", [".html", ".json", "-pictures.json"])
def test_a_file_that_is_no_report_is_not_overwritten_unless_told(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "notes.html"
    check_report(out, overwrite=False)
    mine = tmp_path / f"notes{suffix}"
    mine.write_text('{"my": "notes"}')
    with pytest.raises(DataError, match=f"{mine.name} exists and is no report"):
        check_report(out, overwrite=False)
    check_report(out, overwrite=True)


@pytest.mark.parametrize("text", [VERSION_1, example_report().to_json()])
@pytest.mark.parametrize(
    "head", ['<meta name="generator" content="pipelines.gap_report">', "<title>Simulation and real"]
)
def test_an_earlier_report_is_replaced(tmp_path: Path, head: str, text: str) -> None:
    (tmp_path / "r.html").write_text(head)
    (tmp_path / "r.json").write_text(text)
    (tmp_path / "r-pictures.json").write_text(pictures_to_json(example_report()))
    check_report(tmp_path / "r.html", overwrite=False)


def test_a_folder_at_the_place_of_a_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.json").mkdir()
    with pytest.raises(DataError, match=r"r\.json is a folder"):
        check_report(tmp_path / "r.html", overwrite=True)


def test_every_wrong_path_is_answered_without_torch(tmp_path: Path) -> None:
    """In one process of its own, since this one has loaded torch."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there/manifest.json").write_text("{}")
    (tmp_path / "file").touch()
    there, gone, file = (str(tmp_path / name) for name in ("there", "gone", "file"))
    lines = [
        ["train_sim", "--data", gone, "--out", f"{gone}/run"],
        ["train_sim", "--data", there, "--out", file],
        ["train_sim", "--data", there, "--device", "nosuch", "--out", f"{gone}/run"],
        ["train_sim", "--data", there, "--init", gone, "--out", f"{gone}/run"],
        ["finetune_real", "--checkpoint", "none", "--data", f"{gone}.json", "--out", f"{gone}/run"],
        ["finetune_real", "--checkpoint", gone, "--data", there, "--out", f"{gone}/run"],
        ["finetune_real", "--checkpoint", "none", "--data", there, "--sim", gone, "--out", f"{gone}/run"],
        ["gap_report", "--sim", there, "--real", f"{gone}.json", "--runs", there, "--out", f"{gone}.html"],
        ["gap_report", "--sim", there, "--real", there, "--runs", gone, "--out", f"{gone}.html"],
        ["demo", "--real", f"{gone}.json", "--real-test", f"{gone}.json", "--out", gone],
        ["line.command", gone],
        ["line.command", there, "--quick"],
    ]
    code = f"""
import importlib, sys
sys.modules["torch"] = None
for name, *line in {lines!r}:
    try:
        importlib.import_module(f"pipelines.{{name}}").app(line)
    except SystemExit as end:
        sys.stdout.write(f"{{end.code}}\\n")
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)
    assert result.stdout.split() == ["2"] * len(lines), result.stderr[-2000:]
    errors = result.stderr.splitlines()
    assert len(errors) == len(lines)
    assert all(error.startswith("error: ") for error in errors)
    assert not (tmp_path / "gone").exists()
