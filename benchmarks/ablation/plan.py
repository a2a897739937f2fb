"""What is compared, on what, for how long."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hybrid.core.config import BoxesOf, ModelConfig, tiny
from hybrid.data.clips import ClipSource
from hybrid.data.shards import read_shards
from hybrid.training.config import AugmentConfig, TrainConfig

FULL = "cnn+rnn+transformer"
CNN_OBJECTS, FULL_OBJECTS = "cnn+objects", f"{FULL}+objects"
VARIANTS: dict[str, dict[str, Any]] = {
    "cnn": {"branches": "cnn"},
    "cnn+rnn": {"branches": "cnn+rnn"},
    "cnn+transformer": {"branches": "cnn+transformer"},
    FULL: {"branches": FULL},
    CNN_OBJECTS: {"branches": "cnn", "tracks": 24},
    FULL_OBJECTS: {"branches": FULL, "tracks": 24},
}
LEAST_VISIBLE = 0.1  # of an object, for it not to count as hidden
BOXES: BoxesOf = "whole"
OCCLUDERS = 0.5  # of the clips that are learned from have things drawn in front, beside those that were rendered


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the experiment is. Every variant of a seed starts from one trained CNN and gets the same steps."""

    train_scenes: int = 240
    test_scenes: int = 80
    frames: int = 8
    width_px: int = 160
    height_px: int = 128
    base_steps: int = 600  # of the CNN on single frames
    steps: int = 400  # of each variant on clips
    base_batch: int = 12  # frames
    batch: int = 4  # clips
    clip_length: int = 5
    warmup: int = 40
    real_steps: int = 120
    width: int = 64


SIZES = {
    "full": Size(),
    "small": Size(base_steps=400, steps=250, width=48),
    "medium": Size(base_steps=800, steps=300, width=48),
    "long": Size(base_steps=2000, steps=1000, width=48),
    "toy": Size(
        train_scenes=4, test_scenes=2, base_steps=3, steps=2, base_batch=2, batch=1, clip_length=3, warmup=1,
        real_steps=2, width=32,
    ),
}  # fmt: skip


OCCLUDERS = (1, 4)
CROWD_OCCLUDERS = (6, 10)  # with the few of above, most of what is little visible is cut by the frame's edge


def render(size: Size, folder: Path, scenes: int, seed: int, occluders: tuple[int, int] = OCCLUDERS) -> Path:
    """A data set of conveyor clips with things passing in front; goes on where it was stopped."""
    changes = {
        "camera.width_px": size.width_px,
        "camera.height_px": size.height_px,
        "camera.focal_px.low": 1.35 * size.width_px,
        "camera.focal_px.high": 1.6 * size.width_px,
        "parts.count.low": 6,
        "parts.count.high": 12,
        "clutter.occluders.low": occluders[0],
        "clutter.occluders.high": occluders[1],
        "timing.frames": size.frames,
    } | {f"parts.kinds.{kind}.diameter_mm.low": 10 for kind in ("hex_bolt", "hex_screw", "hex_nut", "washer")}
    line = [sys.executable, "-c", "from simgen.cli import main; main()", "render", "--preset", "conveyor"]
    line += ["--scenes", str(scenes), "--seed", str(seed), "--out", str(folder), "--workers", "1", "--resume"]
    line += [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    subprocess.run(line, check=True)
    return folder


def data(size: Size, folder: Path) -> tuple[ClipSource, ClipSource, ClipSource]:
    """What is learned from, and what is measured on: other scenes, by another seed, and as many with much in front."""
    learn = read_shards(render(size, folder / "train", size.train_scenes, 1), least_visible=LEAST_VISIBLE, boxes=BOXES)
    tests = (
        render(size, folder / "test", size.test_scenes, 2),
        render(size, folder / "crowd", size.test_scenes, 4, CROWD_OCCLUDERS),
    )
    test, crowd = (read_shards(made, learn.categories, LEAST_VISIBLE, BOXES) for made in tests)
    return learn, test, crowd


def model(size: Size, categories: tuple[str, ...], variant: str) -> ModelConfig:
    small = replace(tiny(categories), width=size.width, queries=60, denoising_queries=60, boxes=BOXES)
    return replace(small, **VARIANTS[variant])


def _training(size: Size, seed: int, **changes: Any) -> TrainConfig:
    given = {
        "tile_px": 128, "seed": seed, "learning_rate": 8e-4, "workers": 0, "threads": 1, "device": "auto",
        "checkpoint_every_s": 60.0,
        "augment": AugmentConfig(scale=(0.8, 1.25), strength=0.5, object_share=0.5, occluders=OCCLUDERS),
    }  # fmt: skip
    return TrainConfig(**(given | changes))


def base_training(size: Size, seed: int) -> TrainConfig:
    """Stage one: the CNN on single frames."""
    warmup = min(size.warmup, size.base_steps - 1)
    return _training(size, seed, steps=size.base_steps, batch_clips=size.base_batch, warmup_steps=warmup)


def clip_training(size: Size, seed: int) -> TrainConfig:
    """Stage two: any variant on clips, frames blanked now and then. The same samples for every variant of a seed."""
    warmup = min(size.warmup, size.steps - 1)
    return _training(
        size, 1000 + seed, steps=size.steps, batch_clips=size.batch, clip_length=size.clip_length,
        learning_rate=5e-4, blank_probability=0.3, warmup_steps=warmup,
    )  # fmt: skip


def real_training(size: Size, seed: int) -> TrainConfig:
    """Stage three, with --dolly: the first segment of the photographed sequence, at a third of its size."""
    warmup = min(size.warmup, size.real_steps - 1)
    return _training(
        size, 2000 + seed, steps=size.real_steps, batch_clips=size.batch, clip_length=size.clip_length,
        learning_rate=5e-4, warmup_steps=warmup,
        augment=AugmentConfig(scale=(0.28, 0.42), strength=0.5, object_share=0.8, vertical_flip=0.0),
    )  # fmt: skip
