"""What is told of a frame: its detections with track ids, and rows for the parts that are hidden."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hybrid.core.overlap import iou
from hybrid.core.types import Detections
from hybrid.predict.linking.boxes import PIECE, within
from hybrid.predict.linking.judge import Opinion
from hybrid.predict.linking.settings import Linking
from hybrid.predict.linking.state import Linked

SAME_IOU = 0.5  # a detection that overlaps a followed one by this or more is the same part
LEFT = 0.15  # a part of which a smaller share is in the picture, and which is not detected, has left


def reported(
    detections: Detections,
    tracks: Linked,
    slot: Int64[np.ndarray, " n"],
    linking: Linking,
    size_hw_px: tuple[int, int] | None,
    opinion: Opinion | None = None,
) -> Detections:
    """The rows: detections, with what is known of their tracks, then the hidden parts; best first.

    `opinion`: of the track network; None: by rules.
    """
    exists = tracks.existence if opinion is None else opinion.scores.astype(float)
    boxes_px = tracks.boxes_cxcywh_px if opinion is None else opinion.boxes_cxcywh_px.astype(float)
    whole, share = within(boxes_px, size_hw_px)
    has = slot >= 0
    of = slot[has]
    boxes, scores, labels = (x.numpy().copy() for x in (detections.boxes_xyxy_px, detections.scores, detections.labels))
    ids, visible = np.full(len(slot), -1, np.int64), np.ones(len(slot))
    scores[has], labels[has], ids[has] = exists[of], tracks.labels[of], tracks.ids[of]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    visible[has] = (area[has] / np.maximum((whole[of, 2:] - whole[of, :2]).prod(1), 1e-9)).clip(0, 1)
    if opinion is not None:
        visible[has], boxes[has] = opinion.visible[of], whole[of]
    elif linking.whole:
        piece = np.flatnonzero(has)[visible[has] < PIECE]
        boxes[piece] = whole[slot[piece]]
    lost = _hidden(tracks, whole, share, exists, linking) if linking.hidden else np.zeros(0, np.int64)
    columns = [
        (boxes, whole[lost]),
        (scores, exists[lost]),
        (labels, tracks.labels[lost]),
        (ids, tracks.ids[lost]),
        (visible, np.zeros(len(lost)) if opinion is None else opinion.visible[lost]),
        (np.zeros(len(slot), bool), np.ones(len(lost), bool)),
    ]
    boxes, scores, labels, ids, visible, unseen = (np.concatenate(pair) for pair in columns)
    rows = Detections(
        torch.from_numpy(boxes.astype(np.float32)),
        torch.from_numpy(scores.astype(np.float32)),
        torch.from_numpy(labels),
        torch.from_numpy(ids),
        _vectors(detections, tracks, lost),
        torch.from_numpy(unseen),
        torch.from_numpy(visible.astype(np.float32)),
    )
    return rows.take(rows.scores.argsort(descending=True, stable=True))


def _vectors(detections: Detections, tracks: Linked, lost: np.ndarray) -> Tensor | None:
    if detections.embeddings is None:
        return None
    given = detections.embeddings.float()
    kept = np.zeros((len(tracks), given.shape[1])) if tracks.embeddings is None else tracks.embeddings
    return torch.cat([given, torch.from_numpy(kept[lost].astype(np.float32))])


def _hidden(
    tracks: Linked,
    whole_xyxy_px: Float[np.ndarray, "k 4"],
    share: Float[np.ndarray, " k"],
    exists: Float[np.ndarray, " k"],
    linking: Linking,
) -> np.ndarray:
    """The tracks that are reported though they are not detected: not those that lie on a part that is seen."""
    shown = tracks.unseen == 0
    same = (iou(whole_xyxy_px, whole_xyxy_px[shown]) > SAME_IOU) & (tracks.labels[:, None] == tracks.labels[shown])
    area = (whole_xyxy_px[:, 2:] > whole_xyxy_px[:, :2]).all(1)
    reported = ~shown & (exists >= linking.reported) & (share >= LEFT) & area & ~same.any(1)
    return np.flatnonzero(reported & (tracks.unseen <= linking.patience))
