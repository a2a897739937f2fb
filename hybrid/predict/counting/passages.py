"""The passage of each part through a stream: what was seen of it from its first frame to its last, as events.

A part is one track. Frames in which it is hidden say nothing about what it is: its category is the one that most of
its visible frames have.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

DEFECTIVE = re.compile(
    r"(?i)(^|[^a-z])(defect(ive)?|damaged|broken|scratched|bent|cracked|faulty|bad|nok|ng)($|[^a-z])"
)
Number = int | float
Point = tuple[Number, Number]  # x, y in pixels


@dataclass(frozen=True)
class Moment:
    """One frame of a stream."""

    number: int  # of the frame, from 0, as it was given to the counter
    frame: str
    time_s: float | None


@dataclass(frozen=True)
class Event:
    """Something that happened to a part.

    `kind`: "enter" (seen for the first time), "hidden", "reappeared", "count" (it crossed a line or entered a region),
    "unconfirmed" (it crossed while it was hidden, and was not seen again), "leave", or "end" (it was still there when
    the source ended).
    """

    kind: str
    at: Moment
    track: int
    category: str
    more: dict[str, Any] = field(default_factory=dict)  # "line" or "region" of a count, the summary of a passage

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        head = {"event": self.kind, "time_s": self.at.time_s, "frame": self.at.frame}
        return {**head, "track": self.track, "category": self.category, **self.more}


@dataclass
class Passage:
    """What is known of one part, while it is followed."""

    track: int
    first: Moment
    last: Moment  # the newest frame in which it was told of, seen or hidden
    centre_xy_px: Point  # where it was seen last
    is_hidden: bool = False
    seen_frames: int = 0
    hidden_frames: int = 0
    votes: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    net: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))  # forward - backward, for each place
    counted: dict[str, Moment] = field(default_factory=dict)  # by the name of the place
    pending: dict[str, Moment] = field(default_factory=dict)  # places that it has passed since it is hidden

    def see(self, at: Moment, centre_xy_px: Point, label: int, score: float, visible: float) -> None:
        """Add a frame in which the part is seen, with the share of it that is visible."""
        self.last, self.centre_xy_px, self.is_hidden = at, centre_xy_px, False
        self.seen_frames += 1
        self.votes[label][0] += 1
        self.votes[label][1] += score * visible
        self.pending.clear()

    def hide(self, at: Moment) -> None:
        """Add a frame in which the part is hidden."""
        self.last, self.is_hidden = at, True
        self.hidden_frames += 1

    @property
    def label(self) -> int:
        """The label of most frames; of two with as many, the one with the higher scores. -1: it was never seen."""
        return max(self.votes, key=lambda label: (*self.votes[label], -label), default=-1)

    def defective_share(self, defective: Sequence[int]) -> float:
        """The share of the frames that call it defective, each weighted by its score and the visible share."""
        total = sum(weight for _, weight in self.votes.values())
        return sum(self.votes[label][1] for label in defective if label in self.votes) / total if total else 0.0

    def summary(self, defective: Sequence[int]) -> dict[str, Any]:
        """The whole passage, as JSON values. `verdict` is there only where categories are defective ones."""
        told: dict[str, Any] = {
            "first_s": self.first.time_s,
            "seen_frames": self.seen_frames,
            "hidden_frames": self.hidden_frames,
            "counted": list(self.counted),
        }
        if defective:
            share = self.defective_share(defective)
            told |= {"verdict": "defective" if share >= 0.5 else "ok", "defective_share": round(share, 3)}
        return told


def defective_labels(categories: Sequence[str]) -> tuple[int, ...]:
    """The categories whose name calls a part defective, such as bolt_defective or "nut scratched".

    >>> defective_labels(("bolt", "bolt_defective", "bent nut", "bending jig"))
    (1, 2)
    """
    return tuple(label for label, name in enumerate(categories) if DEFECTIVE.search(name))
