"""Followers: each takes a clip's detections and gives them back with track ids, and perhaps more of its own.

`RIVALS` has for each a function and the settings to choose from, twelve where there are any. ByteTrack and OC-SORT
are those of `trackers` (Apache-2.0), which is no dependency of this project:

    pip install --no-deps trackers supervision pydeprecate
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from benchmarks.line.clips import LineClip
from hybrid.metrics.video import FrameDetections
from hybrid.predict.linking import Judge, Linking
from hybrid.training.follow.measure import follow_clip
from hybrid.weights.released import DEFAULT_FOLLOWER

LEAST = 0.05  # score of what the track network reports, from which a choice is made
Settings = Mapping[str, Any]
Follow = Callable[[LineClip, Settings], list[FrameDetections]]


@dataclass(frozen=True)
class Rival:
    """A way to follow parts, and the settings that are tried on the validation clips."""

    follow: Follow
    grid: tuple[Settings, ...] = ({},)
    as_it_comes: bool = False  # with the settings of `Detector.stream`, however many false alarms that makes


def _grid(**choices: Iterable[Any]) -> tuple[Settings, ...]:
    return tuple(dict(zip(choices, row, strict=True)) for row in itertools.product(*choices.values()))


def _taken(one: FrameDetections, rows: Any, ids: Any) -> FrameDetections:
    return FrameDetections(one.boxes_xyxy_px[rows], one.scores[rows], one.labels[rows], np.asarray(ids, np.int64))


def frame_by_frame(clip: LineClip, settings: Settings) -> list[FrameDetections]:
    """No following: each detection is a part of its own."""
    ends = np.cumsum([len(one.scores) for one in clip.detections])
    return [_taken(one, slice(None), end - 1 - np.arange(len(one.scores)))
            for one, end in zip(clip.detections, ends, strict=True)]  # fmt: skip


def library(name: str) -> Follow:
    """A tracker of the library `trackers`, with the times of the frames."""

    def follow(clip: LineClip, settings: Settings) -> list[FrameDetections]:
        import supervision
        import trackers

        rate = 1 / float(np.median(np.diff(clip.times_s)))
        tracker = getattr(trackers, name)(frame_rate=rate, **settings)
        told = []
        for one, time_s in zip(clip.detections, clip.times_s, strict=True):
            rows = supervision.Detections(
                xyxy=one.boxes_xyxy_px, confidence=one.scores, class_id=one.labels,
                data={"row": np.arange(len(one.scores))},
            )  # fmt: skip
            after = tracker.update(rows, timestamp=time_s)
            kept = np.asarray(after.data.get("row", np.zeros(0)), int)
            told.append(_taken(one, kept, after.tracker_id if len(kept) else np.zeros(0)))
        return told

    return follow


class _Belt:
    """Constant places on the belt, whose way is known at each frame: a Kalman filter with that input alone."""

    def __init__(self, settings: Settings, size_hw_px: tuple[int, int]) -> None:
        self.settings, self.size_hw_px = settings, size_hw_px
        self.boxes, self.spread = np.zeros((0, 4)), np.zeros(0)  # spread: variance of a place, in px^2
        self.scores, self.labels, self.ids = np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.unseen, self.free = np.zeros(0), 0

    def step(self, one: FrameDetections, moved_px: Float[np.ndarray, " 2"]) -> FrameDetections:
        """The detections of the next frame with ids, and the tracks that have none."""
        self.boxes, self.spread = self.boxes + np.tile(moved_px, 2), self.spread + 1.0
        rows = np.flatnonzero(one.scores >= self.settings["sure"] / 2)
        boxes = one.boxes_xyxy_px[rows].astype(float)
        apart = np.linalg.norm(_middles(boxes)[:, None] - _middles(self.boxes)[None], axis=-1)
        gate = self.settings["gate"] * _sides(self.boxes)[None] + 2 * np.sqrt(self.spread)[None]
        r, c = linear_sum_assignment(np.where(apart <= gate, apart, 1e6))
        good = apart[r, c] <= gate[0, c] if len(c) else np.zeros(0, bool)
        r, c = r[good], c[good]
        gain = (self.spread[c] / (self.spread[c] + 4.0))[:, None]
        self.boxes[c] += gain * (boxes[r] - self.boxes[c])
        self.spread[c] *= 1 - gain[:, 0]
        self.unseen += 1
        self.scores[c], self.labels[c], self.unseen[c] = one.scores[rows[r]], one.labels[rows[r]], 0
        new = [k for k in range(len(rows)) if k not in set(r.tolist()) and one.scores[rows[k]] >= self.settings["sure"]]
        ids = np.full(len(one.scores), -1, np.int64)
        ids[rows[r]], ids[rows[new]] = self.ids[c], self.free + np.arange(len(new))
        self._begin(boxes[new], one.scores[rows[new]], one.labels[rows[new]])
        return self._told(one, ids)

    def _begin(self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> None:
        count = len(scores)
        self.boxes, self.spread = np.concatenate([self.boxes, boxes]), np.append(self.spread, np.full(count, 4.0))
        self.scores, self.labels = np.append(self.scores, scores), np.append(self.labels, labels)
        self.ids, self.unseen = np.append(self.ids, self.free + np.arange(count)), np.append(self.unseen, [0.0] * count)
        self.free += count
        middle, (height, width) = _middles(self.boxes), self.size_hw_px
        inside = (middle > 0).all(1) & (middle[:, 0] < width) & (middle[:, 1] < height)
        keep = inside & (self.unseen <= self.settings["patience"])
        for name in ("boxes", "spread", "scores", "labels", "ids", "unseen"):
            setattr(self, name, getattr(self, name)[keep])

    def _told(self, one: FrameDetections, ids: np.ndarray) -> FrameDetections:
        hidden = self.unseen > 0
        return FrameDetections(
            np.concatenate([one.boxes_xyxy_px, self.boxes[hidden].astype(np.float32)]),
            np.concatenate([one.scores, self.scores[hidden].astype(np.float32)]),
            np.concatenate([one.labels, self.labels[hidden]]),
            np.concatenate([ids, self.ids[hidden]]),
            np.arange(len(ids) + int(hidden.sum())) >= len(ids),
        )


def belt_speed(clip: LineClip, settings: Settings) -> list[FrameDetections]:
    """A Kalman filter that knows the belt's way from frame to frame, as from an encoder. It reports hidden tracks."""
    belt = _Belt(settings, clip.size_hw_px)
    return [belt.step(one, moved) for one, moved in zip(clip.detections, clip.belt_px, strict=True)]


def _middles(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2  # type: ignore[no-any-return]


def _sides(boxes: np.ndarray) -> np.ndarray:
    return np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))  # type: ignore[no-any-return]


def linked(clip: LineClip, settings: Settings) -> list[FrameDetections]:
    """This project's own follower by its rules alone."""
    return follow_clip(clip, Linking(**settings))


def judged(clip: LineClip, settings: Settings) -> list[FrameDetections]:
    """The same with the track network, of which `settings` may name the file."""
    rest = dict(settings)
    judge = _judge(rest.pop("follower", DEFAULT_FOLLOWER))
    return follow_clip(clip, Linking(reported=LEAST, **rest), judge)


@cache
def _judge(name: str) -> Judge:
    return Judge.load(name)


def network_rival(file: Path | None = None) -> Rival:
    """The follower with the released track network, or with another one."""
    grid = _grid(unsure=(0.15, 0.3), sure=(0.4, 0.45, 0.5))
    return Rival(judged, grid if file is None else tuple({**one, "follower": str(file)} for one in grid))


_LOST = (30, 90)  # thirtieths of a second
_SURE = (0.3, 0.5)
RIVALS: dict[str, Rival] = {
    "frame by frame": Rival(frame_by_frame),
    "ByteTrack": Rival(
        library("ByteTrackTracker"),
        tuple(
            {**one, "high_conf_det_threshold": one["track_activation_threshold"], "minimum_consecutive_frames": 1}
            for one in _grid(
                lost_track_buffer=_LOST, minimum_iou_threshold=(0.02, 0.1, 0.25), track_activation_threshold=_SURE
            )
        ),
    ),
    "OC-SORT": Rival(
        library("OCSORTTracker"),
        tuple(
            {**one, "minimum_consecutive_frames": 1}
            for one in _grid(
                lost_track_buffer=_LOST, minimum_iou_threshold=(0.02, 0.1, 0.25), high_conf_det_threshold=_SURE
            )
        ),
    ),
    "belt speed": Rival(belt_speed, _grid(patience=(10, 30), gate=(0.3, 0.6, 1.0), sure=_SURE)),
    "link": Rival(linked, _grid(unsure=(0.2, 0.3, 0.44), reported=(0.6, 0.85), sure=(0.45, 0.6))),
    "network": network_rival(),
    "network, each by itself": Rival(judged, _grid(unsure=(0.15, 0.3), sure=(0.4, 0.45, 0.5), together=(False,))),
    "link, as it comes": Rival(linked, as_it_comes=True),
}
