"""The decoder's queries: the best of the dense predictions, and in training noised ground truth (denoising)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn

from hybrid.core.boxes import pairwise_iou, refine, to_corners
from hybrid.core.processes import Draws, as_draws
from hybrid.core.types import Proposals, Target
from hybrid.model.attention import centres
from hybrid.model.frame.stages import NECK_NORMS, STRIDES, Maps

ANCHOR_PX = {4: 16.0, 8: 40.0, 16: 96.0}  # by stride: the side of the square anchor of a point
CANDIDATES = 4  # per query, before NMS
QUERIES_PX = 480 * 640  # in use, a picture of more pixels has more queries than ModelConfig.queries, in proportion
MOST_QUERIES = 1000
PRIOR = 0.01  # the initial score of every point (Lin et al., ICCV 2017)
_PRIOR_LOGIT = math.log(PRIOR / (1 - PRIOR))


def start_at_prior(layer: nn.Linear) -> nn.Linear:
    """Set the bias of a score layer so that all scores start at PRIOR."""
    nn.init.constant_(layer.bias, _PRIOR_LOGIT)
    return layer


def grid(maps: Maps) -> tuple[Float32[Tensor, "p 2"], Float32[Tensor, " p"], Float32[Tensor, "p 4"]]:
    """Points (x, y), strides and anchors (x, y, w, h) of all levels, finest level first, row by row."""
    points = [centres(x.shape[-2], x.shape[-1], stride, x.device) for x, stride in zip(maps, STRIDES, strict=True)]
    strides = [torch.full_like(xy[:, 0], stride) for xy, stride in zip(points, STRIDES, strict=True)]
    anchors = [
        torch.cat([xy, torch.full_like(xy, ANCHOR_PX[stride])], -1) for xy, stride in zip(points, STRIDES, strict=True)
    ]
    return torch.cat(points), torch.cat(strides), torch.cat(anchors)


def _tower(width: int, convs: int, light: bool, norm: str) -> nn.Sequential:
    block = [(_convolution(width, light), NECK_NORMS[norm](width), nn.ReLU()) for _ in range(convs)]
    return nn.Sequential(*(layer for layers in block for layer in layers))


def _convolution(width: int, light: bool) -> nn.Module:
    """A 3x3 convolution; light: each channel alone, then 1x1 (Howard et al., MobileNets, 2017), an eighth of the work.

    Of `tiny`'s 14.1 GFLOP for 480x640 the four full ones take 7.4, of which 5.7 at stride 4.
    """
    if not light:
        return nn.Conv2d(width, width, 3, padding=1, bias=False)
    alone = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    return nn.Sequential(alone, nn.Conv2d(width, width, 1, bias=False))


def _points(maps: Maps) -> Float[Tensor, "n p c"]:
    """The features of all points, in the order of `grid`."""
    return torch.cat([x.permute(0, 2, 3, 1).flatten(1, 2) for x in maps], 1)


def distinct(boxes_xyxy_px: Float32[Tensor, "n k 4"], iou: float) -> Bool[Tensor, "n k"]:
    """NMS mask: True for boxes, best first, that no better box of their frame overlaps by more than `iou`.

    One pass over all pairs ("fast NMS", Bolya et al., YOLACT, ICCV 2019), so that all shapes are fixed. A box that is
    suppressed itself still suppresses others.
    """
    overlap = torch.stack([pairwise_iou(one, one) for one in boxes_xyxy_px])
    return ~(overlap.triu(1) > iou).any(1)


class Proposer(nn.Module):
    """Dense class scores and boxes, and the queries that start from the best of them.

    Several points are trained on each object (Tian et al., FCOS, ICCV 2019; see hybrid.losses.matcher.assign), which is
    learned faster than one point. NMS over the candidates keeps several queries from starting at the same object (Zhang
    et al., DDQ, CVPR 2023); the decoder learns to predict each object once. The convolutions are shared by all levels.
    The score head and the box head have convolutions of their own (FCOS), or by `towers` the same ones.
    """

    def __init__(
        self,
        width: int,
        categories: int,
        queries: int,
        convs: int,
        distinct_iou: float,
        towers: str = "apart",
        norm: str = "group",
    ) -> None:
        super().__init__()
        self.queries, self.distinct_iou = queries, distinct_iou
        self.score_tower = _tower(width, convs, towers == "light", norm)
        self.box_tower = _tower(width, convs, False, norm) if towers == "apart" else None
        self.token = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.score = start_at_prior(nn.Linear(width, categories))
        self.box = nn.Linear(width, 4)
        nn.init.zeros_(self.box.weight)
        nn.init.zeros_(self.box.bias)

    def category_rows(self) -> tuple[Tensor, ...]:
        """See hybrid.model.transfer."""
        return tuple(self.score.parameters())

    def forward(
        self, maps: Maps
    ) -> tuple[Proposals, Float[Tensor, "n q c"], Float[Tensor, "n q k"], Float32[Tensor, "n q 4"]]:
        """The proposals as [n, 1 frame, ...], and content, logits and boxes (cxcywh, no gradient) of the queries."""
        flat, scored = _points(maps), _points(tuple(self.score_tower(x) for x in maps))
        boxed = scored if self.box_tower is None else _points(tuple(self.box_tower(x) for x in maps))
        points, strides, anchors = grid(maps)
        logits, change = self.score(scored), self.box(boxed)
        boxes_cxcywh = refine(anchors.expand(flat.shape[0], -1, -1), change)
        boxes = to_corners(boxes_cxcywh)
        area_px = maps[0].shape[-2] * maps[0].shape[-1] * STRIDES[0] ** 2
        best = self._best(logits.detach().amax(-1), boxes.detach(), self._count(area_px))[..., None]
        content = self.token(flat.gather(1, best.expand(-1, -1, flat.shape[-1])))
        chosen = boxes_cxcywh.detach().gather(1, best.expand(-1, -1, 4))
        logits_chosen = logits.gather(1, best.expand(-1, -1, logits.shape[-1]))
        return Proposals(logits[:, None], boxes[:, None], points, strides), content, logits_chosen, chosen

    def _count(self, area_px: int) -> int:
        """How many queries a picture of this size has. Training looks at tiles; a large picture holds more parts.

        With 100 queries, whatever the size, a detector that had seen simulation alone lost 8 points of AP50 on photos
        of 1920x1080: what is taken for a part takes the queries of the parts.
        """
        if self.training:
            return self.queries
        return max(self.queries, min(MOST_QUERIES, math.ceil(self.queries * area_px / QUERIES_PX)))

    def _best(
        self, logits: Float[Tensor, "n p"], boxes_xyxy_px: Float32[Tensor, "n p 4"], queries: int
    ) -> Int64[Tensor, "n q"]:
        """The indices of the best points after NMS; if these are too few, followed by the best suppressed ones."""
        queries = min(queries, logits.shape[1])
        if self.distinct_iou >= 1:
            return logits.topk(queries, 1).indices
        ranked, points = logits.float().topk(min(CANDIDATES * queries, logits.shape[1]), 1)
        apart = distinct(boxes_xyxy_px.gather(1, points[..., None].expand(-1, -1, 4)), self.distinct_iou)
        return points.gather(1, torch.where(apart, ranked, ranked - 1e4).topk(queries, 1).indices)


@dataclass(frozen=True)
class DenoisingQueries:
    """Denoising queries of n frames. See hybrid.core.types.Denoising for `truth`, `positive` and `real`."""

    labels: Int64[Tensor, "n d"]
    boxes_cxcywh: Float32[Tensor, "n d 4"]
    truth: Int64[Tensor, "n d"]
    positive: Bool[Tensor, "n d"]
    real: Bool[Tensor, "n d"]
    group: Int64[Tensor, " d"]  # queries attend within their own group only


def denoising_queries(
    targets: Sequence[Target], limit: int, categories: int, generator: torch.Generator | Draws | None
) -> DenoisingQueries:
    """Contrastive denoising queries (Zhang et al., DINO, ICLR 2023): pairs of a slightly and a strongly moved box.

    Groups repeat the boxes of the frame as often as `limit` allows, at least once. If a frame has more boxes than fit
    into one group, the first ones are used. A quarter of the labels is replaced by random ones.
    """
    draws = as_draws(generator)
    most = max(len(t.labels) for t in targets)
    most = max(1, min(limit // 2, draws.most(most, targets[0].boxes_xyxy_px.device)))
    boxes, labels, exists = _padded(targets, most)
    shape = (len(targets), max(1, limit // (2 * most)), 2, most)  # axis 1: groups; axis 2: positive, negative

    def draw(*more: int) -> Tensor:
        return draws.rand(*shape, *more).to(boxes.device)

    far = torch.tensor([0.0, 1.0], device=boxes.device)[:, None]
    half = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 2)[:, None, None] / 2
    moved = boxes[:, None, None] + torch.where(draw(4) < 0.5, -1.0, 1.0) * (draw(4) + far[..., None]) * half
    low, high = torch.minimum(moved[..., :2], moved[..., 2:]), torch.maximum(moved[..., :2], moved[..., 2:])
    random = (draw() * categories).long().clamp(max=categories - 1)
    real = exists[:, None, None].expand(shape)
    return DenoisingQueries(
        labels=torch.where(draw() < 0.25, random, labels[:, None, None]).flatten(1),
        boxes_cxcywh=torch.cat([(low + high) / 2, (high - low).clamp(min=1.0)], -1).flatten(1, 3),
        truth=torch.arange(most, device=boxes.device).expand(shape).flatten(1),
        positive=(real & (far == 0)).flatten(1),
        real=real.flatten(1),
        group=torch.arange(shape[1], device=boxes.device).repeat_interleave(2 * most),
    )


def _padded(
    targets: Sequence[Target], most: int
) -> tuple[Float32[Tensor, "n m 4"], Int64[Tensor, "n m"], Bool[Tensor, "n m"]]:
    """The first `most` boxes and labels of each frame, padded, and a mask of the real ones."""
    device = targets[0].boxes_xyxy_px.device
    boxes = torch.tensor([0.0, 0.0, 1.0, 1.0], device=device).repeat(len(targets), most, 1)
    labels = torch.zeros(len(targets), most, dtype=torch.int64, device=device)
    exists = torch.zeros(len(targets), most, dtype=torch.bool, device=device)
    for k, target in enumerate(targets):
        count = min(most, len(target.labels))
        boxes[k, :count], labels[k, :count] = target.boxes_xyxy_px[:count], target.labels[:count]
        exists[k, :count] = True
    return boxes, labels, exists


def denoising_logits(labels: Int64[Tensor, "n d"], categories: int) -> Float32[Tensor, "n d c"]:
    """The initial logits of denoising queries: a score of 0.5 for their label, PRIOR for the other categories."""
    start = torch.full((*labels.shape, categories), _PRIOR_LOGIT, device=labels.device)
    return start.scatter_(2, labels[..., None], 0.0)


def attention_mask(queries: int, group: Int64[Tensor, " d"]) -> Bool[Tensor, "qd qd"]:
    """Which query (row) may attend to which (column): queries to queries, denoising queries to their group and queries.

    Queries never attend to denoising queries, because these contain the ground truth.
    """
    tag = torch.cat([group.new_full((queries,), -1), group])
    return (tag[:, None] == tag[None]) | (tag[None] == -1)
