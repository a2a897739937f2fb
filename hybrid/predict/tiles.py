"""How an image is looked at: whole, or in tiles of a large one; and merging of the tiles' detections.

A part across a tile's edge is whole in the neighbouring tile if it is shorter than the overlap. Longer parts are whole
at a smaller scale. So an image is cut into tiles at each of `View.scales`, and the detections are merged:
  1. A box that touches an inner edge of its tile is a cut part. It is dropped if a whole box of its category covers it;
     otherwise its score is halved.
  2. Where two scales show one part, and it is small at the coarser one, the box of the finer scale is the more exact
     one. It gets the better of the two scores.
  3. At a scale where an object is much longer than the training's tiles, pieces of it are dropped.
  4. Duplicates from several tiles or scales are removed by non-maximum suppression within each category.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, Shaped, UInt8
from torch import Tensor

from hybrid.core.boxes import area, pairwise_iou
from hybrid.core.config import GREY, NMS_IOU
from hybrid.core.errors import ConfigError
from hybrid.core.types import Detections
from hybrid.predict.looks import agreed
from hybrid.predict.suppression import suppress_duplicates

MERGING = 3  # the version of this merging: stored detections of another one are made again
EDGE_PX = 2.0  # a box this close to its tile's edge touches it
COVERED_SHARE = 0.6  # a whole box covers a cut box if it contains this share of its area
LONG = 1.5  # training tiles: of longer objects a look has learned pieces alone
CUT_SCORE = 0.5  # factor on the score of a cut box that no whole box covers
COARSE_SIDE_PX = 32.0  # a part smaller than this, in pixels of its tile, has a more exact box at a finer scale
SAME_PART_IOU = 0.5  # boxes of two scales that overlap so much show one part
SURE_SHARE = 0.1  # a box of the finer scale counts from this share of the other's score
WHOLE_PX = 2_400_000  # the largest picture that is looked at whole: 1920x1200
LARGE_TILE_PX, LARGE_OVERLAP_PX = 1280, 128  # larger ones are cut into these
NEAR = 2.5  # of pictures up to so many training tiles long, one scale is enough


@dataclass(frozen=True, kw_only=True)
class View:
    """How an image is cut into tiles and scales for detection, and which detections are kept."""

    tile_px: int | None = 256  # None: no tiles, the whole image
    overlap_px: int = 64
    scales: tuple[float, ...] = (1.0, 0.5)
    whole_px: int = 0  # an image that has so many pixels or fewer at a scale is not cut there
    near_px: int = 0  # an image whose longer side is so long or shorter is looked at at the first scale only
    trained_px: int = 0  # the side of the training's tiles: no longer object was learned whole; 0: not known
    mirrored: bool = False  # look at each tile mirrored too, in twice the time (`hybrid.predict.looks`)
    batch: int = 8  # tiles that go through the network at once
    threshold: float = 0.02  # lower scores are left out
    limit: int = 300  # detections of a frame, at most
    nms_iou: float = NMS_IOU  # within a category, for non-maximum suppression; 1: none

    def __post_init__(self) -> None:
        if self.tile_px is not None and not 0 <= self.overlap_px < self.tile_px:
            raise ConfigError(f"overlap_px: needs 0 <= overlap < tile_px = {self.tile_px}, got {self.overlap_px}")
        if not self.scales or min(self.scales) <= 0 or self.batch < 1 or self.limit < 1:
            raise ConfigError(f"needs scales above 0, batch and limit of 1 or more, got {self}")

    def scales_of(self, width: int, height: int) -> tuple[float, ...]:
        """The scales at which an image of this size is looked at."""
        return self.scales[:1] if max(width, height) <= self.near_px else self.scales

    def tile_at(self, width: int, height: int) -> int | None:
        """The side of the tiles of a scaled image of this size; None: it is looked at whole."""
        return None if width * height <= self.whole_px else self.tile_px


WHOLE = View(tile_px=None, scales=(1.0,))  # one look at the whole image, whatever its size


def view_of(trained_px: int) -> View:
    """The view for a detector that was trained on tiles of this size, chosen by the size of each image.

    The network is convolutional and tells positions in pixels, so what it learned on tiles holds for whole images. An
    image is looked at whole, at the scales 1 and 0.5, or at 1 only where it is little larger than the training's tiles.
    Above WHOLE_PX it is cut into large tiles, which bounds the memory. The figures: benchmarks/2026-11-29-cpu-use.md.
    """
    return View(
        tile_px=LARGE_TILE_PX,
        overlap_px=LARGE_OVERLAP_PX,
        whole_px=WHOLE_PX,
        near_px=round(NEAR * trained_px),
        trained_px=trained_px,
        batch=1,
    )


def tiled_view(trained_px: int) -> View:
    """Tiles of the size that was trained on at two scales, overlapping by a quarter: 2.5 times the work of `view_of`.

    It finds more parts than one look has queries (`hybrid.model.objects.queries`).
    """
    return View(tile_px=trained_px, overlap_px=trained_px // 4)


def told(width: int, height: int, view: View) -> str:
    """How images of this size are looked at, in words."""
    looks: dict[str, list[str]] = {}
    for scale in view.scales_of(width, height):
        size = _scaled(width, height, scale)
        side = view.tile_at(*size)
        count = math.prod(len(one) for one in _starts(size, side, view))
        looks.setdefault("whole" if side is None else f"in {count} tiles of {side} px", []).append(f"{scale:g}")
    words = ", ".join(f"{how} at scale {' and '.join(scales)}" for how, scales in looks.items())
    return f"{words}, and mirrored" if view.mirrored else words


@dataclass(frozen=True)
class Tile:
    """A rectangle of the scaled image.

    `inner` says for the left, top, right and bottom edge whether the image continues beyond it.
    """

    scale_xy: tuple[float, float]  # scaled pixels for each image pixel
    scaled_size: tuple[int, int]  # width, height of the whole image at this scale
    left: int
    top: int
    width: int
    height: int
    inner: tuple[bool, bool, bool, bool]
    filled_size: tuple[int, int]  # width, height with the grey that fills up a tile larger than the image
    mirrored: bool = False  # left and right change places


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """The starts of evenly spaced tiles that cover `length` and overlap by `overlap` or more."""
    if length <= tile:
        return [0]
    count = math.ceil((length - overlap) / (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def layout(width: int, height: int, view: View) -> list[Tile]:
    """The tiles of an image of this size, scale by scale and row by row. Without tiling, the image at each scale."""
    tiles = []
    for scale in view.scales_of(width, height):
        size = _scaled(width, height, scale)
        side = view.tile_at(*size)
        across, down = _starts(size, side, view)
        wide, high = min(side or size[0], size[0]), min(side or size[1], size[1])
        tiles += [
            Tile(
                (size[0] / width, size[1] / height),
                size,
                left,
                top,
                wide,
                high,
                (left > 0, top > 0, left + wide < size[0], top + high < size[1]),
                (wide, high) if side is None else (side, side),
            )
            for top in down
            for left in across
        ]
    return tiles + [replace(tile, mirrored=True) for tile in tiles] if view.mirrored else tiles


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))


def _starts(size: tuple[int, int], side: int | None, view: View) -> tuple[list[int], list[int]]:
    """The left edges and the upper edges of the tiles of a scaled image."""
    if side is None:
        return [0], [0]
    across, down = (starts(length, side, view.overlap_px) for length in size)
    return across, down


def cut(image: UInt8[np.ndarray, "h w 3"], tiles: Sequence[Tile]) -> list[UInt8[Tensor, "3 th tw"]]:
    """The tiles' pixels. Grey fills the rest of a tile that is larger than the image."""
    import cv2

    scaled: dict[tuple[int, int], np.ndarray] = {(image.shape[1], image.shape[0]): image}
    pieces = []
    for tile in tiles:
        if tile.scaled_size not in scaled:
            smaller = tile.scaled_size[0] < image.shape[1]
            interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            scaled[tile.scaled_size] = cv2.resize(image, tile.scaled_size, interpolation=interpolation)
        crop = scaled[tile.scaled_size][tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        piece = np.full((*tile.filled_size[::-1], 3), GREY, np.uint8)
        piece[: tile.height, : tile.width] = crop
        pieces.append(torch.from_numpy(_turned(piece, tile)).permute(2, 0, 1))
    return pieces


def cut_depth(depth_m: Float32[np.ndarray, "h w"], tiles: Sequence[Tile]) -> list[Float32[Tensor, "th tw"]]:
    """The tiles' depth, by nearest neighbour, so that no depths are mixed; 0 (unknown) beyond the image."""

    def nearest(start: int, length: int, scale: float, end: int) -> Int64[np.ndarray, " n"]:
        return ((start + np.arange(length) + 0.5) / scale).astype(np.int64).clip(max=end - 1)

    pieces = []
    for tile in tiles:
        (across, down), (height, width) = tile.scale_xy, depth_m.shape
        rows, columns = nearest(tile.top, tile.height, down, height), nearest(tile.left, tile.width, across, width)
        piece = np.zeros(tile.filled_size[::-1], np.float32)
        piece[: tile.height, : tile.width] = depth_m[np.ix_(rows, columns)]
        pieces.append(torch.from_numpy(_turned(piece, tile)))
    return pieces


def _turned(piece: Shaped[np.ndarray, "h w *c"], tile: Tile) -> Shaped[np.ndarray, "h w *c"]:
    return np.ascontiguousarray(piece[:, ::-1]) if tile.mirrored else piece


def least_score(tiles: Sequence[Tile], view: View) -> float:
    """The score from which a tile's detection is of use: at a finer scale it can place the box of a better one."""
    return view.threshold * (SURE_SHARE if len({tile.scaled_size for tile in tiles}) > 1 else 1.0)


def merge(tiles: Sequence[Tile], detections: Sequence[Detections], view: View) -> Detections:
    """The tiles' detections as detections of the image, best first. A mirrored look is merged by itself."""
    pairs = list(zip(tiles, detections, strict=True))
    looks = [[pair for pair in pairs if pair[0].mirrored is turned] for turned in (False, True)]
    done = [_merged([tile for tile, _ in own], [one for _, one in own], view) for own in looks if own]
    return done[0] if len(done) == 1 else agreed(done, view.threshold, view.limit, view.nms_iou)


def _merged(tiles: Sequence[Tile], detections: Sequence[Detections], view: View) -> Detections:
    """The detections of the tiles of one look."""
    placed = [_in_image(tile, one) for tile, one in zip(tiles, detections, strict=True)]
    boxes, is_cut = torch.cat([boxes for boxes, _ in placed]), torch.cat([cut_off for _, cut_off in placed])
    scores, labels = torch.cat([one.scores for one in detections]), torch.cat([one.labels for one in detections])
    vectors = [one.embeddings for one in detections if one.embeddings is not None]
    unseen = [one.unseen for one in detections if one.unseen is not None]
    visible = [one.visible for one in detections if one.visible is not None]
    every = Detections(
        boxes,
        scores,
        labels,
        _ids(detections),
        torch.cat(vectors) if len(vectors) == len(detections) else None,
        torch.cat(unseen) if len(unseen) == len(detections) else None,
        torch.cat(visible) if len(visible) == len(detections) else None,
    )
    useful = (scores >= least_score(tiles, view)) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    every, is_cut = every.take(useful), is_cut[useful]
    if len(tiles) == 1:
        return every.take(every.scores.argsort(descending=True, stable=True)[: view.limit])
    counted = zip(tiles, detections, strict=True)
    scales = torch.cat([boxes.new_full((len(one.scores),), tile.scale_xy[0]) for tile, one in counted])
    scales = scales[useful]
    keep = ~covered(every.boxes_xyxy_px, every.scores, every.labels, is_cut)
    if view.trained_px:
        keep &= ~pieces(every.boxes_xyxy_px, every.scores, every.labels, scales, view.trained_px)
    every, is_cut, scales = every.take(keep), is_cut[keep], scales[keep]
    every = replace(every, scores=torch.where(is_cut, every.scores * CUT_SCORE, every.scores))
    every = replace(every, scores=finer_first(every.boxes_xyxy_px, every.scores, every.labels, scales, is_cut))
    return suppress_duplicates(every.take(every.scores >= view.threshold), view.nms_iou, view.limit)


def _ids(detections: Sequence[Detections]) -> Int64[Tensor, " n"] | None:
    """The track ids, which each tile numbers from 0, made unique over the tiles; -1 stays -1."""
    of_tiles = [one.track_ids for one in detections if one.track_ids is not None]
    if len(of_tiles) < len(detections):
        return None
    return torch.cat([torch.where(ids < 0, ids, ids * len(of_tiles) + tile) for tile, ids in enumerate(of_tiles)])


def _in_image(tile: Tile, detections: Detections) -> tuple[Float32[Tensor, "n 4"], Bool[Tensor, " n"]]:
    """The boxes in image pixels, and which of them are cut by an inner edge of the tile."""
    boxes = detections.boxes_xyxy_px
    if tile.mirrored:
        left, top, right, bottom = boxes.unbind(1)
        boxes = torch.stack([tile.filled_size[0] - right, top, tile.filled_size[0] - left, bottom], 1)
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
    """Which cut boxes are covered by a whole box of their category that has at least half their score."""
    is_covered = torch.zeros_like(is_cut)
    whole = (~is_cut).nonzero()[:, 0]
    for one in torch.split(is_cut.nonzero()[:, 0], 1024):
        by = (_shares(boxes[one], boxes[whole]) >= COVERED_SHARE) & (labels[one, None] == labels[None, whole])
        is_covered[one] = (by & (scores[None, whole] >= 0.5 * scores[one, None])).any(1)
    return is_covered


def pieces(
    boxes: Float32[Tensor, "n 4"], scores: Float32[Tensor, " n"], labels: Tensor, scales: Tensor, trained_px: int
) -> Bool[Tensor, " n"]:
    """Which boxes of a finer scale are pieces of an object that is LONG training tiles long there, or longer.

    Of such an object the network has learned pieces at that scale, as tiles cut it. A box is one if a box of its
    category at a coarser scale, so long and with at least half its score, covers it.
    """
    is_piece, sides = torch.zeros_like(labels, dtype=torch.bool), (boxes[:, 2:] - boxes[:, :2]).amax(1)
    for scale in torch.unique(scales)[1:]:
        long = ((scales < scale) & (sides * scale > LONG * trained_px)).nonzero()[:, 0]
        for one in torch.split((scales == scale).nonzero()[:, 0], 1024):
            by = _shares(boxes[one], boxes[long]) >= COVERED_SHARE
            by &= (labels[one, None] == labels[None, long]) & (scores[None, long] >= 0.5 * scores[one, None])
            is_piece[one] = by.any(1)
    return is_piece


def _shares(boxes: Float32[Tensor, "n 4"], others: Float32[Tensor, "m 4"]) -> Float32[Tensor, "n m"]:
    """The share of each box's area that lies in each other one."""
    low = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return (high - low).clamp(min=0).prod(-1) / area(boxes)[:, None]


def finer_first(
    boxes: Float32[Tensor, "n 4"],
    scores: Float32[Tensor, " n"],
    labels: Tensor,
    scales: Float32[Tensor, " n"],
    is_cut: Bool[Tensor, " n"],
) -> Float32[Tensor, " n"]:
    """The scores, exchanged where a small part's box has a better one than the box of a finer scale for the same part.

    A part's edges are known to about a pixel of the tile, so the box of the coarser scale is off by more. Boxes are in
    image pixels, scales in tile pixels for each of them. A box that its tile cuts off gets no better score.
    """
    scores = scores.clone()
    sides, exact = area(boxes).sqrt(), ~is_cut
    for scale in torch.unique(scales)[:-1]:
        whole = ((scales > scale) & exact).nonzero()[:, 0]
        small = ((scales == scale) & (sides * scale < COARSE_SIDE_PX)).nonzero()[:, 0]
        for coarse in torch.split(small, 1024):
            overlap = pairwise_iou(boxes[coarse], boxes[whole])
            same = (overlap >= SAME_PART_IOU) & (labels[coarse, None] == labels[None, whole])
            same &= scores[None, whole] >= SURE_SHARE * scores[coarse, None]
            seen_twice = same.any(1)
            if not seen_twice.any():
                continue
            fine = whole[torch.where(same, overlap, -1.0).argmax(1)][seen_twice]
            better, other = scores[coarse[seen_twice]], scores[fine]
            scores[coarse[seen_twice]] = torch.minimum(better, other)
            scores.scatter_reduce_(0, fine, better, "amax")
    return scores
