"""Notices that a training has diverged: for many steps in a row its loss is far above its lowest running median."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

import torch
from torch import Tensor

WINDOW = 200  # losses that the running median is of
FAR = 10.0  # times the lowest median so far: of a loss that rises step by step the median rises too
FEW, FAR_AT_FIRST = 20, 100.0  # so many times the median while there are fewer losses than FEW
STEPS = 20  # far above the median, one after the other: diverged
LEAST_MEDIAN = 0.1  # of a detector's loss, so that batches without any box do not make the next ones stand out


class LossWatch:
    """The losses so far. Those that are far above the median do not enter it."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._far = 0
        self._lowest = math.inf  # of the medians of FEW losses or more

    def add(self, loss: float) -> None:
        """Add the loss of a step, a finite number."""
        if self._losses and loss > self.limit:
            self._far += 1
        else:
            self._losses.append(loss)
            self._far = 0
            if len(self._losses) >= FEW:
                self._lowest = min(self._lowest, median(self._losses))

    @property
    def limit(self) -> float:
        """The largest loss that is not far above the others; there is one loss or more."""
        if len(self._losses) < FEW:
            return FAR_AT_FIRST * max(LEAST_MEDIAN, median(self._losses))
        return FAR * max(LEAST_MEDIAN, min(self._lowest, median(self._losses)))

    @property
    def is_far(self) -> bool:
        """Whether the last loss was far above the median. A checkpoint of this moment might be of a lost training."""
        return self._far > 0

    @property
    def has_diverged(self) -> bool:
        return self._far >= STEPS

    def state(self) -> Tensor:
        """What a checkpoint keeps, in two rows: far, the lowest median (-1: none yet), how many losses; the losses."""
        rows = torch.zeros(2, max(3, len(self._losses)), dtype=torch.float64)
        lowest = self._lowest if math.isfinite(self._lowest) else -1.0
        rows[0, :3] = torch.tensor([self._far, lowest, len(self._losses)])
        rows[1, : len(self._losses)] = torch.tensor(list(self._losses), dtype=torch.float64)
        return rows

    def restore(self, state: Tensor) -> None:
        """Go back to what `state` returned. Of earlier versions it is one row: far, and the losses."""
        if state.ndim == 1:
            far, *losses = [float(value) for value in state[: WINDOW + 1]] or [0.0]
            self._lowest = math.inf
        else:
            far, lowest, count = (float(value) for value in state[0, :3])
            self._lowest = math.inf if lowest < 0 else lowest
            losses = [float(value) for value in state[1, : min(WINDOW, int(count))]]
        self._far, self._losses = int(far), deque(losses, maxlen=WINDOW)
