"""One process of a training by two, for test_processes.py."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch

from hybrid.core.errors import RunError
from hybrid.data.coco import read_coco
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.loop import train
from hybrid.training.methods.warm_up import WarmUp
from hybrid.training.samples.sampler import WeightedSource
from tests.hybrid.photos import CATEGORIES
from tests.hybrid.variants import full

PLAN = TrainConfig(
    steps=4, batch_clips=4, clip_length=2, tile_px=32, warmup_steps=1, log_every=1, workers=0, threads=1,
    checkpoint_every_s=0.0, device="cpu", learning_rate=1e-3,
)  # fmt: skip


def network(seed: int = 0) -> Network:
    """A small detector with every loss that is divided by a count."""
    torch.manual_seed(seed)
    small = {"width": 16, "heads": 2, "queries": 10, "decoder_layers": 1, "denoising_queries": 10}
    return Network(full(CATEGORIES, **small, clip_classes=("good", "bad"), tracks=3))


def source(file: Path) -> list[WeightedSource]:
    """Photos with one to three boxes each, and a video, with and without a class of the clip."""
    photos = read_coco(file, CATEGORIES)
    return [WeightedSource(photos.labelled({clip.name: k % 2 for k, clip in enumerate(photos.clips) if k % 3}))]


def warming(file: Path) -> WarmUp:
    """Two steps on the same photos, before the others."""
    return WarmUp(lambda: read_coco(file, CATEGORIES), 2)


class Deadly(Criterion):
    """Kills its process in the given step."""

    at, calls = 0, 0

    def __call__(self, *given):  # type: ignore[no-untyped-def]
        Deadly.calls += 1
        if Deadly.calls == Deadly.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(*given)


def one_of_two(rank: int, file: Path, folder: Path, dies_at: int) -> None:
    """Train as one process of two. What a user would read is left beside the run's folder."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    Deadly.at, Deadly.calls = dies_at if rank == 1 else 0, 0
    try:
        train(network(rank), source(file), PLAN, folder, criterion=Deadly(), warming=warming(file), resume=True)
    except RunError as error:
        folder.with_name(f"said-{rank}").write_text(str(error))
        os._exit(2)
    os._exit(0)
