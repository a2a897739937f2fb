"""The pool: photos beside the test photos, to look at and to choose on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource
from hybrid.data.shared import digests
from hybrid.metrics.detection import matched_frames, operating_score
from hybrid.metrics.video import score_at_recall
from hybrid.predict.suppression import one_label
from pipelines.gap.finished import FinishedRun
from pipelines.gap.sets import trained_on, with_labels_of
from pipelines.gap.stats.grouping import PhotoSessions, renumbered
from simgen.dataset.store.locations import Location

LEAST_PHOTOS = 5


@dataclass(frozen=True)
class Pool:
    """The photos beside the test photos, and their sessions."""

    source: ClipSource
    location: Location
    sessions: PhotoSessions

    def unseen(self, run: FinishedRun) -> tuple[ClipSource, PhotoSessions] | None:
        """The labelled photos that the run was not trained on, labelled as its detector does; None: fewer than five."""
        unknown = unseen(self.source, self.location, run)
        if unknown is None:
            return None
        kept = {clip.name for clip in unknown.clips}
        names = [clip.name for clip in self.source.clips for _ in clip.frames]
        of_all = self.sessions.of_frame.tolist()
        of_frame = [number for number, name in zip(of_all, names, strict=True) if name in kept]
        return with_labels_of(unknown, run), renumbered(self.sessions, of_frame)


def unseen(pool: ClipSource, data: Location, run: FinishedRun) -> ClipSource | None:
    """The labelled photos of the pool that the run and those before it were not trained on; None: fewer than five."""
    if not any(len(frame.labels) for frame in pool.frames):
        return None  # pictures without labels
    known = trained_on(run, pool, data)
    hashes = {
        digest
        for one in run.lineage
        if one.experiment is not None
        for digest in one.experiment.photo_digests or ()
    }  # fmt: skip
    kept = tuple(
        clip
        for clip in pool.clips
        if clip.name not in known
        and not (hashes and any(hashes & set(digests(frame)) for frame in clip.frames))
    )  # fmt: skip
    return replace(pool, clips=kept) if len(kept) >= LEAST_PHOTOS else None


def chosen_score(detections: list[Detections], pool: ClipSource, recall: float | None) -> float | None:
    """The score in use: the highest that finds the wanted share of the parts, or the one with the best F1.

    None: no detection is right, or the wanted share is never found.
    """
    shown = [one_label(one) for one in detections]
    if recall is None:
        return operating_score(shown, pool.frames)
    score = score_at_recall(matched_frames(shown, pool.frames, most=None), recall)
    return None if score is None or not np.isfinite(score) else score
