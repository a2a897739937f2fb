"""What is there on a line, frame by frame: whole boxes, visible shares and ids of all parts, hidden ones as well.

A visible share is that of `FrameRecord.visible_share`: what lies outside the picture counts as not visible. A part is
    hidden         share below 0.1,
    half hidden    share from 0.1 to 0.8, and its box is not cut by the picture's edge,
    clear          share from 0.8,
    ignored        never yet visible in the clip, or cut with a share below 0.3. A report of it is no false alarm.
A part is seen where it is neither ignored nor hidden. No torch.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

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


def has_tracks(clip: Clip) -> bool:
    """Whether the labels of a clip say which part each box is of: every box has a track id, its own in its frame."""
    ids = [np.zeros(0, np.int64) if one.track_ids is None else one.track_ids for one in clip.frames]
    whole = all(
        len(own) == len(frame.labels) == len(np.unique(own)) and (own >= 0).all()
        for own, frame in zip(ids, clip.frames, strict=True)
    )
    return whole and any(map(len, ids))


def labelled_frames(clip: Clip) -> list[LineFrame]:
    """The truth of a clip from one reading of its labels, such as those of photographs.

    A part is hidden where it is labelled before and after, and there has no box, or one that is marked as hidden. Where
    it has no box, it is taken to move straight on. Labels without visible shares count as wholly visible.

    Raises:
        DataError: the labels have no track ids; see `has_tracks`.
    """
    if not has_tracks(clip):
        raise DataError(f"{clip.name}: its labels have no track ids")
    places: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)  # frame and row, by part
    for number, frame in enumerate(clip.frames):
        for row, who in enumerate([] if frame.track_ids is None else frame.track_ids.tolist()):
            places[who].append((number, row))
    gaps: defaultdict[int, list[tuple[int, int, np.ndarray]]] = defaultdict(list)  # part, label and box, by frame
    for who, seen in places.items():
        for (a, row_a), (b, row_b) in pairwise(seen):
            before, after = clip.frames[a].boxes_xyxy_px[row_a], clip.frames[b].boxes_xyxy_px[row_b]
            for k in range(a + 1, b):
                box = before + (after - before) * ((k - a) / (b - a))
                gaps[k].append((who, int(clip.frames[a].labels[row_a]), box))
    return [_labelled_frame(frame, gaps[number]) for number, frame in enumerate(clip.frames)]


def _labelled_frame(frame: FrameRecord, gaps: list[tuple[int, int, np.ndarray]]) -> LineFrame:
    own, hidden = len(frame.labels), len(gaps)
    given = np.ones(own, np.float32) if frame.visible_share is None else frame.visible_share
    shown = np.ones(own, bool) if frame.hidden is None else ~frame.hidden
    boxes, none = frame.boxes_xyxy_px, np.zeros(hidden)
    cut = np.any((boxes[:, :2] < EDGE_PX) | (boxes[:, 2:] > (frame.width_px - EDGE_PX, frame.height_px - EDGE_PX)), 1)
    shares = np.concatenate([np.where(shown, given, 0.0), none]).astype(np.float32)
    cut = np.concatenate([cut, none.astype(bool)])
    return LineFrame(
        whole_xyxy_px=np.concatenate([boxes, np.array([box for *_, box in gaps], np.float32).reshape(-1, 4)]),
        seen_xyxy_px=np.concatenate([boxes * shown[:, None].astype(np.float32), np.zeros((hidden, 4), np.float32)]),
        shares=shares,
        labels=np.concatenate([frame.labels, np.array([label for _, label, _ in gaps], np.int64)]),
        ids=np.concatenate(
            [np.zeros(0, np.int64) if frame.track_ids is None else frame.track_ids, [who for who, *_ in gaps]]
        ).astype(np.int64),
        cut=cut,
        ignored=cut & (shares < LEAST_CUT),
        size_hw_px=(frame.height_px, frame.width_px),
    )
