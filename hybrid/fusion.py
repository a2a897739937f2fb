"""How the branches over time join what the CNN saw. FUSIONS: (width, branches, gate) -> module."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Gated(nn.Module):
    """`c + sum of gate_i * f_i`, one gate a channel: a new branch joins a trained CNN without drowning it."""

    def __init__(self, width: int, branches: int, gate: float) -> None:
        super().__init__()
        self.gates = nn.Parameter(torch.full((branches, width, 1, 1), gate))

    def forward(
        self, cnn: Float[Tensor, "n c h w"], branches: Sequence[Float[Tensor, "n c h w"]]
    ) -> Float[Tensor, "n c h w"]:
        for gate, branch in zip(self.gates, branches, strict=True):
            cnn = cnn + gate * branch
        return cnn


class Sum(nn.Module):
    """The plain sum."""

    def __init__(self, width: int, branches: int, gate: float) -> None:
        super().__init__()

    def forward(
        self, cnn: Float[Tensor, "n c h w"], branches: Sequence[Float[Tensor, "n c h w"]]
    ) -> Float[Tensor, "n c h w"]:
        return torch.stack([cnn, *branches]).sum(0)


class Concat(nn.Module):
    """A 1x1 convolution over all of them, which starts at `cnn + gate * the branches' sum`."""

    def __init__(self, width: int, branches: int, gate: float) -> None:
        super().__init__()
        self.mix = nn.Conv2d((1 + branches) * width, width, 1, bias=False)
        with torch.no_grad():
            start = torch.cat([torch.eye(width), *[gate * torch.eye(width)] * branches], 1)
            self.mix.weight.copy_(start[..., None, None])

    def forward(
        self, cnn: Float[Tensor, "n c h w"], branches: Sequence[Float[Tensor, "n c h w"]]
    ) -> Float[Tensor, "n c h w"]:
        return self.mix(torch.cat([cnn, *branches], 1))  # type: ignore[no-any-return]


FUSIONS: dict[str, Callable[[int, int, float], nn.Module]] = {"gated": Gated, "sum": Sum, "concat": Concat}
