"""How well clips are followed: by the rules alone, or with a track network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np
import torch

from hybrid.core.types import Detections
from hybrid.metrics.line import combined, false_scores, figures, tally_clip
from hybrid.metrics.video import FrameDetections
from hybrid.predict.linking import Judge, Linking, link
from hybrid.training.follow.clips import KnownClip


def follow_clip(clip: KnownClip, linking: Linking, judge: Judge | None = None) -> list[FrameDetections]:
    """What is reported of each frame of a clip, as `Detector.stream` does."""
    before, told = None, []
    images = clip.images() if linking.pixels else repeat(None, len(clip.truth))
    for one, image, step, frame in zip(clip.detections, images, clip.steps, clip.truth, strict=True):
        size, rows = frame.size_hw_px, rows_of(one)
        after, before = link(rows, before, linking, size_hw_px=size, step=step, judge=judge, image=image)
        told.append(FrameDetections.of(after))
    return told


def rows_of(one: FrameDetections) -> Detections:
    """The rows of a frame as the follower takes them."""
    return Detections(torch.from_numpy(one.boxes_xyxy_px), torch.from_numpy(one.scores), torch.from_numpy(one.labels))


def score_at(told: Sequence[Sequence[FrameDetections]], clips: Sequence[KnownClip], most_false: int) -> float:
    """The lowest score at which what is told holds no more than so many false alarms over all clips."""
    scores = [false_scores(rows, clip.truth) for rows, clip in zip(told, clips, strict=True)]
    false = np.sort(np.concatenate(scores))[::-1]
    return float(np.nextafter(false[most_false], 2)) if len(false) > most_false else 0.0


def false_alarms(clips: Sequence[KnownClip], point: float) -> int:
    """Those of the detector by itself at its operating point, over all clips."""
    return sum(int((false_scores(clip.detections, clip.truth) >= point).sum()) for clip in clips)


def figures_of(told: Sequence[Sequence[FrameDetections]], clips: Sequence[KnownClip], score: float) -> dict[str, float]:
    """The metrics of a line, see `hybrid.metrics.line.figures`."""
    return figures(combined([tally_clip(rows, clip.truth, score) for rows, clip in zip(told, clips, strict=True)]))
