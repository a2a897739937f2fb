"""What a user gets of the network's detections: one for each object, and in clips with the tracks of the objects.

`Detector` does this frame by frame. `followed` does it to the stored detections of a whole clip: no network runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from hybrid.core.config import LABEL_IOU, NESTED_SHARE
from hybrid.core.overlap import nested
from hybrid.core.types import Detections
from hybrid.predict.linking import Linked, Linking, link
from hybrid.predict.suppression import one_label


def of_objects(detections: Detections, label_iou: float = LABEL_IOU, nested_share: float = NESTED_SHARE) -> Detections:
    """One detection for each object: one label, and no boxes of its parts. Arguments as of `Detector.load`."""
    best = one_label(detections, label_iou)
    inside = torch.from_numpy(nested(best.boxes_xyxy_px.numpy(), best.labels.numpy(), nested_share))
    hidden = torch.zeros_like(inside) if best.unseen is None else best.unseen  # may lie behind another part
    return best.take(~inside | hidden)


def linking_at(score: float) -> Linking:
    """The settings with which a detector of this operating point follows parts."""
    return Linking(sure=score, unsure=min(score, Linking.unsure))


def followed(clip: Iterable[Detections], size_hw_px: tuple[int, int], score: float) -> Iterator[Detections]:
    """The detections of each frame of a clip as `Detector.stream` gives them, with track ids and hidden parts.

    Args:
        clip: what the network detects in its frames, in their order, as `hybrid.predict.stream.stream` gives it. Their
            track ids are kept where the network tracks objects itself.
        size_hw_px: of the frames.
        score: the operating point: detections below it are left out.
    """
    linking, linked = linking_at(score), None
    for every in clip:
        if every.track_ids is None:
            linked, rows = _linked(every, linked, linking, size_hw_px)
        else:
            rows = of_objects(every.take(every.scores >= score))
        yield rows.take(rows.scores >= score)


def _linked(
    every: Detections, before: Linked | None, linking: Linking, size_hw_px: tuple[int, int]
) -> tuple[Linked, Detections]:
    rows, after = link(of_objects(every.take(every.scores >= linking.unsure)), before, linking, size_hw_px=size_hw_px)
    return after, rows
