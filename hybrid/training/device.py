"""The device to train on, and this process's rank."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Place:
    """Where this process trains, and as which of how many (torchrun sets RANK, WORLD_SIZE and LOCAL_RANK)."""

    device: torch.device
    rank: int
    world: int

    @property
    def first(self) -> bool:
        return self.rank == 0


def place(device: str) -> Place:
    """Join the process group under torchrun; else this process alone."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    at = torch.device(device)
    if world > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if at.type == "cuda" else "gloo")
    return Place(at, rank, world)
