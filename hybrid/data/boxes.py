"""Boxes as a data set states them, checked and clipped to their image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, Skips

LEAST_SIDE_PX = 3.0  # smaller boxes are no use to learn from


@dataclass(frozen=True)
class Box:
    """A box as a data set states it, before it is checked."""

    what: str
    label: int
    xyxy_px: Sequence[float]
    track_id: int = -1
    visible_share: float = math.nan
    hidden: bool = False


def checked(
    boxes: Iterable[Box], width_px: int, height_px: int, skips: Skips
) -> tuple[Float32[np.ndarray, "n 4"], Int64[np.ndarray, " n"]]:
    """The boxes that lie in the image, clipped to it."""
    kept = inside_image(boxes, width_px, height_px, skips)
    limit = np.array([width_px, height_px, width_px, height_px], np.float32)
    stated = np.array([box.xyxy_px for box in kept], np.float32).reshape(-1, 4)
    return np.clip(stated, 0, limit), np.array([box.label for box in kept], np.int64)


def inside_image(boxes: Iterable[Box], width_px: int, height_px: int, skips: Skips) -> list[Box]:
    """Those that are of use once they are clipped to the image."""
    kept: list[Box] = []
    limit = np.array([width_px, height_px, width_px, height_px], np.float32)
    for box in boxes:
        stated = np.asarray(box.xyxy_px, np.float32)
        clipped = np.clip(stated, 0, limit)
        sides = clipped[2:] - clipped[:2]
        if not np.isfinite(stated).all() or (stated[2:] <= stated[:2]).any():
            skips.add("box without an area", box.what)
        elif sides.min() <= 0:
            skips.add("box outside its image", box.what)
        elif sides.min() < LEAST_SIDE_PX:
            skips.add(f"box with a side under {LEAST_SIDE_PX:g} px", box.what)
        else:
            if np.abs(stated - clipped).max() > 1:
                skips.add("box reached outside its image: clipped", box.what)
            kept.append(box)
    return kept


def finished(name: str, categories: Sequence[str], clips: Iterable[Clip], skips: Skips) -> ClipSource:
    source = ClipSource(name, tuple(categories), tuple(clip for clip in clips if clip.frames), skips.done())
    if not source.clips:
        why = "; ".join(f"{reason}: {len(what)} (such as {what[0]})" for reason, what in source.skipped.items())
        raise DataError(f"{name}: no usable image. {why or 'It lists none.'}")
    return source
