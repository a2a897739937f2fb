"""Looking at a large image through tiles, and joining what was found in them.

A part that lies across a tile's edge is seen whole by the neighbouring tile if it is shorter than the overlap; longer
parts are seen whole at a smaller scale. So an image is tiled at each of `View.scales`, and of what was found
  1. a box that touches an inner edge of its tile is a cut part: it goes if a whole box of its category covers it,
     and else stays at half its score;
  2. what several tiles or scales found is one detection: non-maximum suppression within each category.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from torch import Tensor

from hybrid.core.config import NMS_IOU
from hybrid.core.errors import ConfigError
from hybrid.core.types import Detections
from hybrid.predict.suppression import without_doubles

GREY = 114  # beyond the image, and in blank frames
EDGE_PX = 2.0  # a box that comes so near to its tile's edge touches it
COVERED_SHARE = 0.6  # of a cut box, by a whole one
CUT_SCORE = 0.5  # what is left of the score of a cut box that nothing covers


@dataclass(frozen=True, kw_only=True)
class View:
    """How images are looked at in use."""

    tile_px: int | None = 256  # None: the image as a whole
    overlap_px: int = 64
    scales: tuple[float, ...] = (1.0, 0.5)
    batch: int = 8  # tiles at once
    threshold: float = 0.02  # lower scores are left out
    limit: int = 300  # detections of a frame
    nms_iou: float = NMS_IOU  # of two boxes of a category that overlap by more the worse one goes; 1: none goes

    def __post_init__(self) -> None:
        if self.tile_px is not None and not 0 <= self.overlap_px < self.tile_px:
            raise ConfigError(f"overlap_px: needs 0 <= overlap < tile_px = {self.tile_px}, got {self.overlap_px}")
        if not self.scales or min(self.scales) <= 0 or self.batch < 1 or self.limit < 1:
            raise ConfigError(f"needs scales above 0, batch and limit of 1 or more, got {self}")


def view_of(tile_px: int) -> View:
    """How a detector that was trained on tiles of this size looks at images: neighbours share a quarter."""
    return View(tile_px=tile_px, overlap_px=tile_px // 4)


@dataclass(frozen=True)
class Tile:
    """A rectangle of the scaled image. `inner` tells for left, top, right, bottom whether the image goes on there."""

    scale_xy: tuple[float, float]  # scaled pixels for each image pixel
    scaled_size: tuple[int, int]  # width, height of the whole image at this scale
    left: int
    top: int
    width: int
    height: int
    inner: tuple[bool, bool, bool, bool]


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin so that they cover `length`, evenly spaced, overlapping by `overlap` or more."""
    if length <= tile:
        return [0]
    count = math.ceil((length - overlap) / (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def layout(width: int, height: int, view: View) -> list[Tile]:
    """The tiles of an image of this size, scale by scale, row by row. Without tiling: the image at each scale."""
    tiles = []
    for scale in view.scales:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        side = view.tile_px or max(size)
        across, down = (starts(length, side, view.overlap_px if view.tile_px else 0) for length in size)
        wide, high = min(side, size[0]), min(side, size[1])
        tiles += [
            Tile(
                (size[0] / width, size[1] / height),
                size,
                left,
                top,
                wide,
                high,
                (left > 0, top > 0, left + wide < size[0], top + high < size[1]),
            )
            for top in down
            for left in across
        ]
    return tiles


def cut(image: UInt8[np.ndarray, "h w 3"], tiles: Sequence[Tile], view: View) -> list[UInt8[Tensor, "3 th tw"]]:
    """The tiles' pixels; grey fills what an image smaller than a tile leaves of it."""
    import cv2

    scaled: dict[tuple[int, int], np.ndarray] = {(image.shape[1], image.shape[0]): image}
    pieces = []
    for tile in tiles:
        if tile.scaled_size not in scaled:
            smaller = tile.scaled_size[0] < image.shape[1]
            how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            scaled[tile.scaled_size] = cv2.resize(image, tile.scaled_size, interpolation=how)
        seen = scaled[tile.scaled_size][tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        side = (view.tile_px, view.tile_px) if view.tile_px else seen.shape[:2]
        piece = np.full((*side, 3), GREY, np.uint8)
        piece[: tile.height, : tile.width] = seen
        pieces.append(torch.from_numpy(piece).permute(2, 0, 1))
    return pieces


def cut_depth(depth_m: Float32[np.ndarray, "h w"], tiles: Sequence[Tile], view: View) -> list[Float32[Tensor, "th tw"]]:
    """The depth under the tiles' pixels, not mixed from two places; 0, which is unknown, beyond the image."""

    def nearest(start: int, length: int, scale: float, end: int) -> Int64[np.ndarray, " n"]:
        return ((start + np.arange(length) + 0.5) / scale).astype(np.int64).clip(max=end - 1)

    pieces = []
    for tile in tiles:
        (across, down), (height, width) = tile.scale_xy, depth_m.shape
        rows, columns = nearest(tile.top, tile.height, down, height), nearest(tile.left, tile.width, across, width)
        piece = np.zeros((view.tile_px, view.tile_px) if view.tile_px else (tile.height, tile.width), np.float32)
        piece[: tile.height, : tile.width] = depth_m[np.ix_(rows, columns)]
        pieces.append(torch.from_numpy(piece))
    return pieces


def merge(tiles: Sequence[Tile], found: Sequence[Detections], view: View) -> Detections:
    """What was found in the tiles, as detections of the image, best first."""
    placed = [_in_image(tile, one) for tile, one in zip(tiles, found, strict=True)]
    boxes, is_cut = torch.cat([boxes for boxes, _ in placed]), torch.cat([cut_off for _, cut_off in placed])
    scores, labels = torch.cat([one.scores for one in found]), torch.cat([one.labels for one in found])
    vectors = [one.embeddings for one in found if one.embeddings is not None]
    unseen = [one.unseen for one in found if one.unseen is not None]
    every = Detections(
        boxes,
        scores,
        labels,
        _ids(found),
        torch.cat(vectors) if len(vectors) == len(found) else None,
        torch.cat(unseen) if len(unseen) == len(found) else None,
    )
    useful = (scores >= view.threshold) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    every, is_cut = every.take(useful), is_cut[useful]
    if len(tiles) == 1:
        return every.take(every.scores.argsort(descending=True, stable=True)[: view.limit])
    keep = ~covered(every.boxes_xyxy_px, every.scores, every.labels, is_cut)
    every, is_cut = every.take(keep), is_cut[keep]
    every = replace(every, scores=torch.where(is_cut, every.scores * CUT_SCORE, every.scores))
    return without_doubles(every.take(every.scores >= view.threshold), view.nms_iou, view.limit)


def _ids(found: Sequence[Detections]) -> Int64[Tensor, " n"] | None:
    """The tracks' ids, which each tile counts for itself, made different; -1 stays."""
    every = [one.track_ids for one in found]
    known = [ids for ids in every if ids is not None]
    if len(known) < len(every):
        return None
    return torch.cat([torch.where(ids < 0, ids, ids * len(known) + place) for place, ids in enumerate(known)])


def _in_image(tile: Tile, found: Detections) -> tuple[Float32[Tensor, "n 4"], Bool[Tensor, " n"]]:
    """The boxes in image pixels, and which of them an inner edge of the tile cuts."""
    boxes = found.boxes_xyxy_px
    extent = boxes.new_tensor([tile.width, tile.height] * 2)
    boxes = boxes.clamp(min=0).minimum(extent)
    inner = torch.tensor(tile.inner, device=boxes.device)
    far = torch.cat([boxes[:, :2], extent[2:] - boxes[:, 2:]], 1)
    is_cut = ((far <= EDGE_PX) & inner).any(1)
    corner, scale = boxes.new_tensor([tile.left, tile.top] * 2), boxes.new_tensor(tile.scale_xy * 2)
    return (boxes + corner) / scale, is_cut


def covered(
    boxes: Float32[Tensor, "n 4"], scores: Float32[Tensor, " n"], labels: Tensor, is_cut: Bool[Tensor, " n"]
) -> Bool[Tensor, " n"]:
    """Which cut boxes lie within a whole box of their category that is at least half as sure."""
    gone = torch.zeros_like(is_cut)
    whole = (~is_cut).nonzero()[:, 0]
    for one in torch.split(is_cut.nonzero()[:, 0], 1024):
        low = torch.maximum(boxes[one, None, :2], boxes[None, whole, :2])
        high = torch.minimum(boxes[one, None, 2:], boxes[None, whole, 2:])
        inside = (high - low).clamp(min=0).prod(-1)
        area = (boxes[one, 2:] - boxes[one, :2]).prod(-1)
        by = (inside >= COVERED_SHARE * area[:, None]) & (labels[one, None] == labels[None, whole])
        gone[one] = (by & (scores[None, whole] >= 0.5 * scores[one, None])).any(1)
    return gone
