"""What a user gets of the network's detections: one for each object, and in clips with the tracks of the objects.

`Detector` does this frame by frame. `followed` does it to the stored detections of a whole clip: no network runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from hybrid.core.config import LABEL_IOU, NESTED_SHARE
from hybrid.core.errors import InputError
from hybrid.core.overlap import nested
from hybrid.core.types import Detections
from hybrid.predict.counting.places import Region
from hybrid.predict.io.video import SourceFrame
from hybrid.predict.linking import Judge, Linking, link
from hybrid.predict.suppression import one_label

UNSURE = 0.15  # lowest score of a detection that continues a track, with a track network
SURER = 0.06  # above the operating point: the lowest score that begins a track there, so that fewer parts have two
LEAST_REPORTED = 1e-3
MOST_TIMES, LEAST_TIMES = 16, 4  # frames whose median interval is the stream's usual one: at most, at least
JITTER = 0.3  # of the usual interval: smaller deviations are no lost frame
SHORTEST, LONGEST = 0.25, 16.0  # limits of the elapsed time, in usual intervals
LATE = 3.0  # usual intervals: a frame that is older than the last one by up to this is late; by more, a new clock began


def of_objects(detections: Detections, label_iou: float = LABEL_IOU, nested_share: float = NESTED_SHARE) -> Detections:
    """One detection for each object: one label, and no boxes of its parts. Arguments as of `Detector.load`."""
    best = one_label(detections, label_iou)
    inside = torch.from_numpy(nested(best.boxes_xyxy_px.numpy(), best.labels.numpy(), nested_share))
    hidden = torch.zeros_like(inside) if best.unseen is None else best.unseen  # may lie behind another part
    return best.take(~inside | hidden)


def in_area(frame: SourceFrame, detections: Detections, area: Region | None) -> Detections:
    """The detections with their centre in the area; None: all.

    Raises:
        InputError: the area lies outside the picture.
    """
    if area is None:
        return detections
    height, width = frame.image.shape[:2]
    if area.is_outside((height, width)):
        raise InputError(f"{frame.name}: the area lies outside the picture of {width}x{height} px")
    centres = ((x, y) for x, y in detections.boxes_xyxy_px.reshape(-1, 2, 2).mean(1).tolist())
    return detections.take(torch.tensor(area.holds(centres, (height, width)), dtype=torch.bool))


def linking_at(score: float, judge: Judge | None = None) -> Linking:
    """The settings with which a detector of this operating point follows parts, with a track network or without."""
    if judge is None:
        return Linking(sure=score, unsure=min(score, Linking.unsure))
    sure = min(score + SURER, 1.0)
    return Linking(sure=sure, unsure=min(score, UNSURE), reported=max(judge.score, LEAST_REPORTED))


def is_reported(rows: Detections, score: float, judge: Judge | None) -> Bool[Tensor, " n"]:
    """Which rows are sure enough. Those of tracks that a track network judged have its scale."""
    least = torch.full_like(rows.scores, score)
    if judge is not None and rows.track_ids is not None:
        least[rows.track_ids >= 0] = judge.score
    return rows.scores >= least


def followed(
    clip: Iterable[Detections],
    size_hw_px: tuple[int, int],
    score: float,
    judge: Judge | None = None,
    images: Iterable[UInt8[np.ndarray, "h w 3"]] | None = None,
) -> Iterator[Detections]:
    """The detections of each frame of a clip as `Detector.stream` gives them, with track ids and hidden parts.

    Args:
        clip: what the network detects in its frames, in their order, as `hybrid.predict.stream.stream` gives it. Their
            track ids are kept where the network tracks objects itself.
        size_hw_px: of the frames.
        score: the operating point: detections below it are left out.
        judge: the track network; None: rules alone.
        images: the frames, RGB, as the detector looks at their pixels too; None: detections alone.
    """
    linking, linked = linking_at(score, judge), None
    for every, image in zip(clip, repeat(None) if images is None else images, strict=images is not None):
        if every.track_ids is None:
            unsure = of_objects(every.take(every.scores >= linking.unsure))
            rows, linked = link(unsure, linked, linking, size_hw_px=size_hw_px, judge=judge, image=image)
            yield rows.take(is_reported(rows, score, judge))
        else:
            rows = of_objects(every.take(every.scores >= score))
            yield rows.take(rows.scores >= score)


def elapsed(time_s: float | None, before_s: Sequence[float]) -> float:
    """The time since a stream's last frame, in its usual intervals; 1 unless frames were lost or came in a burst.

    Args:
        time_s: of the frame.
        before_s: of the frames before, the last MOST_TIMES of them.
    """
    if time_s is None or len(before_s) < LEAST_TIMES:
        return 1.0
    usual = _usual_s(before_s)
    intervals = (time_s - before_s[-1]) / usual if usual > 0 else 1.0
    return 1.0 if abs(intervals - 1) < JITTER else min(max(intervals, SHORTEST), LONGEST)


def is_late(time_s: float | None, before_s: Sequence[float]) -> bool:
    """Whether a frame comes after its successor. Arguments as of `elapsed`.

    >>> is_late(0.2, [0.0, 0.1, 0.3]), is_late(0.4, [0.0, 0.1, 0.3]), is_late(0.0, [7.0, 7.1, 7.3])
    (True, False, False)
    """
    if time_s is None or len(before_s) < 2:
        return False
    return 0 < before_s[-1] - time_s <= LATE * _usual_s(before_s)


def _usual_s(times_s: Sequence[float]) -> float:
    """The usual interval of a stream, in seconds."""
    return float(np.median(np.diff(times_s)))
