"""Recurrence over objects: from frame to frame, so that a query keeps its object, and along the belt within a frame.

The detector's queries of a frame are the carried slots, each an object of earlier frames, and then those newly chosen.
A slot whose object a new query shows goes on as that query, with a running mean of the score; a slot whose object none
shows answers from memory, at the place that its speed leads to (`seen_again`, `first_logits`). After the decoder, what
scores BIRTH_SCORE or more gets an id and a slot, and both go when the score, faded while the object is not seen, has
sunk to LEAST_STRENGTH. It is one rule in training and in use; what training knows more (which object a slot is) is the
criterion's. Why so: benchmarks/2026-11-22-tracks.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.core.boxes import pairwise_iou, refine, to_corners
from hybrid.core.types import Tracks
from hybrid.model.attention import place_box
from hybrid.model.time.temporal import update_share

BIRTH_SCORE = 0.4  # from which an object has an id
FADE = 0.9  # what a frame without evidence leaves of an object's strength: half after 7 frames
LEAST_STRENGTH = 0.1  # below it an object is given up, and its id with it: from a score of 0.8 after 20 frames
SAME_IOU = 0.6  # a new object that overlaps a followed one so far is that one
AGAIN_SCORE = 0.1  # from which a new query may be an object that is followed
AGAIN_SHARE = 0.5  # of an object's strength, likewise: what is hardly told at all says nothing against memory
AGAIN_IOU = 0.3  # of their boxes with margins: sides of 1 that lie 1.08 apart along one axis
MEMORY = 0.5  # the share of what was known in what is told of an object that is seen again, a step
SEEN_MOST = {"visible": 0.9, "whole": 0.6}  # how likely an object that is told of is seen where all others are
SPEED_GAIN = 0.7  # the share of a new measurement in an object's speed
NO_OBJECT_LOGIT = -20.0  # of empty slots
BELT_OBJECTS = 64  # the best of a frame's queries that are taken as its objects


def no_tracks(clips: int, slots: int, width: int, categories: int, device: torch.device) -> Tracks:
    """Slots at a clip's start: all empty."""
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
    """A gated recurrent unit that every object has for itself (Cho et al., EMNLP 2014), and where it moves next."""

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
        """`step`: the time since the frame before, see hybrid.model.time.temporal."""
        gates, content = torch.split(self.from_input(features), [2 * features.shape[-1], features.shape[-1]], -1)
        update, reset = (gates + self.gates_from_state(state)).sigmoid().chunk(2, -1)
        fresh = (content + self.content_from_state(reset * state)).tanh()
        share = update_share(update, None if step is None else step[:, None, None].to(update.dtype))
        state = state + share * (fresh - state)
        return self.out(state), state

    def queries(
        self, tracks: Tracks, step: Float[Tensor, " b"] | None = None
    ) -> tuple[Float[Tensor, "b k c"], Float32[Tensor, "b k 4"]]:
        """The slots as queries of the next frame: their content, and their boxes moved on."""
        change, moved = self.motion(tracks.content).float(), tracks.speed_px
        if step is not None:
            change, moved = change * step[:, None, None], moved * step[:, None, None]
        return self.out(tracks.content), refine(tracks.boxes_cxcywh_px + F.pad(moved, (0, 2)), change)


@dataclass(frozen=True)
class Again:
    """Of each slot: the new query that is its object, whether there is one, and whether that is sure enough."""

    query: Int64[Tensor, "b k"]
    there: Bool[Tensor, "b k"]
    seen: Bool[Tensor, "b k"]

    def of(self, new: Float[Tensor, "b q _"]) -> Float[Tensor, "b k _"]:
        """What the new queries have to say, slot by slot."""
        return new.gather(1, self.query[..., None].expand(-1, -1, new.shape[-1]))

    def left(self, count: int) -> Bool[Tensor, "b q"]:
        """Which of so many new queries no slot goes on as."""
        places = torch.arange(count, device=self.query.device)
        return ~((self.query[..., None] == places) & self.there[..., None]).any(1)


def seen_again(
    tracks: Tracks,
    expected_cxcywh_px: Float32[Tensor, "b k 4"],
    logits: Float[Tensor, "b q n"],
    boxes_cxcywh_px: Float32[Tensor, "b q 4"],
) -> Again:
    """Which new queries are the followed objects: those that are each other's best.

    Boxes are compared with a margin of half their sides all around (Yang et al., C-BIoU, WACV 2023), for an object
    may have moved by most of its size between two frames.
    """
    score = logits.detach().float().sigmoid().amax(-1)
    mine, new = _wide(expected_cxcywh_px.detach()), _wide(boxes_cxcywh_px)
    overlap = torch.stack([pairwise_iou(a, b) for a, b in zip(mine, new, strict=True)])
    fits = (overlap >= AGAIN_IOU) & (score >= AGAIN_SCORE)[:, None] & (tracks.strength > 0)[..., None]
    worth = torch.where(fits, overlap * score[:, None] * tracks.strength[..., None], 0.0)
    query = worth.argmax(2)
    best_slot = worth.argmax(1).gather(1, query)
    each_other = best_slot == torch.arange(query.shape[1], device=query.device)
    there = each_other & (worth.amax(2) > 0)
    return Again(query, there, there & (score.gather(1, query) >= AGAIN_SHARE * tracks.strength))


def first_logits(
    tracks: Tracks,
    again: Again,
    logits: Float[Tensor, "b q n"],
    step: Float[Tensor, " b"] | None,
    seen_most: float = SEEN_MOST["visible"],
) -> Float[Tensor, "b k n"]:
    """What the slots start from in a frame whose new queries say `logits`.

    An object that is seen again: a running mean over its sightings. One that is not: a Bernoulli filter's step (Ristic
    et al., A Tutorial on Bernoulli Filters, IEEE Trans. Signal Processing, 2013): its odds times 1 - P, where P, how
    likely it would have been seen if it were there, is `seen_most` of the share of the other objects that are. So a
    blank frame says nothing against it, and a clear one does; less where boxes are of wholes, which may be hidden.
    """
    kept = _left_over(MEMORY, step, tracks.strength)
    mean = again.of(logits.float()).lerp(tracks.logits, kept[..., None])
    weight, found = tracks.strength, tracks.strength * again.seen
    others = weight.sum(1, keepdim=True) - weight
    likely = seen_most * (found.sum(1, keepdim=True) - found + 0.5) / (others + 1)
    return torch.where(again.seen[..., None], mean, tracks.logits + torch.log1p(-likely)[..., None])


def _left_over(share: float, step: Float[Tensor, " b"] | None, like: Float32[Tensor, "b _"]) -> Float32[Tensor, "b 1"]:
    """What is left after a step of something of which a step of length 1 leaves `share`."""
    return torch.full_like(like[:, :1], share) if step is None else share ** step[:, None].float()


def _wide(boxes_cxcywh_px: Float32[Tensor, "b q 4"]) -> Float32[Tensor, "b q 4"]:
    """With the margin, as corners."""
    return to_corners(torch.cat([boxes_cxcywh_px[..., :2], 2 * boxes_cxcywh_px[..., 2:]], -1))


@dataclass(frozen=True)
class Carried:
    """The next frame's slots, and the id of each query of this frame."""

    tracks: Tracks
    ids: Int64[Tensor, "b q"]
    source: Int64[Tensor, "b k"]  # the query that each slot was; -1: it is empty


def carry(
    before: Tracks,
    state: Float[Tensor, "b q c"],
    logits: Float[Tensor, "b q n"],
    start_logits: Float[Tensor, "b q n"],
    boxes_cxcywh_px: Float32[Tensor, "b q 4"],
    step: Float[Tensor, " b"] | None,
    seen: Bool[Tensor, "b k"],
) -> Carried:
    """Choose the objects that are followed on, by what the decoder says of them in the end (`logits`).

    What is remembered of their scores is what it started from, so that what it adds is added once, not once a frame.
    Gradient goes through the content alone.
    """
    slots = before.ids.shape[1]
    logits, boxes = logits.detach().float(), boxes_cxcywh_px.detach()
    score = logits.sigmoid().amax(-1)
    fade = _left_over(FADE, step, score)
    strength = torch.cat([torch.maximum(score[:, :slots], before.strength * fade), score[:, slots:]], 1)
    ids = torch.cat([before.ids, before.ids.new_full((len(score), score.shape[1] - slots), -1)], 1)
    ids = torch.where(strength < LEAST_STRENGTH, -1, ids)
    double = _double(ids, score, boxes)
    newborn = (ids < 0) & (score >= BIRTH_SCORE) & ~double
    fresh = before.next_id[:, None] + newborn.cumsum(1) - 1
    ids = torch.where(newborn, fresh, ids)
    hidden = F.pad(~seen, (0, ids.shape[1] - slots), value=False)
    ids = torch.where(double & hidden, -1, ids)  # what is followed to where a better one is has become that one
    strength = torch.where(ids < 0, 0.0, strength)
    speed = _speeds(before, boxes, step, seen)
    kept = (strength + (ids >= 0)).topk(slots, 1).indices

    def take(x: Tensor) -> Tensor:
        return x.gather(1, kept.reshape(*kept.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:]))

    tracks = Tracks(
        take(state), take(boxes), take(start_logits.detach().float()), take(strength), take(speed), take(ids),
        before.next_id + newborn.sum(1),
    )  # fmt: skip
    return Carried(tracks, ids, torch.where(tracks.strength > 0, kept, -1))


def _speeds(
    before: Tracks,
    boxes_cxcywh_px: Float32[Tensor, "b q 4"],
    step: Float[Tensor, " b"] | None,
    seen: Bool[Tensor, "b k"],
) -> Float32[Tensor, "b q 2"]:
    """What was seen again is measured; of what is new the objects' mean is the first guess, as on a belt."""
    slots = before.ids.shape[1]
    measured = boxes_cxcywh_px[:, :slots, :2] - before.boxes_cxcywh_px[..., :2]
    if step is not None:
        measured = measured / step[:, None, None]
    followed = torch.where(seen[..., None], before.speed_px.lerp(measured, SPEED_GAIN), before.speed_px)
    sure = seen & (before.ids >= 0)
    guess = (measured * sure[..., None]).sum(1) / sure.sum(1).clamp(min=1)[:, None]
    return torch.cat([followed, guess[:, None].expand(-1, boxes_cxcywh_px.shape[1] - slots, -1)], 1)


def _double(
    ids: Int64[Tensor, "b q"], score: Float32[Tensor, "b q"], boxes_cxcywh_px: Float32[Tensor, "b q 4"]
) -> Bool[Tensor, "b q"]:
    """Which queries lie where a better one lies, of whatever category: they are neither born nor followed on.

    A second answer for an object that became a slot would be answered again in every later frame.
    """
    corners = to_corners(boxes_cxcywh_px)
    rank = score + 2.0 * (ids >= 0)  # who is followed already comes first, whatever it scores now
    rank = rank - torch.arange(rank.shape[1], device=rank.device) * 1e-6  # of two alike, the first
    overlap = torch.stack([pairwise_iou(one, one) for one in corners]) >= SAME_IOU
    return (overlap & (rank[:, None] > rank[:, :, None])).any(2)


class BeltOrder(nn.Module):
    """The objects of a frame as a sequence along one axis of the image: what lies before and behind a part on its belt.

    A gated recurrent unit reads the best BELT_OBJECTS queries in the order of their centres, in both directions; what
    it says is added to them behind a gate. Parts that touch, and rows with regular gaps, are told by their neighbours.
    """

    def __init__(self, width: int, axis: str, gate: float) -> None:
        super().__init__()
        self.axis = "xy".index(axis)
        self.unit = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(width, width)
        self.gate = nn.Parameter(torch.full((width,), gate))

    def forward(
        self,
        query: Float[Tensor, "n q c"],
        logits: Float[Tensor, "n q k"],
        boxes_cxcywh_px: Float32[Tensor, "n q 4"],
    ) -> Float[Tensor, "n q c"]:
        best = logits.detach().float().amax(-1).topk(min(BELT_OBJECTS, query.shape[1]), 1).indices
        along = boxes_cxcywh_px.detach()[..., self.axis].gather(1, best)
        order = best.gather(1, along.argsort(dim=1, stable=True))[..., None]
        places = place_box(boxes_cxcywh_px.detach(), query.shape[-1])
        wide = order.expand(-1, -1, query.shape[-1])
        with torch.autocast(query.device.type, enabled=False):  # torch's fused unit takes one precision alone
            told, _ = self.unit(query.gather(1, wide).float() + places.gather(1, wide))
        return query.scatter_add(1, wide, (self.gate * self.out(told)).to(query.dtype))
