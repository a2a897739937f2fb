"""Parts counted at lines across the picture, against those that cross them.

The rule is that of `hybrid.predict.counting`: a track counts once, when its centre crosses the line in either
direction; if it is hidden then, when it is seen again beyond the line. Its category is that of most frames in which it
is seen. A count belongs to the part that the track then fits best. A part must be counted if it crosses the line and
can be seen on both sides of it; counts of one that crosses and cannot be seen before or behind are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from hybrid.metrics.line_truth import LineFrame
from hybrid.metrics.video import FrameDetections
from hybrid.predict.counting.places import CountLine, crossings

LINES = (0.25, 0.5, 0.75)  # where parts are counted, as shares of the picture's width
SEEN = 0.5  # visible share with which a part can be seen before a line, and behind it
COUNT_IOU = 0.3  # of a track with the part that it counts
NAMES = ("crossings", "right", "missed", "twice", "mistaken", "invented", "error")

Path = list[tuple[int, float, float]]  # of a centre: frame, x, y


def count_crossings(
    reported: Sequence[FrameDetections], frames: Sequence[LineFrame], lines: Sequence[float] = LINES
) -> dict[str, float]:
    """The counts of one clip, summed over the lines, by the names of `Tally`'s fields.

    Args:
        reported: the reports of each frame, each with a track id.
        frames: the truth.
        lines: as shares of the picture's width.
    """
    total, categories = Counter[str](), _categories(reported)
    (parts, seen), tracks = _part_paths(frames), _track_paths(reported)
    for line in lines if frames else ():
        place, size_hw_px = CountLine.vertical(line), frames[0].size_hw_px
        crossed = {who: crossings(seen[who], place, size_hw_px) is not None for who, path in parts.items()
                   if crossings(path, place, size_hw_px) is not None}  # fmt: skip
        counts: defaultdict[int | None, list[tuple[int, int]]] = defaultdict(list)  # frame and category, by part
        for track, path in tracks.items():
            frame = crossings(path, place, size_hw_px)
            if frame is not None:
                counts[_part_at(reported[frame], frames[frame], track)].append((frame, categories[track]))
        total.update(_judged(frames, crossed, counts))
    return {name: float(total[name]) for name in NAMES}


def _judged(
    frames: Sequence[LineFrame],
    crossed: dict[int, bool],
    counts: dict[int | None, list[tuple[int, int]]],
) -> Counter[str]:
    total = Counter[str]()
    for who, asked in crossed.items():
        if not asked:
            continue
        of_part = sorted(counts.get(who, []))
        total["crossings"] += 1
        total["twice"] += max(0, len(of_part) - 1)
        total["missed"] += not of_part
        is_same = bool(of_part) and of_part[0][1] == _label(frames, who)
        total["mistaken"] += bool(of_part) and not is_same
        total["right"] += len(of_part) == 1 and is_same
    total["invented"] = sum(len(rows) for who, rows in counts.items() if who not in crossed)
    asked_for = sum(len(rows) for who, rows in counts.items() if who is None or crossed.get(who, True))
    total["error"] = asked_for - total["crossings"]
    return total


def _part_paths(frames: Sequence[LineFrame]) -> tuple[dict[int, Path], defaultdict[int, Path]]:
    """Of each part its path, and what can be seen of it."""
    paths: defaultdict[int, Path] = defaultdict(list)
    seen: defaultdict[int, Path] = defaultdict(list)
    for number, frame in enumerate(frames):
        clear = ~frame.ignored & (frame.shares >= SEEN)
        for k, (who, box) in enumerate(zip(frame.ids.tolist(), frame.whole_xyxy_px.tolist(), strict=True)):
            at = (number, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            paths[who].append(at)
            if clear[k]:
                seen[who].append(at)
    return paths, seen


def _track_paths(reported: Sequence[FrameDetections]) -> dict[int, Path]:
    """Of each track, where it is seen."""
    paths: defaultdict[int, Path] = defaultdict(list)
    for number, given in enumerate(reported):
        one = _seen(given)
        for track, box in zip(one.track_ids.tolist(), one.boxes_xyxy_px.tolist(), strict=True):
            paths[track].append((number, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    return paths


def _seen(one: FrameDetections) -> FrameDetections:
    return one if one.hidden is None else one.take(~one.hidden)


def _part_at(one: FrameDetections, frame: LineFrame, track: int) -> int | None:
    """The part that a track's box fits best in a frame; None: it fits none."""
    row = int(np.flatnonzero(one.track_ids == track)[0])
    overlap = frame.overlap(one.boxes_xyxy_px[row : row + 1])[:, 0]
    best = int(np.argmax(overlap)) if len(overlap) else -1
    return int(frame.ids[best]) if best >= 0 and overlap[best] >= COUNT_IOU else None


def _categories(reported: Sequence[FrameDetections]) -> dict[int, int]:
    """The most frequent category of each track, where it is seen."""
    votes: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for one in map(_seen, reported):
        for track, label in zip(one.track_ids.tolist(), one.labels.tolist(), strict=True):
            votes[track][label] += 1
    return {track: of_track.most_common(1)[0][0] for track, of_track in votes.items()}


def _label(frames: Sequence[LineFrame], who: int) -> int:
    return next(int(frame.labels[frame.ids == who][0]) for frame in frames if (frame.ids == who).any())
