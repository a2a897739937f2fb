"""Into which sessions photos are sorted when nobody says: by clips, by EXIF times, by names, or by how they look.

A guess errs towards few sessions: too few make an interval wide, too many make it false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource, FrameRecord
from hybrid.data.pixels import decode
from pipelines.gap.schema.sections import Made
from pipelines.gap.sessions import STEM_WITHOUT_LAST_NUMBER, sessions_by, sessions_of
from simgen.spec.picture import exif_value

_TAKEN = 0x9003
PAUSE = timedelta(minutes=10)  # between photos of two sessions
THUMBNAIL_PX = 32
CLEAR_ENOUGH = 0.9  # of the best silhouette: the fewest clusters that reach it are taken


@dataclass(frozen=True)
class PhotoSessions:
    """The session of each frame of a source."""

    of_frame: Int64[np.ndarray, " n"]  # numbers from 0
    made: Made
    how: str  # in words

    @property
    def count(self) -> int:
        return len(np.unique(self.of_frame))

    def in_words(self, things: str = "photos") -> str:
        return f"{self.count} sessions of {len(self.of_frame)} {things}, {self.how}"


def group(source: ClipSource, pattern: str | None, scenes: bool = False) -> PhotoSessions:
    """Sort the frames of a source into sessions.

    Args:
        source: photos or clips.
        pattern: a regular expression whose first group is the session's name, or a CSV file of lines PHOTO,SESSION;
            None: guess.
        scenes: each clip is a rendered scene, which shares nothing with the others.

    Raises:
        DataError: the pattern does not fit a name.
    """
    frames, clip_of = source.frames, np.repeat(np.arange(len(source)), [len(clip.frames) for clip in source.clips])
    if pattern is not None:
        numbers, made = sessions_by([frame.name for frame in frames], pattern)
        return PhotoSessions(numbers, made, f"by {pattern}")
    if scenes or any(len(clip.frames) > 1 for clip in source.clips):
        return PhotoSessions(clip_of, "clips", "one for each scene" if scenes else "one for each clip")
    times = [_taken(frame) for frame in frames]
    known = [time for time in times if time is not None]
    if frames and len(known) == len(frames):
        return PhotoSessions(by_time(known), "exif", "by pauses of 10 minutes between the EXIF times")
    named = sessions_of([frame.name for frame in frames], STEM_WITHOUT_LAST_NUMBER) if _have_stems(frames) else None
    if named is not None and 1 < len(np.unique(named)) <= len(frames) / 2:
        return PhotoSessions(named, "guessed", "guessed from the file names: all but the last number")
    if len(frames) < 4:
        return PhotoSessions(np.arange(len(frames)), "photos", "one for each photo: too few to tell")
    looks = np.array([thumbnail(frame) for frame in frames])
    return PhotoSessions(by_looks(looks), "guessed", "guessed from how the photos look (--sessions REGEX says it)")


def renumbered(sessions: PhotoSessions, of_frame: Sequence[int]) -> PhotoSessions:
    """The sessions of some of the frames, numbered from 0 without a gap."""
    numbers = np.unique(np.array(of_frame, np.int64), return_inverse=True)[1].reshape(-1).astype(np.int64)
    return replace(sessions, of_frame=numbers)


def _have_stems(frames: Sequence[FrameRecord]) -> bool:
    return all("." in frame.name for frame in frames)


def _taken(frame: FrameRecord) -> datetime | None:
    """When a photo of its own file was taken."""
    if not isinstance(frame.path, Path) or frame.length is not None:
        return None
    try:
        return taken(frame.path.read_bytes())
    except OSError:
        return None


def taken(encoded: bytes) -> datetime | None:
    """When a picture was taken, as its EXIF states (Exif 2.32, 4.6.5, tag 36867); or None."""
    try:
        return datetime.strptime(str(exif_value(encoded, _TAKEN)), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def by_time(times: Sequence[datetime]) -> Int64[np.ndarray, " n"]:
    """Sessions by pauses of ten minutes or more, numbered in time; in the order of `times`."""
    order = np.argsort(np.array(times, "datetime64[s]"), kind="stable")
    later = np.array([times[b] - times[a] >= PAUSE for a, b in pairwise(order)], bool)
    sessions = np.empty(len(times), np.int64)
    sessions[order] = np.concatenate([[0], np.cumsum(later)]).astype(np.int64)[: len(times)]
    return sessions


def thumbnail(frame: FrameRecord) -> Float32[np.ndarray, " values"]:
    """A photo at 32 x 32 px, RGB, 0 to 1, as one row."""
    small = cv2.resize(decode(frame), (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return (small.astype(np.float32) / 255.0).ravel()


def by_looks(looks: Float[np.ndarray, "n values"]) -> Int64[np.ndarray, " n"]:
    """Average-linkage clusters: the fewest whose mean silhouette is within a tenth of the best.

    P. Rousseeuw, "Silhouettes", J. Comput. Appl. Math. 20, 1987. On the pool of bolts_washers, 52 photos of 13 true
    sessions, it finds 11, of which two true ones are split.
    """
    if len(looks) < 4:
        raise DataError(f"sessions: {len(looks)} photos are too few to be sorted by how they look")
    distances = pdist(looks)
    if not distances.any():
        return np.zeros(len(looks), np.int64)
    tree, square = linkage(distances, "average"), squareform(distances)
    cuts = [fcluster(tree, k, "maxclust") for k in range(2, len(looks))]
    quality = np.array([_silhouette(square, cut) for cut in cuts])
    clear = cuts[int(np.argmax(quality >= CLEAR_ENOUGH * quality.max()))] if quality.max() > 0 else cuts[0]
    return np.asarray(clear - 1, np.int64)


def _silhouette(distances: Float[np.ndarray, "n n"], cut: np.ndarray) -> float:
    """The mean over all members of (nearest other cluster - own) / the larger; 0 of a cluster of one."""
    clusters = np.unique(cut)
    inside = (cut[:, None] == clusters).astype(np.float64)  # [n, clusters]
    sums, sizes = distances @ inside, inside.sum(0)
    own = np.searchsorted(clusters, cut)
    rows = np.arange(len(cut))
    alone = sizes[own] < 2
    within = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    other = means.min(1)
    worth = np.where(alone | ~np.isfinite(other), 0.0, (other - within) / np.maximum(np.maximum(other, within), 1e-12))
    return float(np.where(np.isfinite(worth), worth, 0.0).mean())
