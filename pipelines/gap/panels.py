"""The report's pictures: scenes with boxes, and failures close up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource, FrameRecord
from hybrid.data.pixels import decode
from hybrid.metrics.video import IGNORED, IOU, FrameDetections, boxes_taken
from hybrid.predict.suppression import one_label
from pipelines.gap.finished import FinishedRun
from pipelines.gap.pictures import FALSE_ALARM, MISS, Outcome, annotated, crop, judge, to_uri
from pipelines.gap.schema.sections import Picture
from pipelines.gap.sets import ReportSets, with_labels_of
from pipelines.gap.stats.resampled import Measurement

CROPS = 14  # close-ups of each kind of failure
SCENES = 2  # whole images of each data set
Of = Literal["simulated", "real", "stand-in"]
Kind = Literal["scene", "missed", "false alarm"]
Shown = tuple[str, str]  # caption, data URI


@dataclass(frozen=True)
class JudgedFrame:
    """A frame, the detections that are shown in it, and which of them are right."""

    frame: FrameRecord
    boxes: np.ndarray  # [n, 4]
    scores: np.ndarray  # [n]
    outcome: Outcome

    @property
    def truth(self) -> np.ndarray:
        return self.frame.boxes_xyxy_px.astype(float)


def run_pictures(
    sets: ReportSets, run: FinishedRun, on_sim: Measurement, on_target: Measurement, photos: bool
) -> dict[str, Picture]:
    """Scenes and failures of one run, by key. Without `photos`, those of the simulated set alone."""
    sides: list[tuple[Of, ClipSource, Measurement]] = [("simulated", sets.sim, on_sim)]
    if photos:
        sides.append(("real" if sets.word == "real" else "stand-in", sets.target, on_target))
    pictures: dict[str, Picture] = {}
    for word, source, measured in sides:
        judged = list(_judged(with_labels_of(source, run), measured.detections, run.score))
        rows: list[tuple[Kind, list[Shown]]] = [
            ("scene", _scenes(judged)), ("missed", _missed(judged)), ("false alarm", _false(judged)),
        ]  # fmt: skip
        for kind, shown in rows:
            for k, (caption, uri) in enumerate(shown):
                key = f"{word}-{kind}-{k}".replace(" ", "-")
                pictures[key] = Picture(caption=f"{word}: {caption}", kind=kind, of=word, uri=uri)
    return pictures


def _judged(source: ClipSource, detections: Sequence[Detections], score: float) -> Iterator[JudgedFrame]:
    """The frames with the detections that `hybrid predict` would show: of `score` or more, one label to an object."""
    unlabelled = not any(len(frame.labels) for frame in source.frames)
    for frame, every in zip(source.frames, detections, strict=True):
        shown = _counting(one_label(every.take(every.scores >= score)), frame)
        boxes, labels = shown.boxes_xyxy_px.numpy().astype(float), shown.labels.numpy()
        truth = frame.boxes_xyxy_px.astype(float)
        outcome = _not_judged(len(boxes)) if unlabelled else judge(boxes, labels, truth, frame.labels)
        yield JudgedFrame(frame, boxes, shown.scores.numpy(), outcome)


def _counting(detections: Detections, frame: FrameRecord) -> Detections:
    """Those that are neither right nor wrong, since they lie in a region to ignore, left out."""
    taken = boxes_taken(FrameDetections.of(detections), frame, np.ones(len(frame.labels), bool), IOU)
    return detections.take(torch.tensor([one != IGNORED for one in taken], dtype=torch.bool))


def _not_judged(count: int) -> Outcome:
    """Of photos without labels: no detection is called wrong."""
    return Outcome(np.arange(count), np.zeros(0, int), np.zeros(0, int))


def _scenes(frames: Sequence[JudgedFrame]) -> list[Shown]:
    """Captions and data URIs of some frames, evenly spaced over the set."""
    some = [frames[i * len(frames) // SCENES] for i in range(min(SCENES, len(frames)))]
    return [(one.frame.name, to_uri(annotated(decode(one.frame), one.boxes, one.truth, one.outcome))) for one in some]


def _missed(frames: Sequence[JudgedFrame]) -> list[Shown]:
    """Missed parts, evenly spaced over the set."""
    missed = [(one, one.truth[i]) for one in frames for i in one.outcome.misses]
    return _crops(missed[:: max(1, len(missed) // CROPS)], MISS)


def _false(frames: Sequence[JudgedFrame]) -> list[Shown]:
    """False alarms, highest score first."""
    alarms = [(one, i) for one in frames for i in one.outcome.false_alarms]
    alarms.sort(key=lambda alarm: -float(alarm[0].scores[alarm[1]]))
    return _crops([(one, one.boxes[i]) for one, i in alarms], FALSE_ALARM)


def _crops(boxes: Sequence[tuple[JudgedFrame, np.ndarray]], colour: tuple[int, int, int]) -> list[Shown]:
    return [(one.frame.name, to_uri(crop(decode(one.frame), box, colour))) for one, box in boxes[:CROPS]]
