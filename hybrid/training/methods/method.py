"""What a training method may do beside the engine's own steps. `hybrid.training.loop.train` takes a list of them.

A method is one file of this folder and one row in `hybrid.training.methods.table`. It keeps nothing that a resumed run
could not know again: the weights at the start (a run begins with them each time it is resumed), the step, the seed,
and the moving average, which stands in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor

if TYPE_CHECKING:
    import torch

    from hybrid.losses.criterion import Criterion
    from hybrid.model.network import Network
    from hybrid.training.config import TrainConfig
    from hybrid.training.samples.batch import TrainBatch

Weights = Mapping[str, Tensor]  # a state dict


@runtime_checkable
class Underway(Protocol):
    """What a method sees of the training (`hybrid.training.step.Training`)."""

    @property
    def config(self) -> TrainConfig: ...
    @property
    def detector(self) -> Network: ...
    @property
    def averaged(self) -> Network: ...  # the moving average of the weights
    @property
    def criterion(self) -> Criterion: ...
    @property
    def optimizer(self) -> torch.optim.Optimizer: ...
    @property
    def steps_done(self) -> int: ...


@runtime_checkable
class Method(Protocol):
    """The places where a method takes part. Each does nothing by default; a method overrides what it needs."""

    name: str

    def settings(self) -> dict[str, Any]:
        """What decides the weights, as JSON values. It becomes a part of the run's identity."""
        return {"name": self.name}

    def results(self) -> dict[str, Any]:
        """What the method found, as JSON values, for the run's record; after `end`."""
        return {}

    def begin(self, training: Underway) -> None:
        """Before the first step, also of a resumed run: the detector has the weights that the run started from."""
        return

    def before_step(self, training: Underway) -> None:
        """Before each step; `steps_done` is its number, from 0."""
        return

    def losses(self, training: Underway, batch: TrainBatch) -> dict[str, Tensor]:
        """Losses by name, which are added to the step's own. `batch` is on the training's device."""
        return {}

    def after_backward(self, training: Underway) -> None:
        """After the gradients are there, on every process the same, and before they are clipped."""
        return

    def after_step(self, training: Underway) -> None:
        """After the optimizer's step and before the weights are averaged; `steps_done` is still the step's number."""
        return

    def end(self, detector: Network, weights: Weights) -> Weights:
        """The weights to save in place of `weights`, after the last step.

        Called for the averaged weights alone: "raw" stays what the optimizer left. `detector` may be changed.
        """
        return weights
