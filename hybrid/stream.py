"""Frame by frame: what a camera delivers goes in, detections come out, the state is carried in between.

`stream` answers for a frame before it asks for the next one. Its detections are those of the whole clip at once, for
the detector looks at no later frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from hybrid.data import ClipSource, decode
from hybrid.detector import Detector, postprocess
from hybrid.progress import Progress, silent
from hybrid.tiles import Tile, View, cut, layout, merge
from hybrid.types import Detections, State


def as_input(images: UInt8[Tensor, "*n"], device: torch.device) -> Tensor:
    """Bytes as the detector's 0..1."""
    return images.to(device, non_blocking=True).float().div_(255)


def device_of(detector: Detector) -> torch.device:
    return next(detector.parameters()).device


@torch.inference_mode()
def predict(detector: Detector, clips: UInt8[Tensor, "b t 3 h w"], limit: int = 100) -> list[list[Detections]]:
    """Detections of whole clips [clip][frame], all frames at once and untiled."""
    detector.eval()
    return postprocess(detector(as_input(clips, device_of(detector)))[0], limit)


@torch.inference_mode()
def stream(
    detector: Detector, frames: Iterable[UInt8[np.ndarray, "h w 3"]], view: View | None = None
) -> Iterator[Detections]:
    """Detections of each RGB frame as it comes, on the CPU. Each tile carries a state of its own.

    Raises:
        ValueError: a frame of another size than the first: a camera's new mode is a new clip.
    """
    view = view or View()
    detector.eval()
    tiles: list[Tile] = []
    states: list[State | None] = []
    size: tuple[int, ...] = ()
    for frame in frames:
        if not tiles:
            if frame.ndim != 3 or frame.shape[2] != 3:
                raise ValueError(f"a frame of shape {frame.shape} came; RGB images are needed, (height, width, 3)")
            size = frame.shape
            tiles = _by_shape(layout(size[1], size[0], view))
            states = [None] * len(_groups(tiles, view))
        if frame.shape != size:
            came, clip = ("x".join(map(str, (s[1], s[0], *s[2:]))).removesuffix("x3") for s in (frame.shape, size))
            raise ValueError(f"a frame of {came} in a clip of {clip}")
        yield _one(detector, frame, tiles, states, view)


def _one(
    detector: Detector, frame: UInt8[np.ndarray, "h w 3"], tiles: Sequence[Tile], states: list[State | None], view: View
) -> Detections:
    """Detections in one frame; `states` are brought up to it."""
    pieces = cut(frame, tiles, view)
    found: list[Detections] = []
    for slot, group in enumerate(_groups(tiles, view)):
        images = as_input(torch.stack(pieces[group]), device_of(detector))[:, None]
        output, states[slot] = detector(images, states[slot])
        found += [clip[0].to("cpu") for clip in postprocess(output, view.limit, view.threshold)]
    return merge(tiles, found, view)


def _by_shape(tiles: Sequence[Tile]) -> list[Tile]:
    return sorted(tiles, key=lambda tile: tile.scaled_size, reverse=True)


def _groups(tiles: Sequence[Tile], view: View) -> list[slice]:
    """Tiles that go through the detector together: all of one size, at most `view.batch`."""
    if view.tile_px is None:
        return [slice(i, i + 1) for i in range(len(tiles))]
    return [slice(i, min(i + view.batch, len(tiles))) for i in range(0, len(tiles), view.batch)]


def predict_source(
    detector: Detector, source: ClipSource, view: View | None = None, progress: Progress = silent
) -> list[Detections]:
    """Detections of every frame of `source.frames`, in that order; a clip's frames are streamed."""
    found: list[Detections] = []
    total = len(source.frames)
    for clip in source.clips:
        for detections in stream(detector, map(decode, clip.frames), view):
            found.append(detections)
            progress(len(found), total, {})
    return found
