"""The report's image panels: scenes with boxes, failures close up, histograms of the compared images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource, FrameRecord
from hybrid.data.pixels import decode
from hybrid.predict.suppression import one_label
from pipelines.gap.appearance import Difference, Values, compare, image_statistics, pooled
from pipelines.gap.finished import FinishedRun
from pipelines.gap.measure import Measurement
from pipelines.gap.pictures import FALSE_ALARM, MISS, Outcome, annotated, crop, histograms, judge, to_uri
from pipelines.gap.report import ReportImages
from pipelines.gap.sets import ReportSets, with_labels_of

CROPS = 14  # close-ups of each kind of failure
SCENES = 2  # whole images of each data set
COMPARED_IMAGES = 60  # of each data set, for the statistics


@dataclass(frozen=True)
class ImageComparison:
    """How the simulated images differ from the target's, and a histogram (SVG) of each difference, by its name."""

    differences: Sequence[Difference]
    histograms: dict[str, str]


def compare_images(sets: ReportSets) -> ImageComparison:
    """Compare the first frames of the first clips of both sets."""
    sim, target = _values(sets.sim_images), _values(sets.target_images)
    differences, names = compare(sim, target), ("simulated", sets.word)
    charts = {
        one.name: histograms(pooled(sim[one.name]), pooled(target[one.name]), names, one.unit) for one in differences
    }
    return ImageComparison(differences, charts)


def _values(source: ClipSource) -> Values:
    frames = (clip.frames[0] for clip in source.clips[:COMPARED_IMAGES])
    return image_statistics((decode(frame), frame.boxes_xyxy_px.astype(float)) for frame in frames)


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


def run_images(
    sets: ReportSets, run: FinishedRun, on_sim: Measurement, on_target: Measurement, photos: bool
) -> ReportImages:
    """Scenes and failures of one run. Without `photos`, those of the simulated set alone."""
    judged = {"simulated": list(_judged(with_labels_of(sets.sim, run), on_sim.detections, run.score))}
    if photos:
        judged[sets.word] = list(_judged(with_labels_of(sets.target, run), on_target.detections, run.score))
    scenes = [_scenes(word, frames) for word, frames in judged.items()]
    missed = {f"{word}: missed": _missed(frames) for word, frames in judged.items()}
    false = {f"{word}: false alarms, highest score first": _false_alarms(frames) for word, frames in judged.items()}
    side_by_side = [scene for pair in zip(*scenes, strict=False) for scene in pair]
    return ReportImages(score=run.score, scenes=side_by_side, crops=missed | false)


def _judged(source: ClipSource, detections: Sequence[Detections], score: float) -> Iterator[JudgedFrame]:
    """The frames with the detections that `hybrid predict` would show: of `score` or more, one label to an object."""
    for frame, every in zip(source.frames, detections, strict=True):
        shown = one_label(every.take(every.scores >= score))
        boxes, labels = shown.boxes_xyxy_px.numpy().astype(float), shown.labels.numpy()
        outcome = judge(boxes, labels, frame.boxes_xyxy_px.astype(float), frame.labels)
        yield JudgedFrame(frame, boxes, shown.scores.numpy(), outcome)


def _scenes(word: str, frames: Sequence[JudgedFrame]) -> list[tuple[str, str]]:
    """Captions and data URIs of some frames, evenly spaced over the set."""
    some = [frames[i * len(frames) // SCENES] for i in range(min(SCENES, len(frames)))]
    return [
        (f"{word}: {one.frame.name}", to_uri(annotated(decode(one.frame), one.boxes, one.truth, one.outcome)))
        for one in some
    ]


def _missed(frames: Sequence[JudgedFrame]) -> list[str]:
    """Missed parts, evenly spaced over the set."""
    missed = [(one, one.truth[i]) for one in frames for i in one.outcome.misses]
    return _crops(missed[:: max(1, len(missed) // CROPS)], MISS)


def _false_alarms(frames: Sequence[JudgedFrame]) -> list[str]:
    """False alarms, highest score first."""
    alarms = [(one, i) for one in frames for i in one.outcome.false_alarms]
    alarms.sort(key=lambda alarm: -float(alarm[0].scores[alarm[1]]))
    return _crops([(one, one.boxes[i]) for one, i in alarms], FALSE_ALARM)


def _crops(boxes: Sequence[tuple[JudgedFrame, np.ndarray]], colour: tuple[int, int, int]) -> list[str]:
    return [to_uri(crop(decode(one.frame), box, colour)) for one, box in boxes[:CROPS]]
