"""Kinds of errors as in TIDE: how many points of AP50 repairing one kind alone would win.

D. Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020, section 2.2; foreground
IoU 0.5, background IoU 0.1. A false detection is of the first kind that fits:
localisation (right category, IoU 0.1 to 0.5), classification (wrong category, IoU 0.5 or more), duplicate (of an object
that a better detection takes), background (IoU 0.1 or less with every object), both (the rest). A missed object counts
as missed where no localisation or classification error could be repaired into it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

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


def repaired(found: Matches, kind: str) -> MatchedDetections:
    """The detections as they would be without the errors of one kind; "none": as they are."""
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
        kept = ~of_kind[kind]
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
) -> dict[str, Float[np.ndarray, " draws"]]:
    """What AP50 gains on each draw where one kind alone is repaired; never less than 0."""
    before = precision(repaired(found, "none"), weights)
    return {kind: np.maximum(precision(repaired(found, kind), weights) - before, 0.0) for kind in KINDS}
