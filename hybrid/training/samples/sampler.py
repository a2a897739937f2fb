"""Training samples: sample k of a run is a function of (sources, config, k) and of nothing else.

A sample is a tile of a window of a clip: the clip by its source's share, the window and the tile's place at random,
most tiles around a random object. Whoever asks for sample k, and in which process, gets the same pixels, so a resumed
run sees the stream that it would have seen, and any number of workers or devices sees the same batches.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.data.pixels import DecodedImages, decode_depth_m
from hybrid.predict.tiles import GREY
from hybrid.training.config import TrainConfig
from hybrid.training.samples.augment import photometric
from hybrid.training.samples.occluders import hidden_behind, pass_in_front
from hybrid.training.samples.window import draw_windows

Boxes = Float32[np.ndarray, "_ 4"]
Labels = Int64[np.ndarray, " _"]


@dataclass(frozen=True)
class Share:
    """A source, and how often samples come from it relative to the other sources."""

    source: ClipSource
    weight: float = 1.0


@dataclass(frozen=True)
class Sample:
    images: UInt8[np.ndarray, "t h w 3"]
    truth: tuple[tuple[Boxes, Labels], ...]  # of each frame
    track_ids: tuple[Labels, ...]  # of each frame's boxes; -1 where the source does not tell
    step: int = 1  # it holds every so many-th frame of its clip
    clip_label: int = -1
    depth_m: Float32[np.ndarray, "t h w"] | None = None  # where it is asked for; 0: not known


class Sampler:
    """Makes sample k. Holds decoded images, and nothing that decides what is drawn."""

    def __init__(self, shares: Sequence[Share], config: TrainConfig, depth: bool = False) -> None:
        self._depth = depth
        weights = np.array([share.weight for share in shares], np.float64)
        if not len(shares) or weights.min() < 0 or weights.sum() <= 0:
            raise DataError(f"training needs one source or more with a weight above 0, got {weights.tolist()}")
        if len({share.source.categories for share in shares}) > 1:
            raise DataError(f"sources differ in their categories: {[share.source.categories for share in shares]}")
        self._shares, self._config = tuple(shares), config
        self._weights = weights / weights.sum()
        self._images = DecodedImages(config.cache_mb * 2**20)

    def sample(self, k: int) -> Sample:
        config, augment = self._config, self._config.augment
        rng = np.random.default_rng([config.seed, k, zlib.crc32(b"sample")])
        clip = self._clip(rng)
        step = _step(clip, config, rng)
        frames = _frames(clip, config.clip_length, step, rng)
        windows = draw_windows(frames, config, rng)
        images = np.stack(
            [window.pixels(self._images.read(f), config.tile_px) for f, window in zip(frames, windows, strict=True)]
        )
        seen = [
            window.see(f.boxes_xyxy_px, config.tile_px, augment.least_visible)
            for f, window in zip(frames, windows, strict=True)
        ]
        images, covered = self._in_front(images, k)
        seen = _with_hidden(frames, seen, covered)
        truth = tuple((boxes[kept], f.labels[kept]) for f, (boxes, kept) in zip(frames, seen, strict=True))
        tracks = tuple(_tracks(f)[kept] for f, (_, kept) in zip(frames, seen, strict=True))
        images = photometric(augment.strength)(images, int(rng.integers(2**31)))
        blank = rng.random(len(frames)) < config.blank_probability
        blank[0] = False  # what came before is all that a blank frame can be answered from
        if blank.any():
            images[blank] = GREY
        depth_m = None
        if self._depth:
            pairs = zip(frames, windows, strict=True)
            depth_m = np.stack([window.depth(decode_depth_m(f), config.tile_px) for f, window in pairs])
            depth_m[blank] = 0
            if covered is not None:
                depth_m[covered] = 0
        return Sample(images, truth, tracks, step, clip.label, depth_m)

    def _in_front(
        self, images: UInt8[np.ndarray, "t h w 3"], k: int
    ) -> tuple[UInt8[np.ndarray, "t h w 3"], Bool[np.ndarray, "t h w"] | None]:
        """With what passes in front, and where that is. Its draws are its own: the rest of a sample stays as it is."""
        share = self._config.augment.in_front
        rng = np.random.default_rng([self._config.seed, k, zlib.crc32(b"in front")])
        return pass_in_front(images, rng) if rng.random() < share else (images, None)

    def _clip(self, rng: np.random.Generator) -> Clip:
        share = self._shares[int(rng.choice(len(self._shares), p=self._weights))]
        return share.source.clips[int(rng.integers(len(share.source)))]


def _step(clip: Clip, config: TrainConfig, rng: np.random.Generator) -> int:
    """How many frames of the clip are one of the sample's: at most as many as the clip is long enough for."""
    if config.longest_step == 1 or config.clip_length == 1:
        return 1
    most = min(config.longest_step, (len(clip.frames) - 1) // (config.clip_length - 1))
    return int(rng.integers(1, max(1, most) + 1))


def _frames(clip: Clip, length: int, step: int, rng: np.random.Generator) -> tuple[FrameRecord, ...]:
    """Every `step`-th of a window for `length` frames; a clip that is shorter stands still at its last frame."""
    span = (length - 1) * step + 1
    start = int(rng.integers(max(0, len(clip.frames) - span) + 1))
    frames = clip.frames[start : start + span : step]
    return frames + (frames[-1],) * (length - len(frames))


def _tracks(frame: FrameRecord) -> Labels:
    return np.full(len(frame.labels), -1, np.int64) if frame.track_ids is None else frame.track_ids


def _with_hidden(
    frames: Sequence[FrameRecord],
    seen: Sequence[tuple[Float32[np.ndarray, "_ 4"], Bool[np.ndarray, " _"]]],
    covered: Bool[np.ndarray, "t h w"] | None,
) -> list[tuple[Float32[np.ndarray, "_ 4"], Bool[np.ndarray, " _"]]]:
    """What is hidden is told of only where an earlier frame of the sample has shown it."""
    shown: set[int] = set()
    told = []
    for k, (frame, (boxes, kept)) in enumerate(zip(frames, seen, strict=True)):
        hidden = np.zeros(len(kept), bool) if frame.hidden is None else frame.hidden
        if covered is not None:
            hidden = hidden | hidden_behind(covered[k], boxes)
        ids = _tracks(frame)
        kept = kept & (~hidden | (np.isin(ids, list(shown)) & (ids >= 0)))
        shown.update(ids[kept & ~hidden].tolist())
        told.append((boxes, kept))
    return told
