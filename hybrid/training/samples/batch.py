"""Samples stacked to batches, and the loader."""

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
from hybrid.training.samples.sampler import Sample, Sampler, Share


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
