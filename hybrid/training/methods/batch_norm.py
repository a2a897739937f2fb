"""Batch-norm re-estimation: statistics of the new camera's pictures take the place of those of the old data.

AdaBN of Li et al., "Revisiting Batch Normalization for Practical Domain Adaptation", ICLR 2017 workshop. Norms without
statistics (group norm) and the fixed statistics of a pretrained backbone (`norm: frozen`) are left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from hybrid.data.clips import ClipSource
from hybrid.model.network import Network
from hybrid.predict.runtime.engine import as_input
from hybrid.training.config import TrainConfig
from hybrid.training.methods.method import Method, Underway, Weights
from hybrid.training.samples.batch import Batches
from hybrid.training.samples.sampler import WeightedSource

BATCHES = 24  # of the training's size, that the statistics are the mean over


@dataclass
class BatchNorm(Method):
    """Estimates the statistics of all batch norms again at the end, on windows of `source`."""

    source: Callable[[], ClipSource]
    batches: int = BATCHES
    name: str = field(default="batch-norm", init=False)
    found: dict[str, Any] = field(default_factory=dict, init=False)
    _config: TrainConfig | None = field(default=None, init=False, repr=False)

    def settings(self) -> dict[str, Any]:
        """See `Method`."""
        return {"name": self.name, "batches": self.batches}

    def results(self) -> dict[str, Any]:
        """See `Method`."""
        return self.found

    def begin(self, training: Underway) -> None:
        """See `Method`."""
        self._config = training.config

    @torch.no_grad()
    def end(self, detector: Network, weights: Weights) -> Weights:
        """See `Method`."""
        assert self._config is not None, "begin comes first"
        norms = batch_norms(detector)
        self.found = {"norms": len(norms)}
        if not norms:
            return weights
        detector.load_state_dict(dict(weights))
        detector.eval()
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over the batches
            norm.train()
        config = self._config.model_copy(update={"steps": self.batches, "blank_probability": 0.0})
        windows = Batches([WeightedSource(self.source())], config)
        device = next(detector.parameters()).device
        for k in range(self.batches):
            detector(as_input(windows[k].images, device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
        return {name: tensor.detach().clone() for name, tensor in detector.state_dict().items()}


def batch_norms(detector: Network) -> list[nn.BatchNorm2d]:
    """The batch norms that keep statistics of their own."""
    return [
        module for module in detector.modules() if isinstance(module, nn.BatchNorm2d) and module.track_running_stats
    ]
