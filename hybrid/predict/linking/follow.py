"""One frame: its detections become rows with track ids, and the parts that are hidden get rows of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from hybrid.core.overlap import iou
from hybrid.core.types import Detections
from hybrid.predict.linking import existence as exist
from hybrid.predict.linking.assignment import assigned
from hybrid.predict.linking.boxes import coming_in, measured, within
from hybrid.predict.linking.evidence import Look, evidence
from hybrid.predict.linking.judge import Judge
from hybrid.predict.linking.motion.filter import (
    NEW_SPEED,
    NEW_SPEED_ON_BELT,
    NOISE,
    carried,
    common_change,
    corrected,
    jump,
    predicted,
    shifted,
    speed_at,
    with_the_others,
)
from hybrid.predict.linking.motion.pixels import Movement, Picture, movement, picture_of
from hybrid.predict.linking.places import CELLS, cells_at
from hybrid.predict.linking.report import LEFT, SAME_IOU, reported
from hybrid.predict.linking.settings import Linking
from hybrid.predict.linking.state import Linked, Seen

Shares = Float[np.ndarray, " k"]
Image = UInt8[np.ndarray, "h w 3"]
ESTABLISHED = 5  # detections of a track whose end is worth learning from


@dataclass(frozen=True)
class Frame:
    """The tracks after a frame, and how they came to be so."""

    tracks: Linked
    look: Look
    seen: Seen
    evidence: Float32[np.ndarray, "k f"]


def link(
    detections: Detections,
    before: Linked | None = None,
    linking: Linking | None = None,
    *,
    size_hw_px: tuple[int, int] | None = None,
    step: float = 1.0,
    judge: Judge | None = None,
    image: Image | None = None,
) -> tuple[Detections, Linked]:
    """The detections of the next frame with `track_ids` (-1: no track), and the tracks after this frame.

    Parts that are not detected but are believed to be there get rows of their own: `unseen`, and `visible` 0. The score
    of a followed part is the probability that it is there.

    Args:
        detections: of the frame, in any order.
        before: the tracks after the frame before; None: a clip begins.
        linking: settings.
        size_hw_px: of the picture; None: unknown, so that parts do not leave at its edge.
        step: the time since the frame before, in usual intervals.
        judge: the track network; None: rules alone.
        image: the frame, RGB, whose pixels tell how far the parts moved; None: their places alone do.

    Returns:
        The rows, best first, and the tracks.
    """
    linking = linking or Linking()
    frame = followed(detections, before, linking, size_hw_px, step, image)
    tracks, opinion = frame.tracks, None
    if judge is not None:
        opinion, memory = judge.judge(frame.evidence, tracks.boxes_cxcywh_px, tracks.memory)
        tracks = replace(tracks, memory=memory)
    rows = reported(detections, tracks, frame.look.slot, linking, size_hw_px, opinion)
    return rows, without_lost(tracks, linking, size_hw_px, None if opinion is None else opinion.exists)


def followed(
    detections: Detections,
    before: Linked | None,
    linking: Linking,
    size_hw_px: tuple[int, int] | None,
    step: float,
    image: Image | None = None,
) -> Frame:
    """The tracks in the next frame, those that are lost as well: the arguments are those of `link`."""
    seen = Seen.of(detections)
    before = Linked.none() if before is None else before
    before = before.with_categories(int(seen.labels.max(initial=-1)) + 1)
    pixels = image if linking.pixels and linking.together else None
    earlier = before.picture
    moved_px = None if pixels is None or earlier is None else movement(earlier, pixels, step)
    if moved_px is not None:
        before = carried(before, moved_px.way_px, moved_px.own(before.ids, before.speed_px))
    expected = predicted(before, step)
    if linking.together:
        expected = shifted(expected, jump(expected, seen, seen.scores >= linking.sure), step)
    grown, open_ = coming_in(before.boxes_cxcywh_px, expected.boxes_cxcywh_px, before.unseen == 0, size_hw_px)
    expected = replace(expected, boxes_cxcywh_px=grown)
    slot = assigned(expected, seen, linking.sure, linking.unsure, linking.reach, size_hw_px)
    in_common = linking.together and moved_px is None
    moved = _moved(before, expected, open_, seen, slot, linking, size_hw_px, step, in_common)
    tracks, rate, cover, end = _believed(before, moved, seen, slot, linking, size_hw_px, step)
    old = len(tracks)
    way_px = None if moved_px is None else moved_px.way_px
    tracks, slot = _with_new(tracks, seen, slot, linking, size_hw_px, way_px)
    if pixels is not None:
        tracks = replace(tracks, picture=_picture(pixels, seen, slot, tracks, linking.sure, moved_px))
    new = len(tracks) - old
    boxes, scores = tracks.boxes_cxcywh_px.copy(), np.zeros(len(tracks))
    has = slot >= 0
    boxes[slot[has]], scores[slot[has]] = seen.boxes_cxcywh_px[has], seen.scores[has]
    look = Look(
        expected_cxcywh_px=np.concatenate([expected.boxes_cxcywh_px, tracks.boxes_cxcywh_px[old:]]),
        found_cxcywh_px=boxes,
        scores=scores,
        slot=slot,
        rate=np.append(rate, np.full(new, exist.DETECTED)),
        cover=np.append(cover, np.full(new, exist.COVER)),
        end=np.append(end, np.full(new, exist.VANISH)),
    )
    return Frame(tracks, look, seen, evidence(tracks, look, seen, size_hw_px, step))


def _moved(
    before: Linked,
    expected: Linked,
    open_: Bool[np.ndarray, "k 2"],
    seen: Seen,
    slot: Int64[np.ndarray, " n"],
    linking: Linking,
    size_hw_px: tuple[int, int] | None,
    step: float,
    in_common: bool,
) -> Linked:
    """The tracks where they are now: by their detections, and the others by what all have in common.

    `in_common`: what the detections have in common moves all; False: the pixels have told it already.
    """
    rows = np.flatnonzero(slot >= 0)
    of, found = slot[rows], seen.boxes_cxcywh_px[rows]
    now = measured(expected.boxes_cxcywh_px[of], found, before.hits[of], size_hw_px, open_[of])
    if in_common:
        steady = now.entire & (before.unseen[of] == 0) & (before.hits[of] >= 2)
        change = common_change(before, expected.boxes_cxcywh_px[:, :2], now.centres_px[steady], of[steady], step)
        expected = shifted(expected, change, step)
        now = measured(expected.boxes_cxcywh_px[of], found, before.hits[of], size_hw_px, open_[of])
    boxes = expected.boxes_cxcywh_px.copy()
    boxes[of] = np.concatenate([now.expected_px, now.sizes_px], 1)
    moved = corrected(replace(expected, boxes_cxcywh_px=boxes), of, now.centres_px, now.shares)
    hidden = np.ones(len(before), bool)
    hidden[of] = False
    return with_the_others(moved, hidden) if linking.together else moved


def _believed(
    before: Linked,
    tracks: Linked,
    seen: Seen,
    slot: Int64[np.ndarray, " n"],
    linking: Linking,
    size_hw_px: tuple[int, int] | None,
    step: float,
) -> tuple[Linked, Shares, Shares, Shares]:
    """The tracks with what their detections, or the lack of one, tell; the rates of detection, of cover and of ends."""
    rows = np.flatnonzero(slot >= 0)
    of = slot[rows]
    found = np.zeros(len(tracks), bool)
    found[of] = True
    cells = cells_at(tracks.boxes_cxcywh_px[:, :2], size_hw_px)
    cover, end = tracks.places.shares(cells, exist.COVER, exist.VANISH)
    belief = exist.moved_on(tracks.belief, cover, end, step)
    rate = exist.detection_rate(belief, found)
    belief = exist.missed(belief, rate, np.ones(len(tracks)))
    hits, evidence = tracks.hits + found, tracks.evidence.copy()
    new = exist.evidence_of(seen.scores[rows], linking.sure)
    evidence[of] += (new - evidence[of]) / np.minimum(hits[of], exist.TELLING)
    belief[of] = exist.detected(evidence[of], hits[of], linking.sure)
    votes = tracks.votes.copy()
    votes[of, seen.labels[rows]] += seen.scores[rows]
    covered = tracks.covered.copy()
    covered[~found, cells[~found]] = True
    places = tracks.places if size_hw_px is None else tracks.places.after(cells[found], covered[found])
    covered[found] = False
    told = replace(
        tracks,
        belief=belief,
        hits=hits,
        evidence=evidence,
        votes=votes,
        covered=covered,
        places=places,
        age=tracks.age + step,
        unseen=np.where(found, 0.0, tracks.unseen + step),
        last_cell=np.where(found, cells, tracks.last_cell),
        embeddings=_embeddings(tracks, seen, rows, of, linking.memory),
    )
    return told, rate, cover, end


def _embeddings(
    tracks: Linked, seen: Seen, rows: np.ndarray, of: np.ndarray, memory: float
) -> Float[np.ndarray, "k e"] | None:
    if seen.embeddings is None or tracks.embeddings is None:
        return None
    averaged = tracks.embeddings.copy()
    mixed = memory * averaged[of] + (1 - memory) * seen.embeddings[rows]
    averaged[of] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-9)
    return averaged


def _with_new(
    tracks: Linked,
    seen: Seen,
    slot: Int64[np.ndarray, " n"],
    linking: Linking,
    size_hw_px: tuple[int, int] | None,
    way_px: Float[np.ndarray, "2"] | None,
) -> tuple[Linked, Int64[np.ndarray, " n"]]:
    """The tracks and those that begin in this frame, and the track of each detection."""
    begins = (slot < 0) & (seen.scores >= linking.sure)
    corners, _ = within(seen.boxes_cxcywh_px, None)
    begins &= ~(iou(corners, corners[slot >= 0]) > SAME_IOU).any(1)
    rows = np.flatnonzero(begins)
    slot = slot.copy()
    slot[rows] = len(tracks) + np.arange(len(rows))
    if not len(rows):
        return tracks, slot
    return replace(
        tracks.joined(_new(tracks, seen, rows, linking, size_hw_px, way_px)), next_id=tracks.next_id + len(rows)
    ), slot


def _picture(
    image: Image, seen: Seen, slot: Int64[np.ndarray, " n"], tracks: Linked, sure: float, moved: Movement | None
) -> Picture:
    """What is kept of the frame: patches of the sure detections."""
    corners, _ = within(seen.boxes_cxcywh_px, None)
    rows = np.flatnonzero(seen.scores >= sure)
    ids = np.where(slot[rows] >= 0, tracks.ids[slot[rows]] if len(tracks) else -1, -1)
    return picture_of(image, corners[rows], seen.scores[rows], ids, tracks.picture, moved)


def _new(
    tracks: Linked,
    seen: Seen,
    rows: np.ndarray,
    linking: Linking,
    size_hw_px: tuple[int, int] | None,
    way_px: Float[np.ndarray, "2"] | None,
) -> Linked:
    boxes, scores, count = seen.boxes_cxcywh_px[rows], seen.scores[rows], len(rows)
    speed, known = speed_at(tracks, boxes[:, :2]) if linking.together else (np.zeros((count, 2)), False)
    if way_px is not None:
        speed, known = np.tile(way_px, (count, 1)), True
    side = seen.side_px[rows]
    speed_variance = np.square((NEW_SPEED_ON_BELT if known else NEW_SPEED) * side)
    evidence, hits = exist.evidence_of(scores, linking.sure), np.ones(count, np.int64)
    votes = np.zeros((count, tracks.votes.shape[1]))
    votes[np.arange(count), seen.labels[rows]] = scores
    return Linked(
        boxes_cxcywh_px=boxes,
        speed_px=speed,
        variance_px=np.stack([np.square(NOISE * side), np.zeros(count), speed_variance], 1),
        votes=votes,
        belief=exist.detected(evidence, hits, linking.sure),
        evidence=evidence,
        ids=tracks.next_id + np.arange(count),
        hits=hits,
        age=np.zeros(count),
        unseen=np.zeros(count),
        covered=np.zeros((count, CELLS), bool),
        last_cell=cells_at(boxes[:, :2], size_hw_px),
        embeddings=None if seen.embeddings is None else seen.embeddings[rows],
    )


def without_lost(
    tracks: Linked,
    linking: Linking,
    size_hw_px: tuple[int, int] | None,
    exists: Float32[np.ndarray, " k"] | None = None,
) -> Linked:
    """The tracks without those that have left or are given up. `exists`: by the network; None: by rules."""
    _, share = within(tracks.boxes_cxcywh_px, size_hw_px)
    gone = (tracks.unseen > linking.patience) | ((tracks.existence if exists is None else exists) < linking.forgotten)
    left = (share < LEFT) & (tracks.unseen > 0)
    ended = tracks.last_cell[gone & ~left & (tracks.hits >= ESTABLISHED)]
    places = tracks.places
    if len(ended) and size_hw_px is not None:
        places = places.ended_at(ended)
    return replace(tracks.take(~gone & ~left), places=places)
