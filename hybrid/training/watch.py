"""Notices that a training has diverged: for many steps in a row its loss is far above its running median."""

from __future__ import annotations

from collections import deque
from statistics import median

import torch
from torch import Tensor

WINDOW = 200  # losses that the running median is of
FAR = 10.0  # times the median
FEW, FAR_AT_FIRST = 20, 100.0  # so many times the median while there are fewer losses than FEW
STEPS = 20  # far above the median, one after the other: diverged
LEAST_MEDIAN = 0.1  # of a detector's loss, so that batches without any box do not make the next ones stand out


class LossWatch:
    """The losses so far. Those that are far above the median do not enter it."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._far = 0

    def add(self, loss: float) -> None:
        """Add the loss of a step, a finite number."""
        if self._losses and loss > self.limit:
            self._far += 1
        else:
            self._losses.append(loss)
            self._far = 0

    @property
    def limit(self) -> float:
        """The largest loss that is not far above the median; there is one loss or more."""
        factor = FAR if len(self._losses) >= FEW else FAR_AT_FIRST
        return factor * max(LEAST_MEDIAN, median(self._losses))

    @property
    def is_far(self) -> bool:
        """Whether the last loss was far above the median. A checkpoint of this moment might be of a lost training."""
        return self._far > 0

    @property
    def has_diverged(self) -> bool:
        return self._far >= STEPS

    def state(self) -> Tensor:
        """What a checkpoint keeps."""
        return torch.tensor([float(self._far), *self._losses], dtype=torch.float64)

    def restore(self, state: Tensor) -> None:
        """Go back to what `state` returned."""
        far, *losses = [float(value) for value in state.flatten()[: WINDOW + 1]] or [0.0]
        self._far, self._losses = int(far), deque(losses, maxlen=WINDOW)
