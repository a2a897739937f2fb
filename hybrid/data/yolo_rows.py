"""The rows of a YOLO label file: boxes, outlines, keypoints and predictions told apart.

A row is a class and numbers. Coordinates are fractions of the image's width and height. Of the numbers behind the class

- 4 are a box: x_centre y_centre width height;
- 5 are a box and a score or a track (Ultralytics `save_txt`), 6 a box, a score and a track;
- 6, 8, 10, ... are the points of an outline, or the corners of an oriented box (8);
- one more than these is an outline with a score or a track;
- where `data.yaml` has `kpt_shape: [k, d]`, 4 + k d are a box and keypoints. So they are without it, where each third
  number behind the box is a visibility flag (0, 1 or 2).

The rows of a file are judged together, since 6 numbers may be an outline of three points as well. A row that is still
not clear is left out: an outline is never made of keypoints, scores or tracks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NO_BOX = "label line that is no box"
NO_CLASS = "label line whose class is no whole number from 0"
TWICE = "label line stated twice: read once"
UNCLEAR = "label line that may be an outline, or a box with a score and a track"
PREDICTED = "label line of a prediction, with a score or a track: its box is read"
OUTSIDE = 0.5  # by which the points of an outline may leave the image, as a share of it: less than a flag or a pixel


@dataclass(frozen=True)
class YoloRow:
    """A readable row: its line from 1, its class, and its box (x_min, y_min, x_max, y_max) as fractions."""

    line: int
    index: int
    box: tuple[float, float, float, float]


def yolo_rows(text: str, keypoint_numbers: int | None) -> tuple[list[YoloRow], list[tuple[str, int]]]:
    """The readable rows of a label file; and what is to be said, with the line that it is about.

    `keypoint_numbers`: k d, where `data.yaml` has `kpt_shape: [k, d]`.
    """
    rows: list[YoloRow] = []
    notes: list[tuple[str, int]] = []
    numbered = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    numbers = {number: _finite(words) for number, words in numbered}
    tracked = _tracked([row[1:] for row in numbers.values() if row is not None and len(row) == 7])
    seen: set[tuple[float, ...]] = set()
    for number, row in numbers.items():
        fault, box = _judged(row, keypoint_numbers, tracked)
        if row is not None and tuple(row) in seen:
            fault, box = TWICE, None
        if fault:
            notes.append((fault, number))
        if box is not None and row is not None:
            rows.append(YoloRow(number, int(row[0]), box))
            seen.add(tuple(row))
    return rows, notes


def _finite(words: Sequence[str]) -> list[float] | None:
    """The numbers of a line, or None where a word is no finite number."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    return numbers if all(math.isfinite(number) and abs(number) < 1e9 for number in numbers) else None


def _tracked(rows: Sequence[Sequence[float]]) -> bool | None:
    """Whether rows of 6 numbers are boxes with a score and a track; None: it is not clear.

    A track is a whole number, and a score is in 0..1. The last coordinate of an outline is rarely whole.
    """
    if not all(row[5].is_integer() and row[5] >= 0 and 0 <= row[4] <= 1 for row in rows):
        return None if any(row[5] > 1.01 for row in rows) else False
    return True if any(row[5] > 1 for row in rows) else None


Judged = tuple[str, tuple[float, float, float, float] | None]  # what is to be said, and the box


def _judged(row: Sequence[float] | None, keypoint_numbers: int | None, tracked: bool | None) -> Judged:
    if row is None or len(row) < 5:
        return NO_BOX, None
    if not row[0].is_integer() or row[0] < 0:
        return NO_CLASS, None
    values = row[1:]
    count, around = len(values), _around_centre(values)
    if count == 4:
        return "", around
    if keypoint_numbers is not None:
        known = count in (4 + keypoint_numbers, 5 + keypoint_numbers)
        return ("" if count == 4 + keypoint_numbers else PREDICTED, around) if known else (NO_BOX, None)
    if count == 5:
        return PREDICTED, around
    if count == 6:
        return {True: (PREDICTED, around), False: _outline(values), None: (UNCLEAR, None)}[tracked]
    if (count - 4) % 3 == 0 and all(flag in (0, 1, 2) for flag in values[6::3]):
        return (UNCLEAR, None) if count == 7 else ("", around)
    if count % 2:
        fault, box = _outline(values[:-1])
        return fault or PREDICTED, box
    return _outline(values)


def _around_centre(values: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = values[:4]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _outline(values: Sequence[float]) -> Judged:
    """The box around the points of an outline, unless they lie outside of the image: then they are something else."""
    points = np.array(values).reshape(-1, 2)
    if points.min() < -OUTSIDE or points.max() > 1 + OUTSIDE:
        return NO_BOX, None
    (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
    return "", (x0, y0, x1, y1)
