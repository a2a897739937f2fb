"""Events of parts are those that their labels tell: hidden is behind something, not beyond the picture's edge."""

from __future__ import annotations

from simgen.labels.events import part_events
from simgen.spec.frames import FrameLabels, Labels, PartLabel
from simgen.spec.types import Pose

POSE = Pose(position_m=(0.0, 0.0, 0.0), rotation_xyzw=(0.0, 0.0, 0.0, 1.0))
WIDTH = 100


def part(track: int, x: float, seen: float) -> PartLabel:
    """A part 20 px wide at x. `seen`: the visible share of what is inside the picture."""
    x, seen = float(x), float(seen)
    left, right = max(0.0, x), min(float(WIDTH), x + 20)
    inside = max(0.0, right - left) / 20
    return PartLabel(
        track_id=track, category="nut", box_xyxy_px=None, visible_px=0, camera_from_part=POSE,
        amodal_box_xyxy_px=(left, 0.0, right, 20.0) if inside else None, unclipped_box_xyxy_px=(x, 0.0, x + 20, 20.0),
        visible_share=seen * inside,
    )  # fmt: skip


def events(*frames: tuple[PartLabel, ...]) -> list[tuple[str, int, int]]:
    labels = Labels(
        width_px=WIDTH, height_px=50, focal_px=90.0, centre_px=(50.0, 25.0),
        frames=tuple(
            FrameLabels(frame=k, time_s=k / 10, parts=parts, world_from_camera=POSE) for k, parts in enumerate(frames)
        ),
    )  # fmt: skip
    return [(event.kind, event.frame, event.track_id) for event in part_events(labels)]


def test_a_part_that_passes_under_a_bridge() -> None:
    way = [(-30, 1), (-15, 1), (10, 1), (40, 0.05), (50, 0), (60, 0.5), (85, 1), (99, 1), (120, 1)]
    assert events(*[(part(3, x, seen),) for x, seen in way]) == [
        ("enter", 1, 3), ("hidden", 3, 3), ("reappeared", 5, 3), ("leave", 7, 3),
    ]  # fmt: skip


def test_at_the_edge_a_part_is_not_hidden_and_behind_something_it_has_not_entered() -> None:
    assert events(*[(part(1, x, 1.0),) for x in (90, 95, 97)]) == [("enter", 0, 1)]
    assert events((part(1, 94, 0.25),)) == [("enter", 0, 1)], "a quarter of what is inside is seen"
    assert events(*[(part(1, 10 + k, 0.0),) for k in range(3)]) == []
    assert events((part(1, 10, 0.0), part(2, 10, 1.0)), (part(1, 10, 1.0), part(2, 10, 0.0)), (part(2, 110, 1),)) == [
        ("enter", 0, 2), ("enter", 1, 1), ("hidden", 1, 2), ("leave", 2, 2),
    ]  # fmt: skip
