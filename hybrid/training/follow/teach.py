"""Train the track network on lessons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hybrid.core.boxes import iou_and_giou, to_corners
from hybrid.core.errors import ConfigError
from hybrid.core.progress import Progress, silent
from hybrid.model.objects.track_net import TrackNetConfig, TrackNetwork
from hybrid.training.follow.lessons import Lesson

FIT_IOU = 0.5
WEIGHTS = {"exists": 1.0, "fits": 1.0, "visible": 0.3, "box": 1.0}


@dataclass(frozen=True, kw_only=True)
class TeachConfig:
    """Settings of the training."""

    steps: int = 1200
    batch: int = 8  # clips
    lr: float = 2e-3
    warm_up: int = 50
    weight_decay: float = 1e-2
    most_tracks: int = 40  # of a clip in a batch, drawn; so that a step has a bounded cost
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not 0 < self.lr <= 0.1 or self.most_tracks < 2:
            raise ConfigError(f"needs steps and batch of 1 or more, 0 < lr <= 0.1 and most_tracks >= 2, got {self}")


def teach(
    lessons: Sequence[Lesson], config: TrackNetConfig, settings: TeachConfig, progress: Progress = silent
) -> TrackNetwork:
    """A track network that learned from these lessons, in evaluation mode.

    Raises:
        ConfigError: there is no lesson with a track.
    """
    lessons = [one for one in lessons if one.alive.any()]
    if not lessons:
        raise ConfigError("no clip has a track to learn from: the detector finds nothing in them")
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    network = TrackNetwork(config)
    rows = np.concatenate([one.numbers[one.alive] for one in lessons])
    network.mean.copy_(torch.from_numpy(rows.mean(0)))
    network.spread.copy_(torch.from_numpy(rows.std(0) + 0.05))
    optimizer = torch.optim.AdamW(network.parameters(), settings.lr, weight_decay=settings.weight_decay)
    for step in range(settings.steps):
        batch = _batch([lessons[k] for k in rng.integers(0, len(lessons), settings.batch)], settings.most_tracks, rng)
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * _rate(step, settings)
        losses = losses_of(network, batch)
        total = torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum()
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        progress(step + 1, settings.steps, {name: float(value.detach()) for name, value in losses.items()})
    return network.eval()


def _rate(step: int, settings: TeachConfig) -> float:
    """The share of the learning rate: a rise, then half a cosine."""
    return min(1.0, (step + 1) / settings.warm_up) * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


def _batch(lessons: Sequence[Lesson], most: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Clips [t, b, n, ...], padded at their ends with frames, and with tracks, that are not alive."""
    drawn = []
    for one in lessons:
        rows = np.sort(rng.permutation(one.alive.shape[1])[:most])
        drawn.append({name: value[:, rows] for name, value in vars(one).items()})
    size = tuple(max(one["alive"].shape[k] for one in drawn) for k in (0, 1))
    return {name: torch.from_numpy(np.stack([_padded(one[name], size) for one in drawn], 1)) for name in drawn[0]}


def _padded(value: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.pad(value, [(0, whole - own) for own, whole in zip(value.shape, size + value.shape[2:], strict=True)])


def losses_of(network: TrackNetwork, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The losses by name: means over the tracks and frames in which it is known what is there."""
    nothing = torch.zeros(*batch["alive"].shape[1:], network.config.width)
    alive = batch["alive"]
    places = torch.where(alive[..., None], batch["boxes_cxcywh_px"], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    said, _ = network(batch["numbers"], places, alive, nothing)
    taught, exists = alive & batch["taught"], batch["exists"]
    there = taught & exists
    boxes = to_corners(said.boxes_cxcywh_px)
    overlap, giou = iou_and_giou(boxes, batch["whole_xyxy_px"])
    of_seen, _ = iou_and_giou(boxes, batch["seen_xyxy_px"])
    fits = (torch.maximum(overlap, of_seen).detach() >= FIT_IOU) & exists
    side = batch["boxes_cxcywh_px"][..., 2:].clamp(min=1).prod(-1).sqrt()[..., None]
    apart = F.smooth_l1_loss(boxes / side, batch["whole_xyxy_px"] / side, reduction="none", beta=0.1).mean(-1)
    return {
        "exists": _mean(_bce(said.exists, exists.float()), taught),
        "fits": _mean(_bce(said.fits, fits.float()), taught),
        "visible": _mean(_bce(said.visible, batch["shares"].clamp(0, 1)), there),
        "box": _mean(2 * apart + 0.5 * (1 - giou), there),
    }


def _bce(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def _mean(value: Tensor, where: Tensor) -> Tensor:
    return torch.where(where, value, 0.0).sum() / where.sum().clamp(min=1)
