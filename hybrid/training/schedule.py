"""Learning rates and averaging over the steps, and which parameters learn."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from hybrid.model.network import Network
from hybrid.training.config import TrainConfig

# Parameters of the branches that join the CNN after TrainConfig.cnn_steps. The CNN works without them.
JOINING = ("context.", "between.", "decoder.objects.", "decoder.belt.")


def rate(config: TrainConfig, step: int, joins: int = 0) -> float:
    """The learning rate of step `step` as a fraction of `learning_rate`: linear warm-up, then half a cosine.

    Parameters that join at step `joins` have a rate of 0 before it and a warm-up of their own after it.
    """
    if joins:
        return rate(config, step) * min(1.0, max(0, step - joins + 1) / (config.warmup_steps + 1))
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    if config.schedule == "constant":
        return 1.0
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.last_rate + (1 - config.last_rate) * (1 + math.cos(math.pi * progress)) / 2


def ema_decay(config: TrainConfig, step: int) -> float:
    """The decay of the moving average after step `step`, at most `config.ema_decay`.

    The average spans about a ninth of the steps so far, so that a short run too forgets its initial weights.
    """
    return min(config.ema_decay, (1 + step) / (10 + step))


def parameter_groups(detector: Network, config: TrainConfig) -> list[dict[str, Any]]:
    """AdamW's parameter groups, by rate, weight decay and the step at which they join.

    Vectors (biases, norms, gates) have no weight decay. The backbone's stages have rates of their own. Parameters with
    a rate of 0 are frozen and belong to no group.
    """
    groups: dict[tuple[float, float, int], list[nn.Parameter]] = {}
    backbone_shares = stage_rates(detector, config)
    for name, parameter in detector.named_parameters():
        share = backbone_shares.get(parameter, 1.0)
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
    """The rate of each backbone parameter as a fraction of the learning rate; 0: frozen."""
    stages = detector.backbone.stages()
    return {
        parameter: 0.0
        if k < config.frozen_stages
        else config.backbone_rate * config.stage_decay ** (len(stages) - 1 - k)
        for k, stage in enumerate(stages)
        for parameter in stage.parameters()
    }


def keep_frozen(detector: Network, config: TrainConfig) -> None:
    """Set the frozen stages to eval mode, so that their norms keep their statistics. Call it after `.train()`."""
    for stage in detector.backbone.stages()[: config.frozen_stages]:
        stage.eval()
