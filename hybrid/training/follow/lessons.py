"""What the track network learns from: clips that the rules followed, and what was really there.

The detector and the rules stay as they are, so each clip is followed once and stored as arrays; then a step of training
costs no picture and no CNN. It is followed by its detections alone: lessons with pictures were no better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64

from hybrid.core.overlap import iou
from hybrid.core.progress import Progress, silent
from hybrid.metrics.line_truth import LineFrame
from hybrid.predict.linking.boxes import within
from hybrid.predict.linking.evidence import NAMES
from hybrid.predict.linking.follow import Frame, followed, without_lost
from hybrid.predict.linking.settings import Linking
from hybrid.predict.linking.state import Linked
from hybrid.training.follow.clips import KnownClip
from hybrid.training.follow.measure import rows_of
from hybrid.training.follow.vary import varied

KNOWN_IOU = 0.5  # of a detection and a part, from which the track is of this part
DOUBT_IOU = 0.3  # of a track and a part that does not count: what is there is not taught
SURE, UNSURE = (0.2, 0.3, 0.4, 0.5), (0.1, 0.15, 0.25)  # thresholds that the clips are followed with
KEPT = 0.004  # probability of being there, by the rules, down to which a track is kept in a lesson


@dataclass(frozen=True)
class Lesson:
    """A clip of t frames with n tracks in all. A row counts where `alive`."""

    numbers: Float32[np.ndarray, "t n f"]
    boxes_cxcywh_px: Float32[np.ndarray, "t n 4"]  # of the tracks, as the rules have them
    alive: Bool[np.ndarray, "t n"]
    taught: Bool[np.ndarray, "t n"]  # it is known whether the part is there
    exists: Bool[np.ndarray, "t n"]  # it is there, seen or hidden
    shares: Float32[np.ndarray, "t n"]  # of the part that can be seen
    whole_xyxy_px: Float32[np.ndarray, "t n 4"]
    seen_xyxy_px: Float32[np.ndarray, "t n 4"]


def lessons_of(clips: Sequence[KnownClip], variants: int, seed: int, progress: Progress = silent) -> list[Lesson]:
    """So many lessons of each clip, by varied settings and of varied clips.

    Args:
        clips: to learn from.
        variants: of each clip; 1: as it is.
        seed: of the settings and the variants.
        progress: told of the lessons.
    """
    made: list[Lesson] = []
    for number, clip in enumerate(clips):
        for variant in range(variants):
            rng = np.random.default_rng([seed, number, variant])
            sure = float(rng.choice(SURE))
            unsure = float(rng.choice([one for one in UNSURE if one <= sure]))
            made.append(lesson(varied(clip, variant % 8, rng), Linking(sure=sure, unsure=unsure)))
            progress(len(made), variants * len(clips), {})
    return made


def lesson(clip: KnownClip, linking: Linking) -> Lesson:
    """Follow a clip by the rules, and note what the network should say of each track.

    Args:
        clip: with the unsure detections as well.
        linking: settings; `forgotten` is replaced by a lower one, so that the network learns when to give up.
    """
    linking = replace(linking, forgotten=KEPT)
    tracks, frames, whose = Linked.none(), [], dict[int, int]()
    for one, step, true in zip(clip.detections, clip.steps, clip.truth, strict=True):
        frame = followed(rows_of(one), tracks, linking, true.size_hw_px, step)
        _learn_whose(whose, frame, true)
        frames.append((frame, dict(whose)))
        tracks = without_lost(frame.tracks, linking, true.size_hw_px)
    count = frames[-1][0].tracks.next_id if frames else 0
    made = _empty(len(frames), count)
    for t, ((frame, known), true) in enumerate(zip(frames, clip.truth, strict=True)):
        _note(made, t, frame, known, true)
    used = made.alive.any(0)
    return Lesson(**{name: value[:, used] for name, value in vars(made).items()})


def _empty(frames: int, count: int) -> Lesson:
    shape = (frames, count)
    mask = (np.zeros(shape, bool) for _ in range(3))
    boxes = (np.zeros((*shape, 4), np.float32) for _ in range(3))
    first = next(boxes)
    first[..., 2:] = 1.0
    alive, taught, exists = mask
    numbers = np.zeros((*shape, len(NAMES)), np.float32)
    return Lesson(numbers, first, alive, taught, exists, np.zeros(shape, np.float32), *boxes)


def _learn_whose(whose: dict[int, int], frame: Frame, true: LineFrame) -> None:
    """Note which part each track is of that was detected now. Changes `whose`: part by track."""
    found = np.flatnonzero(frame.look.scores > 0)
    boxes, _ = within(frame.look.found_cxcywh_px[found], None)
    overlap = true.overlap(boxes.astype(np.float32))
    for k, row in enumerate(found.tolist()):
        best = int(overlap[:, k].argmax()) if len(true.ids) else -1
        if best >= 0 and overlap[best, k] >= KNOWN_IOU:
            whose[int(frame.tracks.ids[row])] = int(true.ids[best])


def _note(made: Lesson, t: int, frame: Frame, whose: dict[int, int], true: LineFrame) -> None:
    tracks, ids = frame.tracks, frame.tracks.ids
    made.numbers[t, ids] = frame.evidence
    made.boxes_cxcywh_px[t, ids] = tracks.boxes_cxcywh_px
    made.alive[t, ids] = True
    row_of = {int(who): k for k, who in enumerate(true.ids)}
    part = np.array([row_of.get(whose.get(int(one), -1), -1) for one in ids], np.int64)
    part[_doubles(part, frame)] = -1
    boxes, _ = within(tracks.boxes_cxcywh_px, None)
    doubtful = (iou(boxes, true.whole_xyxy_px[true.ignored]) > DOUBT_IOU).any(1)
    there = part >= 0
    counts = np.where(there, ~true.ignored[part], ~doubtful) if len(true.ids) else ~doubtful
    made.taught[t, ids] = counts
    made.exists[t, ids] = there
    of, rows = ids[there], part[there]
    made.shares[t, of] = true.shares[rows]
    made.whole_xyxy_px[t, of], made.seen_xyxy_px[t, of] = true.whole_xyxy_px[rows], true.seen_xyxy_px[rows]


def _doubles(part: Int64[np.ndarray, " k"], frame: Frame) -> Bool[np.ndarray, " k"]:
    """Tracks of a part that another track is of, which was detected later or fits better."""
    worth = frame.look.scores - frame.tracks.unseen + 1e-3 * np.log1p(frame.tracks.hits)
    order = np.argsort(-worth, kind="stable")
    taken, double = set[int](), np.zeros(len(part), bool)
    for row in order.tolist():
        if part[row] >= 0:
            double[row] = int(part[row]) in taken
            taken.add(int(part[row]))
    return double
