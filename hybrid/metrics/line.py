"""Metrics of a line: parts counted right, hidden parts, identities, false alarms. No torch.

What a factory asks of tracks on a belt: is each part counted once, also if something hides it for a while. Average
precision over the few hidden parts does not tell this: it holds every false alarm of the many visible parts against
them.

Place and identity are judged without the category; counts are judged with it. A report fits a part by its higher IoU
with two boxes: round the whole part, and round what can be seen of it, since detectors are trained for either. Matching
is that of CLEAR MOT (`hybrid.metrics.video.correspondence`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from hybrid.metrics.identity import FramePairs, IdentityCounts, hota, identity_counts, idf1
from hybrid.metrics.line_counts import LINES, count_crossings
from hybrid.metrics.line_truth import HIDDEN, LineFrame
from hybrid.metrics.video import FrameDetections, correspondence

BACK = 0.5  # visible share from which a part counts as there again
LEAST_HIDDEN, LEAST_BACK = 2, 3  # frames: of a time in hiding that counts, and in which the part can be found again


@dataclass(frozen=True, kw_only=True)
class Tally:
    """All that is counted in a clip, or in several. Every field is a sum, so that clips can be added and weighted."""

    clips: float
    frames: float
    parts: float  # that are seen in some frame
    false: float  # reports that fit no part
    empty_frames: float  # without a part
    empty_false: float
    hidden: float  # hidden parts, over all frames
    hidden_found: float
    half: float
    half_found: float
    clear: float
    clear_found: float
    pairs: float  # of consecutive frames in which a part is seen
    flickers: float  # of these: reported in one, missed in the other
    interruptions: float  # of seen parts: reported, missed while they are seen, and reported again
    switches: float  # seen parts that are reported under another track than before
    crossings: float  # parts that cross a line and are seen on both sides of it
    right: float  # of these: counted once, and as the right category
    missed: float
    twice: float  # counts of a part beyond the first
    mistaken: float  # counted once or more, first as another category
    invented: float  # counts of what does not cross the line, or of nothing
    error: float  # counts less crossings
    returns: float  # parts that come out of hiding
    back_old: float  # of these: found again under the old track
    back_new: float  # found again under a new one
    back_frames: float  # until they are found again, over both
    identity_seen: IdentityCounts  # of the seen parts; a report of a hidden one neither helps nor hurts
    identity_all: IdentityCounts  # of hidden parts as well


def figures(tally: Tally) -> dict[str, float]:
    """The metrics by name, for a report. Shares are from 0 to 1; NaN where there was nothing to judge."""
    wrong = tally.missed + tally.twice + tally.mistaken + tally.invented
    return {
        "counted wrong per 1,000": _per(1000 * wrong, tally.crossings),
        "missed per 1,000": _per(1000 * tally.missed, tally.crossings),
        "counted twice per 1,000": _per(1000 * tally.twice, tally.crossings),
        "wrong category per 1,000": _per(1000 * tally.mistaken, tally.crossings),
        "invented per 1,000": _per(1000 * tally.invented, tally.crossings),
        "count error per clip": _per(tally.error, tally.clips),
        "hidden recall": _per(tally.hidden_found, tally.hidden),
        "half-hidden recall": _per(tally.half_found, tally.half),
        "clear recall": _per(tally.clear_found, tally.clear),
        "false alarms per frame": _per(tally.false, tally.frames),
        "false alarms per empty frame": _per(tally.empty_false, tally.empty_frames),
        "id switches per 1,000 parts": _per(1000 * tally.switches, tally.parts),
        "flicker": _per(tally.flickers, tally.pairs),
        "interruptions per 1,000 parts": _per(1000 * tally.interruptions, tally.parts),
        "found again, old id": _per(tally.back_old, tally.returns),
        "found again, new id": _per(tally.back_new, tally.returns),
        "frames until found again": _per(tally.back_frames, tally.back_old + tally.back_new),
        "HOTA, seen": hota(tally.identity_seen),
        "HOTA, all": hota(tally.identity_all),
        "IDF1, seen": idf1(tally.identity_seen),
        "IDF1, all": idf1(tally.identity_all),
    }


def _per(count: float, of: float) -> float:
    return float(count / of) if of else float("nan")


def combined(tallies: Sequence[Tally], weights: Float[np.ndarray, " c"] | None = None) -> Tally:
    """The sum of the clips' tallies, each times its weight: a bootstrap over clips draws the weights."""
    factors = np.ones(len(tallies)) if weights is None else weights
    return Tally(**_sums(tallies, factors))


def _sums(rows: Sequence[Tally | IdentityCounts], factors: Float[np.ndarray, " c"]) -> dict[str, Any]:
    sums: dict[str, Any] = {}
    for field in fields(rows[0]):
        column = [getattr(row, field.name) for row in rows]
        if isinstance(column[0], IdentityCounts):
            sums[field.name] = IdentityCounts(**_sums(column, factors))
        else:
            sums[field.name] = sum(f * one for f, one in zip(factors, column, strict=True))
    return sums


def tally_clip(
    detections: Sequence[FrameDetections],
    frames: Sequence[LineFrame],
    score: float = 0.0,
    least_iou: float = 0.5,
    lines: Sequence[float] = LINES,
) -> Tally:
    """Count all in one clip.

    Args:
        detections: of each frame. A row without a track id (-1) may find a part; it counts none and keeps no identity.
        frames: the truth.
        score: reports below it are left out.
        least_iou: from which a report fits a part.
        lines: where parts are counted, as shares of the picture's width.
    """
    reported = [_sure(one, score) for one in detections]
    named = _with_own_ids(reported)
    overlaps = [frame.overlap(one.boxes_xyxy_px) for frame, one in zip(frames, reported, strict=True)]
    pairs = _followed(reported, frames, overlaps, least_iou)
    found = [np.isin(np.arange(len(f.ids)), list(p)) for f, p in zip(frames, pairs, strict=True)]
    false = [len(one.scores) - len(p) for one, p in zip(reported, pairs, strict=True)]
    empty = [not len(frame.ids) for frame in frames]
    rows = list(zip(frames, found, strict=True))
    return Tally(
        clips=1.0,
        frames=float(len(frames)),
        parts=float(len({int(who) for frame in frames for who in frame.ids[frame.seen]})),
        false=float(sum(false)),
        empty_frames=float(sum(empty)),
        empty_false=float(sum(count for count, none in zip(false, empty, strict=True) if none)),
        **{name: float(sum(getattr(f, name).sum() for f in frames)) for name in ("hidden", "half", "clear")},
        **{f"{name}_found": float(sum((getattr(f, name) & g).sum() for f, g in rows)) for name in _KINDS},
        **_steadiness(frames, reported, pairs),
        **count_crossings(named, frames, lines),
        **_returns(frames, reported, pairs),
        identity_seen=_identity(frames, named, overlaps, pairs, hidden=False),
        identity_all=_identity(frames, named, overlaps, pairs, hidden=True),
    )


def false_scores(
    detections: Sequence[FrameDetections], frames: Sequence[LineFrame], least_iou: float = 0.5
) -> Float[np.ndarray, " n"]:
    """The scores of a clip's false reports, highest first, to choose the score from which reports are taken.

    Each report takes the free part that it fits best, in the order of the scores: so one pass holds for every score.
    """
    scores: list[float] = []
    for one, frame in zip(detections, frames, strict=True):
        overlap, free = frame.overlap(one.boxes_xyxy_px), np.ones(len(frame.ids), bool)
        for row in np.argsort(-one.scores, kind="stable"):
            fits = np.where(free, overlap[:, row], 0.0)
            best = int(np.argmax(fits)) if len(fits) else -1
            if best >= 0 and fits[best] >= least_iou:
                free[best] = False
            else:
                scores.append(float(one.scores[row]))
    return np.sort(np.array(scores))[::-1]


_KINDS = ("hidden", "half", "clear")


def _sure(one: FrameDetections, score: float) -> FrameDetections:
    return one.take(one.scores >= score)


def _with_own_ids(detections: Sequence[FrameDetections]) -> list[FrameDetections]:
    """Rows without a track get one of their own, so that they may match but follow nothing."""
    free = 1 + max((int(one.track_ids.max(initial=-1)) for one in detections), default=0)
    rows: list[FrameDetections] = []
    for one in detections:
        ids, none = one.track_ids.copy(), one.track_ids < 0
        ids[none] = free + np.arange(int(none.sum()))
        free += int(none.sum())
        rows.append(replace(one, track_ids=ids))
    return rows


def _followed(
    reported: Sequence[FrameDetections],
    frames: Sequence[LineFrame],
    overlaps: Sequence[Float[np.ndarray, "_ _"]],
    least_iou: float,
) -> list[dict[int, int]]:
    """For each frame the report of each part that has one, by their indices."""
    last: dict[int, int] = {}
    every: list[dict[int, int]] = []
    for one, frame, overlap in zip(reported, frames, overlaps, strict=True):
        pairs = correspondence(overlap, overlap >= least_iou, frame.ids, one.track_ids, last)
        tracks = {int(frame.ids[part]): int(one.track_ids[row]) for part, row in pairs.items()}
        last |= {who: track for who, track in tracks.items() if track >= 0}
        every.append(pairs)
    return every


def _steadiness(
    frames: Sequence[LineFrame], reported: Sequence[FrameDetections], pairs: Sequence[Mapping[int, int]]
) -> dict[str, float]:
    """Flicker, interruptions and switches, of seen parts alone."""
    last: dict[int, int] = {}
    lost: dict[int, bool] = {}  # of each part that was reported: whether it was missed since
    before: dict[int, bool] = {}
    total = Counter[str]()
    for frame, one, matched in zip(frames, reported, pairs, strict=True):
        now = {int(frame.ids[k]): k in matched for k in np.flatnonzero(frame.seen)}
        both = now.keys() & before.keys()
        total["pairs"] += len(both)
        total["flickers"] += sum(now[who] != before[who] for who in both)
        total["interruptions"] += sum(lost.get(who, False) for who, is_found in now.items() if is_found)
        lost |= {who: not is_found for who, is_found in now.items() if is_found or who in lost}
        for part, row in matched.items():
            who, track = int(frame.ids[part]), int(one.track_ids[row])
            if frame.seen[part] and track >= 0:
                total["switches"] += last.get(who, track) != track
                last[who] = track
        before = now
    return {name: float(total[name]) for name in ("pairs", "flickers", "interruptions", "switches")}


def _identity(
    frames: Sequence[LineFrame],
    reported: Sequence[FrameDetections],
    overlaps: Sequence[Float[np.ndarray, "_ _"]],
    pairs: Sequence[Mapping[int, int]],
    *,
    hidden: bool,
) -> IdentityCounts:
    """Without the parts that do not count, and without the reports that were matched with these."""
    kept: list[FramePairs] = []
    for frame, one, overlap, matched in zip(frames, reported, overlaps, pairs, strict=True):
        counts = ~frame.ignored if hidden else frame.seen
        rows = np.ones(len(one.scores), bool)
        rows[[row for part, row in matched.items() if not counts[part]]] = False
        kept.append(FramePairs(frame.ids[counts], one.track_ids[rows], overlap[counts][:, rows]))
    return identity_counts(kept)


def _returns(
    frames: Sequence[LineFrame], reported: Sequence[FrameDetections], pairs: Sequence[Mapping[int, int]]
) -> dict[str, float]:
    """How parts that come out of hiding are found again."""
    total = Counter[str]()
    for states in _histories(frames, reported, pairs).values():
        hidden, old = 0, -1
        for k, (share, track) in enumerate(states):
            if share < HIDDEN:
                hidden += 1
                continue
            if hidden >= LEAST_HIDDEN and old >= 0 and share >= BACK:
                total += _found_again(states[k:], old)
            hidden = 0 if share >= BACK else hidden
            old = track if track >= 0 and not hidden else old
    return {name: float(total[name]) for name in ("returns", "back_old", "back_new", "back_frames")}


def _found_again(after: Sequence[tuple[float, int]], old: int) -> Counter[str]:
    """What happens to a part from the frame on in which it is there again, whose track was `old` before."""
    hides = next((k for k, (share, _) in enumerate(after) if share < HIDDEN), len(after))
    reported = next((k for k, (_, track) in enumerate(after[:hides]) if track >= 0), None)
    if reported is None:
        return Counter({"returns": int(hides >= LEAST_BACK)})
    which = "back_old" if after[reported][1] == old else "back_new"
    return Counter({"returns": 1, which: 1, "back_frames": reported})


def _histories(
    frames: Sequence[LineFrame], reported: Sequence[FrameDetections], pairs: Sequence[Mapping[int, int]]
) -> dict[int, list[tuple[float, int]]]:
    """Of each part its visible share and its track (-1: not reported), in the frames in which it counts."""
    states: dict[int, list[tuple[float, int]]] = {}
    for frame, one, matched in zip(frames, reported, pairs, strict=True):
        for part in np.flatnonzero(~frame.ignored).tolist():
            track = int(one.track_ids[matched[part]]) if part in matched else -1
            states.setdefault(int(frame.ids[part]), []).append((float(frame.shares[part]), track))
    return states
