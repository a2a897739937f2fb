"""The track network: is each tracked part there, how much of it can be seen, and where is it.

It looks at all tracks of a frame, and at what the detector found of each. A gated recurrent unit for each track
remembers what was seen of it. A transformer relates the tracks to each other: a part that covers another one, parts
that move together, two tracks of one part. The detector's CNN stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn

from hybrid.core.boxes import iou_and_giou, refine, to_corners
from hybrid.core.errors import ConfigError

PAIR_NUMBERS = 7  # of two tracks, see `_pairs`
DROPOUT = 0.1  # in training


@dataclass(frozen=True, kw_only=True)
class TrackNetConfig:
    """The parts of the network, and their sizes. Each part can be switched off, so that its worth can be measured."""

    inputs: int  # numbers of each track, `hybrid.predict.linking.evidence`
    width: int = 64
    heads: int = 4
    layers: int = 2  # of the transformer; 0: each track by itself
    recurrent: bool = True  # False: every frame by itself

    def __post_init__(self) -> None:
        for name, low, high in (("inputs", 1, 1024), ("width", 8, 1024), ("heads", 1, 64), ("layers", 0, 16)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name}: needs {low} to {high}, got {getattr(self, name)}")
        if self.width % self.heads:
            raise ConfigError(f"width: needs a multiple of heads = {self.heads}, got {self.width}")


class TrackOutput(NamedTuple):
    """Of n tracks in t frames of b clips. Logits, and boxes of whole parts."""

    exists: Float32[Tensor, "t b n"]
    fits: Float32[Tensor, "t b n"]  # that the box below fits the part
    visible: Float32[Tensor, "t b n"]
    boxes_cxcywh_px: Float32[Tensor, "t b n 4"]


class TrackNetwork(nn.Module):
    """Tracks of some frames in, a `TrackOutput` and the tracks' memory out; frame by frame or many at once.

    >>> network = TrackNetwork(TrackNetConfig(inputs=3))
    >>> boxes = torch.tensor([[[[20.0, 20.0, 8.0, 6.0], [40.0, 20.0, 8.0, 6.0]]]])
    >>> alive = torch.ones(1, 1, 2, dtype=torch.bool)
    >>> output, memory = network(torch.zeros(1, 1, 2, 3), boxes, alive, torch.zeros(1, 2, 64))
    >>> output.exists.shape, bool((output.boxes_cxcywh_px == boxes).all()), memory.shape
    (torch.Size([1, 1, 2]), True, torch.Size([1, 2, 64]))
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, config: TrackNetConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.register_buffer("mean", torch.zeros(config.inputs))
        self.register_buffer("spread", torch.ones(config.inputs))
        self.enter = nn.Sequential(nn.Linear(config.inputs, width), nn.ReLU(), nn.Linear(width, width))
        self.unit = nn.GRUCell(width, width) if config.recurrent else None
        self.relation = nn.Sequential(nn.Linear(PAIR_NUMBERS, 12), nn.ReLU(), nn.Linear(12, 2 * config.heads))
        self.layers = nn.ModuleList(_Layer(width, config.heads) for _ in range(config.layers))
        self.drop = nn.Dropout(DROPOUT)
        self.norm = nn.LayerNorm(width)
        self.last = nn.Sequential(nn.Linear(width + config.inputs, 2 * width), nn.ReLU(), nn.Linear(2 * width, 7))
        final = self.last[-1]
        assert isinstance(final, nn.Linear)
        nn.init.zeros_(final.weight)
        nn.init.zeros_(final.bias)

    def forward(
        self,
        numbers: Float32[Tensor, "t b n f"],
        boxes_cxcywh_px: Float32[Tensor, "t b n 4"],
        alive: Bool[Tensor, "t b n"],
        memory: Float32[Tensor, "b n c"],
    ) -> tuple[TrackOutput, Float32[Tensor, "b n c"]]:
        """What is said of each track in each frame, and the tracks' memory after the last one.

        Args:
            numbers: of each track, as `hybrid.predict.linking.evidence` gives them.
            boxes_cxcywh_px: of the whole parts, as the follower has them; with an area also where no track is alive.
            alive: False: there is no such track yet or any more.
            memory: after the frame before; 0 for new tracks.
        """
        scaled = (numbers - self.mean) / self.spread
        token = self.drop(self.enter(scaled))
        if self.unit is not None:
            remembered = []
            for now, there in zip(token, alive, strict=True):
                after = self.unit(now.flatten(0, 1), memory.flatten(0, 1))
                memory = torch.unflatten(after, 0, memory.shape[:2]) * there[..., None]
                remembered.append(memory)
            token = token + torch.stack(remembered)
        token, frames = token.flatten(0, 1), token.shape[:2]
        if len(self.layers):
            relation = self.relation(_pairs(boxes_cxcywh_px.flatten(0, 1), numbers[..., 0].flatten(0, 1)))
            for layer in self.layers:
                token = layer(token, relation, alive.flatten(0, 1))
        said = self.last(self.drop(torch.cat([torch.unflatten(self.norm(token), 0, frames), scaled], -1)))
        exists, fits, visible, *change = said.unbind(-1)
        return TrackOutput(exists, fits, visible, refine(boxes_cxcywh_px, torch.stack(change, -1))), memory


class _Layer(nn.Module):
    """Attention between the tracks of a frame, with a bias from where they are to each other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.out = nn.Linear(width + heads, width)
        wide = 2 * width
        self.feed = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, wide), nn.ReLU(), nn.Linear(wide, width))

    def forward(
        self, token: Float32[Tensor, "m n c"], relation: Float32[Tensor, "m n n _"], alive: Bool[Tensor, "m n"]
    ) -> Float32[Tensor, "m n c"]:
        query, key, value = (
            torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)
            for x in self.between(self.before(token)).chunk(3, -1)
        )
        bias, told = relation.permute(0, 3, 1, 2).chunk(2, 1)  # [m, heads, n, n]
        weight = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias
        weight = weight.masked_fill(~alive[:, None, None], -1e4).softmax(-1)
        seen = (weight @ value).transpose(1, 2).flatten(2)
        where = (weight * told).sum(-1).transpose(1, 2)
        token = token + self.out(torch.cat([seen, where], -1))
        return token + self.feed(token)  # type: ignore[no-any-return]


def _pairs(boxes_cxcywh_px: Float32[Tensor, "m n 4"], found: Float32[Tensor, "m n"]) -> Float32[Tensor, "m n n _"]:
    """Where each track (last but one axis) is for each other one: offset and size in sides, overlap, found or not."""
    side = boxes_cxcywh_px[..., 2:].clamp(min=1.0).prod(-1).sqrt()
    off = (boxes_cxcywh_px[:, None, :, :2] - boxes_cxcywh_px[:, :, None, :2]) / side[:, :, None, None]
    off = off.clamp(-4, 4)
    size = (side[:, None] / side[:, :, None]).log().clamp(-2, 2)
    corners = to_corners(boxes_cxcywh_px)
    overlap, _ = iou_and_giou(corners[:, :, None], corners[:, None])
    itself = torch.eye(side.shape[1], device=side.device).expand_as(overlap)
    near = torch.exp(-off.square().sum(-1))
    return torch.cat([off, torch.stack([size, overlap, near, itself, found[:, None].expand_as(overlap)], -1)], -1)
