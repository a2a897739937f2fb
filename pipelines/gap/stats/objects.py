"""Properties of labelled objects by which recall is compared: how bright, how sharp and how visible each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from hybrid.data.clips import FrameRecord
from hybrid.data.pixels import decode

LEAST_PIXELS = 16  # inside a box
SHARES = (0.1, 0.5, 0.8)  # visible, lower ends of the groups
Values = Float[np.ndarray, " _"]
Groups = dict[str, tuple[Bool[np.ndarray, " _"], Bool[np.ndarray, " _"]]]  # simulated and real objects, by name


@dataclass(frozen=True)
class ObjectLooks:
    """Of the m objects of a data set, frame by frame. NaN: not known."""

    brightness: Values  # mean grey level inside the box, 0 to 255
    sharpness: Values  # natural logarithm of the Laplacian's variance inside the box; blur lowers it
    visible: Values  # share of the object's pixels


def object_looks(frames: Sequence[FrameRecord]) -> ObjectLooks:
    """Look at the pixels of each labelled box. Each picture is read once."""
    rows = [_of_frame(frame) for frame in frames]
    bright, sharp, visible = (np.concatenate([np.zeros(0), *(row[k] for row in rows)]) for k in range(3))
    return ObjectLooks(bright, sharp, visible)


def _of_frame(frame: FrameRecord) -> tuple[Values, Values, Values]:
    count = len(frame.labels)
    visible = np.full(count, np.nan) if frame.visible_share is None else frame.visible_share.astype(np.float64)
    if not count:
        return np.zeros(0), np.zeros(0), visible
    grey = cv2.cvtColor(decode(frame), cv2.COLOR_RGB2GRAY).astype(np.float64)
    edges = cv2.Laplacian(grey, -1)
    bright, sharp = np.full(count, np.nan), np.full(count, np.nan)
    for k, (x0, y0, x1, y1) in enumerate(np.round(frame.boxes_xyxy_px).astype(int).clip(0)):
        if grey[y0:y1, x0:x1].size >= LEAST_PIXELS:
            bright[k] = grey[y0:y1, x0:x1].mean()
            sharp[k] = np.log(edges[y0:y1, x0:x1].var() + 1e-3)
    return bright, sharp, visible


def by_thirds(simulated: Values, real: Values, words: tuple[str, str, str], digits: int) -> Groups:
    """Three groups, with as many real objects in each; the same limits for the simulated ones.

    Nothing where the real objects are all alike, or their values are not known.
    """
    known = real[np.isfinite(real)]
    if not len(known):
        return {}
    low, high = np.quantile(known, [1 / 3, 2 / 3]).round(digits).tolist()
    if low == high:
        return {}
    below, inside, above = f"under {low:.{digits}f}", f"{low:.{digits}f} to {high:.{digits}f}", f"{high:.{digits}f} on"
    return {
        f"{words[0]}, {below}": (simulated < low, real < low),
        f"{words[1]}, {inside}": ((low <= simulated) & (simulated < high), (low <= real) & (real < high)),
        f"{words[2]}, {above}": (simulated >= high, real >= high),
    }


def by_share(simulated: Values, real: Values) -> Groups:
    """Groups by the visible share; nothing where neither side knows it."""
    if not (np.isfinite(simulated).any() or np.isfinite(real).any()):
        return {}
    ends = (*SHARES, np.inf)
    return {
        f"{low:.0%} {'and more' if high == np.inf else f'to {high:.0%}'}": (
            (low <= simulated) & (simulated < high), (low <= real) & (real < high),
        )
        for low, high in zip(SHARES, ends[1:], strict=True)
    }  # fmt: skip
