"""Attention: an encoder over the tokens of this frame and of past frames, and a deformable decoder layer.

Positions are encoded in pixels, so that what is learned on tiles holds for whole images. Encoder layers are post-norm,
decoder layers are pre-norm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.model.frame.stages import STRIDES, Maps


def sine(values: Float32[Tensor, "*n"], width: int, longest: float) -> Float32[Tensor, "*n width"]:
    """Sines and cosines with wavelengths from `longest` down to `longest` / 1000 (Vaswani et al., NeurIPS 2017)."""
    share = torch.arange(width // 2, device=values.device) / max(1, width // 2 - 1)
    angle = values[..., None] * (2 * math.pi / longest) * 1000.0**share
    return torch.cat([angle.sin(), angle.cos()], -1)


def centres(height: int, width: int, stride: int, device: torch.device) -> Float32[Tensor, "hw 2"]:
    """The centre (x, y) of each cell in pixels, row by row."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return (torch.stack([x, y], -1).flatten(0, 1) + 0.5) * stride


def encode_points(points_xy: Float32[Tensor, "*n 2"], width: int) -> Float32[Tensor, "*n width"]:
    """The positional encoding of points in pixels."""
    return sine(points_xy, width // 2, 2048.0).flatten(-2)


def encode_boxes(boxes_cxcywh: Float32[Tensor, "*n 4"], width: int) -> Float32[Tensor, "*n width"]:
    """The positional encoding of boxes in pixels: of the centre, and of the logarithm of the size."""
    size = boxes_cxcywh[..., 2:].clamp(min=1e-2).log()
    return torch.cat([sine(boxes_cxcywh[..., :2], width // 4, 2048.0), sine(size, width // 4, 32.0)], -1).flatten(-2)


class Attention(nn.Module):
    """Multi-head attention. `allowed` is True where a query may attend to a key; None: everywhere."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(
        self,
        query: Float[Tensor, "n q c"],
        key: Float[Tensor, "n k c"],
        value: Float[Tensor, "n k c"],
        allowed: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "n q c"]:
        q, k, v = (
            torch.unflatten(layer(x), -1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, query), (self.key, key), (self.value, value))
        )
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return self.out(attended.transpose(1, 2).flatten(-2))  # type: ignore[no-any-return]


def feed_forward(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))


class EncoderLayer(nn.Module):
    """Self-attention over the tokens of a frame, extended by the tokens of past frames; then a feed-forward net."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.attention_norm = nn.LayerNorm(width)
        self.feed = feed_forward(width)
        self.feed_norm = nn.LayerNorm(width)

    def forward(
        self,
        tokens: Float[Tensor, "n k c"],
        positions: Float[Tensor, "k c"],
        past: Float[Tensor, "n p c"],
        past_positions: Float[Tensor, "p c"],
        allowed: Bool[Tensor, "n 1 1 kp"] | None,
    ) -> Float[Tensor, "n k c"]:
        query = tokens + positions
        keys = torch.cat([query, past + past_positions], 1)
        return self.attend(tokens, query, keys, torch.cat([tokens, past], 1), allowed)

    def attend(
        self,
        tokens: Float[Tensor, "n k c"],
        query: Float[Tensor, "n k c"],
        keys: Float[Tensor, "n v c"],
        values: Float[Tensor, "n v c"],
        allowed: Bool[Tensor, "n 1 1 v"] | None,
    ) -> Float[Tensor, "n k c"]:
        """The tokens after attention to `values` and the feed-forward net."""
        tokens = self.attention_norm(tokens + self.attention(query, keys, values, allowed))
        return self.feed_norm(tokens + self.feed(tokens))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Each token attends to the tokens of its own frame and to the memory of the last `memory_frames` frames.

    The tokens are the cells of the `levels` coarsest levels. The memory is part of the state. It keeps the encoder's
    input on the coarsest level: all cells, pooled twofold, or the `memory_tokens` best cells of each frame by a learned
    score. The output depends on this frame and on earlier ones, never on later ones.
    """

    def __init__(
        self, width: int, heads: int, layers: int, memory_frames: int, levels: int = 1, memory_tokens: int = 0
    ) -> None:
        super().__init__()
        self.memory_frames, self.memory_tokens = memory_frames, memory_tokens
        self.layers = nn.ModuleList(EncoderLayer(width, heads) for _ in range(layers))
        self.age = nn.Parameter(torch.randn(memory_frames, width) * 0.02)  # oldest first
        self.level = nn.Parameter(torch.randn(levels, width) * 0.02) if levels > 1 else None
        self.worth = nn.Linear(width, 1) if memory_tokens and memory_frames else None

    def forward(
        self,
        levels: Sequence[Float[Tensor, "b t c _ _"]],
        memory: Float[Tensor, "b m p c"] | None,
        remembered: Int64[Tensor, " b"] | None = None,
    ) -> tuple[list[Float[Tensor, "b t c _ _"]], Float[Tensor, "b _ p c"]]:
        """Encode a clip.

        Args:
            levels: the maps of the coarsest levels, finest first.
            memory: tokens of the last m frames, oldest first.
            remembered: how many frames of `memory` are valid, the newest ones; None: all.

        Returns:
            The maps with context, and the memory after the clip.
        """
        t = levels[0].shape[1]
        fresh, fresh_positions = self._memory_tokens(levels[-1])
        stored = fresh if memory is None else torch.cat([memory.to(fresh.dtype), fresh], 1)
        tokens = torch.cat([x.flatten(3).transpose(2, 3).flatten(0, 1) for x in levels], 1)
        past, allowed = self._windows(stored, t, tokens.shape[1], remembered)
        past_positions = (self.age[:, None] + fresh_positions).expand(-1, fresh.shape[2], -1).flatten(0, 1)
        positions = self._positions(levels)
        for layer in self.layers:
            tokens = layer(tokens, positions, past, past_positions[past_positions.shape[0] - past.shape[1] :], allowed)
        by_level = torch.split(tokens, [x.shape[-2] * x.shape[-1] for x in levels], 1)
        encoded = [own.transpose(1, 2).reshape(x.shape) for own, x in zip(by_level, levels, strict=True)]
        return encoded, stored[:, max(0, stored.shape[1] - self.memory_frames) :]

    def _positions(self, levels: Sequence[Float[Tensor, "b t c _ _"]]) -> Float[Tensor, "k c"]:
        codes = []
        for k, (x, stride) in enumerate(zip(levels, STRIDES[len(STRIDES) - len(levels) :], strict=True)):
            code = encode_points(centres(x.shape[-2], x.shape[-1], stride, x.device), x.shape[2])
            codes.append(code if self.level is None else code + self.level[k])
        return torch.cat(codes)

    def _memory_tokens(self, features: Float[Tensor, "b t c h w"]) -> tuple[Float[Tensor, "b t p c"], Tensor]:
        """The tokens that the memory keeps of each frame, and the positions to add to them as keys."""
        b, t, c, h, w = features.shape
        if self.worth is None:
            fresh = F.avg_pool2d(features.flatten(0, 1), 2, ceil_mode=True)
            points = centres(fresh.shape[-2], fresh.shape[-1], 2 * STRIDES[-1], features.device)
            return torch.unflatten(fresh.flatten(2).transpose(1, 2), 0, (b, t)), encode_points(points, c)
        tokens = features.flatten(3).transpose(2, 3)
        worth = self.worth(tokens)
        best = worth.detach().topk(tokens_per_frame(h, w, self.memory_tokens), 2).indices
        code = encode_points(centres(h, w, STRIDES[-1], features.device), c).to(tokens.dtype)
        kept = tokens * worth.sigmoid() + code
        return kept.gather(2, best.expand(-1, -1, -1, c)), tokens.new_zeros(())

    def _windows(
        self, stored: Float[Tensor, "b kt p c"], frames: int, own: int, remembered: Int64[Tensor, " b"] | None
    ) -> tuple[Float[Tensor, "n mp c"], Bool[Tensor, "n 1 1 kp"] | None]:
        """The past tokens of each of the last `frames` frames, and the attention mask; None: all are valid.

        `own`: the number of tokens of a frame itself, which may always be attended to.
        """
        b, total, p, _ = stored.shape
        reach = min(self.memory_frames, total - 1)
        padded = F.pad(stored, (0, 0, 0, 0, reach, 0))
        first = total - frames  # the index of the call's first frame in `stored`; in `padded`, its oldest past frame
        past = torch.stack([padded[:, first + k : first + k + reach] for k in range(frames)], 1)
        past = past.flatten(0, 1).flatten(1, 2)
        if first >= reach and remembered is None:
            return past, None
        frame = torch.arange(reach, device=stored.device) + torch.arange(frames, device=stored.device)[:, None]
        frame = frame + (first - reach)  # the index in `stored` of each frame of each window
        begin = stored.new_zeros(b, dtype=torch.int64) if remembered is None else (first - remembered).clamp(min=0)
        valid = (frame >= begin[:, None, None]).flatten(0, 1)
        return past, F.pad(valid.repeat_interleave(p, 1), (own, 0), value=True)[:, None, None]


def tokens_per_frame(height_cells: int, width_cells: int, memory_tokens: int) -> int:
    """The number of tokens that the encoder's memory keeps of a frame, given the size of the coarsest map."""
    if memory_tokens:
        return min(memory_tokens, height_cells * width_cells)
    return -(-height_cells // 2) * -(-width_cells // 2)


class StageAttention(nn.Module):
    """Attention between two stages of a CNN: each cell attends to all cells of its frame, pooled twofold.

    As in BoTNet (Srinivas et al., CVPR 2021), but added to the convolutions behind a gate. The pooled keys are as in
    PVT (Wang et al., ICCV 2021).
    """

    def __init__(self, channels: int, width: int, heads: int, stride: int, gate: float) -> None:
        super().__init__()
        self.stride = stride
        self.into, self.out = nn.Conv2d(channels, width, 1), nn.Conv2d(width, channels, 1)
        self.layer = EncoderLayer(width, heads)
        self.gate = nn.Parameter(torch.full((channels, 1, 1), gate))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        inner = self.into(x)
        pooled = F.avg_pool2d(inner, 2, ceil_mode=True)
        (h, w), width = x.shape[-2:], inner.shape[1]
        code = encode_points(centres(h, w, self.stride, x.device), width)
        pooled_code = encode_points(centres(pooled.shape[-2], pooled.shape[-1], 2 * self.stride, x.device), width)
        tokens, keys = (y.flatten(2).transpose(1, 2) for y in (inner, pooled))
        attended = self.layer.attend(tokens, tokens + code, keys + pooled_code, keys, None)
        summed: Tensor = x + self.gate * self.out(attended.transpose(1, 2).reshape(inner.shape))
        return summed


Values = tuple[Float32[Tensor, "nh _ _ _"], ...]  # one per level; the heads are in the batch axis


def as_values(maps: Maps, heads: int) -> Values:
    """The pyramid in the layout of `deformable_sample`: head k gets the k-th share of the channels."""
    return tuple(torch.unflatten(x.float(), 1, (heads, -1)).flatten(0, 1).contiguous() for x in maps)


class DeformableAttention(nn.Module):
    """Each head samples every level at a few points around the query's box (Zhu et al., ICLR 2021).

    Unlike in the paper, the maps are projected once for all layers (see Decoder): one projection of all pixels per
    layer would cost more than the rest of the decoder. Initially, the first point of each head is the centre of the
    box and the last one lies on its edge.
    """

    def __init__(self, width: int, heads: int, points: int) -> None:
        super().__init__()
        self.heads, self.points = heads, points
        self.offsets = nn.Linear(width, heads * len(STRIDES) * points * 2)
        self.weights = nn.Linear(width, heads * len(STRIDES) * points)
        self.out = nn.Linear(width, width)
        for layer in (self.offsets, self.weights):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.weights.bias)
        angle = torch.arange(heads) * (2 * math.pi / heads)
        direction = torch.stack([angle.cos(), angle.sin()], -1)
        direction = direction / direction.abs().amax(-1, keepdim=True)
        reach = torch.arange(points) / max(1, points - 1)
        start = direction[:, None, None] * reach[:, None].expand(len(STRIDES), points, 1)
        with torch.no_grad():
            self.offsets.bias.copy_(start.flatten())

    def forward(
        self, query: Float[Tensor, "n q c"], boxes_cxcywh: Float32[Tensor, "n q 4"], values: Values
    ) -> Float[Tensor, "n q c"]:
        shape = (self.heads, len(STRIDES), self.points)
        offsets = torch.unflatten(self.offsets(query).float(), -1, (*shape, 2))  # in units of half the box
        weights = torch.unflatten(self.weights(query).float(), -1, (self.heads, -1)).softmax(-1)
        weights = torch.unflatten(weights, -1, shape[1:])
        boxes = boxes_cxcywh[:, :, None, None, None]
        points_xy_px = boxes[..., :2] + offsets * boxes[..., 2:] / 2
        sampled = deformable_sample(values, points_xy_px, weights)
        return self.out(sampled.to(query.dtype))  # type: ignore[no-any-return]


def deformable_sample(
    values: Values,
    points_xy_px: Float32[Tensor, "n q heads levels points 2"],
    weights: Float32[Tensor, "n q heads levels points"],
) -> Float32[Tensor, "n q c"]:
    """The weighted sum of bilinear samples; a map is 0 outside of its borders.

    The centre of a level's cell (row i, column j) is at x = (j + 0.5) * stride, y = (i + 0.5) * stride pixels.
    """
    sums = []
    for level, (value, stride) in enumerate(zip(values, STRIDES, strict=True)):
        height, width = value.shape[-2:]
        extent = points_xy_px.new_tensor([width * stride, height * stride])
        grid = 2 * points_xy_px[:, :, :, level] / extent - 1
        sampled = F.grid_sample(value, grid.transpose(1, 2).flatten(0, 1), align_corners=False)
        sums.append((sampled * weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]).sum(-1))
    per_head: Tensor = torch.stack(sums).sum(0)  # [n * heads, channels of a head, q]
    return torch.unflatten(per_head, 0, (points_xy_px.shape[0], -1)).flatten(1, 2).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Queries attend to each other, then to the pyramid around their boxes."""

    def __init__(self, width: int, heads: int, points: int) -> None:
        super().__init__()
        self.between = Attention(width, heads)
        self.between_norm = nn.LayerNorm(width)
        self.around = DeformableAttention(width, heads, points)
        self.around_norm = nn.LayerNorm(width)
        self.feed = feed_forward(width)
        self.feed_norm = nn.LayerNorm(width)

    def forward(
        self,
        query: Float[Tensor, "n q c"],
        positions: Float[Tensor, "n q c"],
        boxes_cxcywh: Float32[Tensor, "n q 4"],
        values: Values,
        allowed: Bool[Tensor, "..."] | None,
    ) -> Float[Tensor, "n q c"]:
        normed = self.between_norm(query)
        query = query + self.between(normed + positions, normed + positions, normed, allowed)
        query = query + self.around(self.around_norm(query) + positions, boxes_cxcywh, values)
        return query + self.feed(self.feed_norm(query))  # type: ignore[no-any-return]
