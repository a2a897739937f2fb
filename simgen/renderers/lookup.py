"""Bilinear samples of a picture at scattered points."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

ROW = 1024  # OpenCV's remap takes no side of 32768 or more


def look_up(
    picture: Float32[np.ndarray, "h w *c"], x: Float32[np.ndarray, "n"], y: Float32[np.ndarray, "n"], border: int
) -> Float32[np.ndarray, "n *c"]:
    """The picture at columns `x` and rows `y` (whole numbers are texels' centres); `border` is one of OpenCV's."""
    rows = -(-len(x) // ROW)
    at = np.zeros((2, rows * ROW), np.float32)
    at[0, : len(x)], at[1, : len(x)] = x, y
    grid = at.reshape(2, rows, ROW)
    found = cv2.remap(picture, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(found, np.float32).reshape(rows * ROW, *picture.shape[2:])[: len(x)]
