"""Learning rates and decay over the steps; which parameters learn."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from hybrid.model.network import Network
from hybrid.training.config import TrainConfig

# parts that the CNN can do without, and that join it after TrainConfig.cnn_steps
JOINING = ("context.", "between.", "decoder.objects.", "decoder.belt.")


def rate(config: TrainConfig, step: int, joins: int = 0) -> float:
    """The learning rate of step `step` as a share of `learning_rate`: linear warm-up, then half a cosine.

    What joins the training at step `joins` is warmed up from there.
    """
    if joins:
        return rate(config, step) * min(1.0, max(0, step - joins + 1) / (config.warmup_steps + 1))
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    if config.schedule == "constant":
        return 1.0
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.last_rate + (1 - config.last_rate) * (1 + math.cos(math.pi * done)) / 2


def ema_decay(config: TrainConfig, step: int) -> float:
    """Of the moving average: it spans a ninth of the steps so far, so short runs forget their start as long ones do."""
    return min(config.ema_decay, (1 + step) / (10 + step))


def parameter_groups(detector: Network, config: TrainConfig) -> list[dict[str, Any]]:
    """AdamW's groups. Vectors (biases, norms, gates) do not decay; the backbone's stages have rates of their own."""
    groups: dict[tuple[float, float, int], list[nn.Parameter]] = {}
    of_stage = stage_rates(detector, config)
    for name, parameter in detector.named_parameters():
        share = of_stage.get(parameter, 1.0)
        parameter.requires_grad_(share > 0)
        if share > 0:
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            joins = config.cnn_steps if name.startswith(JOINING) else 0
            groups.setdefault((share, decay, joins), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": config.learning_rate * share,
            "share": share,
            "weight_decay": decay,
            "joins": joins,
        }
        for (share, decay, joins), parameters in groups.items()
    ]


def stage_rates(detector: Network, config: TrainConfig) -> dict[Tensor, float]:
    """The share of the learning rate of each of the backbone's parameters; 0: it stays as it is."""
    stages = detector.backbone.stages()
    return {
        parameter: 0.0
        if k < config.frozen_stages
        else config.backbone_rate * config.stage_decay ** (len(stages) - 1 - k)
        for k, stage in enumerate(stages)
        for parameter in stage.parameters()
    }


def keep_frozen(detector: Network, config: TrainConfig) -> None:
    """After `detector.train()`: frozen stages keep the statistics of their norms too."""
    for stage in detector.backbone.stages()[: config.frozen_stages]:
        stage.eval()
