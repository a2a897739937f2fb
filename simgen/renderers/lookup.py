"""Bilinear interpolation of an image at scattered points."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

ROW = 1024  # points are arranged in rows of this length: OpenCV's remap has a limit of 32767 a side


def look_up(
    picture: Float32[np.ndarray, "h w *c"], x: Float32[np.ndarray, "n"], y: Float32[np.ndarray, "n"], border: int
) -> Float32[np.ndarray, "n *c"]:
    """The image at columns `x` and rows `y` (integers are texels' centres); `border` is one of OpenCV's modes."""
    rows = max(1, -(-len(x) // ROW))
    points = np.zeros((2, rows * ROW), np.float32)
    points[0, : len(x)], points[1, : len(x)] = x, y
    grid = points.reshape(2, rows, ROW)
    sampled = cv2.remap(picture, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(sampled, np.float32).reshape(rows * ROW, *picture.shape[2:])[: len(x)]
