"""The whole box of a part of which a piece may be hidden, from the box of what is seen.

A detector of visible parts draws a smaller box where something covers a piece. Then one edge of it is still the part's
own, and the other one is the cover's. Each axis is looked at by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

GROW, SHRINK, PIECE_SHRINK = 0.3, 0.06, 0.02  # share of a difference that the size takes over in a frame
PIECE = 0.8  # a detection of less than this share of the whole box shows a piece
YOUNG = 4  # detections up to which a size follows faster
SAME = 0.12  # a smaller difference, in sizes, is noise: both edges are the part's own
EDGE_PX = 1.5  # a detection so near to the picture's edge is cut by it


@dataclass(frozen=True)
class Measured:
    """What detections tell of m whole parts.

    A box that gets smaller or larger keeps the edge that is the part's own, so its centre moves without any motion:
    `expected_px` has that in it, and only what is left to `centres_px` is motion.
    """

    centres_px: Float[np.ndarray, "m 2"]
    expected_px: Float[np.ndarray, "m 2"]  # the expected centres, of boxes of the new size
    sizes_px: Float[np.ndarray, "m 2"]
    entire: Bool[np.ndarray, " m"]  # all four edges are the part's own
    shares: Float[np.ndarray, " m"]  # of the whole box, that the detection covers


def measured(
    expected_cxcywh_px: Float[np.ndarray, "m 4"],
    found_cxcywh_px: Float[np.ndarray, "m 4"],
    hits: Int64[np.ndarray, " m"],
    size_hw_px: tuple[int, int] | None,
    open_: Bool[np.ndarray, "m 2"],
) -> Measured:
    """Whole parts, from where they were expected and the boxes of what is seen of them.

    `open_`: axes on which the part comes in at the picture's edge, so that its size is not known yet.
    """
    centre, old, part = expected_cxcywh_px[:, :2], expected_cxcywh_px[:, 2:], found_cxcywh_px[:, 2:]
    low, high = _edges(found_cxcywh_px)
    cut_low, cut_high = cut_by_picture(found_cxcywh_px, size_hw_px)
    size = old + np.where(open_, 1.0, _rates(old, part, hits, cut_low | cut_high)) * (part - old)
    off_low = np.abs(low - (centre - old / 2)) + 1e6 * cut_low
    off_high = np.abs(high - (centre + old / 2)) + 1e6 * cut_high
    both = (np.abs(part - old) <= SAME * old) & ~cut_low & ~cut_high | (cut_low & cut_high)
    side = np.where(both, 0.0, np.where(off_low < off_high, 1.0, -1.0))  # which edge stays
    edge = np.where(off_low < off_high, low + size / 2, high - size / 2)
    shares = (part.prod(1) / np.maximum(size.prod(1), 1e-9)).clip(0, 1)
    return Measured(
        np.where(both, (low + high) / 2, edge),
        centre + side * (size - old) / 2,
        size,
        (both & ~cut_low & ~cut_high).all(1),
        shares,
    )


def _rates(
    size: Float[np.ndarray, "m 2"],
    part: Float[np.ndarray, "m 2"],
    hits: Int64[np.ndarray, " m"],
    cut: Bool[np.ndarray, "m 2"],
) -> Float[np.ndarray, "m 2"]:
    """How fast sizes follow what is seen: a larger box is believed sooner than a smaller one, which may be a piece."""
    young = (hits < YOUNG)[:, None]
    shrink = np.where(part < PIECE * size, PIECE_SHRINK, SHRINK)
    rate = np.where(part > size, np.where(young, 0.6, GROW), np.where(young, 0.3, shrink))
    return np.where(cut & (part < size), 0.0, rate)


def coming_in(
    before_cxcywh_px: Float[np.ndarray, "k 4"],
    moved_cxcywh_px: Float[np.ndarray, "k 4"],
    shown: Bool[np.ndarray, " k"],
    size_hw_px: tuple[int, int] | None,
) -> tuple[Float[np.ndarray, "k 4"], Bool[np.ndarray, "k 2"]]:
    """Moved boxes that reach to the picture's edge where that cut them before, and the axes on which they come in.

    More of a part that comes in is seen with each frame, up to the picture's edge. `shown`: which were detected before.
    """
    if size_hw_px is None:
        return moved_cxcywh_px, np.zeros((len(moved_cxcywh_px), 2), bool)
    was, now = (cut_by_picture(boxes, size_hw_px) for boxes in (before_cxcywh_px, moved_cxcywh_px))
    in_low, in_high = (a & ~b & shown[:, None] for a, b in zip(was, now, strict=True))
    low, high = _edges(moved_cxcywh_px)
    low, high = np.where(in_low, 0.0, low), np.where(in_high, np.array(size_hw_px[::-1], float), high)
    return np.concatenate([(low + high) / 2, high - low], 1), in_low | in_high


def _edges(boxes_cxcywh_px: Float[np.ndarray, "k 4"]) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, "k 2"]]:
    half = boxes_cxcywh_px[:, 2:] / 2
    return boxes_cxcywh_px[:, :2] - half, boxes_cxcywh_px[:, :2] + half


def cut_by_picture(
    boxes_cxcywh_px: Float[np.ndarray, "m 4"], size_hw_px: tuple[int, int] | None
) -> tuple[Bool[np.ndarray, "m 2"], Bool[np.ndarray, "m 2"]]:
    """Which low and high edges are at the picture's edge."""
    low, high = _edges(boxes_cxcywh_px)
    if size_hw_px is None:
        return np.zeros(low.shape, bool), np.zeros(low.shape, bool)
    return low <= EDGE_PX, high >= np.array(size_hw_px[::-1]) - EDGE_PX


def within(
    boxes_cxcywh_px: Float[np.ndarray, "k 4"], size_hw_px: tuple[int, int] | None
) -> tuple[Float[np.ndarray, "k 4"], Float[np.ndarray, " k"]]:
    """The boxes as xyxy, cut by the picture, and the share of each that is in it."""
    low, high = _edges(boxes_cxcywh_px)
    if size_hw_px is None:
        return np.concatenate([low, high], 1), np.ones(len(low))
    extent = np.array(size_hw_px[::-1], float)
    low_in, high_in = low.clip(0, extent), high.clip(0, extent)
    share = (high_in - low_in).prod(1) / np.maximum((high - low).prod(1), 1e-9)
    return np.concatenate([low_in, high_in], 1), share
