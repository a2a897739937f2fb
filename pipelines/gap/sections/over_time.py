"""What happens from frame to frame in clips: flicker, interruptions, identities, parts found again, counts.

Parts are followed as `hybrid predict` follows them, from the detections of each frame. Simulated and real clips are
judged by the same rule: a part is hidden in frames where it has no label, between two where it has one (see
`labelled_frames`). What must be known of identities is not measured where the labels have no track ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, Image
from hybrid.data.pixels import decode
from hybrid.metrics.line import Tally, tally_clip
from hybrid.metrics.line_truth import has_tracks, labelled_frames
from hybrid.metrics.video import IGNORED, IOU, FrameDetections, boxes_taken
from hybrid.predict.following import followed
from hybrid.predict.linking import Judge
from pipelines.gap.schema.figure import Figure, counted, not_measured, too_few
from pipelines.gap.schema.over_time import ClipCount, OverTime, TimeRow
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import LEAST_SESSIONS, holm, mean_figure, share_figure, unpaired_figure
from pipelines.gap.stats.resampled import DRAWS, draw_weights

LEAST = 10  # parts, frames or events that a figure is made of
MOST_CLIPS = 40  # in the table of counts
NO_TRACKS = "Not measurable: the labels do not say which part a box is of (track_id)."
A_PART, A_FRAME, FRAMES, SHARE = "a part", "parts a frame", "frames", "share"


@dataclass(frozen=True)
class FollowedClip:
    """A clip in which the parts were followed, as counts that can be added over clips."""

    name: str
    frames: int
    session: int
    tracks: int  # under which parts were seen
    labelled: float  # boxes, over all frames
    reported: float  # parts that are seen, over all frames
    off: float  # difference of the two in each frame, over all frames
    pairs: float  # of frames in a row, over the tracks from where each is first seen to where it is last seen
    flickers: float  # of these: the track is seen in one of them alone
    tally: Tally | None  # None: the labels have no track ids


@dataclass(frozen=True)
class Kind:
    """One figure: a sum over the clips by another one."""

    name: str
    so: str
    unit: str
    of: str  # what the lower sum counts
    sums: Callable[[FollowedClip], tuple[float, float] | None]  # of a clip; None: its labels do not tell

    def both(self, clips: Sequence[FollowedClip]) -> Float[np.ndarray, "2 clips"]:
        sums = [(0.0, 0.0) if (one := self.sums(clip)) is None else one for clip in clips]
        return np.array(sums, np.float64).reshape(-1, 2).T


def _tallied(of: Callable[[Tally], tuple[float, float]]) -> Callable[[FollowedClip], tuple[float, float] | None]:
    return lambda clip: None if clip.tally is None else of(clip.tally)


KINDS = (
    Kind("flicker", "a visible part is found in one of two frames in a row alone", SHARE, "pairs of frames",
         _tallied(lambda one: (one.flickers, one.pairs))),
    Kind("interruptions", "a visible part is found, then missed, then found again", A_PART, "parts",
         _tallied(lambda one: (one.interruptions, one.parts))),
    Kind("switches of identity", "a part goes on under another track id", A_PART, "parts",
         _tallied(lambda one: (one.switches, one.parts))),
    Kind("found again, same id", "of parts that were hidden for two frames or more", SHARE, "returns",
         _tallied(lambda one: (one.back_old, one.returns))),
    Kind("found again, another id", "such a part counts as a new one", SHARE, "returns",
         _tallied(lambda one: (one.back_new, one.returns))),
    Kind("time until found again", "from where it is visible by half", FRAMES, "parts found again",
         _tallied(lambda one: (one.back_frames, one.back_old + one.back_new))),
    Kind("counted wrong", "missed, twice, as another category or invented, at lines at 1/4, 1/2 and 3/4 of the width",
         "a part that crosses a line", "crossings",
         _tallied(lambda one: (one.missed + one.twice + one.mistaken + one.invented, one.crossings))),
    Kind("count of a frame, off by", "parts reported as seen against labelled boxes; needs no track ids", A_FRAME,
         "frames", lambda one: (one.off, float(one.frames))),
    Kind("gaps in tracks", "a track is seen in one of two frames in a row alone, hidden or not; needs no labels", SHARE,
         "pairs of frames", lambda one: (one.flickers, one.pairs)),
)  # fmt: skip


def over_time(sim: Sequence[FollowedClip], real: Sequence[FollowedClip], score: float) -> OverTime:
    """The section of both data sets. `score`: from which parts are reported."""
    sides = [[_figure(kind, clips) for kind in KINDS] for clips in (sim, real)]
    differences = holm({kind.name: _difference(kind, sim, real) for kind in KINDS})
    rows = tuple(
        TimeRow(name=kind.name, so=kind.so, simulated=a, real=b, difference=differences[kind.name])
        for kind, a, b in zip(KINDS, *sides, strict=True)
    )
    frames = sum(one.frames for one in real)
    note = (
        f"{len(real)} clips with {frames} frames, {len(sim)} simulated ones. Followed as hybrid predict does, at score "
        f"{score:.2f}; a part that is hidden is one without a label between two frames where it has one."
    )
    most_off = sorted(real, key=lambda one: -one.off / one.frames)
    if len(real) > MOST_CLIPS:
        note += f" Of the clips, the {MOST_CLIPS} whose frames are counted worst are listed."
    return OverTime(rows=rows, clips=tuple(map(_count, most_off[:MOST_CLIPS])), note=note)


def has_clips(source: ClipSource) -> bool:
    """Whether it holds clips of two frames or more."""
    return any(len(clip.frames) > 1 for clip in source.clips)


def followed_clips(
    detections: Sequence[Detections], source: ClipSource, sessions: PhotoSessions, score: float
) -> list[FollowedClip]:
    """The clips of two frames or more, with their parts followed. Both lists are in the order of `source.frames`."""
    clips, first, judge = [], 0, Judge.load() if has_clips(source) else None
    for clip in source.clips:
        own = detections[first : first + len(clip.frames)]
        if len(clip.frames) > 1:
            session, images = int(sessions.of_frame[first]), map(decode, clip.frames)
            clips.append(followed_clip(own, clip, session, score, judge, images))
        first += len(clip.frames)
    return clips


def followed_clip(
    detections: Sequence[Detections],
    clip: Clip,
    session: int,
    score: float,
    judge: Judge | None = None,
    images: Iterable[Image] | None = None,
) -> FollowedClip:
    """One clip of two frames or more. `images`: its frames, as the detector looks at their pixels too."""
    size = clip.frames[0].height_px, clip.frames[0].width_px
    rows = [_arrays(one) for one in followed(detections, size, score, judge, images)]
    seen = [one.take(np.ones(len(one.scores), bool) if one.hidden is None else ~one.hidden) for one in rows]
    labelled, reported = np.zeros(len(rows)), np.zeros(len(rows))
    for k, (frame, one) in enumerate(zip(clip.frames, seen, strict=True)):
        shown = np.ones(len(frame.labels), bool) if frame.hidden is None else ~frame.hidden
        labelled[k] = shown.sum()
        reported[k] = sum(taken != IGNORED for taken in boxes_taken(one, frame, np.ones(len(frame.labels), bool), IOU))
    tracks, pairs, flickers = _tracks(seen)
    return FollowedClip(
        name=clip.name, frames=len(rows), session=session, tracks=tracks, labelled=float(labelled.sum()),
        reported=float(reported.sum()), off=float(abs(reported - labelled).sum()), pairs=pairs, flickers=flickers,
        tally=tally_clip(rows, labelled_frames(clip)) if has_tracks(clip) else None,
    )  # fmt: skip


def _arrays(rows: Detections) -> FrameDetections:
    assert rows.track_ids is not None  # of a clip that was followed
    ids = rows.track_ids.numpy().copy()
    again = np.ones(len(ids), bool)
    again[np.unique(ids, return_index=True)[1]] = False
    ids[again] = -1  # a second label of a part
    hidden = None if rows.unseen is None else rows.unseen.numpy()
    return FrameDetections(rows.boxes_xyxy_px.numpy(), rows.scores.numpy(), rows.labels.numpy(), ids, hidden)


def _tracks(seen: Sequence[FrameDetections]) -> tuple[int, float, float]:
    """How many tracks there are, their pairs of frames in a row, and in how many of these each is seen once."""
    table = [set(one.track_ids[one.track_ids >= 0].tolist()) for one in seen]
    every = sorted(set().union(*table))
    pairs, flickers = 0, 0
    for track in every:
        there = np.array([track in own for own in table])
        first, last = np.flatnonzero(there)[[0, -1]]
        life = there[first : last + 1]
        pairs += len(life) - 1
        flickers += int((life[1:] != life[:-1]).sum())
    return len(every), float(pairs), float(flickers)


def _drawn(kind: Kind, clips: Sequence[FollowedClip]) -> tuple[Float[np.ndarray, " draws"], int]:
    """The figure on all clips, then on each draw of the sessions; and how many sessions there are."""
    _, sessions = np.unique([clip.session for clip in clips], return_inverse=True)
    units = int(sessions.max()) + 1
    weights = draw_weights(sessions.astype(np.int64), DRAWS if units >= LEAST_SESSIONS else 0)
    upper, lower = kind.both(clips) @ weights.T
    return np.where(lower > 0, upper / np.maximum(lower, 1e-12), np.nan), units


def _told(kind: Kind, clips: Sequence[FollowedClip]) -> list[FollowedClip]:
    return [clip for clip in clips if kind.sums(clip) is not None]


def _figure(kind: Kind, clips: Sequence[FollowedClip]) -> Figure:
    if not clips:
        return not_measured("There are no clips of two frames or more.", kind.unit)
    told = _told(kind, clips)
    if not told:
        return not_measured(NO_TRACKS, kind.unit)
    count = int(kind.both(told)[1].sum())
    if count < LEAST:
        return too_few(f"Too few: {count} {kind.of}; {LEAST} are needed.", kind.unit, count)
    values, units = _drawn(kind, told)
    of = share_figure if kind.unit == SHARE else mean_figure
    figure = replace(of([float(values[0])], values[None, 1:], units, kind.unit, count), seeds=1)
    left_out = len(clips) - len(told)
    return figure.noted(f"{left_out} of {len(clips)} clips have no track ids and are left out.") if left_out else figure


def _difference(kind: Kind, sim: Sequence[FollowedClip], real: Sequence[FollowedClip]) -> Figure:
    """Real minus simulated: shares in points, others in their unit."""
    unit, scale = ("points", 100.0) if kind.unit == SHARE else (kind.unit, 1.0)
    if any(_figure(kind, clips).value is None for clips in (sim, real)):
        return not_measured("Needs both.", unit)
    (on_real, units), (on_sim, scenes) = _drawn(kind, _told(kind, real)), _drawn(kind, _told(kind, sim))
    figure = unpaired_figure(on_real[None], on_sim[None], units, scenes, unit, scale)
    return replace(figure, n=int(kind.both(_told(kind, real))[1].sum()))


def _count(clip: FollowedClip) -> ClipCount:
    parts = not_measured(NO_TRACKS, "parts") if clip.tally is None else counted(clip.tally.parts, "parts")
    return ClipCount(
        clip=clip.name, frames=clip.frames, parts=parts, tracks=counted(float(clip.tracks), "parts"),
        labelled=counted(clip.labelled / clip.frames, A_FRAME), reported=counted(clip.reported / clip.frames, A_FRAME),
    )  # fmt: skip
