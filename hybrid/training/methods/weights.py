"""Methods that act on the weights alone: the backbone waits, the weights stay near their start, both are mixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hybrid.model.network import Network
from hybrid.model.transfer import category_tensors
from hybrid.training.methods.method import Method, Underway, Weights
from hybrid.training.schedule import keep_frozen

Measure = Callable[[Network], float]  # the accuracy of a network on validation photos, 0 to 1


@dataclass(frozen=True)
class Fresh:
    """What of a detector did not come from the checkpoint: it has no start that is worth keeping."""

    tensors: frozenset[str] = frozenset()  # names in the state dict
    rows: tuple[int, ...] = ()  # categories that the checkpoint did not know

    def masks(self, detector: Network) -> dict[str, Tensor]:
        """For each tensor with something fresh: where it is, as a mask that can be broadcast to the tensor."""
        masks: dict[str, Tensor] = {}
        for name, tensor in detector.state_dict().items():
            if name in self.tensors:
                masks[name] = torch.ones((1,) * tensor.ndim, dtype=torch.bool, device=tensor.device)
        for name in category_tensors(detector) - self.tensors if self.rows else ():
            tensor = detector.state_dict()[name]
            mask = torch.zeros((len(tensor),) + (1,) * (tensor.ndim - 1), dtype=torch.bool, device=tensor.device)
            mask[list(self.rows)] = True
            masks[name] = mask
        return masks


@dataclass
class FrozenFirst(Method):
    """The backbone is frozen in the first `share` of the steps, so that new heads do not disturb what it knows."""

    share: float = 0.3
    name: str = field(default="frozen-first", init=False)

    def settings(self) -> dict[str, Any]:
        """See `Method`."""
        return {"name": self.name, "share": self.share}

    def before_step(self, training: Underway) -> None:
        """See `Method`."""
        config = training.config
        waits = training.steps_done < self.share * config.steps
        learning = {parameter for group in training.optimizer.param_groups for parameter in group["params"]}
        for stage in training.detector.backbone.stages():
            stage.train(not waits)
            for parameter in stage.parameters():
                parameter.requires_grad_(parameter in learning and not waits)
        keep_frozen(training.detector, config)


@dataclass
class L2SP(Method):
    """A penalty on the distance from the starting weights: alpha / 2 |w - w0|^2; beta / 2 |w|^2 on what is new.

    L2-SP of Li et al., "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", ICML 2018, with the
    values of its section 4. It takes the place of the weight decay, as there.
    """

    fresh: Fresh = field(default_factory=Fresh)
    alpha: float = 0.1
    beta: float = 0.01
    name: str = field(default="l2-sp", init=False)
    _start: dict[Tensor, Tensor] = field(default_factory=dict, init=False, repr=False)
    _masks: dict[Tensor, Tensor] = field(default_factory=dict, init=False, repr=False)

    def settings(self) -> dict[str, Any]:
        """See `Method`."""
        return {"name": self.name, "alpha": self.alpha, "beta": self.beta}

    def begin(self, training: Underway) -> None:
        """See `Method`."""
        named = dict(training.detector.named_parameters())
        masks = self.fresh.masks(training.detector)
        self._start = {parameter: parameter.detach().clone() for parameter in named.values()}
        self._masks = {parameter: masks[name] for name, parameter in named.items() if name in masks}
        for group in training.optimizer.param_groups:
            group["weight_decay"] = 0.0

    @torch.no_grad()
    def after_backward(self, training: Underway) -> None:
        """See `Method`."""
        for parameter, start in self._start.items():
            if parameter.grad is None:
                continue
            pull = self.alpha * (parameter - start)
            if parameter in self._masks:
                pull = torch.where(self._masks[parameter], self.beta * parameter, pull)
            parameter.grad += pull


@dataclass
class WiseFT(Method):
    """The saved weights are a mix of those before and after the training: (1 - alpha) before + alpha after.

    WiSE-FT of Wortsman et al., "Robust Fine-tuning of Zero-shot Models", CVPR 2022. alpha is chosen on validation
    photos: the smallest one within `slack` of the best accuracy, since a smaller one keeps more of what was known.
    Without validation photos it is 0.5, the paper's own choice. What is new in the detector is taken as it is after.
    """

    fresh: Fresh = field(default_factory=Fresh)
    measure: Measure | None = None
    alphas: Sequence[float] = (0.25, 0.5, 0.75, 1.0)
    slack: float = 0.005
    name: str = field(default="wise-ft", init=False)
    found: dict[str, Any] = field(default_factory=dict, init=False)
    _start: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    def settings(self) -> dict[str, Any]:
        """See `Method`."""
        return {"name": self.name, "alphas": list(self.alphas), "chosen": self.measure is not None}

    def results(self) -> dict[str, Any]:
        """See `Method`."""
        return self.found

    def begin(self, training: Underway) -> None:
        """See `Method`."""
        self._start = {name: tensor.detach().clone() for name, tensor in training.detector.state_dict().items()}

    @torch.no_grad()
    def end(self, detector: Network, weights: Weights) -> Weights:
        """See `Method`."""
        if self.measure is None:
            self.found = {"alpha": 0.5}
            return self._mixed(detector, weights, 0.5)
        scores: dict[float, float] = {}
        for alpha in self.alphas:
            detector.load_state_dict(dict(self._mixed(detector, weights, alpha)))
            scores[alpha] = self.measure(detector)
        best = min(alpha for alpha, score in scores.items() if score >= max(scores.values()) - self.slack)
        self.found = {"alpha": best, "ap_by_alpha": {str(alpha): score for alpha, score in scores.items()}}
        return self._mixed(detector, weights, best)

    def _mixed(self, detector: Network, weights: Weights, alpha: float) -> Weights:
        masks, mixed = self.fresh.masks(detector), dict[str, Tensor]()
        for name, after in weights.items():
            before = self._start[name].to(after.device)
            mixed[name] = torch.lerp(before, after, alpha) if after.is_floating_point() else after.clone()
            if name in masks:
                mixed[name] = torch.where(masks[name].to(after.device), after, mixed[name])
        return mixed
