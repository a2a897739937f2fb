"""Depth beside colour: a small network of its own that adds to the pyramid's levels, and adds nothing without depth.

So a detector that was trained with depth works without it; that it also works well is what drop-out of whole clips'
depth in training is for (ModelConfig.depth_dropout).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.model.frame.backbone import STRIDES, Maps, Residual, normalised

RELIEF_M = 0.01  # a height that counts as 1
RELIEF_WINDOW_PX = 33  # heights count over the mean of such a square
TYPICAL_M = 0.5  # a distance that counts as 0


def readable(depth_m: Float32[Tensor, "n h w"]) -> Float32[Tensor, "n 3 h w"]:
    """Depth as a network can use it: height over the surroundings, logarithm of the distance, and where it is known.

    What is not finite or not above 0 is unknown.
    """
    known = torch.isfinite(depth_m) & (depth_m > 0)
    depth = torch.where(known, depth_m, 0.0)
    weight = known.float()
    share, mean = (F.avg_pool2d(x[:, None], RELIEF_WINDOW_PX, 1, RELIEF_WINDOW_PX // 2)[:, 0] for x in (weight, depth))
    relief = ((mean / share.clamp(min=1e-6) - depth) / RELIEF_M).clamp(-3, 3)
    distance = (depth.clamp(min=1e-3) / TYPICAL_M).log().clamp(-3, 3)
    return torch.stack([relief * weight, distance * weight, weight], 1)


class DepthBranch(nn.Module):
    """Maps that are added to the pyramid's lateral ones, each behind a gate of its level."""

    def __init__(self, channels: Sequence[int], gate: float) -> None:
        super().__init__()
        inner = (16, 32, 64)
        self.stem = nn.Sequential(
            nn.Conv2d(3, inner[0], 4, stride=2, padding=1, bias=False), normalised(inner[0]), nn.ReLU()
        )
        steps = zip((inner[0], *inner[:-1]), inner, strict=True)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), normalised(b), nn.ReLU(), Residual(b))
            for a, b in steps
        )
        self.out = nn.ModuleList(nn.Conv2d(i, c, 1) for i, c in zip(inner, channels, strict=True))
        self.gates = nn.Parameter(torch.full((len(STRIDES),), gate))

    def forward(self, depth_m: Float32[Tensor, "n h w"], there: Float[Tensor, " n"]) -> Maps:
        """`depth_m` in whole coarsest cells; `there` is 0 for frames whose depth is left out."""
        x = self.stem(readable(depth_m))
        maps = []
        for stage, out, gate in zip(self.stages, self.out, self.gates, strict=True):
            x = stage(x)
            maps.append(gate * there[:, None, None, None] * out(x))
        return tuple(maps)
