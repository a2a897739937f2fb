"""The values that flow through hybrid: what a detector is given, what it answers, what it carries from frame to frame.

Axes: b clips, t frames, q queries, n boxes, c categories. Images are RGB in 0..1. Boxes are pixels of the image as
the caller gave it, (x_min, y_min, x_max, y_max), max exclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor


@dataclass(frozen=True)
class Target:
    """The truth of one frame."""

    boxes_xyxy_px: Float32[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]  # index into ModelConfig.categories
    track_ids: Int64[Tensor, " n"] | None = None  # which object of its clip each box is; None where nobody tells

    @staticmethod
    def empty(device: torch.device | str = "cpu") -> Target:
        return Target(torch.zeros(0, 4, device=device), torch.zeros(0, dtype=torch.int64, device=device))

    def to(self, device: torch.device | str) -> Target:
        tracks = None if self.track_ids is None else self.track_ids.to(device)
        return Target(self.boxes_xyxy_px.to(device), self.labels.to(device), tracks)


Targets = Sequence[Sequence[Target]]  # [clip][frame]


@dataclass(frozen=True)
class Detections:
    """What was found in one frame, best first."""

    boxes_xyxy_px: Float32[Tensor, "n 4"]
    scores: Float32[Tensor, " n"]
    labels: Int64[Tensor, " n"]

    def to(self, device: torch.device | str) -> Detections:
        return Detections(self.boxes_xyxy_px.to(device), self.scores.to(device), self.labels.to(device))


@dataclass(frozen=True)
class State:
    """What a detector carries from one call to the next. The caller resets (passes None), detaches and keeps it."""

    hidden: tuple[Float[Tensor, "b _ _ _"], ...] = ()  # the recurrence's map of each level that has one
    memory: Float[Tensor, "b m tokens width"] | None = None  # tokens of the last m frames, oldest first

    def detach(self) -> State:
        return State(tuple(h.detach() for h in self.hidden), None if self.memory is None else self.memory.detach())

    def to(self, device: torch.device | str) -> State:
        return State(tuple(h.to(device) for h in self.hidden), None if self.memory is None else self.memory.to(device))


@dataclass(frozen=True)
class Layer:
    """One decoder layer's answer."""

    logits: Float[Tensor, "b t q c"]
    boxes_xyxy_px: Float32[Tensor, "b t q 4"]


@dataclass(frozen=True)
class Proposals:
    """The dense answer of every point of every level, from which the queries are chosen."""

    logits: Float[Tensor, "b t p c"]  # high at one point of each object
    dense_logits: Float[Tensor, "b t p c"]  # high at several
    boxes_xyxy_px: Float32[Tensor, "b t p 4"]
    anchors_xyxy_px: Float32[Tensor, "p 4"]


@dataclass(frozen=True)
class Denoising:
    """The decoder's answers for queries made from noised truth; only in training.

    `truth` tells which box of its frame's target each query came from, `positive` whether it is to find that box
    (else it lies too far off and is to answer that nothing is there), `real` is False for padding.
    """

    layers: tuple[Layer, ...]
    truth: Int64[Tensor, "b t d"]
    positive: Bool[Tensor, "b t d"]
    real: Bool[Tensor, "b t d"]


@dataclass(frozen=True)
class Output:
    """A detector's answer for a batch of clips: the last decoder layer's, and what only the losses need."""

    logits: Float[Tensor, "b t q c"]
    boxes_xyxy_px: Float32[Tensor, "b t q 4"]
    size_hw_px: tuple[int, int]
    auxiliary: tuple[Layer, ...]  # the earlier decoder layers, first to last
    proposals: Proposals
    denoising: Denoising | None = None
