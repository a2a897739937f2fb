"""Which detection shows which track: by place, size, category and embedding, at the lowest total cost."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.optimize import linear_sum_assignment

from hybrid.predict.linking.boxes import YOUNG, cut_by_picture
from hybrid.predict.linking.motion.filter import NOISE
from hybrid.predict.linking.state import Linked, Seen

FARTHEST, FARTHEST_YOUNG = 2.0, 3.0  # standard deviations from the expected place; young: of unknown speed
LEAST_REACH = 0.4  # in sides, however certain the place is
LEAST_PIECE = 0.15  # of a part's area, by which it is still known
SIZE, CATEGORY, EMBEDDING = 0.5, 1.0, 1.0  # weights of the differences
IMPOSSIBLE = 1e6


def assigned(
    expected: Linked, seen: Seen, sure: float, unsure: float, reach: float, size_hw_px: tuple[int, int] | None = None
) -> Int64[np.ndarray, " n"]:
    """The index of each detection's track; -1: none. Sure detections come first, as in ByteTrack.

    (Zhang et al., ECCV 2022.)
    """
    cost = _cost(expected, seen, reach, size_hw_px)
    slot = np.full(len(seen.scores), -1, np.int64)
    for first, last in ((sure, 2.0), (unsure, sure)):
        _assign(cost, (seen.scores >= first) & (seen.scores < last), slot)
    return slot


def _cost(expected: Linked, seen: Seen, reach: float, size_hw_px: tuple[int, int] | None) -> Float[np.ndarray, "n k"]:
    """As of the negative logarithm of a likelihood; inf: too far."""
    side = np.maximum(expected.side_px[None], seen.side_px[:, None])
    spread = np.sqrt(expected.variance_px[:, 0] + np.square(2 * NOISE * expected.side_px))
    off = _apart(expected.boxes_cxcywh_px, seen.boxes_cxcywh_px)
    farthest = np.where(expected.hits < YOUNG, FARTHEST_YOUNG, FARTHEST)
    allowed = np.clip(farthest * spread, LEAST_REACH * side, reach * side * np.sqrt(1 + expected.unseen))
    size = np.abs(np.log(seen.side_px[:, None] / expected.side_px))
    fits = _fits(expected, seen, size_hw_px)
    votes = expected.votes / np.maximum(expected.votes.sum(1, keepdims=True), 1e-9)
    other = 1.0 - votes[:, seen.labels].T
    cost = np.square(off / spread) / 2 + np.log(spread / expected.side_px) + SIZE * size + CATEGORY * other
    if seen.embeddings is not None and expected.embeddings is not None:
        cost = cost + EMBEDDING * (1.0 - seen.embeddings @ expected.embeddings.T)
    return np.where(fits & (off <= allowed), cost, np.inf)


def _fits(expected: Linked, seen: Seen, size_hw_px: tuple[int, int] | None) -> Bool[np.ndarray, "n k"]:
    """Whether the sizes can be one part's: a piece may be seen of it, but hardly more than all of it.

    A part that the picture's edge cut may come in further, so its size across that edge tells nothing.
    """
    boxes = expected.boxes_cxcywh_px
    ratio = seen.boxes_cxcywh_px[:, None, 2:] / np.maximum(boxes[None, :, 2:], 1e-6)
    most = np.where(expected.hits < YOUNG, 3.0, 1.6)[:, None]
    cut = np.logical_or(*cut_by_picture(boxes, size_hw_px))
    most = np.where(cut & (expected.unseen == 0)[:, None], np.inf, most)
    return (ratio <= most).all(-1) & (ratio.prod(-1) >= LEAST_PIECE)  # type: ignore[no-any-return]


def _apart(expected: Float[np.ndarray, "k 4"], found: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n k"]:
    """The distance of the centres, less what a hidden piece explains: on each axis half the difference of the sizes."""
    off = np.abs(found[:, None, :2] - expected[None, :, :2])
    cut = np.abs(found[:, None, 2:] - expected[None, :, 2:]) / 2
    return np.hypot(*np.moveaxis(np.maximum(off - cut, 0.5 * off), -1, 0))  # type: ignore[no-any-return]


def _assign(cost: Float[np.ndarray, "n k"], chosen: Bool[np.ndarray, " n"], slot: Int64[np.ndarray, " n"]) -> None:
    """Assign the chosen detections to the tracks that are still free. Changes `slot`."""
    rows = np.flatnonzero(chosen)
    free = np.setdiff1d(np.arange(cost.shape[1]), slot)
    if not len(rows) or not len(free):
        return
    part = cost[np.ix_(rows, free)]
    for row, column in zip(*linear_sum_assignment(np.where(np.isfinite(part), part, IMPOSSIBLE)), strict=True):
        if np.isfinite(part[row, column]):
            slot[rows[row]] = free[column]
