"""One-to-one matching of queries to truth, and one-to-many assignment of points to truth. All in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from hybrid.core.boxes import pairwise_giou
from hybrid.core.types import Target

REACH = 16.0  # strides of a level, in which the longer side of its largest boxes is told: FCOS's 64 px at 8, both ways
RADIUS = 1.5  # strides from a box's centre
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
    hybrid.core.types.Followed. Without the targets' track ids none is known.
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
def assign(
    points_xy_px: Float32[Tensor, "p 2"], strides_px: Float32[Tensor, " p"], target: Target
) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
    """The points that answer for each box, and which box: those near its middle (Tian et al., FCOS, TPAMI 2022).

    A box is of the finest level whose stride is a REACH-th of its longer side or more, else of the coarsest. A point of
    that level answers for it that is within RADIUS strides of its centre in x and y: in an image there is always one.
    Where boxes share a point, it is the smallest one's.
    """
    truth = target.boxes_xyxy_px.float()
    if not len(truth):
        nothing = torch.zeros(0, dtype=torch.int64, device=points_xy_px.device)
        return nothing, nothing
    levels = torch.unique(strides_px)
    sides = truth[:, 2:] - truth[:, :2]
    place = torch.searchsorted(REACH * levels, sides.amax(1)).clamp(max=len(levels) - 1)
    off = (points_xy_px[:, None] - (truth[:, :2] + truth[:, 2:]) / 2).abs().amax(-1)
    off = off.masked_fill(strides_px[:, None] != levels[place], torch.inf)
    answers = off < RADIUS * strides_px[:, None]
    area = torch.where(answers, sides.prod(1), torch.inf)
    smallest, box = area.min(1)
    points = smallest.isfinite().nonzero()[:, 0]
    return points, box[points]
