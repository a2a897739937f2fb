"""Training samples. Sample k of a run is a function of (sources, config, k) alone.

A sample is a tile, cut from some frames of a clip: the source is drawn by its weight, then a clip, frames and a window.
Any process that makes sample k gets the same pixels. So a resumed run continues the same stream of samples, and the
batches do not depend on the number of workers or devices.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.data.pixels import DecodedImages, decode_depth_m
from hybrid.predict.tiles import GREY
from hybrid.training.config import TrainConfig
from hybrid.training.samples.augment import photometric
from hybrid.training.samples.occluders import draw_occluders, hidden_boxes
from hybrid.training.samples.window import Window, draw_windows
from simgen.spec.text.printable import printable

Boxes = Float32[np.ndarray, "_ 4"]
Labels = Int64[np.ndarray, " _"]
Mask = Bool[np.ndarray, " _"]


MOST_DRAWS = 1000  # of a sample, where images cannot be read
MOST_NOTES = 3  # in each process
Pixels = TypeVar("Pixels")


class _Unreadable(Exception):
    """An image cannot be read any more."""


@dataclass(frozen=True)
class WeightedSource:
    """A source of training clips. Samples come from it in proportion to its weight."""

    source: ClipSource
    weight: float = 1.0


@dataclass(frozen=True)
class Sample:
    """The frames of a tile, and their labels in tile pixels."""

    images: UInt8[np.ndarray, "t h w 3"]
    truth: tuple[tuple[Boxes, Labels], ...]  # (boxes, labels) of each frame
    track_ids: tuple[Labels, ...]  # of each frame's boxes; -1: unknown
    step: int = 1  # the sample takes every `step`-th frame of its clip
    clip_label: int = -1
    depth_m: Float32[np.ndarray, "t h w"] | None = None  # 0: unknown; None: not requested
    ignored: tuple[tuple[Boxes, Labels], ...] | None = None  # regions of each frame; None: there is none


class Sampler:
    """Makes sample k. Its only state is a cache of decoded images, and which images could not be read.

    A sample of an image that cannot be read any more is drawn again: sample k is then a function of that, too.
    """

    def __init__(self, sources: Sequence[WeightedSource], config: TrainConfig, depth: bool = False) -> None:
        """`depth` adds depth to the samples.

        Raises:
            DataError: no source has a weight above 0, or the categories of the sources differ.
        """
        weights = np.array([one.weight for one in sources], np.float64)
        if not len(sources) or weights.min() < 0 or weights.sum() <= 0:
            raise DataError(f"training needs one source or more with a weight above 0, got {weights.tolist()}")
        if len({one.source.categories for one in sources}) > 1:
            raise DataError(f"sources differ in their categories: {[one.source.categories for one in sources]}")
        self._sources, self._config, self._depth = tuple(sources), config, depth
        self._weights = weights / weights.sum()
        self._images = DecodedImages(config.cache_mb * 2**20)
        self._unreadable: dict[tuple[str, int], str] = {}  # why, by the image's location

    def sample(self, k: int) -> Sample:
        """Sample k. A note on the error stream names the first images that cannot be read; others are drawn instead.

        Raises:
            DataError: no image that was drawn, however often, can be read.
        """
        for attempt in range(MOST_DRAWS):
            try:
                return self._drawn(k, attempt)
            except _Unreadable:
                pass
        (_, first), count = next(iter(self._unreadable.items())), len(self._unreadable)
        raise DataError(f"training stops: none of the images that were drawn can be read, {count} so far: {first}")

    def _drawn(self, k: int, attempt: int) -> Sample:
        config = self._config
        again = [attempt] if attempt else []
        rng = np.random.default_rng([config.seed, k, zlib.crc32(b"sample"), *again])
        clip = self._draw_clip(rng)
        step = _draw_step(clip, config, rng)
        frames = _draw_frames(clip, config.clip_length, step, rng)
        windows = draw_windows(frames, config, rng)
        images = np.stack(
            [
                window.pixels(self._read(f, self._images.read), config.tile_px)
                for f, window in zip(frames, windows, strict=True)
            ]
        )
        images, covered = self._occlude(images, k)
        truth, tracks = _labels_in_tile(frames, windows, covered, config)
        images = photometric(config.augment.strength)(images, int(rng.integers(2**31)))
        blank = rng.random(len(frames)) < config.blank_probability
        blank[0] = False  # a blank frame is labelled from the frames before it, so one of them must show something
        if blank.any():
            images[blank] = GREY
        depth_m = self._depth_in_tile(frames, windows, covered, blank) if self._depth else None
        ignored = _ignored_in_tile(frames, windows, config.tile_px)
        return Sample(images, truth, tracks, step, clip.label, depth_m, ignored)

    def _read(self, frame: FrameRecord, decoder: Callable[[FrameRecord], Pixels]) -> Pixels:
        """What `decoder` reads of a frame.

        Raises:
            _Unreadable: it cannot be read, now or earlier. The first few are named in a note.
        """
        key = (str(frame.path), frame.offset)
        if key in self._unreadable:
            raise _Unreadable
        try:
            return decoder(frame)
        except (DataError, OSError) as error:
            self._unreadable[key] = printable(str(error))
        if len(self._unreadable) <= MOST_NOTES:
            more = "; others like it are not named" if len(self._unreadable) == MOST_NOTES else ""
            sys.stderr.write(f"note: left out of the training from here on: {self._unreadable[key]}{more}\n")
        raise _Unreadable

    def _draw_clip(self, rng: np.random.Generator) -> Clip:
        source = self._sources[int(rng.choice(len(self._sources), p=self._weights))].source
        return source.clips[int(rng.integers(len(source)))]

    def _occlude(
        self, images: UInt8[np.ndarray, "t h w 3"], k: int
    ) -> tuple[UInt8[np.ndarray, "t h w 3"], Bool[np.ndarray, "t h w"] | None]:
        """The images with occluders in a fraction of the samples, and the mask of covered pixels; None: no occluders.

        The draws have a generator of their own, so that the other draws of a sample do not depend on them.
        """
        rng = np.random.default_rng([self._config.seed, k, zlib.crc32(b"in front")])
        return draw_occluders(images, rng) if rng.random() < self._config.augment.occluders else (images, None)

    def _depth_in_tile(
        self,
        frames: Sequence[FrameRecord],
        windows: Sequence[Window],
        covered: Bool[np.ndarray, "t h w"] | None,
        blank: Mask,
    ) -> Float32[np.ndarray, "t h w"]:
        """The depth of each frame's tile; unknown (0) in blank frames and under occluders."""
        pairs = zip(frames, windows, strict=True)
        depth_m = np.stack([window.depth(self._read(f, decode_depth_m), self._config.tile_px) for f, window in pairs])
        depth_m[blank] = 0
        if covered is not None:
            depth_m[covered] = 0
        return depth_m


def _draw_step(clip: Clip, config: TrainConfig, rng: np.random.Generator) -> int:
    """n, where the sample takes every n-th frame; limited by the length of the clip."""
    if config.longest_step == 1 or config.clip_length == 1:
        return 1
    most = min(config.longest_step, (len(clip.frames) - 1) // (config.clip_length - 1))
    return int(rng.integers(1, max(1, most) + 1))


def _draw_frames(clip: Clip, length: int, step: int, rng: np.random.Generator) -> tuple[FrameRecord, ...]:
    """`length` frames, every `step`-th from a random start. A shorter clip repeats its last frame."""
    span = (length - 1) * step + 1
    start = int(rng.integers(max(0, len(clip.frames) - span) + 1))
    frames = clip.frames[start : start + span : step]
    return frames + (frames[-1],) * (length - len(frames))


def _labels_in_tile(
    frames: Sequence[FrameRecord],
    windows: Sequence[Window],
    covered: Bool[np.ndarray, "t h w"] | None,
    config: TrainConfig,
) -> tuple[tuple[tuple[Boxes, Labels], ...], tuple[Labels, ...]]:
    """((boxes, labels) of each frame, track ids of each frame), in tile pixels."""
    placed = [
        window.boxes(f.boxes_xyxy_px, config.tile_px, config.augment.least_visible)
        for f, window in zip(frames, windows, strict=True)
    ]
    placed = _drop_never_visible(frames, placed, covered)
    truth = tuple((boxes[keep], f.labels[keep]) for f, (boxes, keep) in zip(frames, placed, strict=True))
    tracks = tuple(_track_ids(f)[keep] for f, (_, keep) in zip(frames, placed, strict=True))
    return truth, tracks


def _ignored_in_tile(
    frames: Sequence[FrameRecord], windows: Sequence[Window], tile_px: int
) -> tuple[tuple[Boxes, Labels], ...] | None:
    """The regions to ignore of each frame, in tile pixels, with their labels."""
    if not any(len(frame.ignore_labels) for frame in frames):
        return None
    placed = [window.regions(f.ignore_boxes_xyxy_px, tile_px) for f, window in zip(frames, windows, strict=True)]
    return tuple((boxes[keep], f.ignore_labels[keep]) for f, (boxes, keep) in zip(frames, placed, strict=True))


def _drop_never_visible(
    frames: Sequence[FrameRecord],
    placed: Sequence[tuple[Boxes, Mask]],
    covered: Bool[np.ndarray, "t h w"] | None,
) -> list[tuple[Boxes, Mask]]:
    """The boxes with masks that drop a hidden object unless an earlier frame of the sample shows it."""
    visible_before: set[int] = set()
    result = []
    for k, (frame, (boxes, keep)) in enumerate(zip(frames, placed, strict=True)):
        hidden = np.zeros(len(keep), bool) if frame.hidden is None else frame.hidden
        if covered is not None:
            hidden = hidden | hidden_boxes(covered[k], boxes)
        ids = _track_ids(frame)
        keep = keep & (~hidden | (np.isin(ids, list(visible_before)) & (ids >= 0)))
        visible_before.update(ids[keep & ~hidden].tolist())
        result.append((boxes, keep))
    return result


def _track_ids(frame: FrameRecord) -> Labels:
    return np.full(len(frame.labels), -1, np.int64) if frame.track_ids is None else frame.track_ids
