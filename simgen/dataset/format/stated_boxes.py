"""Boxes as a data set states them: which of them can be used. `simgen check` and every reader for training ask here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

LEAST_SIDE_PX = 3.0  # smaller boxes are too small to learn from
OUTSIDE_PX = 1.0  # by which a box may leave its image, because tools round differently

NO_AREA = "box without an area"
OUTSIDE = "box outside its image"
TOO_SMALL = f"box with a side under {LEAST_SIDE_PX:g} px"
CLIPPED = "box reached outside its image: clipped"  # it is used


def box_fault(xyxy_px: Sequence[float], width_px: int, height_px: int) -> str | None:
    """What is wrong with a box: `NO_AREA`, `OUTSIDE`, `TOO_SMALL` or `CLIPPED`; None: nothing.

    A box with the fault `CLIPPED` is used, as far as it lies in the image. The others are not.
    """
    stated, clipped = _stated(xyxy_px), clipped_box(xyxy_px, width_px, height_px)
    if not np.isfinite(stated).all() or (stated[2:] <= stated[:2]).any():
        return NO_AREA
    least = float((clipped[2:] - clipped[:2]).min())
    if least <= 0:
        return OUTSIDE
    if least < LEAST_SIDE_PX:
        return TOO_SMALL
    return CLIPPED if float(np.abs(stated - clipped).max()) > OUTSIDE_PX else None


def clipped_box(xyxy_px: Sequence[float], width_px: int, height_px: int) -> Float32[np.ndarray, "4"]:
    """The part of a box that lies in the image."""
    limit = np.array([width_px, height_px, width_px, height_px], np.float32)
    return np.asarray(np.clip(_stated(xyxy_px), 0, limit), np.float32)


def _stated(xyxy_px: Sequence[float]) -> Float32[np.ndarray, "4"]:
    with np.errstate(over="ignore"):  # a number beyond float32 is infinite: no box
        return np.asarray(xyxy_px, np.float64).astype(np.float32)
