"""Detection frame by frame, with a state that is carried from frame to frame.

`stream` yields the detections of a frame before it requests the next one. They equal those of the whole clip at once,
because the network uses no later frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from hybrid.core.config import TRAINED_PX
from hybrid.core.errors import InputError
from hybrid.core.progress import Progress, silent
from hybrid.core.types import Detections, State, joined
from hybrid.data.clips import ClipSource
from hybrid.data.pixels import decode, decode_depth_m
from hybrid.model.network import Network
from hybrid.predict.postprocess import postprocess
from hybrid.predict.runtime.engine import Engine, as_input, device_of, engine_of
from hybrid.predict.tiles import Tile, View, cut, cut_depth, layout, least_score, merge, view_of

Depth = Float32[np.ndarray, "h w"] | None  # along the optical axis, in metres; 0 or infinite where unknown


@torch.inference_mode()
def predict(detector: Network, clips: UInt8[Tensor, "b t 3 h w"], limit: int = 100) -> list[list[Detections]]:
    """Detections of whole clips, [clip][frame], all frames at once and without tiles."""
    detector.eval()
    return postprocess(detector(as_input(clips, device_of(detector)))[0], limit)


@dataclass(frozen=True)
class TileStates:
    """The state of a stream: the size of its frames, and the network's state for each group of tiles."""

    size_hw: tuple[int, int]
    states: tuple[State, ...]


def stream(
    detector: Network | Engine,
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    view: View | None = None,
    depths_m: Iterable[Depth] | None = None,
) -> Iterator[Detections]:
    """Detections of each RGB frame as it comes, on the CPU. Each tile has a state of its own.

    Raises:
        InputError: a frame has another size than the first one (begin a new stream for it), the depth has another size
            than its frame, or the detector takes no depth.
    """
    state: TileStates | None = None
    depths = repeat(None) if depths_m is None else depths_m
    for frame, depth_m in zip(frames, depths, strict=depths_m is not None):
        ((detections, state),) = step(detector, [frame], [state], view or view_of(TRAINED_PX), [depth_m])
        yield detections


@torch.inference_mode()
def step(
    detector: Network | Engine,
    frames: Sequence[np.ndarray],
    states: Sequence[TileStates | None],
    view: View,
    depths_m: Sequence[Depth] | None = None,
    elapsed: Sequence[float] | None = None,
) -> list[tuple[Detections, TileStates]]:
    """Detections of the next frame of each of several independent streams, and the streams' new states.

    Streams whose frames have one size and whose states have one form go through the network as one batch.

    Args:
        detector: the network, or what runs it.
        frames: one RGB image for each stream.
        states: of the streams after their frames before; None begins a stream.
        view: how images are cut into tiles.
        depths_m: of the frames; None where there is none.
        elapsed: the time since each stream's frame before, in its usual intervals: 2 where one frame was lost.

    Raises:
        InputError: a frame is no RGB image, or has another size than its stream or its depth, or the detector takes no
            depth.
    """
    engine = engine_of(detector)
    depths_m, elapsed = depths_m or [None] * len(frames), elapsed or [1.0] * len(frames)
    for frame, before, depth_m in zip(frames, states, depths_m, strict=True):
        _check_frame(frame, before, depth_m)
    batches: dict[object, list[int]] = {}
    for k, before in enumerate(states):
        form = None if before is None else tuple(state.form() for state in before.states)
        batches.setdefault((frames[k].shape, form), []).append(k)
    results: dict[int, tuple[Detections, TileStates]] = {}
    for members in batches.values():
        batch = _step_together(
            engine,
            [frames[k] for k in members],
            [states[k] for k in members],
            [depths_m[k] for k in members],
            [elapsed[k] for k in members],
            view,
        )
        results |= dict(zip(members, batch, strict=True))
    return [results[k] for k in range(len(frames))]


def _check_frame(frame: np.ndarray, before: TileStates | None, depth_m: np.ndarray | None) -> None:
    if frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise InputError(f"a frame of shape {frame.shape} came; RGB images are needed, (height, width, 3)")
    if frame.dtype != np.uint8:
        raise InputError(f"a frame of {frame.dtype} came; uint8 is needed, 0 to 255")
    if before is not None and frame.shape[:2] != before.size_hw:
        height, width = before.size_hw
        raise InputError(f"a frame of {frame.shape[1]}x{frame.shape[0]} in a clip of {width}x{height}")
    if depth_m is not None and (depth_m.dtype != np.float32 or depth_m.shape != frame.shape[:2]):
        raise InputError(
            f"depth of {depth_m.dtype} {depth_m.shape} came with a frame of {frame.shape[:2]}; "
            "metres are needed, float32 (height, width), the frame's own size"
        )


def _step_together(
    engine: Engine,
    frames: Sequence[np.ndarray],
    states: Sequence[TileStates | None],
    depths_m: Sequence[Depth],
    elapsed: Sequence[float],
    view: View,
) -> list[tuple[Detections, TileStates]]:
    """As `step`, for streams whose frames have one size and whose states have one form."""
    height, width = frames[0].shape[:2]
    tiles = _by_shape(layout(width, height, view))
    pieces, least = [cut(frame, tiles) for frame in frames], least_score(tiles, view)
    regular = all(one == 1 for one in elapsed)
    with_depth = any(depth_m is not None for depth_m in depths_m)
    depths = []
    if with_depth:
        unknown = np.zeros((height, width), np.float32)
        depths = [cut_depth(unknown if one is None else one, tiles) for one in depths_m]
    detections: list[list[Detections]] = [[] for _ in frames]
    new_states: list[list[State]] = [[] for _ in frames]
    for slot, group in enumerate(_groups(tiles, view)):
        images = torch.stack([piece for one in pieces for piece in one[group]])
        before = [state.states[slot] for state in states if state is not None]
        depth_m = torch.stack([piece for one in depths for piece in one[group]])[:, None] if with_depth else None
        times = None if regular else torch.tensor(elapsed).repeat_interleave(len(tiles[group]))[:, None]
        answer, after = engine(images, joined(before) if before else None, times, depth_m)
        of_tiles = [clip[0].to("cpu") for clip in postprocess(answer, view.limit, least, view.nms_iou)]
        size = len(tiles[group])
        for k in range(len(frames)):
            own = slice(k * size, (k + 1) * size)
            detections[k] += of_tiles[own]
            new_states[k].append(after.clips(own))
    return [
        (merge(tiles, one, view), TileStates((height, width), tuple(own)))
        for one, own in zip(detections, new_states, strict=True)
    ]


def _by_shape(tiles: Sequence[Tile]) -> list[Tile]:
    return sorted(tiles, key=lambda tile: tile.scaled_size, reverse=True)


def _groups(tiles: Sequence[Tile], view: View) -> list[slice]:
    """Tiles that go through the network as one batch: of one size, at most `view.batch`."""
    groups, begin = [], 0
    for i in range(1, len(tiles) + 1):
        full = i - begin == view.batch
        if i == len(tiles) or full or tiles[i].filled_size != tiles[begin].filled_size:
            groups.append(slice(begin, i))
            begin = i
    return groups


def predict_source(
    detector: Network, source: ClipSource, view: View | None = None, progress: Progress = silent
) -> list[Detections]:
    """Detections of every frame of `source.frames`, in that order. The frames of a clip are streamed.

    A detector that takes depth gets the frames' depth, where they have it.
    """
    detections: list[Detections] = []
    total = len(source.frames)
    for clip in source.clips:
        takes_depth = detector.depth is not None
        depths_m = (decode_depth_m(one) if takes_depth and one.depth_at else None for one in clip.frames)
        for one in stream(detector, map(decode, clip.frames), view, depths_m):
            detections.append(one)
            progress(len(detections), total, {})
    return detections
