"""One frame: its detections become rows with track ids, and the parts that are hidden get rows of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hybrid.core.overlap import iou
from hybrid.core.types import Detections
from hybrid.predict.linking import existence as exist
from hybrid.predict.linking.assignment import assigned
from hybrid.predict.linking.boxes import PIECE, measured, within
from hybrid.predict.linking.motion import (
    NEW_SPEED,
    NEW_SPEED_ON_BELT,
    NOISE,
    common_change,
    corrected,
    jump,
    predicted,
    shifted,
    speed_at,
    with_the_others,
)
from hybrid.predict.linking.places import CELLS, cells_at
from hybrid.predict.linking.settings import Linking
from hybrid.predict.linking.state import GONE, Linked, Seen

SAME_IOU = 0.5  # a new detection that overlaps a followed one by this or more is the same part
LEFT = 0.15  # a part of which a smaller share is in the picture, and which is not detected, has left
FORGOTTEN = 0.02  # existence below which a track ends
ESTABLISHED = 5  # detections of a track whose end is worth learning from


def link(
    detections: Detections,
    before: Linked | None = None,
    linking: Linking | None = None,
    *,
    size_hw_px: tuple[int, int] | None = None,
    step: float = 1.0,
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

    Returns:
        The rows, best first, and the tracks.
    """
    linking, seen = linking or Linking(), Seen.of(detections)
    before = Linked.none() if before is None else before
    before = before.with_categories(int(seen.labels.max(initial=-1)) + 1)
    expected = predicted(before, step)
    expected = shifted(expected, jump(expected, seen, seen.scores >= linking.sure), step)
    slot = assigned(expected, seen, linking.sure, linking.unsure, linking.reach)
    tracks = _moved(before, expected, seen, slot, size_hw_px, step)
    tracks = _believed(before, tracks, seen, slot, linking, size_hw_px, step)
    tracks, slot = _with_new(tracks, seen, slot, linking, size_hw_px)
    reported = _reported(detections, tracks, slot, linking, size_hw_px)
    return reported, _without_lost(tracks, linking, size_hw_px)


def _moved(
    before: Linked,
    expected: Linked,
    seen: Seen,
    slot: Int64[np.ndarray, " n"],
    size_hw_px: tuple[int, int] | None,
    step: float,
) -> Linked:
    """The tracks where they are now: by their detections, and the others by what all have in common."""
    rows = np.flatnonzero(slot >= 0)
    of, found = slot[rows], seen.boxes_cxcywh_px[rows]
    first = measured(expected.boxes_cxcywh_px[of], found, before.hits[of], size_hw_px)
    steady = first.entire & (before.unseen[of] == 0) & (before.hits[of] >= 2)
    change = common_change(before, expected.boxes_cxcywh_px[:, :2], first.centres_px[steady], of[steady], step)
    expected = shifted(expected, change, step)
    now = measured(expected.boxes_cxcywh_px[of], found, before.hits[of], size_hw_px)
    boxes = expected.boxes_cxcywh_px.copy()
    boxes[of] = np.concatenate([now.expected_px, now.sizes_px], 1)
    moved = corrected(replace(expected, boxes_cxcywh_px=boxes), of, now.centres_px, now.shares)
    hidden = np.ones(len(before), bool)
    hidden[of] = False
    return with_the_others(moved, hidden)


def _believed(
    before: Linked,
    tracks: Linked,
    seen: Seen,
    slot: Int64[np.ndarray, " n"],
    linking: Linking,
    size_hw_px: tuple[int, int] | None,
    step: float,
) -> Linked:
    """The tracks with what their detections, or the lack of one, tell."""
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
    return replace(
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
        tracks.joined(_new(tracks, seen, rows, linking, size_hw_px)), next_id=tracks.next_id + len(rows)
    ), slot


def _new(tracks: Linked, seen: Seen, rows: np.ndarray, linking: Linking, size_hw_px: tuple[int, int] | None) -> Linked:
    boxes, scores, count = seen.boxes_cxcywh_px[rows], seen.scores[rows], len(rows)
    speed, known = speed_at(tracks, boxes[:, :2])
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


def _reported(
    detections: Detections,
    tracks: Linked,
    slot: Int64[np.ndarray, " n"],
    linking: Linking,
    size_hw_px: tuple[int, int] | None,
) -> Detections:
    """The rows: detections, with what is known of their tracks, then the hidden parts; best first."""
    whole, share = within(tracks.boxes_cxcywh_px, size_hw_px)
    has = slot >= 0
    of = slot[has]
    boxes, scores, labels = (x.numpy().copy() for x in (detections.boxes_xyxy_px, detections.scores, detections.labels))
    ids, visible = np.full(len(slot), -1, np.int64), np.ones(len(slot))
    scores[has], labels[has], ids[has] = tracks.existence[of], tracks.labels[of], tracks.ids[of]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    visible[has] = (area[has] / np.maximum((whole[of, 2:] - whole[of, :2]).prod(1), 1e-9)).clip(0, 1)
    if linking.whole:
        piece = np.flatnonzero(has)[visible[has] < PIECE]
        boxes[piece] = whole[slot[piece]]
    lost = _hidden(tracks, whole, share, linking) if linking.hidden else np.zeros(0, np.int64)
    columns = [
        (boxes, whole[lost]),
        (scores, tracks.existence[lost]),
        (labels, tracks.labels[lost]),
        (ids, tracks.ids[lost]),
        (visible, np.zeros(len(lost))),
        (np.zeros(len(slot), bool), np.ones(len(lost), bool)),
    ]
    boxes, scores, labels, ids, visible, unseen = (np.concatenate(pair) for pair in columns)
    rows = Detections(
        torch.from_numpy(boxes.astype(np.float32)),
        torch.from_numpy(scores.astype(np.float32)),
        torch.from_numpy(labels),
        torch.from_numpy(ids),
        _vectors(detections, tracks, lost),
        torch.from_numpy(unseen),
        torch.from_numpy(visible.astype(np.float32)),
    )
    return rows.take(rows.scores.argsort(descending=True, stable=True))


def _vectors(detections: Detections, tracks: Linked, lost: np.ndarray) -> Tensor | None:
    if detections.embeddings is None:
        return None
    given = detections.embeddings.float()
    kept = np.zeros((len(tracks), given.shape[1])) if tracks.embeddings is None else tracks.embeddings
    return torch.cat([given, torch.from_numpy(kept[lost].astype(np.float32))])


def _hidden(
    tracks: Linked, whole_xyxy_px: Float[np.ndarray, "k 4"], share: Float[np.ndarray, " k"], linking: Linking
) -> np.ndarray:
    """The tracks that are reported though they are not detected: not those that lie on a part that is seen."""
    shown = tracks.unseen == 0
    same = (iou(whole_xyxy_px, whole_xyxy_px[shown]) > SAME_IOU) & (tracks.labels[:, None] == tracks.labels[shown])
    area = (whole_xyxy_px[:, 2:] > whole_xyxy_px[:, :2]).all(1)
    reported = ~shown & (tracks.existence >= linking.reported) & (share >= LEFT) & area & ~same.any(1)
    return np.flatnonzero(reported & (tracks.unseen <= linking.patience))


def _without_lost(tracks: Linked, linking: Linking, size_hw_px: tuple[int, int] | None) -> Linked:
    """The tracks without those that have left or are given up."""
    _, share = within(tracks.boxes_cxcywh_px, size_hw_px)
    gone = (tracks.unseen > linking.patience) | (tracks.belief[:, GONE] > 1 - FORGOTTEN)
    left = (share < LEFT) & (tracks.unseen > 0)
    ended = tracks.last_cell[gone & ~left & (tracks.hits >= ESTABLISHED)]
    places = tracks.places
    if len(ended) and size_hw_px is not None:
        places = places.ended_at(ended)
    return replace(tracks.take(~gone & ~left), places=places)
