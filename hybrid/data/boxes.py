"""Boxes as a data set states them: checked, and clipped to their image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, Skips

LEAST_SIDE_PX = 3.0  # smaller boxes are too small to learn from


@dataclass(frozen=True)
class StatedBox:
    """A box as a data set states it, before any check."""

    name: str  # for the list of skipped items
    label: int
    xyxy_px: Sequence[float]
    track_id: int = -1
    visible_share: float = math.nan
    hidden: bool = False


def usable_boxes(boxes: Iterable[StatedBox], width_px: int, height_px: int, skips: Skips) -> list[StatedBox]:
    """The boxes that have an area of useful size within the image. The others are added to `skips`."""
    usable: list[StatedBox] = []
    limit = np.array([width_px, height_px, width_px, height_px], np.float32)
    for box in boxes:
        stated = np.asarray(box.xyxy_px, np.float32)
        clipped = np.clip(stated, 0, limit)
        sides = clipped[2:] - clipped[:2]
        if not np.isfinite(stated).all() or (stated[2:] <= stated[:2]).any():
            skips.add("box without an area", box.name)
        elif sides.min() <= 0:
            skips.add("box outside its image", box.name)
        elif sides.min() < LEAST_SIDE_PX:
            skips.add(f"box with a side under {LEAST_SIDE_PX:g} px", box.name)
        else:
            if np.abs(stated - clipped).max() > 1:
                skips.add("box reached outside its image: clipped", box.name)
            usable.append(box)
    return usable


def box_arrays(
    boxes: Sequence[StatedBox], width_px: int, height_px: int
) -> tuple[Float32[np.ndarray, "n 4"], Int64[np.ndarray, " n"]]:
    """The boxes, clipped to the image, and their labels."""
    limit = np.array([width_px, height_px, width_px, height_px], np.float32)
    stated = np.array([box.xyxy_px for box in boxes], np.float32).reshape(-1, 4)
    return np.clip(stated, 0, limit), np.array([box.label for box in boxes], np.int64)


def make_source(name: str, categories: Sequence[str], clips: Iterable[Clip], skips: Skips) -> ClipSource:
    """The source of these clips.

    Raises:
        DataError: no clip has a frame. The message lists why images were skipped.
    """
    source = ClipSource(name, tuple(categories), tuple(clip for clip in clips if clip.frames), skips.done())
    if not source.clips:
        why = "; ".join(f"{reason}: {len(items)} (such as {items[0]})" for reason, items in source.skipped.items())
        raise DataError(f"{name}: no usable image. {why or 'The data set lists no image.'}")
    return source
