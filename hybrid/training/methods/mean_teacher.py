"""Mean teacher: a detector learns from photos or video without labels, from what its own moving average finds there.

Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017; with weak augmentation for the teacher and
strong augmentation for the student as in Unbiased Teacher (Liu et al., ICLR 2021). Both see the same window of the same
frames. What the teacher finds with a score of `sure` or more is a label. What it finds with less, but `unsure` or more,
is a region to ignore: neither object nor background; with less still, it is background. On video the tracks decide:
what was linked over LEAST_LINKED of FRAMES frames is a label in each of them, whatever its score in one; what was not
is ignored. Measured in benchmarks/2026-11-30-methods.md: labels from a score of 0.45, of which half were false, ruined
a detector; from SURE they are a gain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybrid.core.types import Detections, Target
from hybrid.data.clips import ClipSource
from hybrid.predict.linking import Linked, Linking, link
from hybrid.predict.postprocess import postprocess
from hybrid.predict.runtime.engine import as_input
from hybrid.training.config import TrainConfig
from hybrid.training.methods.method import Method, Underway
from hybrid.training.samples.augment import photometric
from hybrid.training.samples.batch import TrainBatch
from hybrid.training.samples.sampler import Sampler, WeightedSource

FRAMES, LEAST_LINKED = 4, 3  # of a window of a video, and those that a track must be found in
SURE = 0.7  # the lowest score of a label, as in Unbiased Teacher: a detector's own may be half false on a new camera
UNSURE = 0.75  # the lowest score that counts at all, as a share of the sure one
RAMP = 0.2  # share of the steps over which the weight of these losses grows
CHANGES = ("strength", "occluders", "copy_paste", "mosaic", "fourier", "histogram")  # what the teacher is spared
OWN_SEED = 1_000_003  # the draws of unlabelled windows are apart from those of the labelled ones


@dataclass
class MeanTeacher(Method):
    """Learns from `source`, whose boxes are not read. `sure` is the score from which a detection counts as a label."""

    source: Callable[[], ClipSource]
    sure: float
    weight: float = 1.0  # of the losses on pseudo-labels against the others
    share: float = 0.5  # unlabelled clips of a step, for each labelled one
    name: str = field(default="mean-teacher", init=False)
    _sampler: Sampler | None = field(default=None, init=False, repr=False)
    _video: bool = field(default=False, init=False, repr=False)

    def settings(self) -> dict[str, Any]:
        """See `Method`."""
        return {"name": self.name, "sure": self.sure, "weight": self.weight, "share": self.share}

    def begin(self, training: Underway) -> None:
        """See `Method`."""
        source = self.source()
        self._video = any(len(clip.frames) > 1 for clip in source.clips)
        self._sampler = Sampler([WeightedSource(source)], weak(training.config, self._video))

    def losses(self, training: Underway, batch: TrainBatch) -> dict[str, Tensor]:
        """See `Method`."""
        assert self._sampler is not None, "begin comes first"
        config, step, device = training.config, training.steps_done, batch.images.device
        clips = max(1, round(self.share * len(batch.images)))
        samples = [self._sampler.sample(step * clips + k) for k in range(clips)]
        seen = np.stack([sample.images for sample in samples])
        targets = self.pseudo_labels(training, _tensor(seen, device))
        strength, last = photometric(config.augment.strength), config.clip_length
        seeds = np.random.default_rng([config.seed, step, OWN_SEED]).integers(2**31, size=clips)
        strong = np.stack([strength(one[-last:], int(seed)) for one, seed in zip(seen, seeds, strict=True)])
        own = [clip[-last:] for clip in targets]
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            output, _ = training.detector(_tensor(strong, device), None, own, cnn_only=step < config.cnn_steps)
            losses = training.criterion(output, own)
        scale = self.weight * min(1.0, (step + 1) / max(1.0, RAMP * config.steps))
        return {f"teacher/{name}": scale * loss for name, loss in losses.items() if name != "total"}

    @torch.no_grad()
    def pseudo_labels(self, training: Underway, images: Tensor) -> list[list[Target]]:
        """What the moving average finds in clips of RGB in 0..1, [b, t, 3, h, w], as targets [clip][frame]."""
        teacher = training.averaged.eval()
        output, _ = teacher(images, cnn_only=training.steps_done < training.config.cnn_steps)
        found = postprocess(output, threshold=UNSURE * self.sure)
        return [targets_of([one.to("cpu") for one in clip], self.sure, self._video) for clip in found]


def weak(config: TrainConfig, video: bool) -> TrainConfig:
    """The config of the teacher's windows: no change of colours, and enough frames of a video to link objects."""
    frames = max(config.clip_length, FRAMES) if video else config.clip_length
    calm = config.augment.model_copy(update=dict.fromkeys(CHANGES, 0.0))
    changes = {"augment": calm, "clip_length": frames, "blank_probability": 0.0, "seed": config.seed + OWN_SEED}
    return config.model_copy(update=changes)


def targets_of(clip: Sequence[Detections], sure: float, video: bool) -> list[Target]:
    """Detections of consecutive frames as labels and regions to ignore, for each frame."""
    if not video:
        return [_target(one, one.scores >= sure) for one in clip]
    tracked = list(_linked(clip, sure))
    frames = Counter(int(track) for one in tracked for track in set(ids_of(one).tolist()) if track >= 0)
    lasting = torch.tensor(
        [track for track, count in frames.items() if count >= min(LEAST_LINKED, len(clip))], dtype=torch.int64
    )
    return [_target(one, torch.isin(ids_of(one), lasting)) for one in tracked]


def ids_of(detections: Detections) -> Tensor:
    """Their track ids; -1: none."""
    return torch.full_like(detections.labels, -1) if detections.track_ids is None else detections.track_ids


def _linked(clip: Sequence[Detections], sure: float) -> Sequence[Detections]:
    """The detections with track ids: those of a detector that tracks, or by linking."""
    if all(one.track_ids is not None for one in clip):
        return clip
    linking = Linking(sure=sure, unsure=UNSURE * sure, hidden=False)  # what is seen is labelled, no more
    before, tracked = Linked.none(), list[Detections]()
    for one in clip:
        detections, before = link(one, before, linking)
        tracked.append(detections)
    return tracked


def _target(detections: Detections, counts: Tensor) -> Target:
    unsure = detections.take(~counts)
    certain = detections.take(counts)
    target = Target(certain.boxes_xyxy_px, certain.labels, ids_of(certain))
    if not len(unsure.labels):
        return target
    return replace(target, ignore_boxes_xyxy_px=unsure.boxes_xyxy_px, ignore_labels=unsure.labels)


def _tensor(images: np.ndarray, device: torch.device) -> Tensor:
    """Clips [b, t, h, w, 3] of bytes as the network takes them."""
    return as_input(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 1, 4, 2, 3))), device)
