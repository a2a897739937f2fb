"""What is compared on degraded clips, on what, for how long."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybrid.core.config import ModelConfig
from hybrid.training.config import AugmentConfig, TrainConfig

HERE = Path(__file__).parent
PRESET = HERE / "noisy_belt.yaml"
CLEAN = {  # the same scenes, with the light and the sensor of the preset `conveyor`
    "light.flicker.depth": "{low: 0, high: 0}",
    "sensor.full_well_e": "{low: 1500, high: 15000}",
    "sensor.exposure": "{low: 0.4, high: 1.1}",
    "sensor.motion_blur_px": "{low: -1.0, high: 1.2}",
    "sensor.blur_sigma_px": "{low: 0.35, high: 1.2}",
}
SETS: dict[str, tuple[int, int, dict[str, str]]] = {  # scenes, seed, changes
    "train": (160, 8101, {}),
    "val": (40, 8102, {}),
    "test": (60, 8103, {}),
    "test-clean": (60, 8103, CLEAN),
}
START = "fasteners"
BASE = "base"
AVERAGED = "cnn-averaged"  # learns from averaged frames
VARIANTS: dict[str, dict[str, Any]] = {
    "cnn": {"branches": "cnn"},
    "rnn": {"branches": "cnn+rnn"},
    "transformer": {"branches": "cnn+transformer"},
    AVERAGED: {"branches": "cnn"},
}


def render(name: str, folder: Path) -> Path:
    """A data set of SETS; goes on where it was stopped."""
    scenes, seed, changes = SETS[name]
    line = [sys.executable, "-m", "simgen", "render", "--preset", str(PRESET), "--resume"]
    line += ["--scenes", str(scenes), "--seed", str(seed), "--out", str(folder / name)]
    line += [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    subprocess.run(line, check=True)
    return folder / name


def model(start: ModelConfig, variant: str) -> ModelConfig:
    """The config of a variant of the detector that it starts from."""
    return replace(start, **VARIANTS[variant])


def base_training(seed: int, steps: int) -> TrainConfig:
    """The released weights on single frames of the degraded clips."""
    return _training(seed=seed, steps=steps, batch_clips=8, learning_rate=1e-3, backbone_rate=0.1, frozen_stages=1)


def clip_training(seed: int, steps: int) -> TrainConfig:
    """Any variant on clips, with the backbone frozen. The same samples for every variant of a seed."""
    return _training(
        seed=1000 + seed, steps=steps, batch_clips=2, clip_length=6, learning_rate=5e-4, backbone_rate=0.0,
        frozen_stages=3,
    )  # fmt: skip


def _training(**given: Any) -> TrainConfig:
    fixed = {
        "tile_px": 128, "workers": 0, "threads": 1, "device": "auto", "checkpoint_every_s": 60.0, "warmup_steps": 30,
        "blank_probability": 0.0, "ema_decay": 0.99,
        # Windows that lie in the picture: a grey border would stand still. No noise beside the sensor's own: the
        # augmentation draws one for all frames of a clip.
        "augment": AugmentConfig(scale=(1.0, 1.4), strength=0.0, object_share=0.5),
    }  # fmt: skip
    return TrainConfig(**(fixed | given))
