"""The window of a frame that is cropped, scaled to a tile and flipped."""

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
        moved = self._moved(boxes_xyxy_px, tile_px)
        clipped = moved.clip(0, tile_px)
        sides = clipped[:, 2:] - clipped[:, :2]
        share = sides.prod(1) / (moved[:, 2:] - moved[:, :2]).prod(1)
        keep = (share >= least_visible) & (sides.min(1, initial=math.inf) >= LEAST_SIDE_PX)
        return clipped, keep

    def regions(
        self, boxes_xyxy_px: Float32[np.ndarray, "n 4"], tile_px: int
    ) -> tuple[Float32[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
        """All regions in tile pixels, clipped to the tile, and a mask of those that reach into it."""
        clipped = self._moved(boxes_xyxy_px, tile_px).clip(0, tile_px)
        return clipped, (clipped[:, 2:] - clipped[:, :2]).min(1, initial=math.inf) > 0

    def _moved(self, boxes_xyxy_px: Float32[np.ndarray, "n 4"], tile_px: int) -> Float32[np.ndarray, "n 4"]:
        scale = tile_px / self.side
        moved = (boxes_xyxy_px - np.array([self.left, self.top] * 2, np.float32)) * np.float32(scale)
        if self.flip_x:
            moved[:, [0, 2]] = tile_px - moved[:, [2, 0]]
        if self.flip_y:
            moved[:, [1, 3]] = tile_px - moved[:, [3, 1]]
        return np.asarray(moved, np.float32)


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
