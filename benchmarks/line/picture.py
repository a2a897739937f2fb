"""A clip with its followed parts as an animated picture: boxes with numbers, dashed where a part is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from hybrid.data.pixels import decode
from hybrid.data.shards import read_shards
from hybrid.predict.detector import Detector
from hybrid.predict.io.drawing import Trails, draw_result, extend_trails
from hybrid.predict.io.video import SourceFrame
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.locations import location

LARGER = 1.5  # than the clip, so that numbers can be read
QUALITY, PLAYED_MS = 60, 150


def animate(folder: Path, name: str, weights: str, out: Path) -> None:
    """Write an animated WebP of one clip, as `Detector.stream` follows its parts.

    Args:
        folder: a simulated data set.
        name: of the clip in it.
        weights: as `Detector.load` takes them.
        out: the file.
    """
    pictures = [Image.fromarray(one) for one in _drawn(folder, name, weights)]
    pictures[0].save(
        out, save_all=True, append_images=pictures[1:], duration=PLAYED_MS, loop=0, quality=QUALITY, method=6
    )


def _drawn(folder: Path, name: str, weights: str) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    (clip,) = read_shards(str(folder)).only([name]).clips
    (stored,) = (one for one in DataSet(location(str(folder))) if f"{one.index:06d}" == name)
    times_s = [frame["time_s"] for frame in stored.meta()["labels"]["frames"]]
    frames = [SourceFrame(f.name, decode(f), t) for f, t in zip(clip.frames, times_s, strict=True)]
    trails: Trails = {}
    for frame, result in zip(frames, Detector.load(weights).stream(frames), strict=True):
        large = cv2.resize(frame.image, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_CUBIC)
        scaled = replace(result, boxes_xyxy_px=result.boxes_xyxy_px * LARGER)
        trails = extend_trails(trails, scaled)
        yield draw_result(np.ascontiguousarray(large), scaled, trails)
