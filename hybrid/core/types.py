"""The values that flow through hybrid: targets, detections, the network's output, and its state between frames.

Axes: b clips, t frames, q queries, n boxes, c categories. Images are RGB in 0..1. Boxes are xyxy in pixels of the
caller's image: (x_min, y_min, x_max, y_max), max exclusive.
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
    """The ground truth of one frame."""

    boxes_xyxy_px: Float32[Tensor, "n 4"]
    labels: Int64[Tensor, " n"]  # index into ModelConfig.categories
    track_ids: Int64[Tensor, " n"] | None = None  # an object's id within its clip; None: unknown
    ignore_boxes_xyxy_px: Float32[Tensor, "m 4"] | None = None  # regions that are neither object nor background
    ignore_labels: Int64[Tensor, " m"] | None = None  # of these regions; -1: every category

    @staticmethod
    def empty(device: torch.device | str = "cpu") -> Target:
        return Target(torch.zeros(0, 4, device=device), torch.zeros(0, dtype=torch.int64, device=device))

    def to(self, device: torch.device | str) -> Target:
        return _mapped(self, lambda tensor: tensor.to(device))  # type: ignore[no-any-return]


Targets = Sequence[Sequence[Target]]  # [clip][frame]


@dataclass(frozen=True)
class Detections:
    """The detections of one frame, best first.

    `scores` of an object that is followed tell whether it is there, also while it is hidden; `visible` tells how much
    of it can be seen.
    """

    boxes_xyxy_px: Float32[Tensor, "n 4"]
    scores: Float32[Tensor, " n"]
    labels: Int64[Tensor, " n"]
    track_ids: Int64[Tensor, " n"] | None = (
        None  # unique within a stream; -1: no id yet. None: the detector does not track
    )
    embeddings: Float32[Tensor, "n e"] | None = (
        None  # of length 1, similar for the same object; None: no embedding head
    )
    unseen: Bool[Tensor, " n"] | None = None  # predicted while hidden in this frame; None: the detector does not track
    visible: Float32[Tensor, " n"] | None = None  # the share that is believed to be visible, 0..1; None: not known

    def to(self, device: torch.device | str) -> Detections:
        return _mapped(self, lambda tensor: tensor.to(device))  # type: ignore[no-any-return]

    def take(self, which: Tensor) -> Detections:
        """The detections at these indices, or where this mask is True."""
        return _mapped(self, lambda tensor: tensor[which])  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Tracks:
    """The tracked objects, in k slots, as of the last processed frame."""

    content: Float[Tensor, "b k c"]  # the state of the recurrence over objects
    boxes_cxcywh_px: Float32[Tensor, "b k 4"]
    logits: Float32[Tensor, "b k n"]  # the logits that the decoder started from
    strength: Float32[Tensor, "b k"]  # the score, which decays while an object is hidden; 0: the slot is empty
    speed_px: Float32[Tensor, "b k 2"]  # of the centre, per time step
    ids: Int64[Tensor, "b k"]  # -1: no id yet
    next_id: Int64[Tensor, " b"]  # the id that the next new object of the clip gets


@dataclass(frozen=True)
class State:
    """What the network carries from one call to the next. The caller keeps it, detaches it, and resets it to None.

    Its size depends on the frame size and the config, not on the number of processed frames.
    """

    hidden: tuple[Float[Tensor, "b _ _ _"], ...] = ()  # one hidden map for each level with a recurrence
    memory: Float[Tensor, "b m tokens width"] | None = None  # tokens of the last m frames, oldest first
    tracks: Tracks | None = None
    clip: Float32[Tensor, "b c"] | None = None  # hidden vector of the clip head's recurrence
    remembered: Int64[Tensor, " b"] | None = (
        None  # how many frames of the memory are valid (the newest ones); None: all
    )

    def detach(self) -> State:
        return _mapped(self, Tensor.detach)  # type: ignore[no-any-return]

    def to(self, device: torch.device | str) -> State:
        return _mapped(self, lambda tensor: tensor.to(device))  # type: ignore[no-any-return]

    def clips(self, which: slice) -> State:
        """The state of these clips of the batch only."""
        return _mapped(self, lambda tensor: tensor[which])  # type: ignore[no-any-return]

    def form(self) -> tuple[object, ...]:
        """Shapes (without the number of clips), dtypes and devices: states can be joined if these are equal."""
        return tuple(None if x is None else (tuple(x.shape[1:]), x.dtype, x.device) for x in _leaves(self))


def _leaves(value: Any) -> list[Tensor | None]:
    """All tensors of the value in order, with None for a missing one."""
    if isinstance(value, tuple):
        return [leaf for one in value for leaf in _leaves(one)]
    if is_dataclass(value) and not isinstance(value, type):
        return [leaf for field in fields(value) for leaf in _leaves(getattr(value, field.name))]
    return [value]


def joined(states: Sequence[State]) -> State:
    """Several states of the same form as the state of one batch."""
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
    """The value with `change` applied to each of its tensors."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(one, change) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{field.name: _mapped(getattr(value, field.name), change) for field in fields(value)})
    return value


@dataclass(frozen=True)
class LayerOutput:
    """The output of one decoder layer."""

    logits: Float[Tensor, "b t q c"]
    boxes_xyxy_px: Float32[Tensor, "b t q 4"]
    embeddings: Float32[Tensor, "b t q e"] | None = None  # of the last layer, if the config has an embedding head


@dataclass(frozen=True)
class Proposals:
    """The dense predictions of every point of every level, from which the queries are chosen."""

    logits: Float[Tensor, "b t p c"]  # high at points near the centre of an object
    boxes_xyxy_px: Float32[Tensor, "b t p 4"]
    points_xy_px: Float32[Tensor, "p 2"]
    strides_px: Float32[Tensor, " p"]  # the stride of each point's level


@dataclass(frozen=True)
class Denoising:
    """The decoder's outputs for denoising queries, which are made from noised ground truth; only in training.

    `truth`: the index of the box in its frame's target that the query was made from. `positive`: True if the query
    must recover that box; False if it lies too far away and must predict "no object". `real`: False for padding.
    """

    layers: tuple[LayerOutput, ...]
    truth: Int64[Tensor, "b t d"]
    positive: Bool[Tensor, "b t d"]
    real: Bool[Tensor, "b t d"]


@dataclass(frozen=True)
class TrackedQueries:
    """Which queries are tracked objects. The first k queries of a frame are the slots carried from the frame before."""

    ids: Int64[Tensor, "b t q"]  # the track id of each query; -1: none
    source: Int64[Tensor, "b t k"]  # the query of the frame before that became this slot; -1: none in this call
    alive: Bool[Tensor, "b t k"]  # False: the slot was empty
    redetected: Bool[Tensor, "b t k"]  # a new query of this frame detects the slot's object

    @property
    def unseen(self) -> Bool[Tensor, "b t q"]:
        """For each query: True if its object is hidden in this frame and is predicted from the state."""
        return F.pad(~self.redetected, (0, self.ids.shape[-1] - self.redetected.shape[-1]), value=False)


@dataclass(frozen=True)
class Output:
    """The network's output for a batch of clips: that of the last decoder layer, and what only the losses need."""

    logits: Float[Tensor, "b t q c"]
    boxes_xyxy_px: Float32[Tensor, "b t q 4"]
    size_hw_px: tuple[int, int]
    auxiliary: tuple[LayerOutput, ...]  # of the earlier decoder layers, first to last
    proposals: Proposals
    denoising: Denoising | None = None
    tracks: TrackedQueries | None = None
    embeddings: Float32[Tensor, "b t q e"] | None = None  # of each query; see hybrid.model.objects.heads
    clip_logits: Float32[Tensor, "b t k"] | None = None  # class logits of the clip, given its frames up to each one
