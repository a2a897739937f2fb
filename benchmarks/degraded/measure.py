"""Figures of every way to use the runs, with intervals over clips and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.ablation.figures import Figure, Scene, Statistic, figures
from benchmarks.ablation.measure import frames_of, packed, pixels, unpacked, with_one_label, with_tracks
from benchmarks.degraded.averaged import averaged
from benchmarks.degraded.plan import AVERAGED
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource
from hybrid.metrics.video import (
    FrameDetections,
    Steadiness,
    average_precision,
    false_per_frame,
    match_detections,
    recall_at,
    score_at_false,
    steadiness,
)
from hybrid.predict.following import linking_at
from hybrid.predict.linking import Judge, link
from hybrid.predict.stream import predict
from hybrid.weights.checkpoint import load
from hybrid.weights.record import RUN
from simgen.dataset.store.files import write_atomically

LIMIT = 50  # detections of a frame
LEAST = 0.02  # score of what the track network reports


@dataclass(frozen=True)
class Way:
    """A run, and what is done before and after it."""

    run: str
    average: bool = False  # of the last frames, before
    follow: bool = False  # with the track network, after


WAYS = {
    "cnn": Way("cnn"),
    "cnn, followed": Way("cnn", follow=True),
    "averaged frames, cnn": Way("cnn", average=True),
    "averaged frames, cnn, followed": Way("cnn", average=True, follow=True),
    "averaged frames, cnn that learned from them": Way(AVERAGED, average=True),
    "recurrence": Way("rnn"),
    "attention over frames": Way("transformer"),
}


def detect(run: Path, source: ClipSource, name: str, average: bool, score: float) -> dict[bool, list[FrameDetections]]:
    """What the run finds in every frame; followed by rules, which give ids alone, and (True) by the track network.

    Kept beside the run under `name`, so that a stopped measurement goes on.
    """
    files = {follow: run / f"found-{name}{'-averaged' * average}{'-followed' * follow}.npz" for follow in (False, True)}
    if not all(file.is_file() for file in files.values()):
        network, rows = load(run), {False: list[FrameDetections](), True: list[FrameDetections]()}
        for clip in source.clips:
            frames = averaged(pixels(clip)) if average else pixels(clip)
            found = predict(network, torch.from_numpy(frames).permute(0, 3, 1, 2)[None], LIMIT)[0]
            rows[False] += with_tracks(found)
            rows[True] += followed(found, frames.shape[1:3], score)
        for follow, file in files.items():
            write_atomically(file, packed(rows[follow]))
    return {follow: unpacked(file) for follow, file in files.items()}


def followed(clip: Sequence[Detections], size_hw_px: tuple[int, int], score: float) -> list[FrameDetections]:
    """As `Detector.stream` follows parts, with all that the track network reports, from which a score is chosen."""
    judge, linked, told = Judge.load(score=LEAST), None, list[FrameDetections]()
    linking = linking_at(score, judge)
    for rows in clip:
        after, linked = link(
            rows.take(rows.scores >= linking.unsure), linked, linking, size_hw_px=size_hw_px, judge=judge
        )
        one = FrameDetections.of(after)
        told.append(FrameDetections(one.boxes_xyxy_px, one.scores, one.labels, one.track_ids))
    return told


def statistics(
    scene: Scene, found: Mapping[str, Sequence[FrameDetections]], score: float
) -> dict[str, dict[str, Statistic]]:
    """By way and name, for one seed. `score`: the operating point of the CNN, whose false alarms all may make."""
    reported = {way: with_one_label(rows) for way, rows in found.items()}
    cnn = match_detections(reported["cnn"], scene.frames, scene.clips)
    allowed = false_per_frame(cnn, len(scene.frames), score)
    return {way: _of_way(scene, rows, reported[way], allowed) for way, rows in found.items()}


def _of_way(
    scene: Scene, every: Sequence[FrameDetections], reported: Sequence[FrameDetections], allowed: float
) -> dict[str, Statistic]:
    whole, told = (match_detections(rows, scene.frames, scene.clips) for rows in (every, reported))
    late = [place >= 3 for place in scene.places]  # frames with three or more before them
    kept = [k for k, one in enumerate(late) if one]
    after = match_detections([every[k] for k in kept], [scene.frames[k] for k in kept], [scene.clips[k] for k in kept])
    score = score_at_false(told, len(scene.frames), allowed)
    sums = np.array([list(vars(one).values()) for one in _by_clip(scene, reported, score)], float)

    def flicker(weights: np.ndarray | None) -> float:
        pairs, flickers, _, _ = sums.sum(0) if weights is None else weights @ sums
        return float(100 * flickers / max(1.0, pairs))

    return {
        "AP50": lambda weights: 100 * (average_precision(whole, weights) or 0.0),
        "AP50, from the fourth frame on": lambda weights: 100 * (average_precision(after, weights) or 0.0),
        "recall, %": lambda weights: 100 * recall_at(told, score, weights),
        "false alarms per frame": lambda weights: false_per_frame(told, len(scene.frames), score, weights),
        "flicker, %": flicker,
    }


def _by_clip(scene: Scene, reported: Sequence[FrameDetections], score: float) -> list[Steadiness]:
    rows = [[k for k, c in enumerate(scene.clips) if c == clip] for clip in range(scene.clip_count)]
    return [steadiness([reported[k] for k in own], [scene.frames[k] for k in own], score) for own in rows]


def measure(
    out: Path, source: ClipSource, name: str, seeds: Sequence[int], score: float, draws: int
) -> dict[str, dict[str, Figure]]:
    """By name and way, over the seeds for which all of them are trained."""
    scene, every = Scene(*frames_of(source)), []
    ways = {way: one for way, one in WAYS.items() if all((out / f"seed{s}" / one.run / RUN).is_file() for s in seeds)}
    for seed in seeds:
        found = {}
        for way, one in ways.items():
            both = detect(out / f"seed{seed}" / one.run, source, name, one.average, score)
            found[way] = both[one.follow]
        every.append(statistics(scene, found, score))
    return figures(every, scene.clip_count, draws)


def table(measured: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    """Markdown: ways as rows; in brackets 95 % of the differences to the CNN, bold where they leave out 0."""
    names = list(measured)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for way in measured[names[0]]:
        lines.append(f"| {way} | " + " | ".join(_cell(way, measured[name][way]) for name in names) + " |")
    return lines


def _cell(way: str, one: Figure) -> str:
    value = f"{one.value:.1f}" if one.value >= 2 else f"{one.value:.2f}"
    if way == "cnn":
        return value
    bold = "**" if one.low > 0 or one.high < 0 else ""
    return f"{bold}{value}{bold} [{one.low:+.1f}, {one.high:+.1f}]"
