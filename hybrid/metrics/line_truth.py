"""What is there on a line, frame by frame: whole boxes, visible shares and ids of all parts, hidden ones as well.

A visible share is that of `FrameRecord.visible_share`: what lies outside the picture counts as not visible. A part is
    hidden         share below 0.1,
    half hidden    share from 0.1 to 0.8, and its box is not cut by the picture's edge,
    clear          share from 0.8,
    ignored        never yet visible in the clip, or cut with a share below 0.3. A report of it is no false alarm.
A part is seen where it is neither ignored nor hidden. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from hybrid.core.errors import DataError
from hybrid.core.overlap import iou
from hybrid.data.clips import Clip, FrameRecord

HIDDEN, CLEAR = 0.1, 0.8  # visible shares
LEAST_CUT = 0.3  # visible share of a part that the picture's edge cuts
EDGE_PX = 1.0


@dataclass(frozen=True)
class LineFrame:
    """What is there in one frame, hidden parts as well."""

    whole_xyxy_px: Float32[np.ndarray, "n 4"]  # round whole parts, clipped to the frame
    seen_xyxy_px: Float32[np.ndarray, "n 4"]  # round their visible pixels; 0 where there are none
    shares: Float32[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    ids: Int64[np.ndarray, " n"]
    cut: Bool[np.ndarray, " n"]
    ignored: Bool[np.ndarray, " n"]
    size_hw_px: tuple[int, int]

    @property
    def hidden(self) -> Bool[np.ndarray, " n"]:
        """Which parts are wholly hidden."""
        return (self.shares < HIDDEN) & ~self.ignored  # type: ignore[no-any-return]

    @property
    def half(self) -> Bool[np.ndarray, " n"]:
        """Which parts are hidden in part."""
        return (self.shares >= HIDDEN) & (self.shares < CLEAR) & ~self.cut & ~self.ignored  # type: ignore[no-any-return]

    @property
    def clear(self) -> Bool[np.ndarray, " n"]:
        """Which parts can be seen all but wholly."""
        return (self.shares >= CLEAR) & ~self.ignored  # type: ignore[no-any-return]

    @property
    def seen(self) -> Bool[np.ndarray, " n"]:
        """Which parts can be seen at least in part."""
        return ~self.ignored & ~self.hidden  # type: ignore[no-any-return]

    def overlap(self, boxes_xyxy_px: Float32[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
        """How well each box fits each part."""
        return np.maximum(iou(self.whole_xyxy_px, boxes_xyxy_px), iou(self.seen_xyxy_px, boxes_xyxy_px))  # type: ignore[no-any-return]


def line_frames(whole: Clip, visible: Clip) -> list[LineFrame]:
    """The truth of a clip, from two readings of its labels (`hybrid.data.shards.read_shards`).

    Args:
        whole: with `boxes="whole"`.
        visible: of the same clip with `boxes="visible"`, best with `least_visible=0`.

    Raises:
        DataError: the labels have no track ids or no visible shares, or the two are not of the same clip.
    """
    if [frame.name for frame in whole.frames] != [frame.name for frame in visible.frames]:
        raise DataError(f"{whole.name} and {visible.name}: needs two readings of the same clip")
    return [_line_frame(a, b) for a, b in zip(whole.frames, visible.frames, strict=True)]


def _line_frame(whole: FrameRecord, visible: FrameRecord) -> LineFrame:
    for one in (whole, visible):
        if one.track_ids is None or one.visible_share is None:
            raise DataError(f"{one.name}: its labels have no track ids, or do not say how much of a part is visible")
    assert whole.track_ids is not None and visible.track_ids is not None  # noqa: PT018
    assert whole.visible_share is not None and visible.visible_share is not None  # noqa: PT018
    known = {int(who): k for k, who in enumerate(visible.track_ids)}
    new = ~np.isin(visible.track_ids, whole.track_ids)  # not visible enough so far
    seen = np.zeros((len(whole.labels), 4), np.float32)
    for k, who in enumerate(whole.track_ids.tolist()):
        if who in known:
            seen[k] = visible.boxes_xyxy_px[known[who]]
    boxes = np.concatenate([whole.boxes_xyxy_px, visible.boxes_xyxy_px[new]])
    shares = np.concatenate([whole.visible_share, visible.visible_share[new]])
    low, high = boxes[:, :2], boxes[:, 2:]
    size = np.array([whole.width_px, whole.height_px], np.float32)
    cut = np.any((low < EDGE_PX) | (high > size - EDGE_PX), axis=1)
    never = np.arange(len(boxes)) >= len(whole.labels)
    return LineFrame(
        whole_xyxy_px=boxes,
        seen_xyxy_px=np.concatenate([seen, visible.boxes_xyxy_px[new]]),
        shares=shares,
        labels=np.concatenate([whole.labels, visible.labels[new]]),
        ids=np.concatenate([whole.track_ids, visible.track_ids[new]]),
        cut=cut,
        ignored=never | (cut & (shares < LEAST_CUT)),
        size_hw_px=(whole.height_px, whole.width_px),
    )
