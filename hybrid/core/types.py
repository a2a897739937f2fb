"""The values that flow through hybrid: what a detector is given, what it answers, what it carries from frame to frame.

Axes: b clips, t frames, q queries, n boxes, c categories. Images are RGB in 0..1. Boxes are pixels of the image as
the caller gave it, (x_min, y_min, x_max, y_max), max exclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Target:
    """The truth of one frame."""

    boxes_xyxy_px: Float32[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]  # index into ModelConfig.categories
    track_ids: Int64[Tensor, " n"] | None = None  # an object's id within its clip; None: not known

    @staticmethod
    def empty(device: torch.device | str = "cpu") -> Target:
        return Target(torch.zeros(0, 4, device=device), torch.zeros(0, dtype=torch.int64, device=device))

    def to(self, device: torch.device | str) -> Target:
        ids = None if self.track_ids is None else self.track_ids.to(device)
        return Target(self.boxes_xyxy_px.to(device), self.labels.to(device), ids)


Targets = Sequence[Sequence[Target]]  # [clip][frame]


@dataclass(frozen=True)
class Detections:
    """What was found in one frame, best first."""

    boxes_xyxy_px: Float32[Tensor, "n 4"]
    scores: Float32[Tensor, " n"]
    labels: Int64[Tensor, " n"]
    track_ids: Int64[Tensor, " n"] | None = None  # within a stream; -1: none yet. None: the detector follows no objects
    embeddings: Float32[Tensor, "n e"] | None = None  # of length 1, alike for one object; None: the detector has none
    unseen: Bool[Tensor, " n"] | None = None  # not seen in this frame, told from memory; None: nothing is followed

    def to(self, device: torch.device | str) -> Detections:
        return _mapped(self, lambda tensor: tensor.to(device))  # type: ignore[no-any-return]

    def take(self, which: Tensor) -> Detections:
        """Those at these places, or where this mask is True."""
        return _mapped(self, lambda tensor: tensor[which])  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Tracks:
    """The objects that are followed from frame to frame, in k slots. All of it belongs to the last frame seen."""

    content: Float[Tensor, "b k c"]  # the state of the recurrence over objects
    boxes_cxcywh_px: Float32[Tensor, "b k 4"]
    logits: Float32[Tensor, "b k n"]  # that the decoder started from
    strength: Float32[Tensor, "b k"]  # the score, which fades while an object is not seen; 0: the slot is empty
    speed_px: Float32[Tensor, "b k 2"]  # of the centre, a step
    ids: Int64[Tensor, "b k"]  # -1: none yet
    next_id: Int64[Tensor, " b"]  # of the next object that is found in the clip


@dataclass(frozen=True)
class State:
    """What a detector carries from one call to the next. The caller resets (passes None), detaches and keeps it.

    Its size depends on the frame's size and the config, never on how many frames there were.
    """

    hidden: tuple[Float[Tensor, "b _ _ _"], ...] = ()  # the recurrence's map of each level that has one
    memory: Float[Tensor, "b m tokens width"] | None = None  # tokens of the last m frames, oldest first
    tracks: Tracks | None = None
    clip: Float32[Tensor, "b c"] | None = None  # of the clip head's recurrence
    remembered: Int64[Tensor, " b"] | None = None  # how many frames of the memory are real, the newest; None: all

    def detach(self) -> State:
        return _mapped(self, Tensor.detach)  # type: ignore[no-any-return]

    def to(self, device: torch.device | str) -> State:
        return _mapped(self, lambda tensor: tensor.to(device))  # type: ignore[no-any-return]

    def clips(self, which: slice) -> State:
        """Of these clips of the batch alone."""
        return _mapped(self, lambda tensor: tensor[which])  # type: ignore[no-any-return]

    def form(self) -> tuple[object, ...]:
        """What states must share to be joined: all but the number of clips."""
        return tuple(None if x is None else (tuple(x.shape[1:]), x.dtype, x.device) for x in _leaves(self))


def _leaves(value: Any) -> list[Tensor | None]:
    """The value's tensors in order, None where one is missing."""
    if isinstance(value, tuple):
        return [leaf for one in value for leaf in _leaves(one)]
    if is_dataclass(value) and not isinstance(value, type):
        return [leaf for field in fields(value) for leaf in _leaves(getattr(value, field.name))]
    return [value]


def joined(states: Sequence[State]) -> State:
    """The states of several clips of one form as those of one batch."""
    return _joined(states)  # type: ignore[no-any-return]


def _joined(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(list(values))
    if isinstance(first, tuple):
        return tuple(_joined(column) for column in zip(*values, strict=True))
    if is_dataclass(first) and not isinstance(first, type):
        return type(first)(**{f.name: _joined([getattr(v, f.name) for v in values]) for f in fields(first)})
    return first


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The value with each of its tensors changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(one, change) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{field.name: _mapped(getattr(value, field.name), change) for field in fields(value)})
    return value


@dataclass(frozen=True)
class Layer:
    """One decoder layer's answer."""

    logits: Float[Tensor, "b t q c"]
    boxes_xyxy_px: Float32[Tensor, "b t q 4"]
    embeddings: Float32[Tensor, "b t q e"] | None = None  # the last layer's, where the config asks for them


@dataclass(frozen=True)
class Proposals:
    """The dense answer of every point of every level, from which the queries are chosen."""

    logits: Float[Tensor, "b t p c"]  # high at the points near the middle of each object
    boxes_xyxy_px: Float32[Tensor, "b t p 4"]
    points_xy_px: Float32[Tensor, "p 2"]
    strides_px: Float32[Tensor, " p"]  # of the level that each point is of


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
class Followed:
    """What became of the objects that were followed. The first k queries of a frame are the carried slots."""

    ids: Int64[Tensor, "b t q"]  # of each query; -1: none
    source: Int64[Tensor, "b t k"]  # the query of the frame before that each slot was; -1: none in this call
    alive: Bool[Tensor, "b t k"]  # False: the slot was empty
    seen: Bool[Tensor, "b t k"]  # the slot went on as a new query of its frame

    @property
    def unseen(self) -> Bool[Tensor, "b t q"]:
        """Of each query: what it tells is not seen in this frame, but from memory."""
        return F.pad(~self.seen, (0, self.ids.shape[-1] - self.seen.shape[-1]), value=False)


@dataclass(frozen=True)
class Output:
    """A detector's answer for a batch of clips: the last decoder layer's, and what only the losses need."""

    logits: Float[Tensor, "b t q c"]
    boxes_xyxy_px: Float32[Tensor, "b t q 4"]
    size_hw_px: tuple[int, int]
    auxiliary: tuple[Layer, ...]  # the earlier decoder layers, first to last
    proposals: Proposals
    denoising: Denoising | None = None
    tracks: Followed | None = None
    embeddings: Float32[Tensor, "b t q e"] | None = None  # of each query; see hybrid.model.objects.heads
    clip_logits: Float32[Tensor, "b t k"] | None = None  # of the clip's class, by what was seen up to each frame
