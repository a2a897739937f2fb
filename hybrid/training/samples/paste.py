"""Copy-paste: parts cut out along their outlines and pasted onto training tiles.

Dwibedi et al., "Cut, Paste and Learn" (ICCV 2017), and Ghiasi et al., "Simple Copy-Paste" (CVPR 2021). A rendered part
is cut out by its image of ids, a part of a photo by the polygons of its label. A box without an outline is never cut
out: its background would come with it. Edges are soft, so that the seam is not what is learned.

A pasted part moves over the frames of a clip as a labelled object does; without one it stays where it is in the scene.
Where it covers a box of visible pixels, the box shrinks to what is left of the object. The box is dropped where less
than `least_visible` of the object is left, as where a tile's edge cuts it. Boxes of whole objects stay as they are, and
an object that is covered counts as hidden. The pasted part obeys the same rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from hybrid.data.clips import ClipSource, FrameRecord, Image, Outline
from hybrid.data.pixels import decode_ids
from hybrid.training.samples.occluders import hidden_boxes
from hybrid.training.samples.window import TileLabels, Window, with_more

if TYPE_CHECKING:
    from hybrid.training.config import AugmentConfig

MOST_PASTED = 4  # parts, in a sample
LEAST_DONOR_PX = 10  # shortest side of a part that is cut out
LEAST_DONOR_SHARE = 0.9  # of a part's pixels must be visible; where that is known
RESIZE = (0.8, 1.25)  # range of a pasted part's size, as a factor
TURN_DEG = 30.0  # at most, to either side
SOFT_PX = 0.7  # standard deviation of the blur of its edge
SOLID = 0.5  # the opacity from which a pixel shows the part
MARGIN_PX = 3  # of background around a part, for the soft edge

Canvas = Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class Donor:
    """A part that can be cut out: a frame, and the place of its box in it."""

    frame: FrameRecord
    box: int


@dataclass(frozen=True)
class Cutout:
    """A part at the size and in the position in which it is pasted."""

    pixels: Float32[np.ndarray, "h w 3"]
    opacity: Float32[np.ndarray, "h w"]  # 0..1
    label: int


def donors(source: ClipSource) -> list[Donor]:
    """The parts of a source that can be cut out: with an outline, wholly in the picture, not occluded, not tiny."""
    return [Donor(frame, int(i)) for frame in source.frames for i in np.flatnonzero(_can_be_cut_out(frame))]


def _can_be_cut_out(frame: FrameRecord) -> Bool[np.ndarray, " n"]:
    boxes = frame.boxes_xyxy_px
    outlined = np.zeros(len(boxes), bool)
    if frame.ids_at is not None and frame.track_ids is not None:
        outlined = frame.track_ids >= 0
    elif frame.outlines is not None:
        outlined = np.array([bool(outline) for outline in frame.outlines], bool)
    inside = (boxes[:, :2] >= 1).all(1) & (boxes[:, 2:] <= np.array([frame.width_px, frame.height_px]) - 1).all(1)
    large = ((boxes[:, 2:] - boxes[:, :2]) >= LEAST_DONOR_PX).all(1)
    shown = np.ones(len(boxes), bool) if frame.visible_share is None else frame.visible_share >= LEAST_DONOR_SHARE
    usable: Bool[np.ndarray, " n"] = outlined & inside & large & shown
    return usable if frame.hidden is None else usable & ~frame.hidden


# --- cutting out ----------------------------------------------------------------------------------------------------


def cut_out(donor: Donor, image: Image, scale: float, flips: tuple[bool, bool], turn_deg: float) -> Cutout | None:
    """The part of a donor, `scale` times as large, flipped and turned. None: no pixel of the frame shows it.

    Raises:
        DataError: its image of ids cannot be read.
    """
    import cv2

    left, top, right, bottom = _grown(donor.frame.boxes_xyxy_px[donor.box], donor.frame)
    turned = slice(None, None, -1 if flips[1] else 1), slice(None, None, -1 if flips[0] else 1)
    mask, pixels = (
        np.ascontiguousarray(one[top:bottom, left:right][turned]).astype(np.float32)
        for one in (_object(donor.frame, donor.box), image)
    )
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    matrix, extent = _turning(size, turn_deg)
    resized = (cv2.resize(one, size, interpolation=how) for one in (mask, pixels))
    edges = cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE
    opacity, colours = (
        cv2.warpAffine(one, matrix, extent, borderMode=edge) for one, edge in zip(resized, edges, strict=True)
    )
    opacity = np.asarray(cv2.GaussianBlur(opacity, (0, 0), SOFT_PX), np.float32)
    label = int(donor.frame.labels[donor.box])
    return Cutout(np.asarray(colours, np.float32), opacity, label) if (opacity > SOLID).any() else None


def _grown(box: Float32[np.ndarray, "4"], frame: FrameRecord) -> tuple[int, int, int, int]:
    """The whole pixels of a box with a margin, inside the picture."""
    low, high = np.floor(box[:2]).astype(int) - MARGIN_PX, np.ceil(box[2:]).astype(int) + MARGIN_PX
    return (
        max(0, int(low[0])),
        max(0, int(low[1])),
        min(frame.width_px, int(high[0])),
        min(frame.height_px, int(high[1])),
    )


def _turning(size: tuple[int, int], turn_deg: float) -> tuple[Float32[np.ndarray, "2 3"], tuple[int, int]]:
    """The matrix that turns a picture of this size about its centre, and the size (w, h) that holds all of it."""
    import cv2

    width, height = size
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn_deg, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    extent = int(np.ceil(width * cosine + height * sine)), int(np.ceil(width * sine + height * cosine))
    matrix[0, 2] += (extent[0] - width) / 2
    matrix[1, 2] += (extent[1] - height) / 2
    return np.asarray(matrix, np.float32), extent


def _object(frame: FrameRecord, box: int) -> Canvas:
    """The visible pixels of a box's object, by its ids or its outline."""
    if frame.ids_at is not None and frame.track_ids is not None:
        return np.asarray(decode_ids(frame) == frame.track_ids[box])
    assert frame.outlines is not None, "only parts with an outline are asked for"
    return _filled(frame.outlines[box], frame.height_px, frame.width_px)


def _filled(outline: Outline, height: int, width: int) -> Canvas:
    """The pixels inside an outline. Corners are at the edges of pixels; OpenCV's are at their centres."""
    import cv2

    blank, eighths = np.zeros((height, width), np.uint8), 3
    corners = [np.round((polygon - 0.5) * 2**eighths).astype(np.int32) for polygon in outline]
    for polygon in corners:
        cv2.fillPoly(blank, [polygon], 1, shift=eighths)
    return blank.astype(bool)


# --- pasting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where a cutout is pasted: its corner in the first frame, its shift in each frame, and its track."""

    corner_px: Float32[np.ndarray, " xy"]
    shifts_px: Float32[np.ndarray, "t xy"]
    track_id: int  # -1: the clip has no tracks


def motion(
    frames: Sequence[FrameRecord], windows: Sequence[Window], tile_px: int, rng: np.random.Generator
) -> Float32[np.ndarray, "t xy"]:
    """The shift since the first frame of one of the objects that every frame labels, or of the scene; tile pixels."""
    ids = [
        set() if frame.track_ids is None else set(frame.track_ids[frame.track_ids >= 0].tolist()) for frame in frames
    ]
    common, which = sorted(set.intersection(*ids)), rng.random()
    if common:
        chosen = common[int(which * len(common))]
        boxes = [frame.boxes_xyxy_px[np.flatnonzero(frame.track_ids == chosen)[:1]] for frame in frames]
    else:
        boxes = [np.zeros((1, 4), np.float32)] * len(frames)  # a point of the scene
    moved = [window.moved(box, tile_px)[0] for window, box in zip(windows, boxes, strict=True)]
    centres = np.array([(box[:2] + box[2:]) / 2 for box in moved], np.float32)
    return centres - centres[:1]


def draw_parts(
    pool: Sequence[Donor],
    read: Callable[[FrameRecord], Image],
    frames: Sequence[FrameRecord],
    windows: Sequence[Window],
    tile_px: int,
    augment: AugmentConfig,
    rng: np.random.Generator,
) -> list[tuple[Cutout, Place]]:
    """One to MOST_PASTED parts of the pool, each with its place in the tile; fewer where a part is too large for it."""
    shifts = motion(frames, windows, tile_px, rng)
    known = [frame.track_ids for frame in frames if frame.track_ids is not None]
    next_id = 1 + max((int(ids.max(initial=0)) for ids in known), default=0)
    parts = []
    for number in range(int(rng.integers(1, MOST_PASTED + 1))):
        donor = pool[int(rng.integers(len(pool)))]
        scale = tile_px / windows[0].side * math.exp(rng.uniform(*np.log(RESIZE)))
        flips = tuple((rng.random(2) < (augment.horizontal_flip, augment.vertical_flip)).tolist())
        turn_deg, (x, y) = rng.uniform(-TURN_DEG, TURN_DEG), rng.random(2)
        cutout = cut_out(donor, read(donor.frame), scale, (flips[0], flips[1]), turn_deg)
        if cutout is None or max(cutout.opacity.shape) > tile_px:
            continue
        height, width = cutout.opacity.shape
        corner = np.array([x * (tile_px - width / 2) - width / 4, y * (tile_px - height / 2) - height / 4], np.float32)
        parts.append((cutout, Place(corner, shifts, next_id + number if known else -1)))
    return parts


def paste(
    images: UInt8[np.ndarray, "t h w 3"],
    placed: Sequence[TileLabels],
    frames: Sequence[FrameRecord],
    windows: Sequence[Window],
    parts: Sequence[tuple[Cutout, Place]],
) -> tuple[UInt8[np.ndarray, "t h w 3"], list[TileLabels], Bool[np.ndarray, "t h w"]]:
    """The frames with the parts pasted in order, their labels, and a mask of the pixels that pasted parts cover."""
    images = images.copy()
    covered = np.zeros(images.shape[:3], bool)
    result = []
    for k, (frame, window, labels) in enumerate(zip(frames, windows, placed, strict=True)):
        solids = [_paste_one(images[k], cutout, place.corner_px + place.shifts_px[k]) for cutout, place in parts]
        covered[k] = np.any(solids, axis=0)
        above = [np.any([*solids[i + 1 :], np.zeros_like(solid)], axis=0) for i, solid in enumerate(solids)]
        below = labels
        if frame.hidden is None:
            below = _shrunk(labels, covered[k], frame, window)
            solids = [solid & ~later for solid, later in zip(solids, above, strict=True)]
        else:
            below = replace(labels, hidden=labels.hidden | hidden_boxes(covered[k], labels.boxes_xyxy_px))
        result.append(with_more(below, _pasted_labels(solids, above, parts, labels.least_visible)))
    return images, result, covered


def _paste_one(image: Image, cutout: Cutout, corner_px: Float32[np.ndarray, " xy"]) -> Canvas:
    """Blend a cutout into an image, in place. Returns the pixels that it covers."""
    x, y = np.round(corner_px).astype(int).tolist()
    height, width = cutout.opacity.shape
    rows, columns = slice(max(0, y), max(0, y + height)), slice(max(0, x), max(0, x + width))
    solid = np.zeros(image.shape[:2], bool)
    region = image[rows, columns]
    inner = slice(max(0, -y), max(0, -y) + region.shape[0]), slice(max(0, -x), max(0, -x) + region.shape[1])
    opacity = cutout.opacity[inner]
    blended = opacity[..., None] * cutout.pixels[inner] + (1 - opacity[..., None]) * region
    image[rows, columns] = np.round(blended).clip(0, 255).astype(np.uint8)
    solid[rows, columns] = opacity > SOLID
    return solid


def _shrunk(labels: TileLabels, covered: Canvas, frame: FrameRecord, window: Window) -> TileLabels:
    """The boxes of visible pixels, shrunk to what is left of their objects under the covered pixels."""
    boxes, shares = labels.boxes_xyxy_px.copy(), labels.shares.copy()
    for i in np.flatnonzero(labels.keep):
        left, top, right, bottom = np.round(boxes[i]).astype(int)
        if not covered[top:bottom, left:right].any():
            continue
        body = _object_in_tile(frame, int(i), window, covered.shape[0])
        inside = np.zeros_like(covered)
        inside[top:bottom, left:right] = True if body is None else body[top:bottom, left:right]
        rest = inside & ~covered
        shares[i] *= rest.sum() / max(1, inside.sum())
        if rest.any() and rest.sum() < inside.sum():
            low, high = np.split(bounds(rest), 2)
            boxes[i] = np.concatenate([np.maximum(boxes[i, :2], low), np.minimum(boxes[i, 2:], high)])
    return replace(labels, boxes_xyxy_px=boxes, shares=shares)


def _object_in_tile(frame: FrameRecord, box: int, window: Window, tile_px: int) -> Canvas | None:
    """The object's visible pixels in the tile; None: it has no outline."""
    if frame.ids_at is not None and frame.track_ids is not None:
        return window.depth(_object(frame, box).astype(np.float32), tile_px) > 0.5
    if frame.outlines is None or not frame.outlines[box]:
        return None
    return _filled(tuple(window.points(polygon, tile_px) for polygon in frame.outlines[box]), tile_px, tile_px)


def _pasted_labels(
    seen: Sequence[Canvas], above: Sequence[Canvas], parts: Sequence[tuple[Cutout, Place]], least_visible: float
) -> TileLabels:
    """The boxes of the pasted parts, around the pixels `seen` of each. A part is hidden if `above` covers its box."""
    boxes, shares = np.zeros((len(parts), 4), np.float32), np.zeros(len(parts), np.float32)
    for i, (mask, (cutout, _)) in enumerate(zip(seen, parts, strict=True)):
        if mask.any():
            boxes[i] = bounds(mask)
            shares[i] = mask.sum() / (cutout.opacity > SOLID).sum()
    hidden = np.array([hidden_boxes(mask, box[None])[0] for mask, box in zip(above, boxes, strict=True)])
    labels = np.array([cutout.label for cutout, _ in parts], np.int64)
    tracks = np.array([place.track_id for _, place in parts], np.int64)
    return TileLabels(boxes, labels, tracks, shares, hidden, least_visible)


def bounds(mask: Canvas) -> Float32[np.ndarray, "4"]:
    """The box around the pixels of a mask, which has one or more."""
    (y0, y1), (x0, x1) = ((int(v[0]), int(v[-1]) + 1) for v in (np.flatnonzero(mask.any(axis)) for axis in (1, 0)))
    return np.array([x0, y0, x1, y1], np.float32)
