"""Recurrence over frames: (features, state) -> (features, state). The caller keeps the state.

A state is one map [b, c, h, w]; its size does not depend on the number of frames. `elapsed` is the time since the frame
before, in frame intervals of the training clips (None: 1 each). It is part of each unit's equation: a step of length d
equals d steps of length 1 with the same gates. So after a lost frame, or with a camera of another frame rate, the state
changes by the time that has passed. At length 1 every unit is the published one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Elapsed = Float[Tensor, "b t"]


def step_lengths(elapsed: Elapsed | None, frames: int, like: Tensor) -> list[Tensor | None]:
    """The step length of each frame, in a shape that broadcasts against the map `like`; None: length 1."""
    if elapsed is None:
        return [None] * frames
    return [step.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1)) for step in elapsed.unbind(1)]


def update_share(gate: Tensor, step: Tensor | None) -> Tensor:
    """The share of the state that a step replaces; it is `gate` for a step of length 1."""
    return gate if step is None else 1 - (1 - gate).clamp(min=0) ** step


class ConvGRU(nn.Module):
    """A gated recurrent unit whose gates are 3x3 convolutions (Ballas et al., ICLR 2016).

    State: hidden, [b, c, h, w].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_input = nn.Conv2d(width, 3 * width, 3, padding=1)
        self.gates_from_hidden = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.content_from_hidden = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.out = nn.Conv2d(width, width, 1)

    def forward(
        self,
        features: Float[Tensor, "b t c h w"],
        hidden: Float[Tensor, "b c h w"] | None,
        elapsed: Elapsed | None = None,
    ) -> tuple[Float[Tensor, "b t c h w"], Float[Tensor, "b c h w"]]:
        projected = torch.unflatten(self.from_input(features.flatten(0, 1)), 0, features.shape[:2])
        if hidden is None:
            hidden = torch.zeros_like(features[:, 0])
        outputs = []
        for now, step in zip(projected.unbind(1), step_lengths(elapsed, features.shape[1], hidden), strict=True):
            gates, content = torch.split(now, [2 * hidden.shape[1], hidden.shape[1]], 1)
            update, reset = (gates + self.gates_from_hidden(hidden)).sigmoid().chunk(2, 1)
            fresh = (content + self.content_from_hidden(reset * hidden)).tanh()
            hidden = hidden + update_share(update, step) * (fresh - hidden)
            outputs.append(hidden)
        stacked = torch.stack(outputs, 1)
        return torch.unflatten(self.out(stacked.flatten(0, 1)), 0, features.shape[:2]), hidden


def lstm_step(
    gates: Float[Tensor, "b c4 *s"], cell: Float[Tensor, "b c *s"], step: Tensor | None
) -> tuple[Float[Tensor, "b c *s"], Float[Tensor, "b c *s"]]:
    """(hidden, cell) after one frame (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    Over a step of length d the cell keeps `forget ** d` and adds the geometric sum of d steps of length 1.
    """
    admit, forget, show, content = gates.chunk(4, 1)
    admit, forget, show = admit.sigmoid(), (forget + 1).sigmoid(), show.sigmoid()  # + 1: keeps its state from the start
    fresh = admit * content.tanh()
    if step is None:
        cell = forget * cell + fresh
    else:
        forget = forget.clamp(1e-4, 1 - 1e-4)
        kept = forget**step
        cell = kept * cell + (1 - kept) / (1 - forget) * fresh
    return show * cell.tanh(), cell


class ConvLSTM(nn.Module):
    """Long short-term memory whose gates are 3x3 convolutions (Shi et al., NeurIPS 2015).

    State: hidden and cell, [b, 2c, h, w].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_input = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.from_hidden = nn.Conv2d(width, 4 * width, 3, padding=1, bias=False)
        self.out = nn.Conv2d(width, width, 1)

    def forward(
        self,
        features: Float[Tensor, "b t c h w"],
        state: Float[Tensor, "b c2 h w"] | None,
        elapsed: Elapsed | None = None,
    ) -> tuple[Float[Tensor, "b t c h w"], Float[Tensor, "b c2 h w"]]:
        projected = torch.unflatten(self.from_input(features.flatten(0, 1)), 0, features.shape[:2])
        blank = torch.zeros_like(features[:, 0])
        hidden, cell = (blank, blank) if state is None else state.chunk(2, 1)
        outputs = []
        for now, step in zip(projected.unbind(1), step_lengths(elapsed, features.shape[1], blank), strict=True):
            hidden, cell = lstm_step(now + self.from_hidden(hidden), cell, step)
            outputs.append(hidden)
        output = self.out(torch.stack(outputs, 1).flatten(0, 1))
        return torch.unflatten(output, 0, features.shape[:2]), torch.cat([hidden, cell], 1)


class PooledLSTM(nn.Module):
    """Long short-term memory over the mean of each frame, as in a classic CNN-RNN: cheap, without spatial information.

    Its output is the same in every cell. State: hidden and cell, [b, 2c, 1, 1].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(width, 4 * width)
        self.from_hidden = nn.Linear(width, 4 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        features: Float[Tensor, "b t c h w"],
        state: Float[Tensor, "b c2 1 1"] | None,
        elapsed: Elapsed | None = None,
    ) -> tuple[Float[Tensor, "b t c h w"], Float[Tensor, "b c2 1 1"]]:
        projected = self.from_input(features.mean((-2, -1)))
        blank = torch.zeros_like(features[:, 0, :, 0, 0])
        hidden, cell = (blank, blank) if state is None else state.flatten(1).chunk(2, 1)
        outputs = []
        for now, step in zip(projected.unbind(1), step_lengths(elapsed, features.shape[1], blank), strict=True):
            hidden, cell = lstm_step(now + self.from_hidden(hidden), cell, step)
            outputs.append(hidden)
        output = self.out(torch.stack(outputs, 1))[..., None, None].expand_as(features)
        return output, torch.cat([hidden, cell], 1)[..., None, None]


Temporal = ConvGRU | ConvLSTM | PooledLSTM
TEMPORALS: dict[str, Callable[[int], Temporal]] = {"conv_gru": ConvGRU, "conv_lstm": ConvLSTM, "lstm": PooledLSTM}


def state_shape(name: str, width: int, height_cells: int, width_cells: int) -> tuple[int, int, int]:
    """(channels, height, width) of the state of a unit of TEMPORALS for a map of that size."""
    maps = {"conv_gru": 1, "conv_lstm": 2, "lstm": 2}[name]
    return (maps * width, 1, 1) if name == "lstm" else (maps * width, height_cells, width_cells)
