"""Which window of a frame is cut out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from hybrid.data.boxes import LEAST_SIDE_PX
from hybrid.data.clips import FrameRecord
from hybrid.predict.tiles import GREY
from hybrid.training.config import AugmentConfig, TrainConfig


@dataclass(frozen=True)
class Window:
    """A square of the image, shown as a tile: its corner and side in image pixels, and whether it is mirrored."""

    left: int
    top: int
    side: int
    flip_x: bool
    flip_y: bool

    def pixels(self, image: UInt8[np.ndarray, "h w 3"], tile_px: int) -> UInt8[np.ndarray, "_ _ 3"]:
        import cv2

        height, width = image.shape[:2]
        right, bottom = self.left + self.side, self.top + self.side
        inner = image[max(0, self.top) : max(0, bottom), max(0, self.left) : max(0, right)]
        beyond = (max(0, -self.top), max(0, bottom - height), max(0, -self.left), max(0, right - width))
        if any(beyond):
            inner = cv2.copyMakeBorder(inner, *beyond, cv2.BORDER_CONSTANT, value=(GREY, GREY, GREY))
        if self.side != tile_px:
            how = cv2.INTER_AREA if self.side > tile_px else cv2.INTER_LINEAR
            inner = cv2.resize(inner, (tile_px, tile_px), interpolation=how)
        return inner[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def depth(self, depth_m: Float32[np.ndarray, "h w"], tile_px: int) -> Float32[np.ndarray, "_ _"]:
        """As `pixels`, but that no two depths are mixed, and beyond the image none is known."""
        rows, columns = (
            start + np.floor((np.arange(tile_px) + 0.5) * self.side / tile_px).astype(int)
            for start in (self.top, self.left)
        )
        inside = np.logical_and.outer(
            (rows >= 0) & (rows < depth_m.shape[0]), (columns >= 0) & (columns < depth_m.shape[1])
        )
        seen = depth_m[np.ix_(rows.clip(0, depth_m.shape[0] - 1), columns.clip(0, depth_m.shape[1] - 1))]
        return np.where(inside, seen, np.float32(0))[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def boxes(
        self,
        boxes: Float32[np.ndarray, "n 4"],
        labels: Int64[np.ndarray, " n"],
        tile_px: int,
        least_visible: float,
    ) -> tuple[Float32[np.ndarray, "kept 4"], Int64[np.ndarray, " kept"]]:
        """The boxes in the tile's pixels, clipped to it, those cut away or too small left out."""
        clipped, kept = self.see(boxes, tile_px, least_visible)
        return clipped[kept], labels[kept]

    def see(
        self, boxes: Float32[np.ndarray, "n 4"], tile_px: int, least_visible: float
    ) -> tuple[Float32[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
        """All boxes in the tile's pixels, clipped to it, and which of them are neither cut away nor too small."""
        scale = tile_px / self.side
        moved = (boxes - np.array([self.left, self.top] * 2, np.float32)) * np.float32(scale)
        if self.flip_x:
            moved[:, [0, 2]] = tile_px - moved[:, [2, 0]]
        if self.flip_y:
            moved[:, [1, 3]] = tile_px - moved[:, [3, 1]]
        clipped = moved.clip(0, tile_px)
        sides = clipped[:, 2:] - clipped[:, :2]
        share = sides.prod(1) / (moved[:, 2:] - moved[:, :2]).prod(1)
        kept = (share >= least_visible) & (sides.min(1, initial=math.inf) >= LEAST_SIDE_PX)
        return clipped, kept


def draw_windows(frames: Sequence[FrameRecord], config: TrainConfig, rng: np.random.Generator) -> list[Window]:
    """One window for each frame: the same for all, but that it drifts over a still."""
    augment, first = config.augment, frames[0]
    scale = math.exp(rng.uniform(*np.log(augment.scale)))
    side = max(1, round(config.tile_px / scale))
    corner = _corner(first, side, augment, rng)
    flip_x, flip_y = rng.random(2) < (augment.horizontal_flip, augment.vertical_flip)
    drift = rng.uniform(-1, 1, 2) * augment.still_drift_px
    still = [sum(earlier is frame for earlier in frames[:i]) for i, frame in enumerate(frames)]
    corners = corner + np.round(drift * np.array(still)[:, None]).astype(int)
    return [Window(int(left), int(top), side, bool(flip_x), bool(flip_y)) for left, top in corners]


def _corner(
    frame: FrameRecord, side: int, augment: AugmentConfig, rng: np.random.Generator
) -> Int64[np.ndarray, " xy"]:
    """The corner of a square around a random object, or anywhere, as far inside the image as it fits."""
    room = np.array([frame.width_px, frame.height_px]) - side  # below 0 where the square is the larger one
    around_object, which, place = rng.random(), rng.random(), rng.random(2)
    if around_object < augment.object_share and len(frame.labels):
        box = frame.boxes_xyxy_px[int(which * len(frame.labels))].astype(np.float64)
        centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        reach = np.maximum(side - size, 0.25 * side)  # the object whole where it fits, else a part of it
        corner = centre - side / 2 + (place - 0.5) * reach
    else:
        corner = place * room
    corner = np.clip(corner, np.minimum(0, room), np.maximum(0, room))
    return np.round(corner).astype(np.int64)  # type: ignore[no-any-return]
