"""A training method takes part in the steps where the engine says, and a run belongs to its method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hybrid.core.config import ModelConfig, tiny
from hybrid.core.errors import RunError
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.loop import train
from hybrid.training.methods.method import Method, Underway, Weights
from hybrid.training.samples.batch import TrainBatch
from hybrid.weights.checkpoint import load
from tests.hybrid.photos import coco_document, write_coco

PARTS = {"score", "box", "giou", "probe"}


class Probe(Method):
    """Says where it is, adds a loss that pulls one weight, and saves zeros in its place."""

    name = "probe"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def begin(self, training: Underway) -> None:
        self.calls.append(f"begin {training.steps_done}")

    def before_step(self, training: Underway) -> None:
        self.calls.append(f"before {training.steps_done}")

    def losses(self, training: Underway, batch: TrainBatch) -> dict[str, Tensor]:
        self.calls.append(f"losses of {len(batch.images)}")
        return {"probe": 1000.0 + 0.0 * next(training.detector.parameters()).sum()}

    def after_step(self, training: Underway) -> None:
        self.calls.append(f"after {training.steps_done}")

    def end(self, detector: Network, weights: Weights) -> Weights:
        self.calls.append("end")
        return {name: torch.zeros_like(tensor) for name, tensor in weights.items()}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ClipSource:
    return read_coco(write_coco(tmp_path_factory.mktemp("photos"), coco_document(2)))


def small(source: ClipSource) -> tuple[ModelConfig, TrainConfig]:
    model = ModelConfig(**{**vars(tiny(source.categories)), "width": 16, "queries": 5, "decoder_layers": 1})
    return model, TrainConfig(steps=2, batch_clips=2, tile_px=32, workers=0, device="cpu", log_every=1)


def test_a_method_is_called_in_order_and_its_loss_and_its_weights_count(source: ClipSource, tmp_path: Path) -> None:
    probe, (model, config) = Probe(), small(source)
    train(model, source, config, tmp_path, methods=[probe])
    steps = [word for k in range(2) for word in (f"before {k}", "losses of 2", f"after {k}")]
    assert probe.calls == ["begin 0", *steps, "end"]
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["probe"] for row in rows] == [1000.0, 1000.0]
    parts: dict[str, Any] = {key: value for key, value in rows[0].items() if "/" in key or key in PARTS}
    assert rows[0]["loss"] == pytest.approx(sum(parts.values()))
    assert not any(tensor.any() for tensor in load(tmp_path, "ema").state_dict().values())
    assert any(tensor.any() for tensor in load(tmp_path, "raw").state_dict().values())


def test_a_run_is_not_resumed_by_another_method(source: ClipSource, tmp_path: Path) -> None:
    model, config = small(source)
    train(model, source, config, tmp_path / "plain")
    assert "methods" not in json.loads((tmp_path / "plain/config.json").read_text())
    with pytest.raises(RunError, match="methods"):
        train(model, source, config, tmp_path / "plain", resume=True, methods=[Probe()])
