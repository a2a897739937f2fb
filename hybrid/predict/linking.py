"""Tracking by detection: detections are linked from frame to frame by position, size, category and embedding.

For networks that do not track objects themselves (`ModelConfig.tracks` = 0). Two passes as in ByteTrack (Zhang et al.,
ECCV 2022): detections with a high score are assigned first; those with a low score may continue a track but not begin
one. A track without a detection moves on at its last speed, and ends after `Linking.patience` frames. The state is
passed by the caller.
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
    """Settings of the linking. Distances are in units of the object's side (the square root of its box's area)."""

    sure: float = 0.3  # lowest score that begins a track; `Detector.load` takes the run's operating point
    unsure: float = 0.1  # lowest score that continues one
    reach: float = 1.5  # largest distance from the predicted position; grows while there is no detection
    patience: int = 12  # frames without a detection after which a track ends
    memory: float = 0.8  # weight of a track's embedding against that of a new detection

    def __post_init__(self) -> None:
        if not 0 <= self.unsure <= self.sure <= 1 or self.reach <= 0 or self.patience < 0:
            raise ConfigError(f"needs 0 <= unsure <= sure <= 1, reach > 0 and patience >= 0, got {self}")


@dataclass(frozen=True)
class Linked:
    """The k tracks after a frame. Boxes are those of their last detections."""

    boxes_cxcywh_px: Float32[Tensor, "k 4"]
    speed_px: Float32[Tensor, "k 2"]  # per frame
    labels: Int64[Tensor, " k"]
    ids: Int64[Tensor, " k"]
    unseen: Int64[Tensor, " k"]  # frames since the last detection
    embeddings: Float32[Tensor, "k e"] | None
    next_id: int

    @staticmethod
    def none() -> Linked:
        """No track, as before the first frame of a clip."""
        zero = torch.zeros(0, dtype=torch.int64)
        return Linked(torch.zeros(0, 4), torch.zeros(0, 2), zero, zero, zero, None, 0)


def link(detections: Detections, before: Linked | None, linking: Linking | None = None) -> tuple[Detections, Linked]:
    """The detections of the next frame with `track_ids` (-1: no track), and the tracks after this frame."""
    linking, before = linking or Linking(), before or Linked.none()
    boxes = to_centre(detections.boxes_xyxy_px)
    cost = _cost(detections, boxes, before, linking)
    slot = torch.full((len(boxes),), -1, dtype=torch.int64)
    for first, last in ((linking.sure, 2.0), (linking.unsure, linking.sure)):
        chosen = (detections.scores >= first) & (detections.scores < last)
        _assign(cost, chosen, slot)
    begins = (slot < 0) & (detections.scores >= linking.sure)
    ids = torch.full_like(slot, -1)
    ids[slot >= 0] = before.ids[slot[slot >= 0]]
    ids[begins] = before.next_id + torch.arange(int(begins.sum()))
    tracked = replace(detections, track_ids=ids)
    return tracked, _updated(detections, boxes, slot, begins, before, linking)


def _cost(
    detections: Detections, boxes_cxcywh_px: Float32[Tensor, "n 4"], before: Linked, linking: Linking
) -> Float32[Tensor, "n k"]:
    """Distance from each track's predicted position, plus differences in size, category and embedding; inf: too far."""
    elapsed = (before.unseen + 1).float()
    expected = before.boxes_cxcywh_px[:, :2] + before.speed_px * elapsed[:, None]
    side = before.boxes_cxcywh_px[:, 2:].prod(1).sqrt()
    own = boxes_cxcywh_px[:, 2:].prod(1).clamp(min=1e-6).sqrt()
    apart = torch.cdist(boxes_cxcywh_px[:, :2], expected) / torch.maximum(side[None], own[:, None]).clamp(min=1.0)
    size = (own[:, None] / side.clamp(min=1e-3)).log().abs()
    other = (detections.labels[:, None] != before.labels).float()
    cost = apart + 0.5 * size + other
    if detections.embeddings is not None and before.embeddings is not None:
        cost = cost + 1.0 - detections.embeddings.float() @ before.embeddings.T
    return cost.masked_fill(apart > linking.reach * elapsed.sqrt(), torch.inf)


def _assign(cost: Float32[Tensor, "n k"], chosen: Tensor, slot: Int64[Tensor, " n"]) -> None:
    """Assign the chosen detections to the tracks that are still free, at the lowest total cost. Changes `slot`."""
    rows = chosen.nonzero()[:, 0]
    free = torch.tensor([k for k in range(cost.shape[1]) if not bool((slot == k).any())], dtype=torch.int64)
    if not len(rows) or not len(free):
        return
    part = cost[rows][:, free].numpy()
    taken = linear_sum_assignment(np.where(np.isfinite(part), part, 1e6))
    for row, column in zip(*taken, strict=True):
        if np.isfinite(part[row, column]):
            slot[rows[row]] = free[column]


def _updated(
    detections: Detections,
    boxes: Float32[Tensor, "n 4"],
    slot: Int64[Tensor, " n"],
    begins: Tensor,
    before: Linked,
    linking: Linking,
) -> Linked:
    matched = slot[slot >= 0]
    is_matched = detections.scores.new_zeros(len(before.ids), dtype=torch.bool)
    is_matched[matched] = True
    positions, speed = before.boxes_cxcywh_px.clone(), before.speed_px.clone()
    new_boxes = boxes[slot >= 0]
    measured = (new_boxes[:, :2] - positions[matched, :2]) / (before.unseen[matched, None] + 1)
    speed[matched] = torch.where(
        (before.speed_px[matched] == 0).all(1, keepdim=True), measured, (speed[matched] + measured) / 2
    )
    positions[matched] = new_boxes
    labels = before.labels.clone()
    labels[matched] = detections.labels[slot >= 0]
    unseen = torch.where(is_matched, 0, before.unseen + 1)
    alive = unseen <= linking.patience
    count = int(begins.sum())
    return Linked(
        torch.cat([positions[alive], boxes[begins]]),
        torch.cat([speed[alive], torch.zeros(count, 2)]),
        torch.cat([labels[alive], detections.labels[begins]]),
        torch.cat([before.ids[alive], before.next_id + torch.arange(count)]),
        torch.cat([unseen[alive], torch.zeros(count, dtype=torch.int64)]),
        _embeddings(detections, slot, begins, before, alive, linking),
        before.next_id + count,
    )


def _embeddings(
    detections: Detections, slot: Int64[Tensor, " n"], begins: Tensor, before: Linked, alive: Tensor, linking: Linking
) -> Float32[Tensor, "k e"] | None:
    if detections.embeddings is None:
        return None
    given = detections.embeddings.float()
    averaged = (
        given.new_zeros(len(before.ids), given.shape[1]) if before.embeddings is None else before.embeddings.clone()
    )
    matched = slot[slot >= 0]
    averaged[matched] = torch.nn.functional.normalize(
        linking.memory * averaged[matched] + (1 - linking.memory) * given[slot >= 0], dim=1
    )
    return torch.cat([averaged[alive], given[begins]])
