"""Choose each follower's settings on the validation clips, and measure it on the test clips.

One rule for all: a follower is used at the lowest score at which it has no more false alarms per frame than the
detector has by itself, and with the settings that count the fewest parts wrong and change the fewest ids, both per
1,000 parts. Both are chosen on the validation clips.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.line.clips import LineClip
from benchmarks.line.rivals import RIVALS, Settings
from hybrid.metrics.line import Tally, combined, figures, tally_clip
from hybrid.metrics.video import FrameDetections
from hybrid.predict.linking import Linking
from hybrid.training.follow.measure import false_alarms, score_at

WRONG, SWITCHES = "counted wrong per 1,000", "id switches per 1,000 parts"
DRAWS, SEED = 1000, 0  # of the bootstrap over clips
ALONE = "frame by frame"


@dataclass(frozen=True)
class Choice:
    """What was chosen for a follower on the validation clips."""

    settings: Settings
    score: float
    validation: Mapping[str, float]


def follow(name: str, settings: Settings, clips: Sequence[LineClip], point: float) -> list[list[FrameDetections]]:
    """What a follower reports: rows with a track, and those without one that the detector is sure of."""
    return [[_reported(one, point) for one in RIVALS[name].follow(clip, settings)] for clip in clips]


def _reported(one: FrameDetections, point: float) -> FrameDetections:
    kept = (one.track_ids >= 0) | (one.scores >= point)
    return one.take(kept)


def tallies(
    told: Sequence[Sequence[FrameDetections]], clips: Sequence[LineClip], score: float, least_iou: float = 0.5
) -> list[Tally]:
    """One for each clip."""
    return [tally_clip(one, clip.truth, score, least_iou) for one, clip in zip(told, clips, strict=True)]


def choose(name: str, clips: Sequence[LineClip], point: float, most_false: int) -> Choice:
    """The settings and the score of a follower, from the validation clips.

    Args:
        name: of the follower.
        clips: to choose on.
        point: the detector's operating point.
        most_false: false alarms over all clips.
    """
    if RIVALS[name].as_it_comes:
        settings = {"sure": point, "unsure": min(point, Linking.unsure)}
        return Choice(settings, 0.0, figures(combined(tallies(follow(name, settings, clips, point), clips, 0.0))))
    choices = []
    for settings in RIVALS[name].grid:
        told = follow(name, settings, clips, point)
        score = score_at(told, clips, most_false)
        choices.append(Choice(settings, score, figures(combined(tallies(told, clips, score)))))
    return min(choices, key=lambda c: c.validation[WRONG] + c.validation[SWITCHES])


def alone(clips: Sequence[LineClip], point: float) -> tuple[Choice, int]:
    """The detector by itself, at its own operating point, and its false alarms over all clips."""
    told = follow(ALONE, {}, clips, point)
    return Choice({}, point, figures(combined(tallies(told, clips, point)))), false_alarms(clips, point)


def intervals(one: Sequence[Tally], base: Sequence[Tally]) -> dict[str, tuple[float, float]]:
    """90 % intervals of the difference of each metric to that of `base`, over clips drawn alike for both."""
    rng = np.random.default_rng(SEED)
    rows: dict[str, list[float]] = {}
    for _ in range(DRAWS):
        weights = np.bincount(rng.integers(0, len(one), len(one)), minlength=len(one)).astype(float)
        ours, theirs = figures(combined(one, weights)), figures(combined(base, weights))
        for name in ours:
            rows.setdefault(name, []).append(ours[name] - theirs[name])
    return {name: tuple(np.nanpercentile(values, [5, 95]).tolist()) for name, values in rows.items()}


def milliseconds(name: str, settings: Settings, clips: Sequence[LineClip]) -> float:
    """CPU time of a follower for a frame, without the detector and the decoding; the median over clips."""
    spent = []
    for clip in clips:
        list(clip.images())
        begun = time.process_time()
        RIVALS[name].follow(clip, settings)
        spent.append(1000 * (time.process_time() - begun) / len(clip.truth))
    return float(np.median(spent))


def plain(choice: Choice) -> dict[str, Any]:
    """For a JSON file."""
    return {"settings": dict(choice.settings), "score": choice.score, "validation": dict(choice.validation)}
