"""What happens to each part in a clip: enter, hidden, reappeared, leave. Derived from its labels, not stored.

    with DataSet("out/line") as data:
        for clip in data:
            events = part_events(clip.labels())

`hybrid predict` tells of the same kinds of events, as far as the detector sees them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simgen.spec.frames import Labels, PartLabel

SEEN_SHARE = 0.1  # of what could be seen of a part; below it, the part counts as hidden
INSIDE_SHARE = 0.1  # of a part's whole box; below it, the part counts as outside the picture


@dataclass(frozen=True, kw_only=True)
class PartEvent:
    kind: str  # enter (seen for the first time), hidden (something stands before it), reappeared, leave
    frame: int
    time_s: float
    track_id: int
    category: str


def part_events(labels: Labels) -> list[PartEvent]:
    """The events of all parts of a clip, by frame, then by part.

    A part enters in the first frame in which it is seen, so one that is hidden until the end has no events. It leaves
    in the first frame in which less than INSIDE_SHARE of its whole box is in the picture, seen or hidden before.
    """
    events: list[PartEvent] = []
    states: dict[int, str] = {}
    for frame in labels.frames:
        for part in frame.parts:
            before, now = states.get(part.track_id, "outside"), _state(part)
            if before == "outside" and now == "hidden":  # nobody has seen it yet
                continue
            states[part.track_id] = now
            events += [
                PartEvent(
                    kind=kind, frame=frame.frame, time_s=frame.time_s, track_id=part.track_id, category=part.category
                )
                for kind in _changes(before, now)
            ]
    return events


# ------------------------------------------------------------------------------------------------ internals


def _state(part: PartLabel) -> str:
    """outside, hidden or seen."""
    if part.amodal_box_xyxy_px is None or part.unclipped_box_xyxy_px is None:
        return "outside"
    inside = _area(part.amodal_box_xyxy_px) / max(_area(part.unclipped_box_xyxy_px), 1e-9)
    if inside < INSIDE_SHARE:
        return "outside"
    return "seen" if part.visible_share >= SEEN_SHARE * min(1.0, inside) else "hidden"


def _area(box_xyxy_px: tuple[float, float, float, float]) -> float:
    x0, y0, x1, y1 = box_xyxy_px
    return (x1 - x0) * (y1 - y0)


def _changes(before: str, now: str) -> Iterator[str]:
    kinds = {
        ("outside", "seen"): "enter", ("seen", "hidden"): "hidden", ("hidden", "seen"): "reappeared",
        ("seen", "outside"): "leave", ("hidden", "outside"): "leave",
    }  # fmt: skip
    if (before, now) in kinds:
        yield kinds[before, now]
