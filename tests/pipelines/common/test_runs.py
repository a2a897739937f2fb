"""What a run is trained with where the user says nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hybrid.core.config import tiny
from hybrid.training.config import TrainConfig
from hybrid.training.run.folder import CONFIG
from pipelines.common.runs import PRETRAINED_RATE, backbone_rate, clip_length

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


def test_a_detector_of_single_frames_learns_from_single_frames(tmp_path: Path) -> None:
    """A second frame of the same clip would double the cost of a step."""
    assert clip_length(SCRATCH, None, tmp_path) == 1
    assert clip_length(SCRATCH, 3, tmp_path) == 3
    for needs_clips in ({"tracks": 5}, {"branches": "cnn+rnn"}, {"embedding": 8}, {"clip_classes": ("ok", "bad")}):
        detector = replace(SCRATCH, **needs_clips)  # type: ignore[arg-type]
        assert clip_length(detector, None, tmp_path) == 2
        assert clip_length(detector, None, tmp_path, clips=5) == 5
    (tmp_path / CONFIG).write_text(json.dumps({"train": TrainConfig(clip_length=2).identity()}))
    assert clip_length(SCRATCH, None, tmp_path) == 2  # begun by an earlier version
