"""Depth as a second input: a small network whose maps are added to the pyramid's levels; without depth it adds nothing.

A network that was trained with depth so works without it. Dropping the depth of whole clips in training makes it work
well (ModelConfig.depth_dropout).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.model.frame.backbone import Residual
from hybrid.model.frame.stages import STRIDES, Maps, normalised

RELIEF_M = 0.01  # the height that is scaled to 1
RELIEF_WINDOW_PX = 33  # heights are relative to the mean depth in a square of this side
TYPICAL_M = 0.5  # the distance whose logarithm is scaled to 0


def readable(depth_m: Float32[Tensor, "n h w"]) -> Float32[Tensor, "n 3 h w"]:
    """Depth as input channels: height above the surroundings, logarithm of the distance, and a mask of valid pixels.

    A pixel is valid if its depth is finite and above 0.
    """
    valid = torch.isfinite(depth_m) & (depth_m > 0)
    depth = torch.where(valid, depth_m, 0.0)
    weight = valid.float()
    share, mean = (F.avg_pool2d(x[:, None], RELIEF_WINDOW_PX, 1, RELIEF_WINDOW_PX // 2)[:, 0] for x in (weight, depth))
    relief = ((mean / share.clamp(min=1e-6) - depth) / RELIEF_M).clamp(-3, 3)
    distance = (depth.clamp(min=1e-3) / TYPICAL_M).log().clamp(-3, 3)
    return torch.stack([relief * weight, distance * weight, weight], 1)


class DepthBranch(nn.Module):
    """Maps that are added to the lateral maps of the pyramid, with one gate per level."""

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

    def forward(self, depth_m: Float32[Tensor, "n h w"], present: Float[Tensor, " n"]) -> Maps:
        """`depth_m`: padded to multiples of the coarsest stride. `present`: 0 where the depth is dropped, else 1."""
        x = self.stem(readable(depth_m))
        maps = []
        for stage, out, gate in zip(self.stages, self.out, self.gates, strict=True):
            x = stage(x)
            maps.append(gate * present[:, None, None, None] * out(x))
        return tuple(maps)
