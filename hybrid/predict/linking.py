"""Tracks from detections: objects linked from frame to frame by place, size and, where there is one, by embedding.

For detectors that follow no objects themselves (`ModelConfig.tracks` = 0). Two passes as in ByteTrack (Zhang et al.,
ECCV 2022): sure detections choose first, then unsure ones may keep a track alive but begin none. What is not seen is
moved on at its last speed and forgotten after `Linking.patience` frames. State is passed, never kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from hybrid.core.boxes import to_centre
from hybrid.core.errors import ConfigError
from hybrid.core.types import Detections


@dataclass(frozen=True, kw_only=True)
class Linking:
    """How detections are linked. Distances count in sides (the square root of a box's area)."""

    sure: float = 0.3  # scores that may begin a track
    unsure: float = 0.1  # scores that may keep one
    reach: float = 1.5  # the farthest that an object may be from where it is expected; grows while it is not seen
    patience: int = 12  # frames without a detection after which a track ends
    memory: float = 0.8  # share of a track's embedding that a new detection leaves

    def __post_init__(self) -> None:
        if not 0 <= self.unsure <= self.sure <= 1 or self.reach <= 0 or self.patience < 0:
            raise ConfigError(f"needs 0 <= unsure <= sure <= 1, reach > 0 and patience >= 0, got {self}")


@dataclass(frozen=True)
class Linked:
    """The tracks so far: k objects, as they were last seen."""

    boxes_cxcywh_px: Float32[Tensor, "k 4"]
    speed_px: Float32[Tensor, "k 2"]  # a frame
    labels: Int64[Tensor, " k"]
    ids: Int64[Tensor, " k"]
    unseen: Int64[Tensor, " k"]  # frames since
    embeddings: Float32[Tensor, "k e"] | None
    next_id: int

    @staticmethod
    def none() -> Linked:
        zero = torch.zeros(0, dtype=torch.int64)
        return Linked(torch.zeros(0, 4), torch.zeros(0, 2), zero, zero, zero, None, 0)


def link(found: Detections, before: Linked | None, linking: Linking | None = None) -> tuple[Detections, Linked]:
    """The detections of the next frame with `track_ids` (-1: belongs to no track), and the tracks with them."""
    linking, before = linking or Linking(), before or Linked.none()
    boxes = to_centre(found.boxes_xyxy_px)
    cost = _cost(found, boxes, before, linking)
    slot = torch.full((len(boxes),), -1, dtype=torch.int64)
    for first, last in ((linking.sure, 2.0), (linking.unsure, linking.sure)):
        chosen = (found.scores >= first) & (found.scores < last)
        _assign(cost, chosen, slot)
    begins = (slot < 0) & (found.scores >= linking.sure)
    ids = torch.full_like(slot, -1)
    ids[slot >= 0] = before.ids[slot[slot >= 0]]
    ids[begins] = before.next_id + torch.arange(int(begins.sum()))
    with_ids = replace(found, track_ids=ids)
    return with_ids, _moved_on(found, boxes, slot, begins, before, linking)


def _cost(
    found: Detections, boxes_cxcywh_px: Float32[Tensor, "n 4"], before: Linked, linking: Linking
) -> Float32[Tensor, "n k"]:
    """Distance from where each track is expected, plus what size, category and embedding differ; inf out of reach."""
    elapsed = (before.unseen + 1).float()
    expected = before.boxes_cxcywh_px[:, :2] + before.speed_px * elapsed[:, None]
    side = before.boxes_cxcywh_px[:, 2:].prod(1).sqrt()
    own = boxes_cxcywh_px[:, 2:].prod(1).clamp(min=1e-6).sqrt()
    apart = torch.cdist(boxes_cxcywh_px[:, :2], expected) / torch.maximum(side[None], own[:, None]).clamp(min=1.0)
    size = (own[:, None] / side.clamp(min=1e-3)).log().abs()
    other = (found.labels[:, None] != before.labels).float()
    cost = apart + 0.5 * size + other
    if found.embeddings is not None and before.embeddings is not None:
        cost = cost + 1.0 - found.embeddings.float() @ before.embeddings.T
    return cost.masked_fill(apart > linking.reach * elapsed.sqrt(), torch.inf)


def _assign(cost: Float32[Tensor, "n k"], chosen: Tensor, slot: Int64[Tensor, " n"]) -> None:
    """Give the chosen detections the tracks that are still free, at the least cost; `slot` is filled in."""
    rows = chosen.nonzero()[:, 0]
    free = torch.tensor([k for k in range(cost.shape[1]) if not bool((slot == k).any())], dtype=torch.int64)
    if not len(rows) or not len(free):
        return
    part = cost[rows][:, free].numpy()
    taken = linear_sum_assignment(np.where(np.isfinite(part), part, 1e6))
    for row, column in zip(*taken, strict=True):
        if np.isfinite(part[row, column]):
            slot[rows[row]] = free[column]


def _moved_on(
    found: Detections,
    boxes: Float32[Tensor, "n 4"],
    slot: Int64[Tensor, " n"],
    begins: Tensor,
    before: Linked,
    linking: Linking,
) -> Linked:
    seen = slot[slot >= 0]
    now = found.scores.new_zeros(len(before.ids), dtype=torch.bool)
    now[seen] = True
    places, speed = before.boxes_cxcywh_px.clone(), before.speed_px.clone()
    fresh = boxes[slot >= 0]
    measured = (fresh[:, :2] - places[seen, :2]) / (before.unseen[seen, None] + 1)
    speed[seen] = torch.where((before.speed_px[seen] == 0).all(1, keepdim=True), measured, (speed[seen] + measured) / 2)
    places[seen] = fresh
    labels = before.labels.clone()
    labels[seen] = found.labels[slot >= 0]
    unseen = torch.where(now, 0, before.unseen + 1)
    kept = unseen <= linking.patience
    count = int(begins.sum())
    return Linked(
        torch.cat([places[kept], boxes[begins]]),
        torch.cat([speed[kept], torch.zeros(count, 2)]),
        torch.cat([labels[kept], found.labels[begins]]),
        torch.cat([before.ids[kept], before.next_id + torch.arange(count)]),
        torch.cat([unseen[kept], torch.zeros(count, dtype=torch.int64)]),
        _embeddings(found, slot, begins, before, kept, linking),
        before.next_id + count,
    )


def _embeddings(
    found: Detections, slot: Int64[Tensor, " n"], begins: Tensor, before: Linked, kept: Tensor, linking: Linking
) -> Float32[Tensor, "k e"] | None:
    if found.embeddings is None:
        return None
    given = found.embeddings.float()
    known = given.new_zeros(len(before.ids), given.shape[1]) if before.embeddings is None else before.embeddings.clone()
    seen = slot[slot >= 0]
    known[seen] = torch.nn.functional.normalize(
        linking.memory * known[seen] + (1 - linking.memory) * given[slot >= 0], dim=1
    )
    return torch.cat([known[kept], given[begins]])
