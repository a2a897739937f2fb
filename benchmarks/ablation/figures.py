"""From detections to figures with intervals: a bootstrap over clips and seeds, the same draws for every variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.ablation.measure import CROWD, is_blank, with_one_label
from hybrid.data.clips import FrameRecord
from hybrid.metrics.video import (
    FrameDetections,
    MatchedDetections,
    Steadiness,
    average_precision,
    false_per_frame,
    match_detections,
    recall_at,
    score_at_false,
    score_at_recall,
    steadiness,
)

WORKING_SCORE = 0.5  # the cnn's recall at this score is the recall that every variant must reach
EAGER_SCORE = 0.3  # the same, for a user who prefers false alarms to misses
FALSE = "false detections per frame"
MORE_FALSE = f"{FALSE}, at more recall"
STILLS = "AP50, stills, visible > 0.8"
HIDDEN = "AP50, crowd, occluded (visible < 0.8)"
SHARES = {
    "visible > 0.8": (0.8, 1.01),
    "visible 0.3-0.8": (0.3, 0.8),
    "visible 0.1-0.3": (0.1, 0.3),
    "hidden": (0.0, 0.1),
}
OCCLUDED = (0.0, 0.8)


@dataclass(frozen=True)
class Scene:
    """The frames that were measured on, and the clip of each and its position in it."""

    frames: Sequence[FrameRecord]
    clips: Sequence[int]
    places: Sequence[int]

    @property
    def clip_count(self) -> int:
        return max(self.clips) + 1

    def share(self, low: float, high: float) -> list[np.ndarray]:
        """For each frame, which boxes are of objects with this visible share, low <= share < high."""
        shares = [f.visible_share for f in self.frames]
        assert all(s is not None for s in shares)
        return [(s >= low) & (s < high) for s in shares if s is not None]

    def inside(self, low: float, high: float) -> list[np.ndarray]:
        """As `share`, but for boxes at the frame's edge: what is missing of the others is hidden, not cut off."""
        kept = []
        for frame, shown in zip(self.frames, self.share(low, high), strict=True):
            far = np.array([frame.width_px, frame.height_px], np.float32)
            boxes = frame.boxes_xyxy_px
            kept.append(shown & ((boxes[:, :2] > 0.5) & (boxes[:, 2:] < far - 0.5)).all(1))
        return kept


Statistic = Callable[[np.ndarray | None], float]  # of how often each clip counts
Conditions = Mapping[str, Sequence[FrameDetections]]


def _ap(judged: MatchedDetections) -> Statistic:
    return lambda weights: 100 * (average_precision(judged, weights) or 0.0)


def precision_statistics(scene: Scene, detections: Conditions) -> dict[str, Statistic]:
    """AP50 in percent, by the objects that count."""

    def judged(condition: str, counted: list[np.ndarray] | None = None) -> Statistic:
        return _ap(match_detections(detections[condition], scene.frames, scene.clips, counted))

    def blank() -> Statistic:
        kept = [k for k, place in enumerate(scene.places) if is_blank(place)]
        return _ap(
            match_detections(
                [detections["blank"][k] for k in kept], [scene.frames[k] for k in kept], [scene.clips[k] for k in kept]
            )
        )

    bins = {f"AP50, {name}": judged("clear", scene.share(*limits)) for name, limits in SHARES.items()}
    return {
        "AP50": judged("clear"),
        **bins,
        "AP50, visible < 0.8": judged("clear", scene.share(*OCCLUDED)),
        "AP50, blanked frames": blank(),
        "AP50, strong noise": judged("noise"),
        STILLS: judged("stills", scene.share(*SHARES["visible > 0.8"])),
        "AP50, raw weights": judged("raw"),
    }


def crowd_statistics(scene: Scene, detections: Conditions) -> dict[str, Statistic]:
    """AP50 in percent where much passes in front; but for the first row, of objects off the frame's edge."""

    def judged(counted: list[np.ndarray] | None) -> Statistic:
        return _ap(match_detections(detections[CROWD], scene.frames, scene.clips, counted))

    bins = {f"AP50, crowd, {name}": judged(scene.inside(*limits)) for name, limits in SHARES.items()}
    return {"AP50, crowd": judged(None), **bins, HIDDEN: judged(scene.inside(*OCCLUDED))}


def crowd_recalls(scene: Scene, detections: Sequence[FrameDetections], false: float) -> dict[str, Statistic]:
    """Percent of the objects that are found where `false` false detections a frame are made.

    AP holds every false detection of the frame against the few objects that are little visible; this does not.
    """
    score = score_at_false(match_detections(detections, scene.frames, scene.clips), len(scene.frames), false)

    def recall(low: float, high: float) -> Statistic:
        judged = match_detections(detections, scene.frames, scene.clips, scene.inside(low, high))
        return lambda weights: 100 * recall_at(judged, score, weights)

    return {f"recall in the crowd, %, {name}": recall(*limits) for name, limits in SHARES.items()}


def working_statistics(scene: Scene, detections: Sequence[FrameDetections], recall: float) -> dict[str, Statistic]:
    """At the score where this recall is reached: false detections, flicker, switches. NaN where it never is."""
    judged = match_detections(detections, scene.frames, scene.clips)
    score = score_at_recall(judged, recall)
    names = (FALSE, "flicker, %", "ID switches per 100")
    if score is None:
        return {name: (lambda weights: float("nan")) for name in names}
    by_clip = [Steadiness(0, 0, 0, 0)] * scene.clip_count
    for clip in range(scene.clip_count):
        rows = [k for k, c in enumerate(scene.clips) if c == clip]
        by_clip[clip] = steadiness([detections[k] for k in rows], [scene.frames[k] for k in rows], score)
    sums = np.array([list(vars(one).values()) for one in by_clip], float)

    def total(weights: np.ndarray | None) -> np.ndarray:
        return np.asarray(sums.sum(0) if weights is None else weights @ sums)

    def flicker(weights: np.ndarray | None) -> float:
        pairs, flickers, _, _ = total(weights)
        return float(100 * flickers / max(1.0, pairs))

    def switches(weights: np.ndarray | None) -> float:
        _, _, count, matched = total(weights)
        return float(100 * count / max(1.0, matched))

    def false(weights: np.ndarray | None) -> float:
        return false_per_frame(judged, len(scene.frames), score, weights)

    return dict(zip(names, (false, flicker, switches), strict=True))


def statistics(scene: Scene, crowd: Scene, detections: Mapping[str, Conditions]) -> dict[str, dict[str, Statistic]]:
    """By variant and name, for one seed.

    `detections` is by variant and condition; `crowd` has as many clips as `scene`.
    """
    reported = {variant: with_one_label(one["clear"]) for variant, one in detections.items()}
    cnn = match_detections(reported["cnn"], scene.frames, scene.clips)
    recall, eager = recall_at(cnn, WORKING_SCORE), recall_at(cnn, EAGER_SCORE)
    crowded = match_detections(detections["cnn"][CROWD], crowd.frames, crowd.clips)
    allowed = false_per_frame(crowded, len(crowd.frames), WORKING_SCORE)
    result = {}
    for variant, one in detections.items():
        working = working_statistics(scene, reported[variant], recall)
        more = working_statistics(scene, reported[variant], eager)[FALSE]
        precision = precision_statistics(scene, one) | crowd_statistics(crowd, one)
        recalls = crowd_recalls(crowd, one[CROWD], allowed)
        result[variant] = precision | recalls | working | {MORE_FALSE: more}
    return result


@dataclass(frozen=True)
class Figure:
    """A mean over the seeds, its difference to the cnn's, and where 95 % of the bootstrap's differences lie."""

    value: float
    by_seed: tuple[float, ...]
    difference: float
    low: float
    high: float


def figures(
    by_seed: Sequence[Mapping[str, Mapping[str, Statistic]]], clips: int, draws: int = 500, seed: int = 0
) -> dict[str, dict[str, Figure]]:
    """By name and variant. Each draw takes seeds and clips with replacement, the same ones for all variants."""
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(clips, np.full(clips, 1 / clips), draws).astype(float)
    seeds = rng.integers(len(by_seed), size=(draws, len(by_seed)))
    variants, names = list(by_seed[0]), list(by_seed[0]["cnn"])
    result: dict[str, dict[str, Figure]] = {}
    for name in names:
        drawn = {v: np.array([[one[v][name](w) for w in weights] for one in by_seed]) for v in variants}
        whole = {v: np.array([one[v][name](None) for one in by_seed]) for v in variants}
        result[name] = {}
        for v in variants:
            gain = drawn[v] - drawn["cnn"]
            means = gain[seeds.T, np.arange(draws)].mean(0)
            low, high = np.percentile(means, [2.5, 97.5])
            difference = float((whole[v] - whole["cnn"]).mean())
            result[name][v] = Figure(float(whole[v].mean()), tuple(whole[v]), difference, float(low), float(high))
    return result
