"""Several answers for one object: what a detector gives until it has learned to give one, and what tiles give."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Int64
from torch import Tensor
from torchvision.ops import batched_nms  # type: ignore[import-untyped]

from hybrid.core.boxes import pairwise_iou
from hybrid.core.config import LABEL_IOU
from hybrid.core.types import Detections


def without_doubles(found: Detections, nms_iou: float, limit: int) -> Detections:
    """The `limit` best, best first, without those that a better one of their category overlaps by more than `nms_iou`.

    A box that goes hands its track id on to the box that it goes for, if that has none: an object that is followed on
    weak evidence keeps its id where a fresh answer is the better one.
    """
    return _suppressed(found, nms_iou, limit, found.labels)


def one_label(found: Detections, label_iou: float = LABEL_IOU) -> Detections:
    """Best first, without those that a better one of *any* category overlaps by more than `label_iou`.

    What is told to people: a thing is a nut or a washer, not both. Average precision is better with both, and is
    measured so, as others measure it. Ids are handed on as by `without_doubles`.
    """
    return _suppressed(found, label_iou, len(found.scores), torch.zeros_like(found.labels))


def _suppressed(found: Detections, iou: float, limit: int, groups: Int64[Tensor, " n"]) -> Detections:
    """Greedy suppression within each group."""
    keep = batched_nms(found.boxes_xyxy_px, found.scores, groups, iou)
    kept = found.take(keep[:limit])
    if found.track_ids is None or kept.track_ids is None:
        return kept
    lost = torch.ones_like(found.labels, dtype=torch.bool)
    lost[keep] = False
    lost &= (found.track_ids >= 0) & ~torch.isin(found.track_ids, kept.track_ids)
    order = lost.nonzero()[:, 0][found.scores[lost].argsort(descending=True, stable=True)]
    gone = found.take(order)
    heir = pairwise_iou(gone.boxes_xyxy_px, kept.boxes_xyxy_px) > iou
    heir &= (groups[order][:, None] == groups[keep[:limit]]) & (gone.scores[:, None] <= kept.scores)
    ids = kept.track_ids.clone()
    given = set[int]()
    for i, j in (heir & (ids < 0)).nonzero().tolist():  # the best of those that go first, to the best that stay
        one = int(gone.track_ids[i])  # type: ignore[index]
        if ids[j] < 0 and one not in given:
            ids[j] = one
            given.add(one)
    return replace(kept, track_ids=ids)
