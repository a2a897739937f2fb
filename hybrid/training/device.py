"""The device that this process trains on, and what several processes tell each other.

Under torchrun each process trains on its part of every batch (torch's DistributedDataParallel), and the first one
writes the run's folder. This is plain torch, not Lightning Fabric: Fabric takes seconds to import, and it would replace
what stands here.
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist

from hybrid.core.device import device_named
from hybrid.core.errors import RunError

_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|timed? ?out", re.IGNORECASE)


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

    def first_decides(self, decide: Callable[[], bool]) -> bool:
        """What `decide` returns in the first process, in every process. It runs in the first process alone."""
        answer = decide() if self.is_first else False
        if self.world_size == 1:
            return answer
        told = torch.tensor(int(answer), device=self.torch_device)
        dist.broadcast(told, 0)
        return bool(told)

    def sums(self, values: Tensor) -> Tensor:
        """The sum of each value over all processes."""
        if self.world_size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def means(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mean of each loss over all processes."""
        if self.world_size == 1:
            return dict(losses)
        values = self.sums(torch.stack([value.detach().float() for value in losses.values()]))
        return dict(zip(losses, values / self.world_size, strict=True))

    @contextmanager
    def losses_of_processes_told(self) -> Iterator[None]:
        """Turn the errors of torch about a process that is gone into a RunError in words."""
        try:
            yield
        except RuntimeError as error:
            lost = isinstance(error, dist.DistError) or _LOST.search(str(error))
            if isinstance(error, RunError) or self.world_size == 1 or not lost:
                raise
            raise RunError(
                f"another of the {self.world_size} processes of this training has ended, so process {self.rank} ends "
                "too. Its message says why, if it could write one. The same command goes on from the last checkpoint"
            ) from None


def training_device(name: str) -> TrainingDevice:
    """The device of this process. Under torchrun it joins the process group.

    Args:
        name: auto (cuda if available), cpu, cuda (this process's own GPU), cuda:1, ...

    Raises:
        ConfigError: this machine has no such device.
        RunError: RANK or WORLD_SIZE of the environment are not those of torchrun, or the processes do not meet.
    """
    rank, world_size = (_whole_number(key, default) for key, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    device = device_named(name)
    if device == torch.device("cuda"):
        device = device_named(f"cuda:{_whole_number('LOCAL_RANK', 0)}")
    if world_size > 1 and not dist.is_initialized():
        try:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        except (RuntimeError, ValueError) as error:
            raise RunError(f"the {world_size} processes of this training do not meet: {str(error)[:200]}") from None
        atexit.register(dist.destroy_process_group)
    return TrainingDevice(device, rank, world_size)


def _whole_number(key: str, default: int) -> int:
    text = os.environ.get(key, str(default))
    if not (text.isascii() and text.isdigit()):
        raise RunError(f"the environment's {key} is {text!r:.40}; torchrun sets it to a whole number")
    return int(text)
