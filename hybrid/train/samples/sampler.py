"""Training samples: sample k of a run is a function of (sources, config, k) and of nothing else.

A sample is a tile of a window of a clip: the clip by its source's share, the window and the tile's place at random,
most tiles around a random object. Whoever asks for sample k, and in which process, gets the same pixels, so a resumed
run sees the stream that it would have seen, and any number of workers or devices sees the same batches.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hybrid.core.types import Target
from hybrid.data.boxes import LEAST_SIDE_PX
from hybrid.data.clips import Clip, ClipSource, DataError, FrameRecord
from hybrid.data.pixels import DecodedImages, decode_depth_m
from hybrid.predict.tiles import GREY
from hybrid.train.config import AugmentConfig, TrainConfig
from hybrid.train.samples.augment import photometric
from hybrid.train.samples.occluders import hidden_behind, pass_in_front

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


@dataclass(frozen=True)
class TrainBatch:
    """Samples side by side, their boxes in one list, clip by clip and frame by frame."""

    images: UInt8[Tensor, "b t 3 h w"]
    boxes_xyxy_px: Float32[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    counts: Int64[Tensor, "b t"]
    track_ids: Int64[Tensor, " n"]
    elapsed: Float32[Tensor, "b t"] | None = None  # since the frame before, in the clips' own intervals; None: 1 each
    clip_labels: Int64[Tensor, " b"] | None = None  # None: no clip has one
    depth_m: Float32[Tensor, "b t h w"] | None = None

    def to(self, device: torch.device) -> TrainBatch:
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> TrainBatch:
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> TrainBatch:
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {name: change(x) for name, x in kept.items() if x is not None and name != "counts"}
        return replace(self, **moved)

    def targets(self) -> list[list[Target]]:
        sizes = self.counts.flatten().tolist()
        columns = (torch.split(x, sizes) for x in (self.boxes_xyxy_px, self.labels, self.track_ids))
        flat = [Target(*row) for row in zip(*columns, strict=True)]
        frames = self.counts.shape[1]
        return [flat[i : i + frames] for i in range(0, len(flat), frames)]


@dataclass(frozen=True)
class Window:
    """A square of the image, shown as a tile: its corner and side in image pixels, and whether it is mirrored."""

    left: int
    top: int
    side: int
    flip_x: bool
    flip_y: bool

    def pixels(self, image: UInt8[np.ndarray, "h w 3"], tile_px: int) -> UInt8[np.ndarray, "_ _ 3"]:
        import cv2

        height, width = image.shape[:2]
        right, bottom = self.left + self.side, self.top + self.side
        inner = image[max(0, self.top) : max(0, bottom), max(0, self.left) : max(0, right)]
        beyond = (max(0, -self.top), max(0, bottom - height), max(0, -self.left), max(0, right - width))
        if any(beyond):
            inner = cv2.copyMakeBorder(inner, *beyond, cv2.BORDER_CONSTANT, value=(GREY, GREY, GREY))
        if self.side != tile_px:
            how = cv2.INTER_AREA if self.side > tile_px else cv2.INTER_LINEAR
            inner = cv2.resize(inner, (tile_px, tile_px), interpolation=how)
        return inner[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def depth(self, depth_m: Float32[np.ndarray, "h w"], tile_px: int) -> Float32[np.ndarray, "_ _"]:
        """As `pixels`, but that no two depths are mixed, and beyond the image none is known."""
        rows, columns = (
            start + np.floor((np.arange(tile_px) + 0.5) * self.side / tile_px).astype(int)
            for start in (self.top, self.left)
        )
        inside = np.logical_and.outer(
            (rows >= 0) & (rows < depth_m.shape[0]), (columns >= 0) & (columns < depth_m.shape[1])
        )
        seen = depth_m[np.ix_(rows.clip(0, depth_m.shape[0] - 1), columns.clip(0, depth_m.shape[1] - 1))]
        return np.where(inside, seen, np.float32(0))[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def boxes(
        self,
        boxes: Float32[np.ndarray, "n 4"],
        labels: Int64[np.ndarray, " n"],
        tile_px: int,
        least_visible: float,
    ) -> tuple[Float32[np.ndarray, "kept 4"], Int64[np.ndarray, " kept"]]:
        """The boxes in the tile's pixels, clipped to it, those cut away or too small left out."""
        clipped, kept = self.see(boxes, tile_px, least_visible)
        return clipped[kept], labels[kept]

    def see(
        self, boxes: Float32[np.ndarray, "n 4"], tile_px: int, least_visible: float
    ) -> tuple[Float32[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
        """All boxes in the tile's pixels, clipped to it, and which of them are neither cut away nor too small."""
        scale = tile_px / self.side
        moved = (boxes - np.array([self.left, self.top] * 2, np.float32)) * np.float32(scale)
        if self.flip_x:
            moved[:, [0, 2]] = tile_px - moved[:, [2, 0]]
        if self.flip_y:
            moved[:, [1, 3]] = tile_px - moved[:, [3, 1]]
        clipped = moved.clip(0, tile_px)
        sides = clipped[:, 2:] - clipped[:, :2]
        share = sides.prod(1) / (moved[:, 2:] - moved[:, :2]).prod(1)
        kept = (share >= least_visible) & (sides.min(1, initial=math.inf) >= LEAST_SIDE_PX)
        return clipped, kept


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
        windows = _windows(frames, config, rng)
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


def _windows(frames: Sequence[FrameRecord], config: TrainConfig, rng: np.random.Generator) -> list[Window]:
    """One window for each frame: the same for all, but that it drifts over a still."""
    augment, first = config.augment, frames[0]
    scale = math.exp(rng.uniform(*np.log(augment.scale)))
    side = max(1, round(config.tile_px / scale))
    corner = _corner(first, side, augment, rng)
    flip_x, flip_y = rng.random(2) < (augment.horizontal_flip, augment.vertical_flip)
    drift = rng.uniform(-1, 1, 2) * augment.still_drift_px
    still = [sum(earlier is frame for earlier in frames[:i]) for i, frame in enumerate(frames)]
    corners = corner + np.round(drift * np.array(still)[:, None]).astype(int)
    return [Window(int(left), int(top), side, bool(flip_x), bool(flip_y)) for left, top in corners]


def _corner(
    frame: FrameRecord, side: int, augment: AugmentConfig, rng: np.random.Generator
) -> Int64[np.ndarray, " xy"]:
    """The corner of a square around a random object, or anywhere, as far inside the image as it fits."""
    room = np.array([frame.width_px, frame.height_px]) - side  # below 0 where the square is the larger one
    around_object, which, place = rng.random(), rng.random(), rng.random(2)
    if around_object < augment.object_share and len(frame.labels):
        box = frame.boxes_xyxy_px[int(which * len(frame.labels))].astype(np.float64)
        centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        reach = np.maximum(side - size, 0.25 * side)  # the object whole where it fits, else a part of it
        corner = centre - side / 2 + (place - 0.5) * reach
    else:
        corner = place * room
    corner = np.clip(corner, np.minimum(0, room), np.maximum(0, room))
    return np.round(corner).astype(np.int64)  # type: ignore[no-any-return]


class Batches(Dataset[TrainBatch]):
    """Batch i as rank `rank` of `world` devices sees it: its part of samples [i * batch, (i + 1) * batch)."""

    def __init__(
        self, shares: Sequence[Share], config: TrainConfig, rank: int = 0, world: int = 1, depth: bool = False
    ) -> None:
        if config.batch_clips % world:
            raise DataError(f"batch_clips: {config.batch_clips} clips cannot be shared evenly by {world} devices")
        self._sampler, self._config, self._rank = Sampler(shares, config, depth), config, rank
        self._own = config.batch_clips // world

    def __len__(self) -> int:
        return self._config.steps

    def __getitem__(self, step: int) -> TrainBatch:
        first = step * self._config.batch_clips + self._rank * self._own
        return stack([self._sampler.sample(k) for k in range(first, first + self._own)])


def stack(samples: Sequence[Sample]) -> TrainBatch:
    images = np.stack([sample.images for sample in samples]).transpose(0, 1, 4, 2, 3)
    truth = [frame for sample in samples for frame in sample.truth]
    counts = np.array([[len(labels) for _, labels in sample.truth] for sample in samples], np.int64)
    depths = [sample.depth_m for sample in samples if sample.depth_m is not None]
    return TrainBatch(
        torch.from_numpy(np.ascontiguousarray(images)),
        torch.from_numpy(np.concatenate([boxes for boxes, _ in truth])),
        torch.from_numpy(np.concatenate([labels for _, labels in truth])),
        torch.from_numpy(counts),
        torch.from_numpy(np.concatenate([tracks for sample in samples for tracks in sample.track_ids])),
        _elapsed(samples),
        None if all(one.clip_label < 0 for one in samples) else torch.tensor([one.clip_label for one in samples]),
        torch.from_numpy(np.stack(depths)) if depths else None,
    )


def _elapsed(samples: Sequence[Sample]) -> Float32[Tensor, "b t"] | None:
    if all(sample.step == 1 for sample in samples):
        return None
    elapsed = torch.tensor([[float(sample.step)] * len(sample.images) for sample in samples])
    elapsed[:, 0] = 1.0  # nothing came before the first
    return elapsed


def _quiet_worker(_: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _as_is(batch: Any) -> Any:
    return batch


def loader(batches: Batches, first_step: int, workers: int, pin: bool) -> Iterator[TrainBatch]:
    """Batches `first_step`, `first_step + 1`, ... in order, made by `workers` processes ahead of their use."""
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=range(first_step, len(batches)),
            num_workers=workers,
            collate_fn=_as_is,
            worker_init_fn=_quiet_worker if workers else None,
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
            pin_memory=pin,
        )
    )
