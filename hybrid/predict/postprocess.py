"""From the network's output to detections."""

from __future__ import annotations

from hybrid.core.config import NMS_IOU
from hybrid.core.types import Detections, Output
from hybrid.predict.suppression import without_doubles


def postprocess(
    output: Output, limit: int = 100, threshold: float = 0.0, nms_iou: float = NMS_IOU
) -> list[list[Detections]]:
    """The `limit` best (query, category) pairs of each frame [clip][frame], those that score `threshold` or more.

    Boxes are clipped to the image; those that vanish are left out, and doubles (see `without_doubles`).
    """
    height, width = output.size_hw_px
    categories = output.logits.shape[-1]
    scores = output.logits.detach().float().sigmoid().flatten(2)
    best, place = scores.topk(min(4 * limit, scores.shape[-1]), -1)  # more than needed, as some are doubles
    corner = output.boxes_xyxy_px.new_tensor([width, height, width, height])
    boxes = output.boxes_xyxy_px.detach().clamp(min=0).minimum(corner)
    boxes = boxes.gather(2, (place // categories)[..., None].expand(-1, -1, -1, 4))
    keep = (best >= threshold) & (boxes[..., 2:] > boxes[..., :2]).all(-1)
    labels = place % categories
    ids = unseen = None
    if output.tracks is not None:
        ids, unseen = (told.gather(2, place // categories) for told in (output.tracks.ids, output.tracks.unseen))

    def frame(i: int, k: int) -> Detections:
        known = None if ids is None else ids[i, k]
        vectors = None if output.embeddings is None else output.embeddings.detach()[i, k][place[i, k] // categories]
        memory = None if unseen is None else unseen[i, k]
        every = Detections(boxes[i, k], best[i, k], labels[i, k], known, vectors, memory).take(keep[i, k])
        return without_doubles(every, nms_iou, limit)

    return [[frame(i, k) for k in range(best.shape[1])] for i in range(best.shape[0])]
