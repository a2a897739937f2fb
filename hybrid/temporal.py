"""Recurrence over frames: features, state -> features, state. The caller keeps the state."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ConvGRU(nn.Module):
    """A gated recurrent unit whose gates are 3x3 convolutions (Ballas et al., ICLR 2016), one hidden map a level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_input = nn.Conv2d(width, 3 * width, 3, padding=1)
        self.gates_from_hidden = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.content_from_hidden = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.out = nn.Conv2d(width, width, 1)

    def forward(
        self, features: Float[Tensor, "b t c h w"], hidden: Float[Tensor, "b c h w"] | None
    ) -> tuple[Float[Tensor, "b t c h w"], Float[Tensor, "b c h w"]]:
        given = torch.unflatten(self.from_input(features.flatten(0, 1)), 0, features.shape[:2])
        if hidden is None:
            hidden = torch.zeros_like(features[:, 0])
        over_time = []
        for now in given.unbind(1):
            gates, content = torch.split(now, [2 * hidden.shape[1], hidden.shape[1]], 1)
            update, reset = (gates + self.gates_from_hidden(hidden)).sigmoid().chunk(2, 1)
            fresh = (content + self.content_from_hidden(reset * hidden)).tanh()
            hidden = hidden + update * (fresh - hidden)
            over_time.append(hidden)
        stacked = torch.stack(over_time, 1)
        return torch.unflatten(self.out(stacked.flatten(0, 1)), 0, features.shape[:2]), hidden
