"""Pictures with boxes for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.gap.sets import Sets, as_known

if TYPE_CHECKING:
    import numpy as np

    from hybrid.core.types import Detections
    from hybrid.data.clips import ClipSource, FrameRecord
    from pipelines.gap.appearance import Difference
    from pipelines.gap.measure import Result, Run
    from pipelines.gap.pictures import Verdict
    from pipelines.gap.report import Panel


SHOWN_SCORE = 0.3  # detections below it are not drawn
CROPS = 14
SCENES = 2
PICTURES = 60  # of each set, for the statistics


@dataclass(frozen=True)
class Compared:
    differences: Sequence[Difference]
    histograms: dict[str, str]


def sample_pictures(sets: Sets) -> Compared:
    """How the pictures differ: one frame of each of the first clips of both sets."""
    from hybrid.data.pixels import decode
    from pipelines.gap.appearance import compare, pooled, sample
    from pipelines.gap.pictures import histograms

    sim, look = (
        sample((decode(f), f.boxes_xyxy_px.astype(float)) for f in (clip.frames[0] for clip in source.clips[:PICTURES]))
        for source in sets.pictures
    )
    found = compare(sim, look)
    names = ("simulated", sets.word)
    return Compared(
        found, {d.name: histograms(pooled(sim[d.name]), pooled(look[d.name]), names, d.unit) for d in found}
    )


@dataclass(frozen=True)
class Judged:
    """A frame with what the best run found in it."""

    frame: FrameRecord
    boxes: np.ndarray
    scores: np.ndarray
    verdict: Verdict


def _judged(source: ClipSource, found: Sequence[Detections]) -> Iterator[Judged]:
    from pipelines.gap.pictures import judge

    for frame, one in zip(source.frames, found, strict=True):
        shown = (one.scores >= SHOWN_SCORE).numpy()
        boxes, labels = one.boxes_xyxy_px.numpy()[shown].astype(float), one.labels.numpy()[shown]
        verdict = judge(boxes, labels, frame.boxes_xyxy_px.astype(float), frame.labels)
        yield Judged(frame, boxes, one.scores.numpy()[shown], verdict)


def run_panel(sets: Sets, run: Run, results: tuple[Result, Result], photos: bool) -> Panel:
    """Whole scenes and failures of one run, simulated and real side by side, or simulated alone."""
    from pipelines.gap.report import Panel

    judged = {"simulated": list(_judged(as_known(sets.sim, run), results[0].detections))}
    if photos:
        judged[sets.word] = list(_judged(as_known(sets.target, run), results[1].detections))
    scenes = {word: _scenes(word, rows) for word, rows in judged.items()}
    missed = {f"{word}: missed": _missed(rows) for word, rows in judged.items()}
    false = {f"{word}: false alarms, surest first": _false_alarms(rows) for word, rows in judged.items()}
    beside = [one for pair in zip(*scenes.values(), strict=False) for one in pair]
    return Panel(scenes=beside, crops=missed | false)


def _scenes(word: str, rows: Sequence[Judged]) -> list[tuple[str, str]]:
    from hybrid.data.pixels import decode
    from pipelines.gap.pictures import annotated, to_uri

    some = [rows[i * len(rows) // SCENES] for i in range(min(SCENES, len(rows)))]
    shown = [annotated(decode(r.frame), r.boxes, r.frame.boxes_xyxy_px.astype(float), r.verdict) for r in some]
    return [(f"{word}: {r.frame.name}", to_uri(image)) for r, image in zip(some, shown, strict=True)]


def _missed(rows: Sequence[Judged]) -> list[str]:
    from pipelines.gap.pictures import MISS

    every = [(row, row.frame.boxes_xyxy_px[i].astype(float)) for row in rows for i in row.verdict.misses]
    step = max(1, len(every) // CROPS)
    return _crops(every[::step], MISS)


def _false_alarms(rows: Sequence[Judged]) -> list[str]:
    from pipelines.gap.pictures import FALSE_ALARM

    every = [(row, i) for row in rows for i in row.verdict.false_alarms]
    every.sort(key=lambda one: -float(one[0].scores[one[1]]))
    return _crops([(row, row.boxes[i]) for row, i in every], FALSE_ALARM)


def _crops(places: Sequence[tuple[Judged, np.ndarray]], colour: tuple[int, int, int]) -> list[str]:
    from hybrid.data.pixels import decode
    from pipelines.gap.pictures import crop, to_uri

    return [to_uri(crop(decode(row.frame), box, colour)) for row, box in places[:CROPS]]
