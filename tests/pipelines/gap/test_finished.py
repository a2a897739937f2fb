"""Which runs are seeds of one way of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hybrid.core.errors import DataError
from pipelines.common.record import Experiment, StartingRun, write_experiment
from pipelines.gap.finished import FinishedRun

TRAIN: dict[str, Any] = {"tile_px": 64, "steps": 100, "learning_rate": 5e-4, "seed": 0}
DATA = [{"name": "photos.json", "weight": 1.0, "frames": 10, "clips": 10}]
EMPTY = {"name": "out/empty-floor", "weight": 0.25, "frames": 30, "clips": 30}


def finished(folder: Path, train: dict[str, Any], data: list[dict[str, Any]], **about: Any) -> FinishedRun:
    """A run with the files that its recipe is read from."""
    folder.mkdir()
    values: dict[str, Any] = {"kind": "real", "shots": 10, "trained_on": ("a",), "data_sha256": "ab"} | about
    record = Experiment(script="finetune_real", data=str(folder / "data"), **values)
    write_experiment(folder, record)
    (folder / "run.json").write_text(json.dumps({"train": train, "data": data}))
    return FinishedRun(folder, ("bolt",), 100, 1.0, 64, record, seed=train["seed"])


def test_the_seed_and_the_shuffle_and_how_a_run_is_carried_out_are_no_part_of_its_recipe(tmp_path: Path) -> None:
    first = finished(tmp_path / "a", TRAIN, DATA)
    other = finished(tmp_path / "b", TRAIN | {"seed": 7, "workers": 3}, DATA, shuffle_seed=7, trained_on=("b",))
    assert first.recipe == other.recipe


@pytest.mark.parametrize(
    ("train", "data", "about"),
    [
        ({"learning_rate": 1e-4}, DATA, {}),
        ({"augment": {"mosaic": 0.5}}, DATA, {}),
        ({}, [*DATA, EMPTY], {}),
        ({}, DATA, {"method": "distil"}),
        ({}, DATA, {"shots": 20}),
        ({}, DATA, {"data_sha256": "cd"}),
        ({}, DATA, {"warm_up": "video"}),
    ],
    ids=["rate", "augmentation", "empty", "method", "shots", "data", "warm-up"],
)
def test_every_other_setting_is(tmp_path: Path, train: dict[str, Any], data: list[Any], about: dict[str, Any]) -> None:
    first, other = finished(tmp_path / "a", TRAIN, DATA), finished(tmp_path / "b", TRAIN | train, data, **about)
    assert first.recipe != other.recipe


def test_the_recipe_of_the_run_that_it_started_from_counts(tmp_path: Path) -> None:
    runs = []
    for name, rate in (("a", 5e-4), ("b", 5e-4), ("c", 1e-4)):
        simulated = TRAIN | {"learning_rate": rate, "seed": len(runs)}
        first = finished(tmp_path / name, simulated, DATA, kind="simulated", shots=None, data_sha256="ef")
        (first.folder / "run.json").write_text(
            json.dumps({"train": simulated, "data": DATA, "categories": ["bolt"], "steps": 100, "seconds": 1.0})
        )
        start = StartingRun(run=str(first.folder), sha256=name)
        runs.append(finished(tmp_path / f"{name}-tuned", TRAIN, DATA, init=start))
    assert runs[0].recipe == runs[1].recipe != runs[2].recipe


def test_scenes_of_one_preset_are_known_by_the_config_of_their_data_set(tmp_path: Path) -> None:
    runs = []
    for name, config, scenes in (("a", 1, ("x", "y")), ("b", 1, ("x",)), ("c", 2, ("x",))):
        runs.append(
            finished(tmp_path / name, TRAIN, DATA, kind="simulated", shots=None, data_sha256=name, trained_on=scenes)
        )
        (tmp_path / name / "data").mkdir()
        manifest = {"request": {"config": {"parts": config}, "seed": name}}
        (tmp_path / name / "data" / "manifest.json").write_text(json.dumps(manifest))
    assert runs[0].preset == runs[1].preset != runs[2].preset
    assert [run.scenes for run in runs] == [2, 1, 1]
    assert runs[0].method == runs[1].method
    assert runs[0].recipe != runs[1].recipe
    (tmp_path / "a" / "data" / "manifest.json").unlink()
    del runs[0].__dict__["preset"]
    assert runs[0].preset == "a"


def test_a_run_whose_start_is_gone_says_which_run_and_where(tmp_path: Path) -> None:
    gone = StartingRun(run=str(tmp_path / "gone"), sha256="ef" * 32)
    run = finished(tmp_path / "a", TRAIN, DATA, init=gone)
    with pytest.raises(DataError, match=r"a/experiment\.json: init\.run: there is no folder .*gone; put that run back"):
        _ = run.lineage
