"""The rival that learns nothing: each frame averaged with the last ones (hybrid.predict.averaging)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.data.pixels import decode
from hybrid.predict.averaging import Average, after

LAST = 4  # frames; 2, 4 and 8 were tried on the validation clips


def averaged(frames: UInt8[np.ndarray, "t h w 3"], last: int = LAST) -> UInt8[np.ndarray, "t h w 3"]:
    """Each frame of a clip as the mean of up to `last` frames."""
    average: Average | None = None
    means = []
    for frame in frames:
        average = after(average, frame, last)
        means.append(average.image())
    return np.stack(means)


def averaged_source(source: ClipSource, folder: Path) -> ClipSource:
    """The same clips with averaged frames, which are written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return replace(source, clips=tuple(_averaged_clip(clip, folder) for clip in source.clips))


def _averaged_clip(clip: Clip, folder: Path) -> Clip:
    files = [folder / f"{clip.name}-{k}.png" for k in range(len(clip.frames))]
    if not all(file.is_file() for file in files):
        for file, image in zip(files, averaged(np.stack([decode(frame) for frame in clip.frames])), strict=True):
            cv2.imwrite(str(file), image[..., ::-1])
    return replace(clip, frames=tuple(_at(frame, file) for frame, file in zip(clip.frames, files, strict=True)))


def _at(frame: FrameRecord, file: Path) -> FrameRecord:
    return replace(frame, path=file, offset=0, length=None, depth_at=None, ids_at=None)
