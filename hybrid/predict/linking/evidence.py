"""What is known of each track after a frame, as numbers for the track network (`hybrid.model.objects.track_net`).

Lengths are in sides of the part (the square root of its box's area), probabilities as log-odds, counts as logarithms:
so a network that learned on one camera can be used with another. Nothing tells where in the picture a track is, except
how far from its edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from hybrid.core.overlap import iou
from hybrid.predict.linking.boxes import within
from hybrid.predict.linking.existence import log_odds
from hybrid.predict.linking.state import Linked, Seen

NAMES = (
    "found", "score", "off_x", "off_y", "wider", "higher", "overlap", "weak_free", "weak_taken",
    "seen", "covered", "gone", "evidence", "hits", "age", "unseen", "hit_rate", "step",
    "speed_x", "speed_y", "speed", "apart_x", "apart_y", "place_spread", "speed_spread",
    "side", "shape", "left", "top", "right", "bottom", "inside", "cover", "end", "rate", "others_found", "others",
    "below_seen", "below_hidden", "young",
)  # fmt: skip
USUAL_SIDE_PX = 40.0
FAR = 4.0  # sides: what is farther from the picture's edge is just far
LIMIT = 6.0  # of every number
NEAR = 0.2  # IoU from which a detection tells something of a track that it is not assigned to


@dataclass(frozen=True)
class Look:
    """What a frame showed of k tracks, beside their new state."""

    expected_cxcywh_px: Float[np.ndarray, "k 4"]  # where they were expected; of a new track where it was found
    found_cxcywh_px: Float[np.ndarray, "k 4"]  # the box of the detection; where there is none that of the track
    scores: Float[np.ndarray, " k"]  # of the detection; 0: there is none
    slot: Int64[np.ndarray, " n"]  # the track of each detection; -1: none
    rate: Float[np.ndarray, " k"]  # how likely the part would have been detected if it could be seen
    cover: Float[np.ndarray, " k"]  # how likely parts are covered at its place
    end: Float[np.ndarray, " k"]  # and end there


def evidence(
    tracks: Linked, look: Look, seen: Seen, size_hw_px: tuple[int, int] | None, step: float
) -> Float32[np.ndarray, "k f"]:
    """The numbers of `NAMES`, a row for each track."""
    side, boxes = tracks.side_px, tracks.boxes_cxcywh_px
    found = look.scores > 0
    _, inside = within(boxes, size_hw_px)
    whole, _ = within(boxes, None)
    theirs, _ = within(seen.boxes_cxcywh_px, None)
    on_track = iou(whole, theirs) if len(theirs) else np.zeros((len(tracks), 0))
    among = iou(whole, whole) * (1 - np.eye(len(tracks)))
    free, taken = look.slot < 0, look.slot[None] >= 0
    others = taken & (look.slot[None] != np.arange(len(tracks))[:, None])
    moved = tracks.speed_px / side[:, None]
    usual = np.median(tracks.speed_px[found], axis=0) if found.any() else np.zeros(2)
    own = np.where(found, log_odds(look.scores) / 3, 0.0)
    sizes = np.log(np.maximum(look.found_cxcywh_px[:, 2:], 1) / np.maximum(boxes[:, 2:], 1))
    off = (look.found_cxcywh_px[:, :2] - look.expected_cxcywh_px[:, :2]) / side[:, None]
    alive = tracks.existence > 0.5
    count = max(1, len(tracks) - 1)
    columns = [
        found, own, off[:, 0], off[:, 1], sizes[:, 0], sizes[:, 1], found * _iou_of_pairs(whole, look),
        _best(on_track, seen.scores, np.broadcast_to(free[None], on_track.shape)), _best(on_track, seen.scores, others),
        *tracks.belief.T, tracks.evidence / 3, np.log1p(tracks.hits), np.log1p(tracks.age), np.log1p(tracks.unseen),
        tracks.hits / (tracks.age + 1), np.full(len(tracks), np.log(step)),
        moved[:, 0], moved[:, 1], np.hypot(*moved.T), *((tracks.speed_px - usual) / side[:, None]).T,
        np.log(np.sqrt(tracks.variance_px[:, 0].clip(1e-6)) / side + 1e-3),
        np.log(np.sqrt(tracks.variance_px[:, 2].clip(1e-6)) / side + 1e-3),
        np.log(side / USUAL_SIDE_PX), np.log(np.maximum(boxes[:, 2], 1) / np.maximum(boxes[:, 3], 1)),
        *_to_edges(whole, size_hw_px, side), inside, 3 * look.cover, 3 * look.end, look.rate,
        ((found & alive).sum() - (found & alive)) / np.maximum(alive.sum() - alive, 1),
        np.full(len(tracks), np.log(count)),
        _most(among[:, found]), _most(among[:, ~found]), tracks.hits < 3,
    ]  # fmt: skip
    return np.stack(columns, 1).clip(-LIMIT, LIMIT).astype(np.float32) if len(tracks) else _none()


def _none() -> Float32[np.ndarray, "0 f"]:
    return np.zeros((0, len(NAMES)), np.float32)


def _most(overlaps: Float[np.ndarray, "k _"]) -> Float[np.ndarray, " k"]:
    return overlaps.max(1, initial=0.0)  # type: ignore[no-any-return]


def _best(
    overlaps: Float[np.ndarray, "k n"], scores: Float[np.ndarray, " n"], which: Bool[np.ndarray, "k n"]
) -> Float[np.ndarray, " k"]:
    """The best score of such detections on each track, as log-odds; that of 0.02 where there is none."""
    near = np.where(which & (overlaps >= NEAR), scores[None], 0.02)
    return log_odds(near.max(1, initial=0.02)) / 3


def _iou_of_pairs(whole_xyxy_px: Float[np.ndarray, "k 4"], look: Look) -> Float[np.ndarray, " k"]:
    found, _ = within(look.found_cxcywh_px, None)
    low, high = np.maximum(whole_xyxy_px[:, :2], found[:, :2]), np.minimum(whole_xyxy_px[:, 2:], found[:, 2:])
    both = (high - low).clip(0).prod(1)
    areas = (whole_xyxy_px[:, 2:] - whole_xyxy_px[:, :2]).prod(1) + (found[:, 2:] - found[:, :2]).prod(1)
    return both / np.maximum(areas - both, 1e-9)  # type: ignore[no-any-return]


def _to_edges(
    whole_xyxy_px: Float[np.ndarray, "k 4"], size_hw_px: tuple[int, int] | None, side: Float[np.ndarray, " k"]
) -> Float[np.ndarray, "4 k"]:
    if size_hw_px is None:
        return np.full((4, len(side)), FAR)
    extent = np.array(size_hw_px[::-1], float)
    low, high = whole_xyxy_px[:, :2] / side[:, None], (extent - whole_xyxy_px[:, 2:]) / side[:, None]
    return np.concatenate([low, high], 1).clip(-1, FAR).T
