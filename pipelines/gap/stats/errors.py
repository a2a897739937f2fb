"""Kinds of errors as in TIDE: how many points of AP50 repairing one kind alone would win.

D. Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020, section 2.2; foreground
IoU 0.5, background IoU 0.1. A false detection is of the first kind that fits:
localisation (right category, IoU 0.1 to 0.5), classification (wrong category, IoU 0.5 or more), duplicate (of an object
that a better detection takes), background (IoU 0.1 or less with every object), both (the rest). A missed object counts
as missed where no localisation or classification error could be repaired into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int64

from hybrid.core.errors import DataError
from hybrid.data.clips import FrameRecord
from hybrid.metrics.video import MatchedDetections
from pipelines.gap.stats.matches import NONE, Matches

FOREGROUND, BACKGROUND = 0.5, 0.1
KINDS = {
    "localisation": "right category, but the box fits badly",
    "classification": "a box that fits, but of another category",
    "duplicate": "a second box on a part",
    "background": "a box where no part is",
    "both": "a box that fits badly, of another category",
    "missed": "a part without any box",
}
Mask = Bool[np.ndarray, " n"]
INSIDE, OUTSIDE = "background, inside the work area", "background, outside the work area"
PLACES = {
    INSIDE: "of these, boxes among the parts: inside the hull of the session's labelled boxes",
    OUTSIDE: "of these, boxes beside the parts",
}
IN_PLAN = "of these, boxes in the work area that the plan states"
Places = Int64[np.ndarray, " n"]
Area = Float[np.ndarray, "corners 2"]  # corners (x, y) of a polygon, in pixels or, all from 0 to 1, as shares


def kinds(found: Matches) -> dict[str, Mask]:
    """Which of the detections are of each kind; the right ones are of none."""
    left = found.false.copy()
    any_iou = np.maximum(found.same_iou, found.other_iou)
    tests = {
        "localisation": (found.same_iou >= BACKGROUND) & (found.same_iou < FOREGROUND),
        "classification": found.other_iou >= FOREGROUND,
        "duplicate": found.same_iou >= FOREGROUND,
        "background": any_iou <= BACKGROUND,
        "both": np.ones(len(left), bool),
    }
    of_kind: dict[str, Mask] = {}
    for name, fits in tests.items():
        of_kind[name] = left & fits
        left &= ~fits
    return of_kind


def repaired(found: Matches, kind: str, only: Mask | None = None) -> MatchedDetections:
    """The detections as they would be without the errors of one kind; "none": as they are.

    `only`: of false alarms on the background, and of duplicates, those alone are repaired.
    """
    of_kind = kinds(found)
    correct, labels = ~found.false, found.labels.copy()
    kept, objects = np.ones(len(labels), bool), np.ones(len(found.object_labels), bool)
    if kind in ("localisation", "classification"):
        target = found.same if kind == "localisation" else found.other
        mended = of_kind[kind] & _best_for_each(found, of_kind)
        kept, correct = ~of_kind[kind] | mended, correct | mended
        labels[mended] = found.object_labels[target[mended]]
    elif kind == "missed":
        objects = ~missed(found)
    elif kind != "none":
        kept = ~(of_kind[kind] if only is None else of_kind[kind] & only)
    order = np.argsort(-found.scores[kept], kind="stable")
    return MatchedDetections(
        scores=found.scores[kept][order].astype(np.float32), correct=correct[kept][order], labels=labels[kept][order],
        clips=found.frames[kept][order], truth_labels=found.object_labels[objects],
        truth_clips=found.object_frames[objects],
    )  # fmt: skip


def missed(found: Matches) -> Bool[np.ndarray, " m"]:
    """Objects that no detection takes, and that no error of localisation or classification could be repaired into."""
    of_kind, free = kinds(found), found.taken_with < 0
    for kind, target in (("localisation", found.same), ("classification", found.other)):
        free[target[of_kind[kind]]] = False
    return free


def _best_for_each(found: Matches, of_kind: dict[str, Mask]) -> Mask:
    """Of the errors of localisation and classification that point at a free object: the best one for each object."""
    target = np.where(of_kind["localisation"], found.same, np.where(of_kind["classification"], found.other, NONE))
    free = found.taken_with < 0
    mended = np.zeros(len(target), bool)
    for k in np.argsort(-found.scores, kind="stable"):
        if target[k] != NONE and free[target[k]]:
            mended[k], free[target[k]] = True, False
    return mended


def gains(
    found: Matches,
    weights: Float[np.ndarray, "draws photos"],
    precision: Callable[[MatchedDetections, Float[np.ndarray, "draws photos"]], Float[np.ndarray, " draws"]],
    inside: Places | None = None,
) -> dict[str, Float[np.ndarray, " draws"]]:
    """What AP50 gains on each draw where one kind alone is repaired; never less than 0.

    `inside`: of `in_work_area`; with it, false alarms on the background are repaired by their place too.
    """
    before = precision(repaired(found, "none"), weights)
    rows = {kind: np.maximum(precision(repaired(found, kind), weights) - before, 0.0) for kind in KINDS}
    if inside is not None:
        for name, which in ((INSIDE, inside == 1), (OUTSIDE, inside == 0)):
            mended = precision(repaired(found, "background", which), weights)
            rows[name] = np.maximum(mended - before, 0.0)
    return rows


def in_work_area(
    found: Matches, frames: Sequence[FrameRecord], sessions: Int64[np.ndarray, " photos"], area: Area | None = None
) -> Places:
    """Where each detection's centre lies: 1 inside the work area of its session, 0 outside, -1: no area is known."""
    outlines = work_areas(frames, sessions, area)
    centres = (found.boxes_xyxy_px[:, :2] + found.boxes_xyxy_px[:, 2:]) / 2
    places = np.full(len(centres), -1, np.int64)
    for k, (x, y) in enumerate(centres.tolist()):
        outline = outlines.get(int(sessions[found.frames[k]]))
        if outline is not None:
            places[k] = int(cv2.pointPolygonTest(outline, (x, y), False) >= 0)
    return places


def work_areas(
    frames: Sequence[FrameRecord], sessions: Int64[np.ndarray, " photos"], area: Area | None = None
) -> dict[int, Float[np.ndarray, "..."]]:
    """The outline of the work area of each session, in pixels; none for a session without a box.

    Without `area` it is the convex hull of all labelled boxes of the session, in which the camera stands still.
    """
    outlines = dict[int, np.ndarray]()
    for number in np.unique(sessions).tolist():
        own = [frame for frame, of in zip(frames, sessions.tolist(), strict=True) if of == number]
        boxes = np.concatenate([frame.boxes_xyxy_px for frame in own]).astype(np.float32)
        if area is not None:
            outlines[number] = _in_px(area, own[0])
        elif len(boxes):
            outlines[number] = cv2.convexHull(np.concatenate([boxes[:, [k, j]] for k in (0, 2) for j in (1, 3)]))
    return outlines


def _in_px(area: Area, frame: FrameRecord) -> Float[np.ndarray, "corners 2"]:
    scale = (frame.width_px, frame.height_px) if area.max() <= 1 else (1, 1)
    return (area * scale).astype(np.float32)


def check_area(area: Area, frames: Sequence[FrameRecord]) -> None:
    """Check that a work area fits the photos.

    Raises:
        DataError: it is in pixels and the photos have several sizes, or a corner lies outside of them.
    """
    sizes = sorted({(frame.width_px, frame.height_px) for frame in frames})
    if area.max() <= 1:
        return
    if len(sizes) > 1:
        listed = ", ".join(f"{width}x{height}" for width, height in sizes[:4])
        raise DataError(
            f"work_area: is in pixels, but the photos have several sizes: {listed}; give shares from 0 to 1"
        )
    for x, y in area.tolist():
        if x > sizes[0][0] or y > sizes[0][1]:
            raise DataError(
                f"work_area: {x:g}, {y:g} lies outside of the photos, which are {sizes[0][0]}x{sizes[0][1]}"
            )
