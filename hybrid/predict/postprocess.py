"""From the output of the network to detections."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from hybrid.core.config import NMS_IOU
from hybrid.core.types import Detections, Output
from hybrid.predict.suppression import suppress_duplicates


@dataclass(frozen=True)
class Answer:
    """What a network answers about clips, as far as detections are made of it."""

    scores: Float32[Tensor, "b t q c"]
    boxes_xyxy_px: Float32[Tensor, "b t q 4"]
    size_hw_px: tuple[int, int]
    track_ids: Int64[Tensor, "b t q"] | None = None
    unseen: Bool[Tensor, "b t q"] | None = None
    embeddings: Float32[Tensor, "b t q e"] | None = None


def answer_of(output: Output) -> Answer:
    """The answer in a network's output, without gradients."""
    tracks, embeddings = output.tracks, output.embeddings
    return Answer(
        output.logits.detach().float().sigmoid(),
        output.boxes_xyxy_px.detach(),
        output.size_hw_px,
        None if tracks is None else tracks.ids,
        None if tracks is None else tracks.unseen,
        None if embeddings is None else embeddings.detach(),
    )


def postprocess(
    output: Output | Answer, limit: int = 100, threshold: float = 0.0, nms_iou: float = NMS_IOU
) -> list[list[Detections]]:
    """The `limit` best (query, category) pairs of each frame with a score of `threshold` or more, [clip][frame].

    Boxes are clipped to the image. Boxes without an area in it are left out, and duplicates, see `suppress_duplicates`.
    """
    answer = output if isinstance(output, Answer) else answer_of(output)
    height, width = answer.size_hw_px
    categories = answer.scores.shape[-1]
    scores = answer.scores.flatten(2)
    best, pairs = scores.topk(min(4 * limit, scores.shape[-1]), -1)  # more than the limit, as duplicates are among them
    queries, labels = pairs // categories, pairs % categories
    corner = answer.boxes_xyxy_px.new_tensor([width, height, width, height])
    boxes = answer.boxes_xyxy_px.clamp(min=0).minimum(corner)
    boxes = boxes.gather(2, queries[..., None].expand(-1, -1, -1, 4))
    keep = (best >= threshold) & (boxes[..., 2:] > boxes[..., :2]).all(-1)
    ids, unseen = (
        None if column is None else column.gather(2, queries) for column in (answer.track_ids, answer.unseen)
    )

    def frame(i: int, k: int) -> Detections:
        detections = Detections(
            boxes[i, k],
            best[i, k],
            labels[i, k],
            None if ids is None else ids[i, k],
            None if answer.embeddings is None else answer.embeddings[i, k][queries[i, k]],
            None if unseen is None else unseen[i, k],
        )
        return suppress_duplicates(detections.take(keep[i, k]), nms_iou, limit)

    return [[frame(i, k) for k in range(best.shape[1])] for i in range(best.shape[0])]
