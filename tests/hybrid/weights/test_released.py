"""The weights that come with the package: they are found by name, detect parts, and say how they were made."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hybrid.core.errors import RunError
from hybrid.core.overlap import iou
from hybrid.predict.detector import Detector
from hybrid.weights.record import read_record, weights_file
from hybrid.weights.released import DEFAULT, RUNS, released, run_at
from simgen import load_config, make_clip

LARGEST_BYTES = 8 << 20  # they stand in the repository


def test_a_name_is_a_run_unless_the_user_has_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DEFAULT in released()
    assert run_at(DEFAULT) == RUNS / DEFAULT
    assert run_at("none-of-these") == Path("none-of-these")
    monkeypatch.chdir(tmp_path)
    Path(DEFAULT).mkdir()
    assert run_at(DEFAULT) == Path(DEFAULT)
    with pytest.raises(RunError, match=rf"{DEFAULT}.ema.safetensors"):
        weights_file(Path(DEFAULT))


@pytest.mark.parametrize("name", released())
def test_each_is_small_has_a_card_and_names_no_path_of_the_machine_that_made_it(name: str) -> None:
    folder = RUNS / name
    assert {path.name for path in folder.iterdir()} == {"README.md", "ema.safetensors", "run.json", "experiment.json"}
    assert weights_file(Path(name)).stat().st_size < LARGEST_BYTES
    record = read_record(Path(name))
    assert record is not None
    assert record.operating_point is not None
    assert record.categories
    assert all("/" not in one["name"] for one in json.loads((folder / "run.json").read_text())["data"])
    assert "/" not in (folder / "experiment.json").read_text()


def test_without_any_training_most_parts_of_a_scene_are_found() -> None:
    clip = make_clip(load_config("bolts_on_table", ["timing.frames=1"]), seed=5, index=0)  # not of the seeds it knows
    image = cv2.imdecode(np.frombuffer(clip.jpegs[0], np.uint8), cv2.IMREAD_COLOR_RGB)
    result = Detector.load(runtime="torch").predict(image)
    assert not isinstance(result, list)
    parts = [part for part in clip.labels.frames[0].parts if part.visible_share > 0.5 and part.box_xyxy_px is not None]
    truth = np.array([part.box_xyxy_px for part in parts])
    overlap = iou(result.boxes_xyxy_px, truth) > 0.5
    assert overlap.any(0).mean() > 0.6
    assert overlap.any(1).mean() > 0.6
