"""What a run is trained with where the user says nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hybrid.core.config import tiny
from hybrid.training.config import TrainConfig
from hybrid.training.run.folder import CONFIG
from pipelines.common.runs import PRETRAINED_RATE, backbone_rate

SCRATCH = tiny(("bolt",))
PRETRAINED = replace(SCRATCH, backbone="resnet18", weights="default")


def test_a_pretrained_backbone_learns_slowly_unless_the_user_or_a_begun_run_says_otherwise(tmp_path: Path) -> None:
    assert backbone_rate(SCRATCH, None, tmp_path) == 1.0
    assert backbone_rate(PRETRAINED, None, tmp_path) == PRETRAINED_RATE == 0.1
    assert backbone_rate(PRETRAINED, 0.5, tmp_path) == 0.5
    assert backbone_rate(PRETRAINED, 0.0, tmp_path) == 0.0
    (tmp_path / CONFIG).write_text(json.dumps({"train": TrainConfig(backbone_rate=1.0).identity()}))
    assert backbone_rate(PRETRAINED, None, tmp_path) == 1.0
    (tmp_path / CONFIG).write_text("[")
    assert backbone_rate(PRETRAINED, None, tmp_path) == 0.1
