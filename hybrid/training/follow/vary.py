"""The same clip in other ways: turned, backwards, with few parts, lost frames and detections, and other scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from hybrid.metrics.line_truth import LineFrame
from hybrid.metrics.video import FrameDetections
from hybrid.predict.linking.existence import log_odds, probability_of
from hybrid.training.follow.clips import KnownClip

LOST, SCORE_NOISE = 0.03, 0.3  # share of the detections; standard deviation of a score's log-odds
PLACE_NOISE = 0.02  # of a box's edges, in its sides
EXCHANGED, FASTER = 0.3, 0.2  # shares of the variants with x and y exchanged, and with every second frame alone
FEW, FEWEST, MOST_OF_FEW = 0.3, 1, 4  # share of the variants with so few parts alone; lines differ in that
GAPS, SHORTEST_GAP, LONGEST_GAP = 0.6, 2, 10  # share of those whose parts have a gap each, and its frames
ON_PART = 0.3  # IoU of a detection with a part that is taken away, from which it goes with it
SEEN = 0.2  # visible share from which a part was seen
LOSES, LOSS, LONGEST = 0.5, 0.06, 3  # share of the clips that lose frames, how often, and how many at a time


@dataclass(frozen=True)
class _Turn:
    """How the picture is turned: mirrored along x and along y, then with x and y exchanged."""

    mirrored: tuple[bool, bool]
    exchanged: bool

    def boxes(self, boxes_xyxy_px: np.ndarray, size_hw_px: tuple[int, int]) -> np.ndarray:
        boxes = boxes_xyxy_px.copy()
        for axis, on in enumerate(self.mirrored):
            if on:
                boxes[:, [axis, axis + 2]] = size_hw_px[1 - axis] - boxes[:, [axis + 2, axis]]
        return boxes[:, [1, 0, 3, 2]] if self.exchanged else boxes

    def size(self, size_hw_px: tuple[int, int]) -> tuple[int, int]:
        return (size_hw_px[1], size_hw_px[0]) if self.exchanged else size_hw_px


def varied(clip: KnownClip, variant: int, rng: np.random.Generator) -> KnownClip:
    """A variant of the clip. 0 is the clip as it is; others are mirrored, and from 4 to 7 of 8 they run backwards."""
    if not variant:
        return clip
    kept = np.array(frames_kept(len(clip.truth), rng))[:: 2 if rng.uniform() < FASTER else 1]
    end_s, backwards = clip.times_s[-1], bool(variant & 4)
    order = kept[::-1] if backwards else kept
    turn = _Turn((bool(variant & 1), bool(variant & 2)), rng.uniform() < EXCHANGED)
    parts = _parts(clip, rng)
    gaps = _gaps(clip, parts if len(parts) <= MOST_OF_FEW and rng.uniform() < GAPS else parts[:0], rng)
    truth = [_turned(_with_parts(clip.truth[k], parts, gaps[k]), turn) for k in order]
    detections = [_without_others(clip.detections[k], clip.truth[k], parts, gaps[k]) for k in order]
    return KnownClip(
        clip.name,
        [_varied(one, clip.truth[k].size_hw_px, turn, rng) for k, one in zip(order, detections, strict=True)],
        [end_s - clip.times_s[k] if backwards else clip.times_s[k] for k in order],
        [clip.records[k] for k in order],
        _not_seen_before(truth) if backwards else truth,
    )


def _parts(clip: KnownClip, rng: np.random.Generator) -> Int64[np.ndarray, " p"]:
    """The ids of the parts that the variant has: all, or a few."""
    ids = np.unique(np.concatenate([frame.ids for frame in clip.truth]))
    few = int(rng.integers(FEWEST, MOST_OF_FEW + 1))
    return rng.permutation(ids)[:few] if rng.uniform() < FEW else ids


def _gaps(clip: KnownClip, parts: Int64[np.ndarray, " p"], rng: np.random.Generator) -> list[set[int]]:
    """The parts that something hides in each frame, as a hand does: each of them once, wherever it is."""
    hidden = [set[int]() for _ in clip.truth]
    for who in parts.tolist():
        there = [k for k, frame in enumerate(clip.truth) if who in frame.ids]
        first, length = int(rng.integers(len(there))), int(rng.integers(SHORTEST_GAP, LONGEST_GAP + 1))
        for k in there[first : first + length]:
            hidden[k].add(who)
    return hidden


def _with_parts(frame: LineFrame, parts: Int64[np.ndarray, " p"], hidden: set[int]) -> LineFrame:
    kept = np.isin(frame.ids, parts)
    rows = {name: value[kept].copy() for name, value in vars(frame).items() if isinstance(value, np.ndarray)}
    covered = np.isin(rows["ids"], list(hidden))
    rows["shares"][covered], rows["seen_xyxy_px"][covered] = 0.0, 0.0
    return replace(frame, **rows)  # type: ignore[arg-type]


def _without_others(
    one: FrameDetections, frame: LineFrame, parts: Int64[np.ndarray, " p"], hidden: set[int]
) -> FrameDetections:
    overlap = frame.overlap(one.boxes_xyxy_px)
    mine = np.isin(frame.ids, parts) & ~np.isin(frame.ids, list(hidden))
    theirs, ours = overlap[~mine].max(0, initial=0.0), overlap[mine].max(0, initial=0.0)
    return one.take((theirs < ON_PART) | (ours > theirs))


def _not_seen_before(truth: list[LineFrame]) -> list[LineFrame]:
    """The frames with parts ignored until they have been visible, as in a clip that runs forwards."""
    seen, told = set[int](), []
    for frame in truth:
        seen |= set(frame.ids[frame.shares >= SEEN].tolist())
        told.append(replace(frame, ignored=frame.ignored | ~np.isin(frame.ids, list(seen))))
    return told


def frames_kept(count: int, rng: np.random.Generator) -> list[int]:
    """The frames of a clip that a camera delivers; the first is never lost."""
    kept, lost = [], 0
    loses = rng.uniform() < LOSES
    for frame in range(count):
        lot, length = rng.uniform(), int(rng.integers(1, LONGEST + 1))
        if loses and not lost and frame and lot < LOSS:
            lost = length
        if lost:
            lost -= 1
        else:
            kept.append(frame)
    return kept


def _varied(
    one: FrameDetections, size_hw_px: tuple[int, int], turn: _Turn, rng: np.random.Generator
) -> FrameDetections:
    kept = rng.uniform(size=len(one.scores)) >= LOST
    odds = log_odds(one.scores.astype(float)) + SCORE_NOISE * rng.normal(size=len(one.scores))
    boxes = turn.boxes(one.boxes_xyxy_px, size_hw_px)
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes = (boxes + PLACE_NOISE * sides * rng.normal(size=boxes.shape)).astype(np.float32)
    return replace(one, boxes_xyxy_px=boxes, scores=probability_of(odds).astype(np.float32)).take(kept)


def _turned(one: LineFrame, turn: _Turn) -> LineFrame:
    whole = turn.boxes(one.whole_xyxy_px, one.size_hw_px)
    has = np.all(one.seen_xyxy_px[:, 2:] > one.seen_xyxy_px[:, :2], axis=1, keepdims=True)
    seen = np.where(has, turn.boxes(one.seen_xyxy_px, one.size_hw_px), 0).astype(np.float32)
    return replace(one, whole_xyxy_px=whole, seen_xyxy_px=seen, size_hw_px=turn.size(one.size_hw_px))
