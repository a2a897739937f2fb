"""IoU of boxes as numpy arrays, without torch. For tensors see `hybrid.core.boxes`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def iou(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Intersection over union of each box of `a` with each box of `b`, both xyxy; 0 for boxes without area."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = (high - low).clip(0).prod(-1)
    areas = (a[:, 2:] - a[:, :2]).prod(-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(-1)[None]
    return overlap / np.maximum(areas - overlap, 1e-9)  # type: ignore[no-any-return]
