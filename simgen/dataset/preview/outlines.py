"""The outline of a mask as the path of an SVG."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Int32

FINE = 2  # samples along each side of a pixel, so that the line runs a quarter of a pixel inside their edges
OFF_PX = 0.4  # how far a simplified line may lie from that
LEAST_PX = 3.0  # area of the smallest island that is drawn, beside the largest one


def outlines(ids: Int32[np.ndarray, "h w"], tracks: list[int]) -> dict[int, str]:
    """The outline of each part in an id map that has pixels there, by its track id; holes included.

    Coordinates are those of the labels: the first pixel reaches from 0 to 1.
    """
    found = {}
    for track in tracks:
        rows, columns = np.nonzero(ids == track)
        if len(rows):
            top, left = int(rows.min()), int(columns.min())
            window = ids[top : int(rows.max()) + 1, left : int(columns.max()) + 1] == track
            found[track] = outline(window, left, top)
    return found


def outline(mask: Bool[np.ndarray, "h w"], left: int = 0, top: int = 0) -> str:
    """The outline of a mask whose first pixel lies at (left, top)."""
    fine = np.pad(mask.astype(np.uint8).repeat(FINE, axis=0).repeat(FINE, axis=1), 1)
    rings, _ = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = sorted(rings, key=cv2.contourArea, reverse=True)
    kept = [ring for i, ring in enumerate(rings) if i == 0 or cv2.contourArea(ring) >= LEAST_PX * FINE**2]
    return "".join(_ring(ring, left, top) for ring in kept)


def _ring(ring: np.ndarray, left: int, top: int) -> str:
    points = cv2.approxPolyDP(ring, OFF_PX * FINE, True).reshape(-1, 2)
    x = (points[:, 0] - 0.5) / FINE + left  # the middle of a sample; the border of one sample is taken off again
    y = (points[:, 1] - 0.5) / FINE + top
    return "M" + "L".join(f"{a:g} {b:g}" for a, b in zip(x, y, strict=True)) + "Z"
