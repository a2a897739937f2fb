"""One-to-one matching of queries to ground truth, one-to-many assignment of points to ground truth. In float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from hybrid.core.boxes import pairwise_giou
from hybrid.core.types import Target

REACH = 16.0  # the longest side of a level's boxes, in strides: FCOS's 64 px at stride 8 is 8, on both sides of a point
RADIUS = 1.5  # the distance of a box's points from its centre, in strides
LEAST_SIDE_PX = 4.0  # the least side of a true box when differences are divided by its sides


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Weights of the costs of a match."""

    score: float = 2.0
    box: float = 2.0
    giou: float = 2.0


def relative_l1(boxes: Float32[Tensor, "*n 4"], truth: Float32[Tensor, "*m 4"]) -> Float32[Tensor, "..."]:
    """Mean difference of the four edges, divided by the true box's sides: a pixel counts more on a small part."""
    side = (truth[..., 2:] - truth[..., :2]).clamp(min=LEAST_SIDE_PX)
    return ((boxes - truth).abs() / torch.cat([side, side], -1)).mean(-1)


@torch.no_grad()
def match(
    logits: Float[Tensor, "q c"], boxes_xyxy_px: Float32[Tensor, "q 4"], target: Target, costs: Costs
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """Indices of queries and boxes of the cheapest one-to-one match (Carion et al., ECCV 2020), in the boxes' order.

    With more boxes than queries, as many boxes match as there are queries. The cost of a score is the focal one. A cost
    that is not finite counts as very high, so that a diverged step still matches.
    """
    if not len(target.labels):
        nothing = torch.zeros(0, dtype=torch.int64, device=logits.device)
        return nothing, nothing
    share = logits.float().sigmoid()[:, target.labels]
    positive = 0.25 * (1 - share) ** 2 * -(share + 1e-8).log()
    negative = 0.75 * share**2 * -(1 - share + 1e-8).log()
    truth = target.boxes_xyxy_px.float()
    box = relative_l1(boxes_xyxy_px.float()[:, None], truth[None]).clamp(max=10.0)
    giou = pairwise_giou(boxes_xyxy_px.float(), truth)
    cost = costs.score * (positive - negative) + costs.box * box - costs.giou * giou
    rows, columns = linear_sum_assignment(cost.nan_to_num(1e4, 1e4, 1e4).cpu().numpy())
    queries, boxes = torch.from_numpy(rows), torch.from_numpy(columns)
    order = boxes.argsort()
    return queries[order].to(logits.device), boxes[order].to(logits.device)


@dataclass(frozen=True)
class SlotMatches:
    """The slots of one frame whose object is known from earlier frames, and the box of each; -1: it is hidden."""

    queries: Int64[Tensor, " k"]
    boxes: Int64[Tensor, " k"]


def match_others(
    logits: Float[Tensor, "q c"],
    boxes_xyxy_px: Float32[Tensor, "q 4"],
    target: Target,
    costs: Costs,
    slots: SlotMatches,
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """As `match`, but slots keep their objects: only the other queries and boxes are matched with each other."""
    free_query = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
    free_query[slots.queries] = False
    visible = slots.boxes >= 0
    free_box = torch.ones(len(target.labels), dtype=torch.bool, device=logits.device)
    free_box[slots.boxes[visible]] = False
    free, left = free_query.nonzero()[:, 0], free_box.nonzero()[:, 0]
    queries, boxes = match(
        logits[free], boxes_xyxy_px[free], Target(target.boxes_xyxy_px[left], target.labels[left]), costs
    )
    queries, boxes = torch.cat([slots.queries[visible], free[queries]]), torch.cat([slots.boxes[visible], left[boxes]])
    order = boxes.argsort()
    return queries[order], boxes[order]


@torch.no_grad()
def follow(
    logits: Float[Tensor, "t q c"],
    boxes_xyxy_px: Float32[Tensor, "t q 4"],
    source: Int64[Tensor, "t k"],
    redetected: Bool[Tensor, "t k"],
    targets: Sequence[Target],
    costs: Costs,
) -> list[SlotMatches]:
    """The box that each slot must predict in each frame of a clip: that of the object that its query matched at first.

    A slot whose object is hidden must predict "no object", and keeps the object (Meinhardt et al., TrackFormer, CVPR
    2022; Zeng et al., MOTR, ECCV 2022). A slot that took over a new query is matched like the new queries. Without
    track ids in the targets no slot has an object. `source` and `redetected` are those of TrackedQueries.
    """
    owner: dict[int, int] = {}  # the object of each query of the frame before
    every = []
    carried = torch.where(redetected, -1, source)
    for k, target in enumerate(targets):
        ids = [] if target.track_ids is None else target.track_ids.tolist()
        box_of = {object_id: box for box, object_id in enumerate(ids)}
        object_of = {slot: owner[query] for slot, query in enumerate(carried[k].tolist()) if query in owner}
        slots = SlotMatches(
            torch.tensor(list(object_of), dtype=torch.int64, device=logits.device),
            torch.tensor([box_of.get(i, -1) for i in object_of.values()], dtype=torch.int64, device=logits.device),
        )
        every.append(slots)
        queries, boxes = match_others(logits[k], boxes_xyxy_px[k], target, costs, slots)
        pairs = zip(queries.tolist(), boxes.tolist(), strict=True)
        owner = object_of | {query: ids[box] for query, box in pairs if box < len(ids) and ids[box] >= 0}
    return every


@torch.no_grad()
def assign(
    points_xy_px: Float32[Tensor, "p 2"], strides_px: Float32[Tensor, " p"], target: Target
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """Indices of points and of the boxes that they must predict: points near a box's centre (FCOS, TPAMI 2022).

    A box belongs to the finest level whose stride times REACH is its longer side or more, else to the coarsest. Its
    points are those of that level within RADIUS strides of its centre in x and in y; inside an image there is always
    one. A point of several boxes belongs to the smallest.
    """
    truth = target.boxes_xyxy_px.float()
    if not len(truth):
        nothing = torch.zeros(0, dtype=torch.int64, device=points_xy_px.device)
        return nothing, nothing
    levels = torch.unique(strides_px)
    sides = truth[:, 2:] - truth[:, :2]
    level = torch.searchsorted(REACH * levels, sides.amax(1)).clamp(max=len(levels) - 1)
    off = (points_xy_px[:, None] - (truth[:, :2] + truth[:, 2:]) / 2).abs().amax(-1)
    off = off.masked_fill(strides_px[:, None] != levels[level], torch.inf)
    near = off < RADIUS * strides_px[:, None]
    area = torch.where(near, sides.prod(1), torch.inf)
    smallest, box = area.min(1)
    points = smallest.isfinite().nonzero()[:, 0]
    return points, box[points]
