"""Photos that `--sim` mixes in are trained on too: they are known again, and none of them is measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

from hybrid.data.coco import read_coco
from pipelines.common.data import photo_digests
from pipelines.finetune_real import app


def photos(folder: Path, seeds: range) -> Path:
    """A COCO JSON of pictures, each of its own seed, with a bolt in each."""
    folder.mkdir()
    for seed in seeds:
        pixels = np.random.default_rng(seed).integers(0, 255, (32, 48, 3)).astype(np.uint8)
        Pillow.fromarray(pixels).save(folder / f"{seed}.png")
    plain = {
        "images": [{"id": seed, "file_name": f"{seed}.png", "width": 48, "height": 32} for seed in seeds],
        "categories": [{"id": 1, "name": "bolt"}],
        "annotations": [{"id": s, "image_id": s, "category_id": 1, "bbox": [4, 4, 20, 20]} for s in seeds],
    }
    (folder / "photos.json").write_text(json.dumps(plain))
    return folder / "photos.json"


def test_photos_that_are_mixed_in_are_known_again_and_not_measured_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, others = photos(tmp_path / "own", range(6)), photos(tmp_path / "others", range(4, 9))
    caught: dict[str, Any] = {}

    def carry_out(start: object, shares: Any, validation: Any, config: Any, out: Path, experiment: Any, *_: Any) -> Any:
        caught.update(validation=validation, experiment=experiment)
        return {"steps": 2, "seconds": 1.0}

    monkeypatch.setattr("pipelines.common.runs.carry_out", carry_out)
    options = ["--checkpoint", "none", "--data", own, "--sim", others, "--sim-share", "0.5", "--holdout", "0.8"]
    ran = CliRunner().invoke(app, [str(one) for one in (*options, "--out", tmp_path / "run", "--device", "cpu")])
    assert ran.exit_code == 0, ran.output
    trained = set(caught["experiment"].trained_on)
    assert len(trained) == 1
    held_out = {frame.name for frame in caught["validation"].frames}
    assert held_out == {f"{seed}.png" for seed in range(4)} - trained
    assert set(photo_digests(read_coco(others))) < set(caught["experiment"].photo_digests)
