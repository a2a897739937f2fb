"""A contact sheet of a data set: its labels drawn on its images, one row for each clip. And a clip as an animation."""

from __future__ import annotations

import io

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from simgen.dataset.check.pictures import decoded
from simgen.dataset.format.archive import StoredClip
from simgen.dataset.format.reader import DataSet
from simgen.spec.errors import ShardError
from simgen.spec.evenly import evenly
from simgen.spec.frames import FrameLabels, Image, PartLabel

TILE_PX = 640  # width of a shown frame; smaller frames are enlarged by a whole factor
STRIP_PX = 26  # height of a line of text
NAMED_PARTS = 14  # with more visible parts, labels have no category name; the colour shows the category
CROWDED_PARTS = 50  # with more visible parts there is no text, which would hide the parts
SAME_PX = 1.5  # the box of the whole part is not drawn if it differs less from the visible one
INK = (235, 235, 235)
SHORTEST_MS = 20  # of a frame of an animation; viewers show a shorter one slowly
FAR_PX = 1e4
FONT = cv2.FONT_HERSHEY_SIMPLEX
Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]
Tile = UInt8[np.ndarray, "_ _ 3"]
# Hues that most people tell apart, after Okabe and Ito, "Color Universal Design" (2008).
COLOURS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178))


def contact_sheet(data: DataSet, clips: int = 4, frames: int = 4, raw: bool = False) -> Image:
    """An RGB picture with a legend and `clips` rows of `frames` frames each, spread evenly over the data set.

    Args:
        raw: show the frames as they are, with nothing drawn and no text.

    Raises:
        ShardError: the data set is damaged.
    """
    if len(data) == 0:
        raise ShardError(f"{data.folder}: holds no clip, so there is nothing to show")
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(data.categories)}
    rows = [_row(data[i], colours, frames, raw) for i in evenly(range(len(data)), clips)]
    width = max(row.shape[1] for row in rows)
    legend = [] if raw else [_legend(data, colours, width)]
    return np.concatenate([_wide(band, width) for band in (*legend, *rows)])


def animation(clip: StoredClip, suffix: str) -> bytes:
    """The frames of a clip as they are, as an animated picture at the speed of the clip.

    Args:
        suffix: ".gif" or ".webp".

    Raises:
        ShardError: the clip is damaged.
    """
    from PIL import Image as Pillow

    pictures = [Pillow.fromarray(_tile(_decoded(clip, t))[0]) for t in range(clip.frames)]
    if not pictures:
        raise ShardError(f"{clip.path}: clip {clip.index} has no frame")
    file = io.BytesIO()
    milliseconds = min(max(clip.spec().frame_interval_s * 1000, SHORTEST_MS), 10_000)
    options = {"quality": 80, "method": 4} if suffix == ".webp" else {}
    kind = suffix.removeprefix(".").upper()
    pictures[0].save(
        file, kind, save_all=True, append_images=pictures[1:], duration=round(milliseconds), loop=0, **options
    )
    return file.getvalue()


def encoded(image: Image, suffix: str) -> bytes:
    """An RGB picture as a file of the kind ".png", ".jpg" or ".jpeg"."""
    ok, data = cv2.imencode(suffix, image[..., ::-1])
    assert ok
    return bytes(data)


def _row(clip: StoredClip, colours: dict[str, Colour], frames: int, raw: bool) -> Image:
    labels = clip.labels()
    picks = evenly(range(min(clip.frames, len(labels.frames))), frames)
    if not picks:
        raise ShardError(f"{clip.path}: clip {clip.index} has no frame")
    if raw:
        return np.concatenate([_tile(_decoded(clip, t))[0] for t in picks], axis=1)
    pictures = np.concatenate([frame_picture(clip, t, labels.frames[t], colours) for t in picks], axis=1)
    first, shown = labels.frames[0], ", ".join(f"{t}" for t in picks)
    text = f"scene {clip.index}   {len(first.parts)} parts   frames {shown} of {len(labels.frames)}   {clip.spec().id}"
    return np.concatenate([_strip(text, pictures.shape[1]), pictures])


def _decoded(clip: StoredClip, t: int) -> Image:
    try:
        return decoded(clip.jpeg(t))
    except ValueError as error:
        raise clip.damaged(f"f{t:03d}.jpg", error) from error


def _tile(image: Tile) -> tuple[Tile, float]:
    """The image in the size of a tile, and by how much it was enlarged."""
    scale = float(TILE_PX // image.shape[1]) if image.shape[1] <= TILE_PX else TILE_PX / image.shape[1]
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    tile = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST if scale >= 1 else cv2.INTER_AREA)
    return np.asarray(tile, np.uint8), scale


def frame_picture(clip: StoredClip, t: int, frame: FrameLabels, colours: dict[str, Colour]) -> Image:
    """A frame with outlines, boxes and text. The parts themselves look as they are."""
    picture, scale = _tile(_decoded(clip, t))
    ids = cv2.resize(clip.ids(t), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    for part in frame.parts:
        _draw_outline(picture, ids == part.track_id, colours.get(part.category, INK))
    visible = sum(part.visible_px > 0 for part in frame.parts)
    for part in frame.parts:
        _draw_boxes(picture, part, colours.get(part.category, INK), scale)
    for part in frame.parts if visible <= CROWDED_PARTS else ():
        _draw_label(picture, part, colours.get(part.category, INK), scale, visible <= NAMED_PARTS)
    return picture


def _draw_outline(picture: Image, mask: Bool[np.ndarray, "h w"], colour: Colour) -> None:
    """Draw a line of one pixel around a mask, just outside of it."""
    around = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > mask
    picture[around] = colour


def _px(value: float, scale: float) -> int:
    """A coordinate in the tile. A damaged label may be anywhere."""
    return round(min(max(value * scale, -FAR_PX), FAR_PX))


def _draw_boxes(picture: Image, part: PartLabel, colour: Colour, scale: float) -> None:
    if part.amodal_box_xyxy_px is not None and not _alike(part.amodal_box_xyxy_px, part.box_xyxy_px):
        _dashed(picture, [_px(v, scale) for v in part.amodal_box_xyxy_px], colour)
    if part.box_xyxy_px is not None:
        x0, y0, x1, y1 = (_px(v, scale) for v in part.box_xyxy_px)
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), colour, 1)


def _alike(one: Box, other: Box | None) -> bool:
    return other is not None and all(abs(a - b) < SAME_PX for a, b in zip(one, other, strict=True))


def _dashed(picture: Image, box: list[int], colour: Colour, dash: int = 4) -> None:
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = box
    x0, x1 = (min(max(x, 0), width - 1) for x in (x0, x1 - 1))  # rounding may put a thin box outside
    y0, y1 = (min(max(y, 0), height - 1) for y in (y0, y1 - 1))
    for x in range(x0, x1 + 1, 2 * dash):
        picture[[y0, y1], x : min(x + dash, x1 + 1)] = colour
    for y in range(y0, y1 + 1, 2 * dash):
        picture[y : min(y + dash, y1 + 1), [x0, x1]] = colour


def _draw_label(picture: Image, part: PartLabel, colour: Colour, scale: float, named: bool) -> None:
    if part.box_xyxy_px is None:
        return
    word = f" {part.category}" if named else ""
    text = f"{part.track_id}{word} {part.visible_share:.0%}"
    (width, height), below = cv2.getTextSize(text, FONT, 0.35, 1)
    x = max(0, min(_px(part.box_xyxy_px[0], scale), picture.shape[1] - width))
    y = max(9, _px(part.box_xyxy_px[1], scale) - 3)
    picture[max(0, y - height - 1) : y + below // 2, x : x + width] //= 3
    cv2.putText(picture, text, (x, y), FONT, 0.35, colour, 1, cv2.LINE_AA)


def _legend(data: DataSet, colours: dict[str, Colour], width: int) -> Image:
    request = data.manifest.request
    strip = _strip(f"{request.preset}  seed {request.seed}  {len(data)} clips", width)
    x = 20 + cv2.getTextSize(f"{request.preset}  seed {request.seed}  {len(data)} clips", FONT, 0.45, 1)[0][0]
    key = [*((name, colour) for name, colour in colours.items()), ("solid: visible, dashed: whole part", INK)]
    for text, colour in key:
        cv2.putText(strip, text, (x + 10, STRIP_PX - 9), FONT, 0.45, colour, 1, cv2.LINE_AA)
        x += 25 + cv2.getTextSize(text, FONT, 0.45, 1)[0][0]
    return strip


def _strip(text: str, width: int) -> Image:
    strip = np.full((STRIP_PX, width, 3), 24, np.uint8)
    cv2.putText(strip, text, (6, STRIP_PX - 9), FONT, 0.45, INK, 1, cv2.LINE_AA)
    return strip


def _wide(band: Image, width: int) -> Image:
    return np.pad(band, ((0, 0), (0, width - band.shape[1]), (0, 0)), constant_values=24)
