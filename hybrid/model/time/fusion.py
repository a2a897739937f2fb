"""Fusion of the CNN's map with the maps of the branches over time. FUSIONS: (width, branches, gate) -> module."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Gated(nn.Module):
    """`cnn + sum of gate_i * branch_i`, one gate per channel, so that a new branch does not overwhelm a trained CNN."""

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
    """A 1x1 convolution over all maps. Its initial weights give `cnn + gate * sum of branches`."""

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


class CrossAttention(nn.Module):
    """Each cell of the CNN's map attends to the branches in a 3x3 window around it, or to nothing.

    A branch holds the features of a moving part where the part was before, so a cell must reach its neighbours. The
    window keeps the cost linear in the number of cells (Ramachandran et al., NeurIPS 2019). The result is added
    through one gate per channel, as in `Gated`.
    """

    WINDOW = 3

    def __init__(self, width: int, branches: int, gate: float) -> None:
        super().__init__()
        self.heads = max(1, width // 16)
        self.query = nn.Conv2d(width, width, 1)
        self.key = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(branches))
        self.value = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(branches))
        self.beside = nn.Parameter(torch.zeros(branches, self.heads, self.WINDOW**2))  # a bias per neighbour
        self.nobody = nn.Parameter(torch.zeros(self.heads))  # the score of attending to nothing
        self.out = nn.Conv2d(width, width, 1)
        self.gate = nn.Parameter(torch.full((width, 1, 1), gate))

    def forward(
        self, cnn: Float[Tensor, "n c h w"], branches: Sequence[Float[Tensor, "n c h w"]]
    ) -> Float[Tensor, "n c h w"]:
        query = torch.unflatten(self.query(cnn), 1, (self.heads, -1)).flatten(3)
        scores, values = [], []
        outside = self._windows(torch.ones_like(cnn[:1, : self.heads]))[:, :, 0] == 0
        for key, value, beside, branch in zip(self.key, self.value, self.beside, branches, strict=True):
            score = torch.einsum("nhdp,nhdkp->nhkp", query, self._windows(key(branch))) / query.shape[2] ** 0.5
            scores.append((score + beside[..., None]).masked_fill(outside, -torch.inf))
            values.append(self._windows(value(branch)))
        none = self.nobody[:, None, None].expand(len(cnn), -1, 1, query.shape[-1])
        weights = torch.cat([none.to(query.dtype), *scores], 2).softmax(2)[:, :, 1:].to(query.dtype)
        attended = torch.einsum("nhkp,nhdkp->nhdp", weights, torch.cat(values, 3))
        summed: Tensor = cnn + self.gate * self.out(attended.reshape(cnn.shape))
        return summed

    def _windows(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n heads d k hw"]:
        windows = F.unfold(maps, self.WINDOW, padding=self.WINDOW // 2)
        return torch.unflatten(windows, 1, (self.heads, -1, self.WINDOW**2))


FUSIONS: dict[str, Callable[[int, int, float], nn.Module]] = {
    "gated": Gated,
    "sum": Sum,
    "concat": Concat,
    "cross_attention": CrossAttention,
}
