"""Early stop: the averaged weights that are best on held-out clips, measured every `validate_every` steps.

`best.safetensors` in the run's folder holds them. They become `ema.safetensors` when the training ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.run.pictures import evaluating
from hybrid.weights.checkpoint import load, save_detector

BEST, STATE = "best.safetensors", "best"  # the file, and the name in a checkpoint


class BestWeights:
    """Keeps the best weights so far, and says when they have not become better for `patience` measurements."""

    def __init__(
        self, folder: Path, config: TrainConfig, measure: Callable[[Network], float], kept: Mapping[str, Tensor]
    ) -> None:
        """`measure` returns the AP of a network; `kept` is what the checkpoint holds."""
        self._file, self._config, self._measure = folder / BEST, config, measure
        stored: list[float] = kept.get(STATE, torch.zeros(0)).flatten().tolist()
        self._ap, self._step, self._worse = stored if len(stored) == 3 else [-1.0, 0.0, 0.0]

    @property
    def is_over(self) -> bool:
        """Whether the training ends here: it has not become better for long enough."""
        return 0 < self._config.patience <= self._worse

    def is_due(self, step: int) -> bool:
        """Whether the weights are measured after this step."""
        every = self._config.validate_every
        return every > 0 and (step % every == 0 or step == self._config.steps)

    def measured(self, step: int, detector: Network) -> float:
        """Measure the weights after a step, and keep them if they are the best. Returns their AP, 0..1."""
        with evaluating(detector):
            ap = self._measure(detector)
        if ap > self._ap:
            save_detector(self._file, detector)
            self._ap, self._step, self._worse = ap, float(step), 0.0
        else:
            self._worse += 1
        return ap

    def weights(self) -> Mapping[str, Tensor] | None:
        """The best weights; None where none were measured."""
        return load(self._file).state_dict() if self._step else None

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {STATE: torch.tensor([self._ap, self._step, self._worse], dtype=torch.float64)}

    def record(self, step: int) -> dict[str, Any]:
        """For run.json, after the last step `step`."""
        if not self._step:
            return {}
        stop = {"best_step": int(self._step), "ap": self._ap, "steps_done": step, "early": step < self._config.steps}
        return {"early_stop": stop}
