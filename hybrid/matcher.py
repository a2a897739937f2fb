"""One-to-one matching of queries to truth, and one-to-many assignment of points to truth. All in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from hybrid.boxes import iou_and_giou, pairwise_giou, to_centre
from hybrid.types import Target

LEAST_SIDE_PX = 4.0  # differences of boxes count in shares of the true box, which is taken to be at least this large


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Weights of a match's costs."""

    score: float = 2.0
    box: float = 2.0
    giou: float = 2.0


def relative_l1(boxes: Float32[Tensor, "*n 4"], truth: Float32[Tensor, "*m 4"]) -> Float32[Tensor, "..."]:
    """Mean difference of the four edges in shares of the true box's sides: a pixel counts more on a small part."""
    side = (truth[..., 2:] - truth[..., :2]).clamp(min=LEAST_SIDE_PX)
    return ((boxes - truth).abs() / torch.cat([side, side], -1)).mean(-1)


@torch.no_grad()
def match(
    logits: Float[Tensor, "q c"], boxes_xyxy_px: Float32[Tensor, "q 4"], target: Target, costs: Costs
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """The queries and the boxes of the cheapest one-to-one match (Carion et al., ECCV 2020), in the boxes' order.

    The score's cost is the focal one. Costs that are not finite count as very dear, so a diverged step still matches.
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
class Kept:
    """Of one frame: the slots whose object is known from earlier frames, and the box of each; -1: it cannot be seen."""

    queries: Int64[Tensor, " k"]
    boxes: Int64[Tensor, " k"]


def match_others(
    logits: Float[Tensor, "q c"], boxes_xyxy_px: Float32[Tensor, "q 4"], target: Target, costs: Costs, kept: Kept
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """As `match`, but that slots keep their objects: the other queries and boxes are matched among themselves."""
    others = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
    others[kept.queries] = False
    seen = kept.boxes >= 0
    rest = torch.ones(len(target.labels), dtype=torch.bool, device=logits.device)
    rest[kept.boxes[seen]] = False
    free, left = others.nonzero()[:, 0], rest.nonzero()[:, 0]
    queries, boxes = match(
        logits[free], boxes_xyxy_px[free], Target(target.boxes_xyxy_px[left], target.labels[left]), costs
    )
    queries, boxes = torch.cat([kept.queries[seen], free[queries]]), torch.cat([kept.boxes[seen], left[boxes]])
    order = boxes.argsort()
    return queries[order], boxes[order]


@torch.no_grad()
def follow(
    logits: Float[Tensor, "t q c"],
    boxes_xyxy_px: Float32[Tensor, "t q 4"],
    source: Int64[Tensor, "t k"],
    seen: Bool[Tensor, "t k"],
    targets: Sequence[Target],
    costs: Costs,
) -> list[Kept]:
    """What each slot of a clip's frames is to find: the object that its query was matched with when it was new.

    A slot whose object cannot be seen is to say so, and keeps it (Meinhardt et al., TrackFormer, CVPR 2022; Zeng et
    al., MOTR, ECCV 2022). One that went on as a new query is matched like those. `source` and `seen` are those of
    hybrid.types.Followed. Without the targets' track ids none is known.
    """
    owner: dict[int, int] = {}  # the object of each query of the frame before
    every = []
    remembered = torch.where(seen, -1, source)
    for k, target in enumerate(targets):
        ids = [] if target.track_ids is None else target.track_ids.tolist()
        place = {object_id: box for box, object_id in enumerate(ids)}
        mine = {slot: owner[query] for slot, query in enumerate(remembered[k].tolist()) if query in owner}
        kept = Kept(
            torch.tensor(list(mine), dtype=torch.int64, device=logits.device),
            torch.tensor([place.get(one, -1) for one in mine.values()], dtype=torch.int64, device=logits.device),
        )
        every.append(kept)
        queries, boxes = match_others(logits[k], boxes_xyxy_px[k], target, costs, kept)
        found = zip(queries.tolist(), boxes.tolist(), strict=True)
        owner = mine | {query: ids[box] for query, box in found if box < len(ids) and ids[box] >= 0}
    return every


@torch.no_grad()
def assign_many(
    logits: Float[Tensor, "p c"],
    boxes_xyxy_px: Float32[Tensor, "p 4"],
    anchors_xyxy_px: Float32[Tensor, "p 4"],
    target: Target,
    most: int,
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"], Float32[Tensor, " k"]]:
    """Several points for each box: task-aligned assignment (Feng et al., TOOD, ICCV 2021).

    Candidates are the 4 * `most` + 12 anchors that are nearest to the box in place and size; of those the `most` of
    best score^0.5 * IoU^3 are taken. A point that two boxes take goes to the one it serves best. Answers points, boxes
    and the score that each point is to reach: its worth's share of the best of the box's points, times their best IoU.
    """
    device = logits.device
    if not len(target.labels):
        nothing = torch.zeros(0, dtype=torch.int64, device=device)
        return nothing, nothing, torch.zeros(0, device=device)
    truth = target.boxes_xyxy_px.float()
    near = _distance(anchors_xyxy_px, truth).topk(min(4 * most + 12, len(logits)), 0, largest=False).indices
    score = logits[near, target.labels].float().nan_to_num().sigmoid()
    iou, _ = iou_and_giou(boxes_xyxy_px[near].float().nan_to_num(), truth)
    worth = score.sqrt() * iou.clamp(min=1e-2) ** 3
    worth, order = worth.topk(min(most, len(worth)), 0)
    points, iou = near.gather(0, order), iou.gather(0, order)
    reach = worth / worth.amax(0) * iou.amax(0)
    boxes = torch.arange(len(truth), device=device).expand_as(points)
    best = torch.zeros(len(logits), device=device).scatter_reduce_(0, points.flatten(), worth.flatten(), "amax")
    served = worth >= best[points]
    owner = torch.full((len(logits),), len(truth), device=device)
    owner.scatter_reduce_(0, points[served], boxes[served], "amin")  # of two that it serves alike, the first
    served &= owner[points] == boxes
    return points[served], boxes[served], reach[served]


def _distance(anchors_xyxy_px: Float32[Tensor, "p 4"], truth: Float32[Tensor, "n 4"]) -> Float32[Tensor, "p n"]:
    """Between centres in shares of the larger of the two boxes' mean sides, plus the logarithm of the sides' ratio."""
    anchors, boxes = to_centre(anchors_xyxy_px)[:, None], to_centre(truth)[None]
    side, other = anchors[..., 2:].mean(-1), boxes[..., 2:].mean(-1).clamp(min=1.0)
    apart = (anchors[..., :2] - boxes[..., :2]).square().sum(-1).sqrt()
    return apart / torch.maximum(side, other) + (side / other).log().abs()
