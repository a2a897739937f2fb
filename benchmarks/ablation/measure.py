"""Detections of a run under each condition, kept beside the run, so that a stopped measurement goes on."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.data.pixels import decode
from hybrid.metrics.video import FrameDetections
from hybrid.model.network import Network
from hybrid.predict.linking import Linked, link
from hybrid.predict.stream import predict
from hybrid.predict.suppression import one_label
from hybrid.predict.tiles import GREY
from hybrid.weights.checkpoint import load
from simgen.dataset.store.files import write_atomically

BLANK_EVERY = 4  # frames 3, 7, ... are blanked
NOISE_STD = 30.0  # grey levels of 255: at night, at full gain
LIMIT = 50  # detections of a frame
Change = Callable[[np.ndarray, int], np.ndarray]  # (frames [t h w 3], the clip's place) -> frames


def as_is(frames: np.ndarray, place: int) -> np.ndarray:
    return frames


def is_blank(frame: int) -> bool:
    return frame % BLANK_EVERY == BLANK_EVERY - 1


def blanked(frames: np.ndarray, place: int) -> np.ndarray:
    changed = frames.copy()
    changed[[is_blank(k) for k in range(len(frames))]] = GREY
    return changed


def noisy(frames: np.ndarray, place: int) -> np.ndarray:
    noise = np.random.default_rng([77, place]).normal(0, NOISE_STD, frames.shape)
    return (frames + noise).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Condition:
    change: Change = as_is
    stills: bool = False  # every frame by itself
    weights: str = "ema"


CROWD = "crowd"  # clear, on the clips with much in front
CONDITIONS = {
    "clear": Condition(),
    "blank": Condition(blanked),
    "noise": Condition(noisy),
    "stills": Condition(stills=True),
    "raw": Condition(weights="raw"),
    CROWD: Condition(),
}


def frames_of(source: ClipSource) -> tuple[list[FrameRecord], list[int], list[int]]:
    """Every frame, the clip that it is of, and its place there."""
    rows = [(f, c, k) for c, clip in enumerate(source.clips) for k, f in enumerate(clip.frames)]
    return [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]


def measure(run: Path, source: ClipSource, name: str, batch: int = 8) -> list[FrameDetections]:
    """What the run finds in every frame of `source` under the condition of this name."""
    file = run / f"found-{name}.npz"
    if not file.is_file():
        condition = CONDITIONS[name]
        detector = load(run, condition.weights, "cuda" if torch.cuda.is_available() else "cpu")
        detections: list[FrameDetections] = []
        for first in range(0, len(source), batch):
            clips = source.clips[first : first + batch]
            images = [condition.change(pixels(clip), first + i) for i, clip in enumerate(clips)]
            detections += [one for clip in _detect(detector, images, condition.stills) for one in clip]
        write_atomically(file, packed(detections))
    return unpacked(file)


def pixels(clip: Clip) -> np.ndarray:
    return np.stack([decode(frame) for frame in clip.frames])


def _detect(detector: Network, images: Sequence[np.ndarray], stills: bool) -> list[list[FrameDetections]]:
    batch = torch.from_numpy(np.stack(images)).permute(0, 1, 4, 2, 3)
    clips, frames = batch.shape[:2]
    if stills:
        batch = batch.flatten(0, 1)[:, None]
    detections = [one.to("cpu") for clip in predict(detector, batch, LIMIT) for one in clip]
    return [with_tracks(detections[k * frames : (k + 1) * frames]) for k in range(clips)]


def with_tracks(clip: Sequence[Detections]) -> list[FrameDetections]:
    """The detections of a clip as arrays, linked into tracks where the detector does not follow objects itself."""
    linked: Linked | None = None
    detections = []
    for one in clip:
        if one.track_ids is None:
            one, linked = link(one, linked)
        detections.append(_arrays(one))
    return detections


def _arrays(one: Detections) -> FrameDetections:
    assert one.track_ids is not None
    return FrameDetections(one.boxes_xyxy_px.numpy(), one.scores.numpy(), one.labels.numpy(), one.track_ids.numpy())


def with_one_label(detections: Sequence[FrameDetections]) -> list[FrameDetections]:
    """One label for each object, as `hybrid.Detector` reports it. Average precision is of all labels."""
    reported = []
    for one in detections:
        columns = [torch.from_numpy(c) for c in (one.boxes_xyxy_px, one.scores, one.labels, one.track_ids)]
        reported.append(_arrays(one_label(Detections(*columns))))
    return reported


def packed(detections: Sequence[FrameDetections]) -> bytes:
    buffer = io.BytesIO()
    names = [name for name, column in vars(detections[0]).items() if column is not None]
    columns = {name: np.concatenate([getattr(one, name) for one in detections]) for name in names}
    np.savez_compressed(buffer, counts=np.array([len(one.scores) for one in detections]), **columns)
    return buffer.getvalue()


def unpacked(file: Path) -> list[FrameDetections]:
    with np.load(file) as held:
        columns = {name: held[name] for name in held.files}
    places = np.cumsum(columns.pop("counts"))[:-1]
    split = {name: np.split(column, places) for name, column in columns.items()}
    return [FrameDetections(**dict(zip(split, row, strict=True))) for row in zip(*split.values(), strict=True)]


def segments(source: ClipSource, block: int = 10) -> tuple[list[FrameRecord], list[int]]:
    """All frames, and which stretch of `block` frames each is of: what a bootstrap over few long clips resamples."""
    frames, blocks, last = [], [], 0
    for clip in source.clips:
        for k, frame in enumerate(clip.frames):
            frames.append(frame)
            blocks.append(last + k // block)
        last = blocks[-1] + 1
    return frames, blocks


def measure_real(run: Path, source: ClipSource, scale: float) -> list[FrameDetections]:
    """Streamed over whole segments, each frame scaled as it was trained."""
    from hybrid.predict.stream import stream
    from hybrid.predict.tiles import View

    file = run / "found-real.npz"
    if not file.is_file():
        detector = load(run, "ema", "cuda" if torch.cuda.is_available() else "cpu")
        view = View(tile_px=None, scales=(scale,), limit=LIMIT)
        detections = [
            one for clip in source.clips for one in with_tracks(list(stream(detector, map(decode, clip.frames), view)))
        ]
        write_atomically(file, packed(detections))
    return unpacked(file)


def without_tracks(frames: Sequence[FrameRecord]) -> list[FrameRecord]:
    return [replace(frame, track_ids=None) for frame in frames]
