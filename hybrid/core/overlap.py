"""IoU of boxes as numpy arrays, without torch. For tensors see `hybrid.core.boxes`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int


def iou(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Intersection over union of each box of `a` with each box of `b`, both xyxy; 0 for boxes without area."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = (high - low).clip(0).prod(-1)
    areas = (a[:, 2:] - a[:, :2]).prod(-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(-1)[None]
    return overlap / np.maximum(areas - overlap, 1e-9)  # type: ignore[no-any-return]


def share_inside(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """The share of each box of `a` that is inside each of `b`."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    areas = (a[:, 2:] - a[:, :2]).prod(-1)[:, None]
    return (high - low).clip(0).prod(-1) / np.maximum(areas, 1e-9)  # type: ignore[no-any-return]


def nested(boxes: Float[np.ndarray, "n 4"], labels: Int[np.ndarray, " n"], most_share: float) -> Bool[np.ndarray, " n"]:
    """Whether a larger share of a box's area than `most_share` is inside an earlier box of its label; boxes best first.

    Such a box is nearly always a part of the other box's object: non-maximum suppression keeps it, as its IoU is low.
    """
    shares = share_inside(boxes, boxes)
    earlier = np.tri(len(boxes), k=-1, dtype=bool)
    return ((shares > most_share) & (labels[:, None] == labels[None]) & earlier).any(1)  # type: ignore[no-any-return]
