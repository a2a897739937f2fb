"""Parts pasted over the parts of another picture, with one soft mask for photos and for simulation.

All that a photo has of its parts are boxes. So the mask is 1 in the box and falls to 0 over a rim around it, also where
a simulated part has an outline. What is pasted brings the rim of its own ground; its level is brought to that of the
new ground there. Which part goes where follows from the boxes and a seed alone, so that no picture is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from hybrid.data.clips import FrameRecord
from hybrid.data.pixels import DecodedImages

Image = UInt8[np.ndarray, "h w 3"]
Box = Float[np.ndarray, " 4"]
RIM, LEAST_RIM_PX = 0.15, 3.0  # of a side of the box, on each side of it
ALIKE = 6  # parts of the most similar size, of which one is drawn
FADED = 0.7  # the mask where the brightness of the rim is compared
DARK = 8.0  # grey levels: so that a black rim gives no boundless gain
NONE = -1


@dataclass(frozen=True)
class Pictures:
    """Frames of one side, and the unit of each: the session of a photo, the scene of a simulated frame."""

    frames: Sequence[FrameRecord]
    units: Int64[np.ndarray, " frames"]


@dataclass(frozen=True)
class Parts:
    """The labelled parts of some pictures, in the order of these."""

    boxes_xyxy_px: Float[np.ndarray, "n 4"]
    labels: Int64[np.ndarray, " n"]
    frames: Int64[np.ndarray, " n"]
    units: Int64[np.ndarray, " n"]
    free: Bool[np.ndarray, " n"]  # the rim lies in the picture and touches no other labelled box

    @property
    def log_sides(self) -> Float[np.ndarray, "n 2"]:
        return log_sides(self.boxes_xyxy_px)


def log_sides(boxes_xyxy_px: np.ndarray) -> Float[np.ndarray, "n 2"]:
    """The logarithms of the width and the height of boxes [n, 4], of one pixel at the least."""
    boxes = boxes_xyxy_px.astype(np.float64)
    return np.asarray(np.log(np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)))


def parts_of(pictures: Pictures) -> Parts:
    """All labelled parts."""
    boxes = [frame.boxes_xyxy_px.astype(np.float64) for frame in pictures.frames]
    counts = [len(one) for one in boxes]
    at = np.repeat(np.arange(len(boxes)), counts)
    free = [_free(own, frame) for own, frame in zip(boxes, pictures.frames, strict=True)]
    return Parts(
        np.concatenate([np.zeros((0, 4)), *boxes]),
        np.concatenate([np.zeros(0, np.int64), *(frame.labels for frame in pictures.frames)]),
        at, pictures.units[at], np.concatenate([np.zeros(0, bool), *free]),
    )  # fmt: skip


def _free(boxes: Float[np.ndarray, "n 4"], frame: FrameRecord) -> Bool[np.ndarray, " n"]:
    wide = np.array([widened(box) for box in boxes]).reshape(-1, 4)
    inside = (wide[:, :2] >= 0).all(1) & (wide[:, 2] <= frame.width_px) & (wide[:, 3] <= frame.height_px)
    every = np.concatenate([boxes, frame.ignore_boxes_xyxy_px.astype(np.float64)])
    apart = (
        (every[None, :, 0] >= wide[:, None, 2]) | (every[None, :, 2] <= wide[:, None, 0])
        | (every[None, :, 1] >= wide[:, None, 3]) | (every[None, :, 3] <= wide[:, None, 1])
    )  # fmt: skip
    apart[np.arange(len(boxes)), np.arange(len(boxes))] = True
    return np.asarray(inside & apart.all(1))


def rims(box: Box) -> Float[np.ndarray, " 2"]:
    """The width of the rim, in x and y."""
    return np.asarray(np.maximum((box[2:] - box[:2]) * RIM, LEAST_RIM_PX))


def widened(box: Box) -> Box:
    """The box with its rim."""
    return np.concatenate([box[:2] - rims(box), box[2:] + rims(box)])


def chosen(grounds: Pictures, parts: Parts, apart: bool, seed: int) -> list[Int64[np.ndarray, " _"]]:
    """For each box of each ground the part that goes there, an index into `parts`; NONE: there is none.

    A part has the category of the box. Of the six whose sides are nearest to the box's one is drawn; parts that are
    free of others go before all others. `apart`: none of the same unit is taken, since grounds and parts are of one
    data set.
    """
    sides, rows = parts.log_sides, []
    for k, (frame, unit) in enumerate(zip(grounds.frames, grounds.units, strict=True)):
        rng = np.random.default_rng([seed, k])
        elsewhere = parts.units != unit if apart else np.ones(len(parts.units), bool)
        wanted = log_sides(frame.boxes_xyxy_px)
        row = np.full(len(wanted), NONE, np.int64)
        for j, label in enumerate(frame.labels):
            fits = elsewhere & (parts.labels == label)
            fits = fits & parts.free if (fits & parts.free).any() else fits
            places = np.flatnonzero(fits)
            if len(places):
                off = np.abs(sides[places] - wanted[j]).max(1)
                row[j] = rng.choice(places[np.argsort(off, kind="stable")[:ALIKE]])
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Composer:
    """Makes pictures of grounds with other parts over their own ones."""

    grounds: Pictures
    sources: Pictures
    parts: Parts  # of `sources`
    rows: Sequence[Int64[np.ndarray, " _"]]  # of `chosen`
    decoded: DecodedImages  # holds as many pictures as it may, and decodes the others again

    def picture(self, number: int, frame: FrameRecord) -> Image:
        """Ground `number`, each of its boxes with its part; the larger boxes first, so that small parts stay."""
        image, boxes = self.decoded.read(frame).copy(), frame.boxes_xyxy_px.astype(np.float64)
        for j in np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(1), kind="stable"):
            part = int(self.rows[number][j])
            if part != NONE:
                source = self.decoded.read(self.sources.frames[int(self.parts.frames[part])])
                paste(image, boxes[j], source, self.parts.boxes_xyxy_px[part])
        return image


def paste(image: Image, box: Box, source: Image, source_box: Box) -> None:
    """Scale what lies in `source_box` and its rim to `box`, and put it there. Changes `image`."""
    height, width = image.shape[:2]
    low = np.floor(widened(box)[:2]).astype(int).clip(0)
    high = np.minimum(np.ceil(widened(box)[2:]).astype(int), (width, height))
    if (high <= low).any():
        return
    scale = (source_box[2:] - source_box[:2]) / (box[2:] - box[:2])
    start = source_box[:2] + (low + 0.5 - box[:2]) * scale - 0.5  # of pixel centres
    into_source = np.array([[scale[0], 0.0, start[0]], [0.0, scale[1], start[1]]])
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(source, into_source, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    ground, mask = image[low[1] : high[1], low[0] : high[0]], soft_mask(box, low, size)
    mixed = mask * levelled(patch, ground, mask) + (1 - mask) * ground
    image[low[1] : high[1], low[0] : high[0]] = np.clip(np.round(mixed), 0, 255).astype(np.uint8)


def soft_mask(box: Box, low: Int64[np.ndarray, " 2"], size: tuple[int, int]) -> Float32[np.ndarray, "h w 1"]:
    """1 at the pixels of the box, falling to 0 over its rim, from the corner `low` on."""
    rim = rims(box)
    x, y = (low[k] + np.arange(size[k]) + 0.5 for k in (0, 1))
    off_x = np.maximum(np.maximum(box[0] - x, x - box[2]), 0.0) / rim[0]
    off_y = np.maximum(np.maximum(box[1] - y, y - box[3]), 0.0) / rim[1]
    near = np.clip(1.0 - np.hypot(off_x[None], off_y[:, None]), 0.0, 1.0)
    return np.asarray((near * near * (3 - 2 * near))[..., None], np.float32)


def levelled(patch: Image, ground: Image, mask: Float32[np.ndarray, "h w 1"]) -> Float32[np.ndarray, "h w 3"]:
    """The patch as bright as the ground where the rim fades out; its colours stay, as under another exposure."""
    rim = mask[..., 0] < FADED
    if not rim.any():  # the box is the whole picture
        return patch.astype(np.float32)
    gain = (float(np.median(ground[rim])) + DARK) / (float(np.median(patch[rim])) + DARK)
    return patch * np.float32(gain)
