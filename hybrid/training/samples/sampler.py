"""Training samples. Sample k of a run is a function of (sources, config, k) alone.

A sample is a tile, cut from some frames of a clip: the source is drawn by its weight, then a clip, frames and a window.
Any process that makes sample k gets the same pixels. So a resumed run continues the same stream of samples, and the
batches do not depend on the number of workers or devices.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from hybrid.core.config import GREY
from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.data.pixels import DecodedImages, decode_depth_m
from hybrid.training.config import TrainConfig
from hybrid.training.samples.augment import photometric
from hybrid.training.samples.match import matched
from hybrid.training.samples.occluders import draw_occluders
from hybrid.training.samples.paste import Donor, donors, draw_parts, paste
from hybrid.training.samples.window import (
    Boxes,
    Labels,
    TileLabels,
    Window,
    draw_windows,
    ignored_in_tile,
    kept,
    place_labels,
)
from simgen.spec.text.printable import printable

Frames = UInt8[np.ndarray, "t h w 3"]
Covered = Bool[np.ndarray, "t h w"]

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
    look: ClipSource | None = None  # photos whose look its samples may get: AugmentConfig.fourier, .histogram


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
    name: str = ""  # of the clip and its source, for messages


class Sampler:
    """Makes sample k. Its only state is a cache of decoded images, and which images could not be read.

    A sample of an image that cannot be read any more is drawn again: sample k is then a function of that, too.
    """

    def __init__(self, sources: Sequence[WeightedSource], config: TrainConfig, depth: bool = False) -> None:
        """`depth` adds depth to the samples.

        Raises:
            DataError: no source has a weight above 0, their categories differ, or there is no part to paste.
        """
        weights = np.array([one.weight for one in sources], np.float64)
        if not len(sources) or weights.min() < 0 or weights.sum() <= 0:
            raise DataError(f"training needs one source or more with a weight above 0, got {weights.tolist()}")
        if len({one.source.categories for one in sources}) > 1:
            raise DataError(f"sources differ in their categories: {[one.source.categories for one in sources]}")
        self._sources, self._config, self._depth = tuple(sources), config, depth
        self._weights = weights / weights.sum()
        stages = [stage.augment for stage in config.stages if stage.augment is not None]
        if any(augment.copy_paste for augment in (config.augment, *stages)):
            self._pools, self._pool_weights = donor_pools(sources)
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
        config = self._config_of(k)
        again = (attempt,) if attempt else ()
        rng = self._stream("sample", k, *again)
        if self._stream("mosaic", k).random() < config.augment.mosaic:
            tile = self._mosaic(config, k, again, rng)
        else:
            tile = self._tile(config, rng, (k,))
        images = photometric(config.augment.strength)(tile.images, int(rng.integers(2**31)))
        blank = rng.random(len(images)) < config.blank_probability
        blank[0] = False  # a blank frame is labelled from the frames before it, so one of them must show something
        if blank.any():
            images[blank] = GREY
            if tile.depth_m is not None:
                tile.depth_m[blank] = 0
        return replace(tile, images=images)

    def _config_of(self, k: int) -> TrainConfig:
        """The settings of the stage that sample k is for."""
        return self._config.for_step(k // self._config.batch_clips)

    def _stream(self, name: str, *key: int) -> np.random.Generator:
        """A generator for one kind of draws. So a kind that is switched on does not change the draws of the others."""
        seed, k, *more = self._config.seed, *key
        return np.random.default_rng([seed, k, zlib.crc32(name.encode()), *more])

    def _mosaic(self, config: TrainConfig, k: int, again: tuple[int, ...], rng: np.random.Generator) -> Sample:
        """Four tiles of half the side in one (Bochkovskiy et al., YOLOv4, 2020). The first is drawn from `rng`."""
        half = config.model_copy(update={"tile_px": config.tile_px // 2})
        tiles = [self._tile(half, rng, (k,))]
        for place in range(1, 4):
            own = self._stream("mosaic", k, place, *again)
            tiles.append(self._tile(half, own, (k, place), tiles[0].step))
        return replace(joined(tiles), name="; ".join(dict.fromkeys(tile.name for tile in tiles)))

    def _tile(
        self, config: TrainConfig, rng: np.random.Generator, key: tuple[int, ...], step: int | None = None
    ) -> Sample:
        """A tile before its colours change. `key` is of its own streams; `step` fixes which frames it takes."""
        one = self._sources[int(rng.choice(len(self._sources), p=self._weights))]
        clip = one.source.clips[int(rng.integers(len(one.source)))]
        drawn = _draw_step(clip, config, rng)
        step = drawn if step is None else step
        frames = _draw_frames(clip, config.clip_length, step, rng)
        windows = draw_windows(frames, config, rng)
        pairs = zip(frames, windows, strict=True)
        images = np.stack([window.pixels(self._read(f, self._images.read), config.tile_px) for f, window in pairs])
        placed = place_labels(frames, windows, config.tile_px, config.augment.least_visible)
        images, placed, pasted = self._paste(images, placed, frames, windows, key)
        images = self._match(images, one.look, windows[0].side, key)
        images, occluded = self._occlude(images, key)
        truth, tracks = kept(placed, occluded)
        covers = [mask for mask in (pasted, occluded) if mask is not None]
        depth_m = self._depth_in_tile(frames, windows, covers, config.tile_px) if self._depth else None
        ignored = ignored_in_tile(frames, windows, config.tile_px)
        name = printable(f"{clip.name} of {one.source.name}")
        return Sample(images, truth, tracks, step, clip.label, depth_m, ignored, name)

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

    def _paste(
        self, images: Frames, placed: list[TileLabels], frames: Sequence[FrameRecord], windows: Sequence[Window],
        key: tuple[int, ...],
    ) -> tuple[Frames, list[TileLabels], Covered | None]:  # fmt: skip
        """The tile with parts pasted in a fraction of the samples, and a mask of their pixels; None: none was."""
        rng, augment = self._stream("copy-paste", *key), self._config_of(key[0]).augment
        if rng.random() >= augment.copy_paste:
            return images, placed, None
        pool = self._pools[int(rng.choice(len(self._pools), p=self._pool_weights))]
        parts = draw_parts(pool, self._read_part, frames, windows, images.shape[1], augment, rng)
        return paste(images, placed, frames, windows, parts) if parts else (images, placed, None)

    def _read_part(self, donor: FrameRecord) -> UInt8[np.ndarray, "h w 3"]:
        return self._read(donor, self._images.read)

    def _match(self, images: Frames, look: ClipSource | None, side: int, key: tuple[int, ...]) -> Frames:
        """The tile with the look of a piece of a photo, as large as the tile's window, in a fraction of the samples."""
        rng, augment = self._stream("match", *key), self._config_of(key[0]).augment
        which = rng.random()
        if look is None or which >= augment.fourier + augment.histogram:
            return images
        frame = look.frames[int(rng.integers(len(look.frames)))]
        width, height = min(side, frame.width_px), min(side, frame.height_px)
        left, top = (int(rng.integers(room + 1)) for room in (frame.width_px - width, frame.height_px - height))
        piece = self._read(frame, self._images.read)[top : top + height, left : left + width]
        return matched(images, piece, "fourier" if which < augment.fourier else "histogram", int(rng.integers(2**31)))

    def _occlude(self, images: Frames, key: tuple[int, ...]) -> tuple[Frames, Covered | None]:
        """The images with occluders in a fraction of the samples, and the mask of covered pixels; None: none."""
        rng = self._stream("in front", *key)
        return (
            draw_occluders(images, rng) if rng.random() < self._config_of(key[0]).augment.occluders else (images, None)
        )

    def _depth_in_tile(
        self, frames: Sequence[FrameRecord], windows: Sequence[Window], covers: Sequence[Covered], tile_px: int
    ) -> Float32[np.ndarray, "t h w"]:
        """The depth of each frame's tile; unknown (0) under what was drawn over it."""
        pairs = zip(frames, windows, strict=True)
        depth_m = np.stack([window.depth(self._read(f, decode_depth_m), tile_px) for f, window in pairs])
        for covered in covers:
            depth_m[covered] = 0
        return depth_m


def donor_pools(sources: Sequence[WeightedSource]) -> tuple[list[list[Donor]], Float64[np.ndarray, " n"]]:
    """The parts that can be pasted, of each source that has some, and how often each source is drawn from.

    Raises:
        DataError: no part can be.
    """
    found = [(donors(one.source), one.weight) for one in sources if one.weight > 0]
    pools = [pool for pool, _ in found if pool]
    if not pools:
        raise DataError(
            "copy_paste: no labelled part can be cut out. It takes rendered parts, or parts with polygons in a COCO "
            "JSON, that lie wholly in their picture"
        )
    weights = np.array([weight for pool, weight in found if pool], np.float64)
    return pools, weights / weights.sum()


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


def joined(tiles: Sequence[Sample]) -> Sample:
    """Four samples of one size side by side, as one. It has no class of a clip."""
    side = tiles[0].images.shape[1]
    corners = [np.array([[x, y, x, y]], np.float32) for y in (0, side) for x in (0, side)]
    first_id, tracks = 0, []
    for tile in tiles:
        tracks.append([np.where(ids >= 0, ids + first_id, -1) for ids in tile.track_ids])
        first_id += 1 + max(int(ids.max(initial=-1)) for ids in tile.track_ids)
    none = (np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    ignored = [tile.ignored or (none,) * len(tile.truth) for tile in tiles]
    depths = [tile.depth_m for tile in tiles if tile.depth_m is not None]
    return Sample(
        _in_square([tile.images for tile in tiles]),
        _at_corners([tile.truth for tile in tiles], corners),
        tuple(np.concatenate(ids) for ids in zip(*tracks, strict=True)),
        tiles[0].step,
        depth_m=_in_square(depths) if depths else None,
        ignored=_at_corners(ignored, corners) if any(tile.ignored for tile in tiles) else None,
    )


def _in_square(four: Sequence[np.ndarray]) -> np.ndarray:
    """Four stacks of pictures, [t, h, w, ...], as one: two above, two below."""
    return np.concatenate([np.concatenate(four[:2], axis=2), np.concatenate(four[2:], axis=2)], axis=1)


def _at_corners(
    four: Sequence[Sequence[tuple[Boxes, Labels]]], corners: Sequence[Boxes]
) -> tuple[tuple[Boxes, Labels], ...]:
    """The boxes and labels of each frame of four tiles, moved to the tiles' corners."""
    return tuple(
        (
            np.concatenate([boxes + corner for (boxes, _), corner in zip(frame, corners, strict=True)]),
            np.concatenate([labels for _, labels in frame]),
        )
        for frame in zip(*four, strict=True)
    )
