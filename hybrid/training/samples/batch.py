"""Batches of samples, and the loader that makes them ahead of their use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hybrid.core.errors import DataError
from hybrid.core.types import Target
from hybrid.training.config import TrainConfig
from hybrid.training.samples.sampler import Sample, Sampler, WeightedSource


@dataclass(frozen=True)
class TrainBatch:
    """Samples stacked along the first axis. Their boxes are one list, ordered by clip and frame; `counts` splits it."""

    images: UInt8[Tensor, "b t 3 h w"]
    boxes_xyxy_px: Float32[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]
    counts: Int64[Tensor, "b t"]
    track_ids: Int64[Tensor, " n"]
    elapsed: Float32[Tensor, "b t"] | None = None  # frame intervals since the frame before; None: 1 everywhere
    clip_labels: Int64[Tensor, " b"] | None = None  # -1: none; None: no clip of the batch has one
    depth_m: Float32[Tensor, "b t h w"] | None = None
    ignore_boxes_xyxy_px: Float32[Tensor, "m 4"] | None = None  # regions to ignore, as the boxes; None: there is none
    ignore_labels: Int64[Tensor, " m"] | None = None
    ignore_counts: Int64[Tensor, "b t"] | None = None
    names: tuple[str, ...] = ()  # of the source and the clip that each sample is from

    def to(self, device: torch.device) -> TrainBatch:
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> TrainBatch:
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> TrainBatch:
        kept = ("counts", "ignore_counts", "names")  # they stay on the CPU
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: dict[str, Any] = {name: change(x) for name, x in values.items() if x is not None and name not in kept}
        return replace(self, **changed)

    def part(self, clips: slice, frames: slice = slice(None)) -> TrainBatch:
        """These frames of these clips."""
        own = _rows(self.counts, clips, frames, self.labels.device)
        changed: dict[str, Any] = {name: getattr(self, name)[own] for name in ("boxes_xyxy_px", "labels", "track_ids")}
        for name in ("images", "counts", "elapsed", "depth_m"):
            value = getattr(self, name)
            changed[name] = None if value is None else value[clips, frames]
        if self.ignore_counts is not None and self.ignore_labels is not None and self.ignore_boxes_xyxy_px is not None:
            region = _rows(self.ignore_counts, clips, frames, self.labels.device)
            changed["ignore_boxes_xyxy_px"] = self.ignore_boxes_xyxy_px[region]
            changed["ignore_labels"] = self.ignore_labels[region]
            changed["ignore_counts"] = self.ignore_counts[clips, frames]
        changed["clip_labels"] = None if self.clip_labels is None else self.clip_labels[clips]
        return replace(self, **changed | {"names": self.names[clips]})

    def pieces(self, parts: int, most_frames: int) -> list[tuple[int, TrainBatch]]:
        """The batch in `parts` parts of equal numbers of clips, each in pieces of at most `most_frames` frames; 0: all.

        In the order of time, with the number of the part.
        """
        clips, frames = self.images.shape[:2]
        size, length = clips // parts, most_frames or frames
        if parts == 1 and length >= frames:
            return [(0, self)]
        return [
            (k, self.part(slice(k * size, (k + 1) * size), slice(start, start + length)))
            for k in range(parts)
            for start in range(0, frames, length)
        ]

    def targets(self) -> list[list[Target]]:
        """The labels, [clip][frame]."""
        sizes = self.counts.flatten().tolist()
        columns = (torch.split(x, sizes) for x in (self.boxes_xyxy_px, self.labels, self.track_ids))
        flat = [Target(*row) for row in zip(*columns, strict=True)]
        if self.ignore_boxes_xyxy_px is not None and self.ignore_labels is not None and self.ignore_counts is not None:
            sizes = self.ignore_counts.flatten().tolist()
            regions = zip(
                *(torch.split(x, sizes) for x in (self.ignore_boxes_xyxy_px, self.ignore_labels)), strict=True
            )
            flat = [
                replace(target, ignore_boxes_xyxy_px=boxes, ignore_labels=labels) if len(labels) else target
                for target, (boxes, labels) in zip(flat, regions, strict=True)
            ]
        frames = self.counts.shape[1]
        return [flat[i : i + frames] for i in range(0, len(flat), frames)]


def _rows(counts: Tensor, clips: slice, frames: slice, device: torch.device) -> Tensor:
    """Which of the listed boxes belong to these frames of these clips."""
    chosen = torch.zeros_like(counts, dtype=torch.bool)
    chosen[clips, frames] = True
    return chosen.flatten().repeat_interleave(counts.flatten()).to(device)


class Batches(Dataset[TrainBatch]):
    """Batch i is samples [i * batch_clips, (i + 1) * batch_clips), divided among `world_size` processes."""

    def __init__(
        self,
        sources: Sequence[WeightedSource],
        config: TrainConfig,
        rank: int = 0,
        world_size: int = 1,
        depth: bool = False,
    ) -> None:
        """`depth` adds depth to the batches.

        Raises:
            DataError: as `Sampler`, or the clips of a batch cannot be divided among the processes.
        """
        if config.batch_clips % (world_size * config.accumulate):
            parts = f" in {config.accumulate} parts each" if config.accumulate > 1 else ""
            raise DataError(
                f"batch_clips: {config.batch_clips} clips cannot be shared evenly by {world_size} devices{parts}"
            )
        self._sampler, self._config, self._rank = Sampler(sources, config, depth), config, rank
        self._clips = config.batch_clips // world_size

    def __len__(self) -> int:
        return self._config.steps

    def __getitem__(self, step: int) -> TrainBatch:
        first = step * self._config.batch_clips + self._rank * self._clips
        return stack([self._sampler.sample(k) for k in range(first, first + self._clips)])


def stack(samples: Sequence[Sample]) -> TrainBatch:
    """One batch of samples of one size and length."""
    images = np.stack([sample.images for sample in samples]).transpose(0, 1, 4, 2, 3)
    truth = [frame for sample in samples for frame in sample.truth]
    counts = np.array([[len(labels) for _, labels in sample.truth] for sample in samples], np.int64)
    depths = [sample.depth_m for sample in samples if sample.depth_m is not None]
    batch = TrainBatch(
        torch.from_numpy(np.ascontiguousarray(images)),
        torch.from_numpy(np.concatenate([boxes for boxes, _ in truth])),
        torch.from_numpy(np.concatenate([labels for _, labels in truth])),
        torch.from_numpy(counts),
        torch.from_numpy(np.concatenate([tracks for sample in samples for tracks in sample.track_ids])),
        _elapsed(samples),
        None if all(one.clip_label < 0 for one in samples) else torch.tensor([one.clip_label for one in samples]),
        torch.from_numpy(np.stack(depths)) if depths else None,
        *_ignored(samples),
    )
    return replace(batch, names=tuple(sample.name for sample in samples))


def _ignored(samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor] | tuple[()]:
    """The regions to ignore of all frames: their boxes, labels and counts; nothing where there is none."""
    if all(sample.ignored is None for sample in samples):
        return ()
    none = (np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    frames = [sample.ignored or (none,) * len(sample.truth) for sample in samples]
    regions = [region for frame in frames for region in frame]
    return (
        torch.from_numpy(np.concatenate([boxes for boxes, _ in regions])),
        torch.from_numpy(np.concatenate([labels for _, labels in regions])),
        torch.tensor([[len(labels) for _, labels in frame] for frame in frames]),
    )


def _elapsed(samples: Sequence[Sample]) -> Float32[Tensor, "b t"] | None:
    if all(sample.step == 1 for sample in samples):
        return None
    elapsed = torch.tensor([[float(sample.step)] * len(sample.images) for sample in samples])
    elapsed[:, 0] = 1.0  # the first frame has no frame before it
    return elapsed


def _use_one_thread(_: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _unchanged(batch: Any) -> Any:
    return batch


def loader(batches: Batches, first_step: int, workers: int, pin: bool) -> Iterator[TrainBatch]:
    """Batches `first_step`, `first_step + 1`, ... in order, made ahead by `workers` processes; 0: made on demand.

    Raises:
        DataError: as `Sampler.sample`, in whichever process. One line.
    """
    stream = DataLoader(
        batches,
        batch_size=None,
        sampler=range(first_step, len(batches)),
        num_workers=workers,
        collate_fn=_unchanged,
        worker_init_fn=_use_one_thread if workers else None,
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
    )
    try:
        yield from stream
    except DataError as error:  # of a worker: torch puts its traceback into the message
        raise DataError(str(error).strip().splitlines()[-1].partition("DataError: ")[2] or str(error)) from None
