"""A batch that several processes train on together, each on its part: counts of the whole, and its random numbers.

A training of n processes is the training of one process with the whole batch. So a loss is divided by a count of the
whole batch (as in DETR, Carion et al., ECCV 2020), and a clip's random numbers are those that it has in the whole
batch. Without a process group of torch there is one process, and nothing here communicates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def divisor(count: int, device: torch.device) -> float | Tensor:
    """What a loss is divided by: `count`, but at least 1.

    With n processes, the count of the whole batch by n: the mean of their gradients is then that of the whole batch.
    """
    if processes() == 1:
        return float(max(1, count))
    whole = torch.tensor(float(count), device=device)
    dist.all_reduce(whole)
    return whole.clamp(min=1.0) / processes()


@dataclass(frozen=True)
class Draws:
    """Random numbers for part `part` of `parts` equal parts of a batch: those that it has in the whole batch.

    >>> whole, second = (Draws(torch.Generator().manual_seed(0), part, parts) for part, parts in ((0, 1), (1, 2)))
    >>> torch.equal(whole.rand(4, 3)[2:], second.rand(2, 3))
    True
    """

    generator: torch.Generator | None  # None: torch's global one
    part: int = 0
    parts: int = 1
    least_most: int = 0  # the largest count of all parts of this process

    def rand(self, rows: int, *shape: int) -> Tensor:
        """Uniform numbers in 0..1, [rows, *shape], where `rows` is a number of rows of this part."""
        whole = torch.rand(rows * self.parts, *shape, generator=self.generator)
        return whole[self.part * rows : (self.part + 1) * rows]

    def most(self, count: int, device: torch.device) -> int:
        """The largest count of all parts, so that each draws numbers for shapes of the same size."""
        count = max(count, self.least_most)
        if processes() == 1:
            return count
        whole = torch.tensor(count, device=device)
        dist.all_reduce(whole, dist.ReduceOp.MAX)
        return int(whole)


def as_draws(generator: torch.Generator | Draws | None) -> Draws:
    """The random numbers of a generator: those of a whole batch."""
    return generator if isinstance(generator, Draws) else Draws(generator)
