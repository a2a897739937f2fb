"""Pictures for the report, as data URIs.

Boxes are xyxy in pixels, max exclusive; images uint8 RGB [h, w, 3].
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from hybrid.core.overlap import iou

Image = UInt8[np.ndarray, "h w 3"]
Boxes = Float[np.ndarray, "n 4"]
Box = Float[np.ndarray, " 4"]

HIT, MISS, FALSE_ALARM = (46, 160, 67), (250, 166, 26), (218, 54, 51)


@dataclass(frozen=True)
class Outcome:
    """Which detections of a frame are right, which are wrong, and which parts are missed, at IoU 0.5."""

    hits: Int[np.ndarray, " h"]  # indices into the detections
    false_alarms: Int[np.ndarray, " f"]  # indices into the detections
    misses: Int[np.ndarray, " m"]  # indices into the ground truth


def judge(
    boxes: Boxes, labels: Int[np.ndarray, " n"], truth: Float[np.ndarray, "m 4"], truth_labels: Int[np.ndarray, " m"]
) -> Outcome:
    """Match detections, highest score first, to ground truth of their category.

    A detection takes the free ground-truth box that it overlaps most, if their IoU is 0.5 or more.
    """
    overlap = iou(boxes, truth) * (labels[:, None] == truth_labels[None])
    free = np.ones(len(truth), bool)
    hits, false_alarms = [], []
    for i in range(len(boxes)):
        candidates = np.where(free, overlap[i], 0.0)
        best = int(candidates.argmax()) if len(truth) else -1
        if best >= 0 and candidates[best] >= 0.5:
            free[best] = False
            hits.append(i)
        else:
            false_alarms.append(i)
    return Outcome(np.array(hits, int), np.array(false_alarms, int), np.flatnonzero(free))


def draw(image: Image, boxes: Boxes, colour: tuple[int, int, int], thickness: int = 2) -> Image:
    """A copy of the image with the outlines of the boxes."""
    canvas = image.copy()
    for x0, y0, x1, y1 in np.round(boxes).astype(int).tolist():
        cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), colour, thickness, cv2.LINE_AA)
    return canvas


def annotated(image: Image, boxes: Boxes, truth: Float[np.ndarray, "m 4"], outcome: Outcome) -> Image:
    """A copy of the image with hits in green, false alarms in red and missed parts in amber."""
    thickness = max(1, round(max(image.shape[:2]) / 500))
    canvas = draw(image, boxes[outcome.hits], HIT, thickness)
    canvas = draw(canvas, boxes[outcome.false_alarms], FALSE_ALARM, thickness)
    return draw(canvas, truth[outcome.misses], MISS, thickness)


def crop(image: Image, box: Box, colour: tuple[int, int, int], side_px: int = 144) -> UInt8[np.ndarray, "s s 3"]:
    """A square around one box, three times its size, scaled to `side_px`, with the box's outline."""
    half = max(16.0, 1.5 * float((box[2:] - box[:2]).max()))
    centre = (box[:2] + box[2:]) / 2
    scale = side_px / (2 * half)
    to_crop = np.array([[scale, 0, side_px / 2 - scale * centre[0]], [0, scale, side_px / 2 - scale * centre[1]]])
    flag = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    view = cv2.warpAffine(image, to_crop, (side_px, side_px), flags=flag, borderValue=(40, 40, 40))
    corners = (box.reshape(2, 2) * scale + to_crop[:, 2]).reshape(1, 4)
    return draw(np.asarray(view, np.uint8), corners, colour)


def to_uri(image: Image, longest_px: int = 900, quality: int = 82) -> str:
    """A JPEG as a data URI, no side longer than `longest_px`."""
    scale = min(1.0, longest_px / max(image.shape[:2]))
    if scale < 1.0:
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
