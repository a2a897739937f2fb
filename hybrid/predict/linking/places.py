"""Where in the picture parts are seen, are lost and found again, and are lost for good; learned while a stream runs.

The picture is divided into ROWS x COLUMNS cells with three counts each, which decay. A bridge over a belt becomes cells
in which parts are lost and found again; a place where a gripper takes parts becomes cells in which they end.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int64

ROWS, COLUMNS = 18, 24
CELLS = ROWS * COLUMNS
KEPT = 0.998  # of a count after a frame: half after 350
MOST = 30.0  # of a count, so that a belt that stands for long can be learned anew
PRIOR = 3.0  # passages for which the general share stands before anything was learned


@dataclass(frozen=True)
class Places:
    """Counts of passages through each cell: seen; covered, and found again later; ended there."""

    counts: Float[np.ndarray, "3 _ _"]

    @staticmethod
    def none() -> Places:
        return Places(np.zeros((3, ROWS, COLUMNS)))

    def after(self, seen: Int64[np.ndarray, " a"], found: Bool[np.ndarray, "b _"]) -> Places:
        """The counts after a frame.

        Args:
            seen: the cells of the parts that are seen.
            found: of these parts, the cells that they crossed since they were lost.
        """
        counts = self.counts.reshape(3, CELLS) * KEPT
        counts[0] += np.bincount(seen, minlength=CELLS)
        counts[1] += found.sum(0)
        return Places(counts.reshape(3, ROWS, COLUMNS).clip(max=MOST))

    def ended_at(self, cells: Int64[np.ndarray, " c"]) -> Places:
        """The counts after parts were given up that were lost in these cells."""
        counts = self.counts.reshape(3, CELLS).copy()
        counts[2] += np.bincount(cells, minlength=CELLS)
        return Places(counts.reshape(3, ROWS, COLUMNS).clip(max=MOST))

    def shares(
        self, cells: Int64[np.ndarray, " k"], cover: float, end: float
    ) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
        """How likely a part is covered, and ends, in each of these cells; `cover` and `end`: where nothing is known."""
        near = np.stack([cv2.blur(one, (3, 3), borderType=cv2.BORDER_REPLICATE) for one in self.counts])
        seen, covered, ended = near.reshape(3, CELLS)[:, cells] + 0.5 * self.counts.reshape(3, CELLS)[:, cells]
        total = seen + covered + ended + PRIOR
        return (covered + PRIOR * cover) / total, (ended + PRIOR * end) / total


def cells_at(centres_px: Float[np.ndarray, "k 2"], size_hw_px: tuple[int, int] | None) -> Int64[np.ndarray, " k"]:
    """The cell of each centre; the nearest one for those outside. Without a size every centre is in cell 0."""
    if size_hw_px is None:
        return np.zeros(len(centres_px), np.int64)
    height, width = size_hw_px
    column = (centres_px[:, 0] * COLUMNS / width).astype(np.int64).clip(0, COLUMNS - 1)
    row = (centres_px[:, 1] * ROWS / height).astype(np.int64).clip(0, ROWS - 1)
    return row * COLUMNS + column  # type: ignore[no-any-return]
