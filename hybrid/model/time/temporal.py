"""Recurrence over frames: features, state -> features, state. The caller keeps the state.

A state is one map [b, c, h, w] of a size that does not grow with the frames seen. `elapsed` is the time since the frame
before in intervals of the training clips (None: 1 each). It stands in each unit's own equation: a step of length d is d
steps of length 1 with the same gates, so a frame that never came, or a camera of another rate, moves the state as much
as the time that passed, and at 1 every unit is the published one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Elapsed = Float[Tensor, "b t"]


def over_time(elapsed: Elapsed | None, frames: int, like: Tensor) -> list[Tensor | None]:
    """The step of each frame, shaped to stand before a map `like`."""
    if elapsed is None:
        return [None] * frames
    return [step.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1)) for step in elapsed.unbind(1)]


def update_share(gate: Tensor, step: Tensor | None) -> Tensor:
    """The share of a state that is new after a step: `gate` after one of length 1."""
    return gate if step is None else 1 - (1 - gate).clamp(min=0) ** step


class ConvGRU(nn.Module):
    """A gated recurrent unit whose gates are 3x3 convolutions (Ballas et al., ICLR 2016), one hidden map a level."""

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
        given = torch.unflatten(self.from_input(features.flatten(0, 1)), 0, features.shape[:2])
        if hidden is None:
            hidden = torch.zeros_like(features[:, 0])
        seen = []
        for now, step in zip(given.unbind(1), over_time(elapsed, features.shape[1], hidden), strict=True):
            gates, content = torch.split(now, [2 * hidden.shape[1], hidden.shape[1]], 1)
            update, reset = (gates + self.gates_from_hidden(hidden)).sigmoid().chunk(2, 1)
            fresh = (content + self.content_from_hidden(reset * hidden)).tanh()
            hidden = hidden + update_share(update, step) * (fresh - hidden)
            seen.append(hidden)
        stacked = torch.stack(seen, 1)
        return torch.unflatten(self.out(stacked.flatten(0, 1)), 0, features.shape[:2]), hidden


def lstm_step(
    gates: Float[Tensor, "b c4 *s"], cell: Float[Tensor, "b c *s"], step: Tensor | None
) -> tuple[Float[Tensor, "b c *s"], Float[Tensor, "b c *s"]]:
    """(hidden, cell) after one frame (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    Over a step d the cell keeps `forget ** d` and takes in the geometric sum that d steps would have taken in.
    """
    take, forget, show, content = gates.chunk(4, 1)
    take, forget, show = take.sigmoid(), (forget + 1).sigmoid(), show.sigmoid()  # + 1: remembers from the start
    fresh = take * content.tanh()
    if step is None:
        cell = forget * cell + fresh
    else:
        forget = forget.clamp(1e-4, 1 - 1e-4)
        kept = forget**step
        cell = kept * cell + (1 - kept) / (1 - forget) * fresh
    return show * cell.tanh(), cell


class ConvLSTM(nn.Module):
    """Long short-term memory whose gates are 3x3 convolutions (Shi et al., NeurIPS 2015). State: hidden and cell."""

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
        given = torch.unflatten(self.from_input(features.flatten(0, 1)), 0, features.shape[:2])
        blank = torch.zeros_like(features[:, 0])
        hidden, cell = (blank, blank) if state is None else state.chunk(2, 1)
        seen = []
        for now, step in zip(given.unbind(1), over_time(elapsed, features.shape[1], blank), strict=True):
            hidden, cell = lstm_step(now + self.from_hidden(hidden), cell, step)
            seen.append(hidden)
        answer = self.out(torch.stack(seen, 1).flatten(0, 1))
        return torch.unflatten(answer, 0, features.shape[:2]), torch.cat([hidden, cell], 1)


class PooledLSTM(nn.Module):
    """Long short-term memory over each frame's mean, as in the classic CNN-RNN: cheap, and blind to where things are.

    Its answer is the same at every place. State: hidden and cell, [b, 2c, 1, 1].
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
        given = self.from_input(features.mean((-2, -1)))
        blank = torch.zeros_like(features[:, 0, :, 0, 0])
        hidden, cell = (blank, blank) if state is None else state.flatten(1).chunk(2, 1)
        seen = []
        for now, step in zip(given.unbind(1), over_time(elapsed, features.shape[1], blank), strict=True):
            hidden, cell = lstm_step(now + self.from_hidden(hidden), cell, step)
            seen.append(hidden)
        answer = self.out(torch.stack(seen, 1))[..., None, None].expand_as(features)
        return answer, torch.cat([hidden, cell], 1)[..., None, None]


Temporal = ConvGRU | ConvLSTM | PooledLSTM
TEMPORALS: dict[str, Callable[[int], Temporal]] = {"conv_gru": ConvGRU, "conv_lstm": ConvLSTM, "lstm": PooledLSTM}


def state_shape(name: str, width: int, height_cells: int, width_cells: int) -> tuple[int, int, int]:
    """(channels, height, width) of the state that a row of TEMPORALS keeps of a map of that size."""
    maps = {"conv_gru": 1, "conv_lstm": 2, "lstm": 2}[name]
    return (maps * width, 1, 1) if name == "lstm" else (maps * width, height_cells, width_cells)
