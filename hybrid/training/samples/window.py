"""The window of a frame that is cropped, scaled to a tile and flipped; and the labels that stay in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from hybrid.core.config import GREY
from hybrid.data.clips import FrameRecord
from hybrid.training.samples.occluders import hidden_boxes
from simgen.dataset.format.stated_boxes import LEAST_SIDE_PX

if TYPE_CHECKING:
    from hybrid.training.config import AugmentConfig, TrainConfig

Boxes = Float32[np.ndarray, "_ 4"]
Labels = Int64[np.ndarray, " _"]
Mask = Bool[np.ndarray, " _"]


@dataclass(frozen=True)
class Window:
    """A square of the image that is resized to a tile. Corner and side are in image pixels.

    The square may reach beyond the image.
    """

    left: int
    top: int
    side: int
    flip_x: bool
    flip_y: bool

    def pixels(self, image: UInt8[np.ndarray, "h w 3"], tile_px: int) -> UInt8[np.ndarray, "_ _ 3"]:
        """The tile's pixels, [tile_px, tile_px, 3]; grey beyond the image."""
        import cv2

        height, width = image.shape[:2]
        right, bottom = self.left + self.side, self.top + self.side
        crop = image[max(0, self.top) : max(0, bottom), max(0, self.left) : max(0, right)]
        border = (max(0, -self.top), max(0, bottom - height), max(0, -self.left), max(0, right - width))
        if any(border):
            crop = cv2.copyMakeBorder(crop, *border, cv2.BORDER_CONSTANT, value=(GREY, GREY, GREY))
        if self.side != tile_px:
            interpolation = cv2.INTER_AREA if self.side > tile_px else cv2.INTER_LINEAR
            crop = cv2.resize(crop, (tile_px, tile_px), interpolation=interpolation)
        return crop[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def depth(self, depth_m: Float32[np.ndarray, "h w"], tile_px: int) -> Float32[np.ndarray, "_ _"]:
        """The tile's depth, [tile_px, tile_px], by nearest neighbour: depths are never mixed. 0 beyond the image."""
        rows, columns = (
            start + np.floor((np.arange(tile_px) + 0.5) * self.side / tile_px).astype(int)
            for start in (self.top, self.left)
        )
        inside = np.logical_and.outer(
            (rows >= 0) & (rows < depth_m.shape[0]), (columns >= 0) & (columns < depth_m.shape[1])
        )
        nearest = depth_m[np.ix_(rows.clip(0, depth_m.shape[0] - 1), columns.clip(0, depth_m.shape[1] - 1))]
        return np.where(inside, nearest, np.float32(0))[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def boxes(
        self, boxes_xyxy_px: Float32[np.ndarray, "n 4"], tile_px: int, least_visible: float
    ) -> tuple[Float32[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
        """All boxes in tile pixels, clipped to the tile, and a mask of those to keep.

        A box is dropped if less than `least_visible` of its area is inside the tile, or a side is under LEAST_SIDE_PX.
        """
        clipped, shares = self.clipped(boxes_xyxy_px, tile_px)
        return clipped, stays(clipped, shares, least_visible)

    def clipped(
        self, boxes_xyxy_px: Float32[np.ndarray, "n 4"], tile_px: int
    ) -> tuple[Float32[np.ndarray, "n 4"], Float32[np.ndarray, " n"]]:
        """All boxes in tile pixels, clipped to the tile, and the share of each box's area that is inside it."""
        moved = self.moved(boxes_xyxy_px, tile_px)
        clipped = moved.clip(0, tile_px)
        whole, inside = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (moved, clipped))
        return clipped, inside / whole

    def regions(
        self, boxes_xyxy_px: Float32[np.ndarray, "n 4"], tile_px: int
    ) -> tuple[Float32[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
        """All regions in tile pixels, clipped to the tile, and a mask of those that reach into it."""
        clipped = self.moved(boxes_xyxy_px, tile_px).clip(0, tile_px)
        return clipped, (clipped[:, 2:] - clipped[:, :2]).min(1, initial=math.inf) > 0

    def points(self, points_xy_px: Float32[np.ndarray, "k 2"], tile_px: int) -> Float32[np.ndarray, "k 2"]:
        """Points of the image in tile pixels."""
        return self.moved(np.concatenate([points_xy_px, points_xy_px], 1), tile_px)[:, :2]

    def moved(self, boxes_xyxy_px: Float32[np.ndarray, "n 4"], tile_px: int) -> Float32[np.ndarray, "n 4"]:
        """All boxes in tile pixels, also where they lie beyond the tile."""
        scale = tile_px / self.side
        moved = (boxes_xyxy_px - np.array([self.left, self.top] * 2, np.float32)) * np.float32(scale)
        if self.flip_x:
            moved[:, [0, 2]] = tile_px - moved[:, [2, 0]]
        if self.flip_y:
            moved[:, [1, 3]] = tile_px - moved[:, [3, 1]]
        return np.asarray(moved, np.float32)


def stays(
    boxes_xyxy_px: Float32[np.ndarray, "n 4"], shares: Float32[np.ndarray, " n"], least_visible: float
) -> Bool[np.ndarray, " n"]:
    """Which boxes stay in the labels: those of useful size of whose object `least_visible` or more is seen."""
    sides = boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2]
    stay: Bool[np.ndarray, " n"] = (shares >= least_visible) & (sides.min(1, initial=math.inf) >= LEAST_SIDE_PX)
    return stay


def draw_windows(frames: Sequence[FrameRecord], config: TrainConfig, rng: np.random.Generator) -> list[Window]:
    """One window for each frame. It is the same for all frames, but drifts over a still that is repeated."""
    augment, first = config.augment, frames[0]
    scale = math.exp(rng.uniform(*np.log(augment.scale)))
    side = max(1, round(config.tile_px / scale))
    corner = _draw_corner(first, side, augment, rng)
    flip_x, flip_y = rng.random(2) < (augment.horizontal_flip, augment.vertical_flip)
    drift = rng.uniform(-1, 1, 2) * augment.still_drift_px
    repeats = [sum(earlier is frame for earlier in frames[:i]) for i, frame in enumerate(frames)]
    corners = corner + np.round(drift * np.array(repeats)[:, None]).astype(int)
    return [Window(int(left), int(top), side, bool(flip_x), bool(flip_y)) for left, top in corners]


def _draw_corner(
    frame: FrameRecord, side: int, augment: AugmentConfig, rng: np.random.Generator
) -> Int64[np.ndarray, " xy"]:
    """The corner of a square around a random object, or anywhere; inside the image as far as the square fits."""
    room = np.array([frame.width_px, frame.height_px]) - side  # negative where the square is larger than the image
    around_object, which, position = rng.random(), rng.random(), rng.random(2)
    if around_object < augment.object_share and len(frame.labels):
        box = frame.boxes_xyxy_px[int(which * len(frame.labels))].astype(np.float64)
        centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        reach = np.maximum(side - size, 0.25 * side)  # the whole object where it fits, otherwise a part of it
        corner = centre - side / 2 + (position - 0.5) * reach
    else:
        corner = position * room
    corner = np.clip(corner, np.minimum(0, room), np.maximum(0, room))
    return np.round(corner).astype(np.int64)  # type: ignore[no-any-return]


# --- labels ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TileLabels:
    """All boxes of a frame in tile pixels, clipped to the tile, and what decides which of them stay."""

    boxes_xyxy_px: Boxes
    labels: Labels
    track_ids: Labels  # -1: unknown
    shares: Float32[np.ndarray, " _"]  # how much of each object is seen: not beyond the tile's edge, not covered
    hidden: Mask  # occluded now, labelled if an earlier frame of the sample shows the object
    least_visible: float

    @property
    def keep(self) -> Mask:
        """Whether a box is large enough, and enough of it is seen. `kept` decides on hidden objects."""
        return stays(self.boxes_xyxy_px, self.shares, self.least_visible)


def place_labels(
    frames: Sequence[FrameRecord], windows: Sequence[Window], tile_px: int, least_visible: float
) -> list[TileLabels]:
    """The labels of each frame in its window."""
    placed = []
    for frame, window in zip(frames, windows, strict=True):
        boxes, shares = window.clipped(frame.boxes_xyxy_px, tile_px)
        hidden = np.zeros(len(boxes), bool) if frame.hidden is None else frame.hidden
        placed.append(TileLabels(boxes, frame.labels, track_ids(frame), shares, hidden, least_visible))
    return placed


def kept(
    placed: Sequence[TileLabels], covered: Bool[np.ndarray, "t h w"] | None
) -> tuple[tuple[tuple[Boxes, Labels], ...], tuple[Labels, ...]]:
    """((boxes, labels) of each frame, track ids of each frame), of the boxes that stay.

    An object that is hidden, or covered by what was drawn over the tile, stays if an earlier frame of the sample shows
    it. `covered`: None where nothing was drawn.
    """
    visible_before: set[int] = set()
    truth, tracks = [], []
    for k, one in enumerate(placed):
        hidden = one.hidden if covered is None else one.hidden | hidden_boxes(covered[k], one.boxes_xyxy_px)
        ids = one.track_ids
        keep = one.keep & (~hidden | (np.isin(ids, list(visible_before)) & (ids >= 0)))
        visible_before.update(ids[keep & ~hidden].tolist())
        truth.append((one.boxes_xyxy_px[keep], one.labels[keep]))
        tracks.append(ids[keep])
    return tuple(truth), tuple(tracks)


def with_more(one: TileLabels, more: TileLabels) -> TileLabels:
    """The boxes of both."""
    return replace(
        one,
        boxes_xyxy_px=np.concatenate([one.boxes_xyxy_px, more.boxes_xyxy_px]),
        labels=np.concatenate([one.labels, more.labels]),
        track_ids=np.concatenate([one.track_ids, more.track_ids]),
        shares=np.concatenate([one.shares, more.shares]),
        hidden=np.concatenate([one.hidden, more.hidden]),
    )


def ignored_in_tile(
    frames: Sequence[FrameRecord], windows: Sequence[Window], tile_px: int
) -> tuple[tuple[Boxes, Labels], ...] | None:
    """The regions to ignore of each frame, in tile pixels, with their labels; None where there is none."""
    if not any(len(frame.ignore_labels) for frame in frames):
        return None
    placed = [window.regions(f.ignore_boxes_xyxy_px, tile_px) for f, window in zip(frames, windows, strict=True)]
    return tuple((boxes[keep], f.ignore_labels[keep]) for f, (boxes, keep) in zip(frames, placed, strict=True))


def track_ids(frame: FrameRecord) -> Labels:
    """The track of each box; -1 where it is unknown."""
    return np.full(len(frame.labels), -1, np.int64) if frame.track_ids is None else frame.track_ids
