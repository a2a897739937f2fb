"""Where detections fail: simulated beside real, by category, size and looks; kinds of errors; scores; false alarms.

AP depends on how many objects and how much clutter a picture holds. So objects are compared by their recall at the
score that gives the same number of false alarms a picture on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from hybrid.metrics.detection import SIZE_BINS_PX
from pipelines.gap.schema.figure import Figure, counted, not_measured, too_few
from pipelines.gap.schema.sections import Group, Named, Table, Where
from pipelines.gap.stats.calibration import LEAST_DETECTIONS, LEAST_SCORE, reliability
from pipelines.gap.stats.errors import IN_PLAN, INSIDE, KINDS, OUTSIDE, PLACES, Area, gains, in_work_area
from pipelines.gap.stats.grouping import PhotoSessions, renumbered
from pipelines.gap.stats.interval import (
    LEAST_SESSIONS,
    difference_figure,
    holm,
    mean_figure,
    share_figure,
    unpaired_figure,
)
from pipelines.gap.stats.matches import Matches, matches
from pipelines.gap.stats.objects import ObjectLooks, by_share, by_thirds
from pipelines.gap.stats.resampled import DRAWS, average_precisions, draw_weights

LEAST_BOXES = 30  # of a group on each side
FALSE_ALARMS = 1.0  # a picture, on both sides
WEAK = 0.5  # a recall below it in simulation is the detector's own weakness
RECALL = f"recall at {FALSE_ALARMS:.0f} false alarm a picture"
LOST = "points of recall"
SCORES_OFF = "difference of score and share that is right (D-ECE)"

NOWHERE = Where(tables=(), errors=(), calibration=(), reliability=(), false_alarms=())  # photos without labels


@dataclass(frozen=True)
class Side:
    """One run on one data set."""

    found: Matches
    frames: Sequence[FrameRecord]
    sessions: PhotoSessions
    weights: Float[np.ndarray, "draws photos"]  # the first row is all photos once
    score: float  # the lowest score at which there are at most `FALSE_ALARMS` a picture

    @staticmethod
    def of(detections: Sequence[Detections], frames: Sequence[FrameRecord], sessions: PhotoSessions) -> Side:
        found = matches(detections, frames)
        draws = DRAWS if sessions.count >= LEAST_SESSIONS else 0
        weights = draw_weights(sessions.of_frame, draws)
        return Side(found, frames, sessions, weights, score_at(found, len(frames), FALSE_ALARMS))

    def recall(self, objects: Bool[np.ndarray, " m"]) -> Float[np.ndarray, " draws"]:
        """The share of these objects that is found, on each draw; NaN where a draw has none."""
        hits = objects & (self.found.taken_with >= self.score)
        of_all = self._by_frame(objects) @ self.weights.T
        return np.where(of_all > 0, self._by_frame(hits) @ self.weights.T / np.maximum(of_all, 1e-12), np.nan)

    def _by_frame(self, objects: Bool[np.ndarray, " m"]) -> Float[np.ndarray, " photos"]:
        return np.bincount(self.found.object_frames[objects], minlength=len(self.frames)).astype(np.float64)

    def figure(self, objects: Bool[np.ndarray, " m"]) -> Figure:
        values = self.recall(objects)
        figure = share_figure([float(values[0])], values[None, 1:], self.sessions.count, RECALL, len(self.frames))
        return replace(figure, n=int(objects.sum()))


def score_at(found: Matches, pictures: int, per_picture: float) -> float:
    """The lowest score at which there are at most so many false alarms a picture; 0: there never are more."""
    false = np.sort(found.scores[found.false])[::-1]
    allowed = int(np.floor(per_picture * pictures + 1e-9))
    return 0.0 if len(false) <= allowed else float(np.nextafter(false[allowed], 2.0))


def where(
    sim: Side, real: Side, categories: Sequence[str], operating: float | None, area: Area | None = None,
    seen: tuple[ObjectLooks, ObjectLooks] | None = None, levels: Sequence[str] | None = None,
) -> Where:  # fmt: skip
    """Where a run fails.

    Args:
        sim: the run on simulated pictures.
        real: on the test photos.
        categories: in the order of the labels.
        operating: its score in use, chosen on photos that are not the test; None: not chosen.
        area: where parts can be, see `pipelines.gap.stats.errors.in_work_area`; None: round the labelled boxes.
        seen: how the objects of both sides look; None: not looked at.
        levels: of each test photo, such as its distance; None: the sessions do not tell.
    """
    names = list(categories)
    of_class = {name: (sim.found.object_labels == k, real.found.object_labels == k) for k, name in enumerate(names)}
    of_size = {
        name: tuple((low <= side.found.object_sides_px) & (side.found.object_sides_px < high) for side in (sim, real))
        for name, (low, high) in SIZE_BINS_PX.items()
    }
    both = {
        f"{one}, {size}": tuple(a & b for a, b in zip(of_class[one], of_size[size], strict=True))
        for one in names
        for size in SIZE_BINS_PX
    }
    return Where(
        tables=(
            _table("by category", sim, real, of_class),
            _table("by size", sim, real, of_size),
            _table("by category and size", sim, real, both),
            *(() if seen is None else _by_looks(sim, real, *seen)),
            *(() if levels is None else (_by_level(real, levels),)),
        ),
        errors=errors(real, area),
        calibration=_calibration(real),
        reliability=_bins(real),
        false_alarms=false_alarms(real, operating),
    )


def _table(title: str, sim: Side, real: Side, groups: Mapping[str, Sequence[Bool[np.ndarray, " _"]]]) -> Table:
    rows, none = [], []
    for name, (of_sim, of_real) in groups.items():
        if of_sim.any() or of_real.any():
            rows.append(_row(name, sim, real, of_sim, of_real))
        else:
            none.append(name)
    lost = holm({str(k): row.lost for k, row in enumerate(rows)})
    rows = [replace(row, lost=lost[str(k)], so=_so(row, lost[str(k)])) for k, row in enumerate(rows)]
    note = f"Without an object on either side, so left out: {', '.join(none)}." if none else ""
    return Table(title=title, rows=tuple(rows), note=note)


def _by_looks(sim: Side, real: Side, of_sim: ObjectLooks, of_real: ObjectLooks) -> Iterator[Table]:
    bright = by_thirds(of_sim.brightness, of_real.brightness, ("dark", "middle", "bright"), 0)
    sharp = by_thirds(of_sim.sharpness, of_real.sharpness, ("blurred", "middle", "sharp"), 1)
    shares = by_share(of_sim.visible, of_real.visible)
    thirds = "Limits: a third of the test parts each. {} inside a part's box."
    if bright:
        yield _noted(_table("by brightness", sim, real, bright), thirds.format("Mean grey level"))
    if sharp:
        yield _noted(_table("by sharpness", sim, real, sharp), thirds.format("Logarithm of the Laplacian's variance"))
    if shares:
        unknown = "" if np.isfinite(of_real.visible).any() else "Photos do not say how much of a part is visible."
        yield _noted(_table("by visible share", sim, real, shares), unknown)


def _noted(table: Table, note: str) -> Table:
    return replace(table, note=" ".join(one for one in (table.note, note) if one))


def _by_level(real: Side, levels: Sequence[str]) -> Table:
    """Recall at each level that the sessions' pattern names, such as a distance. Simulated scenes have none."""
    none = "Simulated scenes have no such level."
    rows = []
    for level in sorted(set(levels)):
        of_level = np.array(levels) == level
        objects = of_level[real.found.object_frames]
        own = renumbered(real.sessions, real.sessions.of_frame[of_level].tolist())
        figure = too_few(f"{objects.sum()} boxes; {LEAST_BOXES} are needed", RECALL, int(objects.sum()))
        if objects.sum() >= LEAST_BOXES:
            weights = np.zeros((1 + (DRAWS if own.count >= LEAST_SESSIONS else 0), len(levels)))
            weights[:, of_level] = draw_weights(own.of_frame, len(weights) - 1)
            values = replace(real, weights=weights).recall(objects)
            figure = share_figure([float(values[0])], values[None, 1:], own.count, RECALL, len(own.of_frame))
            figure = replace(figure, n=int(objects.sum()))
        lost = not_measured(none, LOST)
        rows.append(Group(group=level, measure=RECALL, simulated=not_measured(none, RECALL), real=figure, lost=lost))
    return Table(title="by level", rows=tuple(rows), note="The levels that --sessions names.")


def _row(name: str, sim: Side, real: Side, of_sim: np.ndarray, of_real: np.ndarray) -> Group:
    sides = [
        side.figure(objects)
        if objects.sum() >= LEAST_BOXES
        else too_few(f"{objects.sum()} boxes; {LEAST_BOXES} are needed", RECALL, int(objects.sum()))
        for side, objects in ((sim, of_sim), (real, of_real))
    ]
    lost = too_few(f"{LEAST_BOXES} boxes on both sides are needed", LOST)
    if all(one.status == "measured" for one in sides):
        units = sim.sessions.count, real.sessions.count
        lost = unpaired_figure(sim.recall(of_sim)[None], real.recall(of_real)[None], *units, LOST)
        lost = replace(lost, n=int(of_real.sum()))
    return Group(group=name, measure=RECALL, simulated=sides[0], real=sides[1], lost=lost)


def _so(row: Group, lost: Figure) -> str:
    if lost.status != "measured":
        return "too few boxes to say"
    if lost.low is None:
        return "too few sessions to say"
    if lost.p_holm is not None and lost.p_holm < 0.05 and (lost.value or 0.0) > 0:
        return "lost on the test pictures"
    if row.simulated.value is not None and row.simulated.value < WEAK:
        return "weak in simulation too: the detector"
    return "nothing lost that can be told"


def errors(real: Side, area: Area | None = None) -> tuple[Named, ...]:
    """Points of AP50 that repairing each kind of error alone would win."""
    photos, units = len(real.frames), real.sessions.count
    places = in_work_area(real.found, real.frames, real.sessions.of_frame, area)
    words = KINDS | PLACES | ({} if area is None else {INSIDE: IN_PLAN})
    found = gains(real.found, real.weights, average_precisions, places)
    rows = []
    for kind in ("localisation", "classification", "duplicate", "background", INSIDE, OUTSIDE, "both", "missed"):
        values = found[kind]
        figure = (
            difference_figure([float(values[0])], values[None, 1:], units, "points of AP50", photos)
            if np.isfinite(values[0])
            else too_few("no object", "points of AP50")
        )
        rows.append(Named(label=kind, figure=replace(figure, p=None), so=words[kind]))
    return tuple(rows)


def _sure(real: Side) -> tuple[np.ndarray, np.ndarray]:
    kept = real.found.scores >= LEAST_SCORE
    return real.found.scores[kept], ~real.found.false[kept]


def _enough(real: Side) -> str:
    count = int((real.found.scores >= LEAST_SCORE).sum())
    if count < LEAST_DETECTIONS or real.sessions.count < LEAST_SESSIONS:
        have = f"there are {count} in {real.sessions.count}"
        return f"{LEAST_DETECTIONS} detections in {LEAST_SESSIONS} sessions are needed; {have}."
    return ""


def _calibration(real: Side) -> tuple[Named, ...]:
    missing = _enough(real)
    if missing:
        return (Named(label=SCORES_OFF, figure=too_few(missing, "share")),)
    scores, correct = _sure(real)
    error = counted(reliability(scores, correct).error, "share", len(scores), "Chance is taken off.")
    high = "scores are too high" if scores.mean() > correct.mean() else "scores are too low"
    return (Named(label=SCORES_OFF, figure=error, so=high),)


def _bins(real: Side) -> tuple[tuple[float, float, int], ...]:
    return () if _enough(real) else reliability(*_sure(real)).bins


def false_alarms(real: Side, operating: float | None) -> tuple[Named, ...]:
    """False alarms a photo, and on photos without an object, at the score in use."""
    unit = "false alarms a photo"
    empty = np.array([k for k, frame in enumerate(real.frames) if not len(frame.labels)], np.int64)
    labels = ("on all photos", "on photos without an object")
    if operating is None:
        missing = not_measured("The score in use is chosen on other photos: give --look.", unit)
        return tuple(Named(label=label, figure=missing) for label in labels)
    alarms = np.bincount(
        real.found.frames[real.found.false & (real.found.scores >= operating)], minlength=len(real.frames)
    ).astype(np.float64)
    every = _rate(real, alarms, np.arange(len(real.frames)))
    none = _rate(real, alarms, empty) if len(empty) else too_few("no photo without an object", unit)
    return tuple(Named(label=label, figure=figure) for label, figure in zip(labels, (every, none), strict=True))


def _rate(real: Side, alarms: np.ndarray, photos: np.ndarray) -> Figure:
    of_all = real.weights[:, photos].sum(1)
    rates = np.where(of_all > 0, real.weights[:, photos] @ alarms[photos] / np.maximum(of_all, 1e-12), np.nan)
    units = len(np.unique(real.sessions.of_frame[photos]))
    return mean_figure([float(rates[0])], rates[None, 1:], units, "false alarms a photo", len(photos))
