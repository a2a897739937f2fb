"""Suppression of duplicate detections: from a detector that is little trained, and from overlapping tiles."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Int64
from torch import Tensor
from torchvision.ops import batched_nms  # type: ignore[import-untyped]

from hybrid.core.boxes import pairwise_iou
from hybrid.core.config import LABEL_IOU
from hybrid.core.types import Detections


def suppress_duplicates(detections: Detections, nms_iou: float, limit: int) -> Detections:
    """The `limit` best detections, best first, after non-maximum suppression within each category.

    A suppressed box hands its track id to the box that suppresses it, if that has none: an object that is tracked with
    a low score keeps its id where a new detection of it has a better score.
    """
    return _suppress(detections, nms_iou, limit, detections.labels)


def one_label(detections: Detections, label_iou: float = LABEL_IOU) -> Detections:
    """The detections, best first, after non-maximum suppression across categories: one label for each object.

    This is for output to people. Average precision is higher with several labels for an object, and is measured so, as
    others measure it. Track ids are handed on as by `suppress_duplicates`.
    """
    return _suppress(detections, label_iou, len(detections.scores), torch.zeros_like(detections.labels))


def _suppress(detections: Detections, iou: float, limit: int, groups: Int64[Tensor, " n"]) -> Detections:
    """Greedy suppression within each group."""
    keep = batched_nms(detections.boxes_xyxy_px, detections.scores, groups, iou)
    best = detections.take(keep[:limit])
    if detections.track_ids is None or best.track_ids is None:
        return best
    suppressed = torch.ones_like(detections.labels, dtype=torch.bool)
    suppressed[keep] = False
    givers = suppressed & (detections.track_ids >= 0) & ~torch.isin(detections.track_ids, best.track_ids)
    order = givers.nonzero()[:, 0][detections.scores[givers].argsort(descending=True, stable=True)]
    giving = detections.take(order)
    takes = pairwise_iou(giving.boxes_xyxy_px, best.boxes_xyxy_px) > iou
    takes &= (groups[order][:, None] == groups[keep[:limit]]) & (giving.scores[:, None] <= best.scores)
    ids = best.track_ids.clone()
    given = set[int]()
    for i, j in (takes & (ids < 0)).nonzero().tolist():  # ordered by the score of the giver, then of the taker
        track_id = int(giving.track_ids[i])  # type: ignore[index]
        if ids[j] < 0 and track_id not in given:
            ids[j] = track_id
            given.add(track_id)
    return replace(best, track_ids=ids)
