"""Two looks at one image, as it is and mirrored: what they agree on counts.

Each look is merged by itself (`hybrid.predict.tiles.merge`). Then a detection gets the mean of the scores that the
looks give the part, 0 where one does not find it, and the mean of their boxes, weighted by the scores. This is the
averaging of Solovyev et al., "Weighted boxes fusion" (Image and Vision Computing, 2021), for looks of one network. What
but one look takes for a part falls to half its score, and errors of the two boxes cancel out in part
(benchmarks/2026-11-30-methods.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torchvision.ops import batched_nms  # type: ignore[import-untyped]

from hybrid.core.boxes import pairwise_iou
from hybrid.core.types import Detections

SAME_PART_IOU = 0.5  # boxes of two looks that overlap so much show one part
OWN_SHARE = 1e-4  # of its own score that counts in the order: of boxes with one mean, that of the surer look stays


def agreed(looks: Sequence[Detections], threshold: float, limit: int, nms_iou: float) -> Detections:
    """The mean of several looks at one image, best first.

    Args:
        looks: the detections of each, in image pixels, without track ids.
        threshold: lower means are left out.
        limit: detections, at most.
        nms_iou: within a category, for non-maximum suppression of what the looks find of one part.
    """
    every = _joined(looks)
    boxes = every.boxes_xyxy_px
    scores, corners = torch.zeros_like(every.scores), torch.zeros_like(boxes)
    for look in looks:
        if not len(look.scores):
            continue
        overlap = pairwise_iou(boxes, look.boxes_xyxy_px) * (every.labels[:, None] == look.labels[None])
        best, which = overlap.max(1)
        found = torch.where(best >= SAME_PART_IOU, look.scores[which], 0.0)
        scores += found
        corners += found[:, None] * look.boxes_xyxy_px[which]
    mean = torch.where((scores > 0)[:, None], corners / scores[:, None], boxes)
    means = scores / len(looks)
    keep = batched_nms(mean, means + OWN_SHARE * every.scores, every.labels, nms_iou)
    keep = keep[means[keep] >= threshold]
    return replace(every, boxes_xyxy_px=mean, scores=means).take(keep[:limit])


def _joined(looks: Sequence[Detections]) -> Detections:
    vectors = [look.embeddings for look in looks if look.embeddings is not None]
    return Detections(
        torch.cat([look.boxes_xyxy_px for look in looks]),
        torch.cat([look.scores for look in looks]),
        torch.cat([look.labels for look in looks]),
        embeddings=torch.cat(vectors) if len(vectors) == len(looks) else None,
    )
