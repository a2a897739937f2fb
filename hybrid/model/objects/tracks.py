"""Tracking: a recurrence over objects from frame to frame.

The queries of a frame are the slots, each a tracked object of earlier frames, followed by the new queries. If a new
query detects the object of a slot again, the slot takes over that query, with a running mean of the score. Otherwise
the slot is predicted from the state, at the position that its speed gives (`match_slots`, `initial_logits`). After the
decoder, a query with a score of BIRTH_SCORE or more gets an id and a slot (`update_tracks`). The score of a hidden
object decays; below LEAST_STRENGTH its id and slot are freed. Training and inference use the same rules; only the
losses know which object a slot really is. The reasons are in benchmarks/2026-11-22-tracks.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.core.boxes import pairwise_iou, refine, to_corners
from hybrid.core.types import Tracks
from hybrid.model.time.temporal import update_share

BIRTH_SCORE = 0.4  # the least score for a new id
FADE = 0.9  # decay of the strength of a hidden object per frame: half after 7 frames
LEAST_STRENGTH = 0.1  # below it an object is dropped with its id; from a score of 0.8 after 20 frames
SAME_IOU = 0.6  # a detection that overlaps a tracked object by this or more is that object
MATCH_SCORE = 0.1  # the least score of a new query that can match a slot
MATCH_SHARE = 0.5  # a matched slot is redetected if the new score is this share of its strength or more
MATCH_IOU = 0.3  # of the boxes with margins: equal squares match up to a shift of 1.08 sides along one axis
MEMORY = 0.5  # weight of the old logits in the running mean of a redetected object, per step of length 1
DETECTION_RATE = {"visible": 0.9, "whole": 0.6}  # of an existing object in a frame in which all others are redetected
SPEED_GAIN = 0.7  # weight of the new measurement in an object's speed
NO_OBJECT_LOGIT = -20.0  # of empty slots


def empty_tracks(clips: int, slots: int, width: int, categories: int, device: torch.device) -> Tracks:
    """The slots at the start of a clip: all empty."""
    return Tracks(
        content=torch.zeros(clips, slots, width, device=device),
        boxes_cxcywh_px=torch.tensor([0.0, 0.0, 1.0, 1.0], device=device).repeat(clips, slots, 1),
        logits=torch.full((clips, slots, categories), NO_OBJECT_LOGIT, device=device),
        strength=torch.zeros(clips, slots, device=device),
        speed_px=torch.zeros(clips, slots, 2, device=device),
        ids=torch.full((clips, slots), -1, dtype=torch.int64, device=device),
        next_id=torch.zeros(clips, dtype=torch.int64, device=device),
    )


class ObjectRecurrence(nn.Module):
    """A gated recurrent unit applied to each object (Cho et al., EMNLP 2014), and a prediction of its motion."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(width, 3 * width)
        self.gates_from_state = nn.Linear(width, 2 * width, bias=False)
        self.content_from_state = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width)
        self.motion = nn.Linear(width, 4)
        nn.init.zeros_(self.motion.weight)
        nn.init.zeros_(self.motion.bias)

    def forward(
        self, features: Float[Tensor, "b q c"], state: Float[Tensor, "b q c"], step: Float[Tensor, " b"] | None = None
    ) -> tuple[Float[Tensor, "b q c"], Float[Tensor, "b q c"]]:
        """Output and new state. `step`: the time since the frame before, see hybrid.model.time.temporal."""
        gates, content = torch.split(self.from_input(features), [2 * features.shape[-1], features.shape[-1]], -1)
        update, reset = (gates + self.gates_from_state(state)).sigmoid().chunk(2, -1)
        fresh = (content + self.content_from_state(reset * state)).tanh()
        share = update_share(update, None if step is None else step[:, None, None].to(update.dtype))
        state = state + share * (fresh - state)
        return self.out(state), state

    def queries(
        self, tracks: Tracks, step: Float[Tensor, " b"] | None = None
    ) -> tuple[Float[Tensor, "b k c"], Float32[Tensor, "b k 4"]]:
        """The slots as queries of the next frame: content, and boxes moved by speed and predicted motion."""
        change, moved = self.motion(tracks.content).float(), tracks.speed_px
        if step is not None:
            change, moved = change * step[:, None, None], moved * step[:, None, None]
        return self.out(tracks.content), refine(tracks.boxes_cxcywh_px + F.pad(moved, (0, 2)), change)


@dataclass(frozen=True)
class SlotMatch:
    """For each slot: the index of the new query that shows its object, if there is one, and if it is certain enough."""

    query: Int64[Tensor, "b k"]
    matched: Bool[Tensor, "b k"]
    redetected: Bool[Tensor, "b k"]  # matched, and the new score is high enough

    def gather(self, new: Float[Tensor, "b q _"]) -> Float[Tensor, "b k _"]:
        """Values of the new queries, in the order of the slots."""
        return new.gather(1, self.query[..., None].expand(-1, -1, new.shape[-1]))

    def unmatched(self, count: int) -> Bool[Tensor, "b q"]:
        """Which of the `count` new queries match no slot."""
        indices = torch.arange(count, device=self.query.device)
        return ~((self.query[..., None] == indices) & self.matched[..., None]).any(1)


def match_slots(
    tracks: Tracks,
    expected_cxcywh_px: Float32[Tensor, "b k 4"],
    logits: Float[Tensor, "b q n"],
    boxes_cxcywh_px: Float32[Tensor, "b q 4"],
) -> SlotMatch:
    """Match slots and new queries that are each other's best match.

    Boxes are compared with a margin of half their side on every side (Yang et al., C-BIoU, WACV 2023), because an
    object may move by most of its size between two frames.
    """
    score = logits.detach().float().sigmoid().amax(-1)
    old, new = _with_margin(expected_cxcywh_px.detach()), _with_margin(boxes_cxcywh_px)
    overlap = torch.stack([pairwise_iou(a, b) for a, b in zip(old, new, strict=True)])
    fits = (overlap >= MATCH_IOU) & (score >= MATCH_SCORE)[:, None] & (tracks.strength > 0)[..., None]
    worth = torch.where(fits, overlap * score[:, None] * tracks.strength[..., None], 0.0)
    query = worth.argmax(2)
    best_slot = worth.argmax(1).gather(1, query)
    mutual = best_slot == torch.arange(query.shape[1], device=query.device)
    matched = mutual & (worth.amax(2) > 0)
    return SlotMatch(query, matched, matched & (score.gather(1, query) >= MATCH_SHARE * tracks.strength))


def initial_logits(
    tracks: Tracks,
    match: SlotMatch,
    logits: Float[Tensor, "b q n"],
    step: Float[Tensor, " b"] | None,
    detection_rate: float = DETECTION_RATE["visible"],
) -> Float[Tensor, "b k n"]:
    """The logits that the decoder starts from for each slot; `logits` are those of the new queries.

    A redetected object gets a running mean over its detections. For a hidden one, this is the step of a Bernoulli
    filter (Ristic et al., A Tutorial on Bernoulli Filters, IEEE Trans. Signal Processing, 2013): its odds are
    multiplied by 1 - P. P, the probability that it would have been detected if it existed, is `detection_rate` times
    the share of the other objects that are redetected. So a blank frame is no evidence against an object, and a clear
    one is. The evidence is weaker if boxes are of whole objects, because these may be hidden.
    """
    old_weight = _decay(MEMORY, step, tracks.strength)
    mean = match.gather(logits.float()).lerp(tracks.logits, old_weight[..., None])
    weight, detected = tracks.strength, tracks.strength * match.redetected
    others = weight.sum(1, keepdim=True) - weight
    probability = detection_rate * (detected.sum(1, keepdim=True) - detected + 0.5) / (others + 1)
    return torch.where(match.redetected[..., None], mean, tracks.logits + torch.log1p(-probability)[..., None])


def _decay(share: float, step: Float[Tensor, " b"] | None, like: Float32[Tensor, "b _"]) -> Float32[Tensor, "b 1"]:
    """The factor of a decay after a step; it is `share` after a step of length 1."""
    return torch.full_like(like[:, :1], share) if step is None else share ** step[:, None].float()


def _with_margin(boxes_cxcywh_px: Float32[Tensor, "b q 4"]) -> Float32[Tensor, "b q 4"]:
    """The boxes with twice their size, as xyxy."""
    return to_corners(torch.cat([boxes_cxcywh_px[..., :2], 2 * boxes_cxcywh_px[..., 2:]], -1))


@dataclass(frozen=True)
class TrackUpdate:
    """The slots for the next frame, and the ids of this frame's queries."""

    tracks: Tracks
    ids: Int64[Tensor, "b q"]  # -1: none
    source: Int64[Tensor, "b k"]  # the index of the query that became the slot; -1: the slot is empty


def update_tracks(
    before: Tracks,
    state: Float[Tensor, "b q c"],
    logits: Float[Tensor, "b q n"],
    start_logits: Float[Tensor, "b q n"],
    boxes_cxcywh_px: Float32[Tensor, "b q 4"],
    step: Float[Tensor, " b"] | None,
    redetected: Bool[Tensor, "b k"],
) -> TrackUpdate:
    """Choose the slots for the next frame by the decoder's final scores.

    The slots store the logits that the decoder started from, so that the decoder's correction counts once and not once
    per frame. Gradient flows through the content only.

    Args:
        before: the slots of this frame, which are its first k queries.
        state: the recurrent state of all queries.
        logits: the decoder's final logits.
        start_logits: the logits that the decoder started from.
        boxes_cxcywh_px: the decoder's final boxes.
        step: the time since the frame before; None: 1.
        redetected: the slots that a new query detects.
    """
    slots = before.ids.shape[1]
    logits, boxes = logits.detach().float(), boxes_cxcywh_px.detach()
    score = logits.sigmoid().amax(-1)
    decay = _decay(FADE, step, score)
    strength = torch.cat([torch.maximum(score[:, :slots], before.strength * decay), score[:, slots:]], 1)
    ids, next_id = _updated_ids(before, score, strength, boxes, redetected)
    strength = torch.where(ids < 0, 0.0, strength)
    kept = (strength + (ids >= 0)).topk(slots, 1).indices

    def take(x: Tensor) -> Tensor:
        return x.gather(1, kept.reshape(*kept.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:]))

    tracks = Tracks(
        content=take(state),
        boxes_cxcywh_px=take(boxes),
        logits=take(start_logits.detach().float()),
        strength=take(strength),
        speed_px=take(_speeds(before, boxes, step, redetected)),
        ids=take(ids),
        next_id=next_id,
    )
    return TrackUpdate(tracks, ids, torch.where(tracks.strength > 0, kept, -1))


def _updated_ids(
    before: Tracks,
    score: Float32[Tensor, "b q"],
    strength: Float32[Tensor, "b q"],
    boxes_cxcywh_px: Float32[Tensor, "b q 4"],
    redetected: Bool[Tensor, "b k"],
) -> tuple[Int64[Tensor, "b q"], Int64[Tensor, " b"]]:
    """The ids of all queries after weak tracks ended and new ones began, and the next free id of each clip."""
    slots, queries = before.ids.shape[1], score.shape[1]
    ids = torch.cat([before.ids, before.ids.new_full((len(score), queries - slots), -1)], 1)
    ids = torch.where(strength < LEAST_STRENGTH, -1, ids)
    duplicate = _duplicates(ids, score, boxes_cxcywh_px)
    newborn = (ids < 0) & (score >= BIRTH_SCORE) & ~duplicate
    ids = torch.where(newborn, before.next_id[:, None] + newborn.long().cumsum(1) - 1, ids)
    hidden = F.pad(~redetected, (0, queries - slots), value=False)
    ids = torch.where(duplicate & hidden, -1, ids)  # a hidden object that was predicted onto a better one is that one
    return ids, before.next_id + newborn.sum(1)


def _speeds(
    before: Tracks,
    boxes_cxcywh_px: Float32[Tensor, "b q 4"],
    step: Float[Tensor, " b"] | None,
    redetected: Bool[Tensor, "b k"],
) -> Float32[Tensor, "b q 2"]:
    """Measured speeds of redetected objects. New objects start with the mean of these, as all parts move on a belt."""
    slots = before.ids.shape[1]
    measured = boxes_cxcywh_px[:, :slots, :2] - before.boxes_cxcywh_px[..., :2]
    if step is not None:
        measured = measured / step[:, None, None]
    updated = torch.where(redetected[..., None], before.speed_px.lerp(measured, SPEED_GAIN), before.speed_px)
    certain = redetected & (before.ids >= 0)
    mean = (measured * certain[..., None]).sum(1) / certain.sum(1).clamp(min=1)[:, None]
    return torch.cat([updated, mean[:, None].expand(-1, boxes_cxcywh_px.shape[1] - slots, -1)], 1)


def _duplicates(
    ids: Int64[Tensor, "b q"], score: Float32[Tensor, "b q"], boxes_cxcywh_px: Float32[Tensor, "b q 4"]
) -> Bool[Tensor, "b q"]:
    """Which queries overlap a better one of any category: they get no new id and are not carried on.

    Otherwise a duplicate that became a slot would be duplicated again in every later frame.
    """
    corners = to_corners(boxes_cxcywh_px)
    rank = score + 2.0 * (ids >= 0)  # tracked objects come first, whatever they score now
    rank = rank - torch.arange(rank.shape[1], device=rank.device) * 1e-6  # the first of two equal ones
    overlap = torch.stack([pairwise_iou(one, one) for one in corners]) >= SAME_IOU
    return (overlap & (rank[:, None] > rank[:, :, None])).any(2)
