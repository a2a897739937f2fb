"""Answers beside boxes: which object of the clip each one is (an embedding), and of what class a clip is."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.model.frame.backbone import STRIDES, Maps


class EmbeddingHead(nn.Module):
    """A direction for each query, alike for one object over its clip."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size))

    def forward(self, content: Float[Tensor, "*n c"]) -> Float32[Tensor, "*n e"]:
        return F.normalize(self.inner(content).float(), dim=-1)


class ClipHead(nn.Module):
    """Of what class a clip is: every level's mean and maximum, a recurrence over frames, a score for each class.

    A frame's answer is that of the clip up to there, so the last frame's is the whole clip's. The maximum is what lets
    a scratch of a few pixels count.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Linear(2 * len(STRIDES) * width, width), nn.LayerNorm(width), nn.ReLU())
        self.unit = nn.GRUCell(width, width)
        self.out = nn.Linear(2 * width, classes)

    def forward(
        self, maps: Maps, clips: int, hidden: Float[Tensor, "b c"] | None
    ) -> tuple[Float32[Tensor, "b t k"], Float32[Tensor, "b c"]]:
        pooled = torch.cat([x.float().mean((2, 3)) for x in maps] + [x.float().amax((2, 3)) for x in maps], 1)
        with torch.autocast(pooled.device.type, enabled=False):  # a few numbers a frame: not worth rounding
            seen = torch.unflatten(self.squeeze(pooled), 0, (clips, -1))
            hidden = torch.zeros_like(seen[:, 0]) if hidden is None else hidden
            answers = []
            for now in seen.unbind(1):
                hidden = self.unit(now, hidden)
                answers.append(self.out(torch.cat([hidden, now], 1)))
        return torch.stack(answers, 1), hidden
