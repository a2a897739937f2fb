"""From the output of the network to detections."""

from __future__ import annotations

from hybrid.core.config import NMS_IOU
from hybrid.core.types import Detections, Output
from hybrid.predict.suppression import suppress_duplicates


def postprocess(
    output: Output, limit: int = 100, threshold: float = 0.0, nms_iou: float = NMS_IOU
) -> list[list[Detections]]:
    """The `limit` best (query, category) pairs of each frame with a score of `threshold` or more, [clip][frame].

    Boxes are clipped to the image. Boxes without an area in it are left out, and duplicates, see `suppress_duplicates`.
    """
    height, width = output.size_hw_px
    categories = output.logits.shape[-1]
    scores = output.logits.detach().float().sigmoid().flatten(2)
    best, pairs = scores.topk(min(4 * limit, scores.shape[-1]), -1)  # more than the limit, as duplicates are among them
    queries, labels = pairs // categories, pairs % categories
    corner = output.boxes_xyxy_px.new_tensor([width, height, width, height])
    boxes = output.boxes_xyxy_px.detach().clamp(min=0).minimum(corner)
    boxes = boxes.gather(2, queries[..., None].expand(-1, -1, -1, 4))
    keep = (best >= threshold) & (boxes[..., 2:] > boxes[..., :2]).all(-1)
    ids = unseen = None
    if output.tracks is not None:
        ids, unseen = (column.gather(2, queries) for column in (output.tracks.ids, output.tracks.unseen))

    def frame(i: int, k: int) -> Detections:
        detections = Detections(
            boxes[i, k],
            best[i, k],
            labels[i, k],
            None if ids is None else ids[i, k],
            None if output.embeddings is None else output.embeddings.detach()[i, k][queries[i, k]],
            None if unseen is None else unseen[i, k],
        )
        return suppress_duplicates(detections.take(keep[i, k]), nms_iou, limit)

    return [[frame(i, k) for k in range(best.shape[1])] for i in range(best.shape[0])]
