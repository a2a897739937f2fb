"""A contact sheet of a data set: its labels drawn on its images. One row for each clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Int32

from simgen.camera.sensor import decode
from simgen.dataset.format.archive import StoredClip
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.files import write_atomically
from simgen.spec.frames import FrameLabels, Image, PartLabel
from simgen.spec.types import CLUTTER

TILE_PX = 640  # width of a shown frame; smaller frames are enlarged by a whole factor
STRIP_PX = 26  # height of a line of text
NAMED_PARTS = 14  # with more visible parts, labels have no category name; the colour shows the category
CROWDED_PARTS = 50  # with more visible parts there is no text, which would hide the parts
SAME_PX = 1.5  # the box of the whole part is not drawn if it differs less from the visible one
INK = (235, 235, 235)
CLUTTER_TINT = (90, 90, 90)
FONT = cv2.FONT_HERSHEY_SIMPLEX
Box = tuple[float, float, float, float]
# Hues that most people tell apart, after Okabe and Ito, "Color Universal Design" (2008).
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178))


def contact_sheet(data: DataSet, clips: int = 4, frames: int = 4) -> Image:
    """An RGB picture with a legend and `clips` rows of `frames` frames each, spread evenly over the data set.

    Raises:
        ShardError: the data set is damaged.
    """
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(data.categories)}
    rows = [_row(data[int(i)], colours, frames) for i in _spread(len(data), clips)]
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_wide(band, width) for band in (_legend(data, colours, width), *rows)])


def write_png(path: Path, image: Image) -> None:
    """Write an RGB picture as PNG, atomically."""
    ok, data = cv2.imencode(".png", image[..., ::-1])
    assert ok
    write_atomically(path, data.tobytes())


def _spread(count: int, picks: int) -> list[int]:
    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(count, picks)).round())]


def _row(clip: StoredClip, colours: dict[str, tuple[int, int, int]], frames: int) -> Image:
    labels = clip.labels()
    picks = _spread(len(labels.frames), frames)
    tiles = [frame_picture(clip, t, labels.frames[t], colours) for t in picks]
    first = labels.frames[0]
    shown = ", ".join(f"{t}" for t in picks)
    text = f"scene {clip.index}   {len(first.parts)} parts   frames {shown} of {len(labels.frames)}   {clip.spec().id}"
    pictures = np.concatenate(tiles, axis=1)
    return np.concatenate([_strip(text, pictures.shape[1]), pictures])


def frame_picture(clip: StoredClip, t: int, frame: FrameLabels, colours: dict[str, tuple[int, int, int]]) -> Image:
    """A frame with masks, boxes and text."""
    ids = clip.ids(t)
    try:
        image = decode(clip.jpeg(t))
    except ValueError as error:
        raise clip.damaged(f"f{t:03d}.jpg", error) from error
    tinted = _tinted(image, ids, [colours[part.category] for part in frame.parts])
    scale = float(TILE_PX // image.shape[1]) if image.shape[1] <= TILE_PX else TILE_PX / image.shape[1]
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    picture = cv2.resize(tinted, size, interpolation=cv2.INTER_NEAREST if scale >= 1 else cv2.INTER_AREA)
    visible = sum(part.visible_px > 0 for part in frame.parts)
    for part in frame.parts:
        _draw_boxes(picture, part, colours[part.category], scale)
    for part in frame.parts if visible <= CROWDED_PARTS else ():
        _draw_label(picture, part, colours[part.category], scale, visible <= NAMED_PARTS)
    return np.asarray(picture, np.uint8)


def _tinted(image: Image, ids: Int32[np.ndarray, "h w"], tints: list[tuple[int, int, int]]) -> Image:
    """The image with tinted masks, and their outlines, where ids of neighbours differ."""
    table = np.array([*tints, CLUTTER_TINT, (0, 0, 0)], np.float32)  # ids -2 and -1 index the last two
    over = (ids >= 0) | (ids == CLUTTER)
    edge = np.zeros(ids.shape, bool)
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    edge[1:] |= ids[1:] != ids[:-1]
    share = np.where(edge & over, 0.75, np.where(over, 0.28, 0.0))[..., None].astype(np.float32)
    return np.asarray(np.rint(image * (1 - share) + table[ids] * share), np.uint8)


def _draw_boxes(picture: Image, part: PartLabel, colour: tuple[int, int, int], scale: float) -> None:
    if part.amodal_box_xyxy_px is not None and not _alike(part.amodal_box_xyxy_px, part.box_xyxy_px):
        _dashed(picture, [round(v * scale) for v in part.amodal_box_xyxy_px], colour)
    if part.box_xyxy_px is not None:
        x0, y0, x1, y1 = (round(v * scale) for v in part.box_xyxy_px)
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), colour, 1)


def _alike(one: Box, other: Box | None) -> bool:
    return other is not None and all(abs(a - b) < SAME_PX for a, b in zip(one, other, strict=True))


def _dashed(picture: Image, box: list[int], colour: tuple[int, int, int], dash: int = 4) -> None:
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = box
    x0, x1 = (min(max(x, 0), width - 1) for x in (x0, x1 - 1))  # rounding may put a thin box outside
    y0, y1 = (min(max(y, 0), height - 1) for y in (y0, y1 - 1))
    for x in range(x0, x1 + 1, 2 * dash):
        picture[[y0, y1], x : min(x + dash, x1 + 1)] = colour
    for y in range(y0, y1 + 1, 2 * dash):
        picture[y : min(y + dash, y1 + 1), [x0, x1]] = colour


def _draw_label(picture: Image, part: PartLabel, colour: tuple[int, int, int], scale: float, named: bool) -> None:
    if part.box_xyxy_px is None:
        return
    word = f" {part.category}" if named else ""
    text = f"{part.track_id}{word} {part.visible_share:.0%}"
    at = (round(part.box_xyxy_px[0] * scale), max(9, round(part.box_xyxy_px[1] * scale) - 3))
    (width, height), below = cv2.getTextSize(text, FONT, 0.35, 1)
    x, y = min(at[0], max(0, picture.shape[1] - width)), at[1]
    picture[max(0, y - height - 1) : y + below // 2, x : x + width] //= 3
    cv2.putText(picture, text, (x, y), FONT, 0.35, colour, 1, cv2.LINE_AA)


def _legend(data: DataSet, colours: dict[str, tuple[int, int, int]], width: int) -> Image:
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
