"""`--method auto`: the method with the best mean accuracy in a cross-validation over sessions of the photos.

Photos of one session are alike (same camera, light, background), so a method that is measured on a session that it
trained on looks better than it is. Each fold leaves whole sessions out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource

CANDIDATES = ("plain", "frozen-first", "l2-sp", "wise-ft")
MOST_FOLDS = 3
STEPS_SHARE = 0.25  # of the run's steps, for each trial
TIE = 0.005  # of AP: less is no difference, and the method that stands first is taken

Run = Callable[[str, ClipSource, ClipSource, Path], float]  # (method, photos, held out, folder) -> AP on those held out


@dataclass(frozen=True)
class Choice:
    """The method that was chosen, and the mean AP of each."""

    method: str
    ap: Mapping[str, float]

    def in_words(self) -> str:
        """One line."""
        figures = ", ".join(f"{name} {ap:.3f}" for name, ap in self.ap.items())
        return f"--method auto: {self.method} (mean AP on left-out sessions: {figures})"


def folds(sessions: Sequence[int]) -> list[list[int]]:
    """The sessions of each fold: at most MOST_FOLDS folds of about as many photos; the largest sessions first.

    Raises:
        DataError: there are fewer than two sessions.
    """
    counts = Counter(sessions)
    if len(counts) < 2:
        raise DataError(
            "--method auto: the photos are of one session, so none can be left out to measure on. Name a method, or "
            "say which photos belong together: --sessions"
        )
    dealt: list[list[int]] = [[] for _ in range(min(MOST_FOLDS, len(counts)))]
    for session, _ in counts.most_common():
        min(dealt, key=lambda fold: sum(counts[one] for one in fold)).append(session)
    return dealt


def choose(
    photos: ClipSource, sessions: Sequence[int], run: Run, folder: Path, candidates: Sequence[str] = CANDIDATES
) -> Choice:
    """Try each method on each fold; the trials are runs in `folder`, so that a stopped choice goes on.

    Args:
        photos: to train on.
        sessions: of each clip of `photos`.
        run: trains on the first photos and measures on the second ones.
        folder: of the trials.
        candidates: the methods, the simplest first.

    Raises:
        DataError: there are fewer than two sessions.
    """
    ap = dict[str, float]()
    dealt = folds(sessions)
    for method in candidates:
        scores = [run(method, *_split(photos, sessions, out), folder / f"{method}-{k}") for k, out in enumerate(dealt)]
        ap[method] = sum(scores) / len(scores)
    return Choice(next(name for name in ap if ap[name] >= max(ap.values()) - TIE), ap)


def _split(photos: ClipSource, sessions: Sequence[int], left_out: Sequence[int]) -> tuple[ClipSource, ClipSource]:
    """The clips of the other sessions, and those of `left_out`."""
    pairs = list(zip(photos.clips, sessions, strict=True))
    inside = tuple(clip for clip, session in pairs if session not in left_out)
    return replace(photos, clips=inside), replace(photos, clips=tuple(c for c, s in pairs if s in left_out))
