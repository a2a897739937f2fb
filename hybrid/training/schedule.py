"""Learning rates and averaging over the steps, and which parameters learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from hybrid.model.network import Network
from hybrid.training.config import Stage, TrainConfig

STAGES = 3  # of a backbone
# Parameters of the branches that join the CNN after its own stage. The CNN works without them.
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
    """AdamW's parameter groups, by the rates in each stage and the weight decay.

    Vectors (biases, norms, gates) have no weight decay. Parameters that learn in no stage are in no group.
    """
    groups: dict[tuple[tuple[float, ...], float], list[nn.Parameter]] = {}
    shares = [stage_shares(detector, config, stage) for stage in config.plan()]
    for parameter in detector.parameters():
        own = tuple(one[parameter] for one in shares)
        parameter.requires_grad_(any(own))
        if any(own):
            groups.setdefault((own, config.weight_decay if parameter.ndim > 1 else 0.0), []).append(parameter)
    return [
        {"params": parameters, "lr": config.learning_rate * max(own), "shares": own, "weight_decay": decay}
        for (own, decay), parameters in groups.items()
    ]


def group_rate(config: TrainConfig, shares: Sequence[float], step: int) -> float:
    """The learning rate of a parameter group in a step; `shares` are its rates in the stages.

    What begins to learn in a later stage has a warm-up of its own from there.
    """
    stages, index = config.plan(), config.stage_of(step)
    if not shares[index]:
        return 0.0
    first = max((k + 1 for k in range(index) if not shares[k]), default=0)
    joined = sum(stage.steps for stage in stages[:first])
    return config.learning_rate * shares[index] * rate(config, step, joined)


def stage_shares(detector: Network, config: TrainConfig, stage: Stage) -> dict[Tensor, float]:
    """The rate of each parameter in a stage as a fraction of the learning rate; 0: frozen."""
    places = {p: k for k, part in enumerate(detector.backbone.stages()) for p in part.parameters()}
    shares: dict[Tensor, float] = {}
    for name, parameter in detector.named_parameters():
        k = places.get(parameter)
        shares[parameter] = _share(name, k, config, stage)
    return shares


def _share(name: str, backbone_stage: int | None, config: TrainConfig, stage: Stage) -> float:
    part = name.split(".")[0]
    names = [part] if backbone_stage is None else [f"{part}.{backbone_stage}", part]  # the most exact one first
    if stage.branches == "cnn" and name.startswith(JOINING):
        return 0.0
    if stage.train and not any(one in stage.train for one in names):
        return 0.0
    stated = next((share for one in names for key, share in stage.rates.items() if key == one), None)
    if stated is not None:
        return stated
    if backbone_stage is None:
        return 1.0
    if backbone_stage < config.frozen_stages:
        return 0.0
    return config.backbone_rate * config.stage_decay ** (STAGES - 1 - backbone_stage)


def keep_frozen(detector: Network, config: TrainConfig, stage: Stage | None = None) -> None:
    """Set frozen stages of the backbone to eval mode, so that their norms keep their statistics.

    Call it after `.train()`. Frozen are `config.frozen_stages`, and what does not learn in `stage`.
    """
    shares = stage_shares(detector, config, stage) if stage is not None and config.stages else {}
    for k, part in enumerate(detector.backbone.stages()):
        own = [shares[p] for p in part.parameters() if p in shares]
        if k < config.frozen_stages or (own and not any(own)):
            part.eval()
