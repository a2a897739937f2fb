"""The device that this process trains on, and its rank among several processes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from hybrid.core.device import device_named


@dataclass(frozen=True)
class TrainingDevice:
    """The device of this process, its rank, and the number of processes (torchrun: RANK, WORLD_SIZE, LOCAL_RANK)."""

    torch_device: torch.device
    rank: int
    world_size: int

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run's folder."""
        return self.rank == 0


def training_device(name: str) -> TrainingDevice:
    """The device of this process. Under torchrun it joins the process group.

    Args:
        name: auto (cuda if available), cpu, cuda (this process's own GPU), cuda:1, ...

    Raises:
        ConfigError: this machine has no such device.
    """
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = device_named(name)
    if device == torch.device("cuda"):
        device = device_named(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    if world_size > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return TrainingDevice(device, rank, world_size)
