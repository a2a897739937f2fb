"""Clips from frame to frame, on parts that ride past and can be followed by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from pipelines.gap.schema.figure import Figure
from pipelines.gap.schema.over_time import OverTime
from pipelines.gap.sections.over_time import FollowedClip, followed_clips, has_clips, over_time
from pipelines.gap.stats.grouping import PhotoSessions

FRAMES, PARTS, SIDE = 12, 3, 30.0
SCORE = 0.5


def part(k: int, number: int) -> list[float]:
    x, y = 40 + 8 * number, 40 + 80 * k
    return [x, y, x + SIDE, y + SIDE]


def clip(name: str, hidden: range = range(0)) -> Clip:
    """Three parts that ride to the right; the first has no label while it is hidden."""
    frames = []
    for number in range(FRAMES):
        seen = [k for k in range(PARTS) if k or number not in hidden]
        frames.append(
            FrameRecord(
                name=f"{name}.{number}", path=Path("none"), width_px=400, height_px=300,
                labels=np.zeros(len(seen), np.int64),
                boxes_xyxy_px=np.array([part(k, number) for k in seen], np.float32), track_ids=np.array(seen, np.int64),
            )
        )  # fmt: skip
    return Clip(name, tuple(frames))


def detections(missed: dict[int, list[int]]) -> list[Detections]:
    """Of each frame all parts but those that are missed in it, by their numbers."""
    rows = []
    for number in range(FRAMES):
        boxes = [part(k, number) for k in range(PARTS) if k not in missed.get(number, [])]
        scores, labels = torch.full((len(boxes),), 0.9), torch.zeros(len(boxes), dtype=torch.int64)
        rows.append(Detections(torch.tensor(boxes).reshape(-1, 4), scores, labels))
    return rows


def measured(clips: list[Clip], missed: dict[int, list[int]]) -> list[FollowedClip]:
    """The clips, each followed; all parts are found but for those that are missed in the first clip."""
    source = ClipSource("clips", ("bolt",), tuple(clips))
    sessions = PhotoSessions(np.repeat(np.arange(len(clips)), FRAMES), "clips", "one for each clip")
    found = [detections(missed if k == 0 else {}) for k in range(len(clips))]
    with patch("pipelines.gap.sections.over_time.decode", lambda _: np.zeros((300, 400, 3), np.uint8)):
        return followed_clips([one for own in found for one in own], source, sessions, SCORE)


def times(count: int, one: FollowedClip) -> list[FollowedClip]:
    """The same clip several times, each a session."""
    return [replace(one, name=f"{one.name}-{k}", session=100 + k) for k in range(count)]


def value(found: OverTime, name: str, side: str = "real") -> Figure:
    (row,) = [one for one in found.rows if one.name == name]
    figure = getattr(row, side)
    assert isinstance(figure, Figure)
    return figure


(PLAIN,) = measured([clip("plain")], {})
SIM = times(6, PLAIN)


def test_parts_that_are_found_in_every_frame_neither_flicker_nor_change() -> None:
    found = over_time(SIM, SIM, SCORE)
    for name in ("flicker", "interruptions", "switches of identity", "counted wrong", "count of a frame, off by"):
        assert value(found, name).value == 0.0, name
    assert value(found, "flicker").n == 6 * PARTS * (FRAMES - 1)
    assert [(one.parts.value, one.tracks.value, one.reported.value) for one in found.clips] == [(3.0, 3.0, 3.0)] * 6


def test_a_part_that_the_detector_misses_for_long_is_counted_too_few_in_these_frames_and_its_track_has_a_gap() -> None:
    late = {0: [2], 1: [2]}  # a track begins where its part is found first
    missing = measured([clip("worst")], late | {number: [0] for number in range(4, 8)})
    found = over_time(SIM, [*times(5, PLAIN), *missing], SCORE)
    assert value(found, "count of a frame, off by").value == pytest.approx(6 / (6 * FRAMES))
    assert value(found, "gaps in tracks").value == pytest.approx(2 / (6 * PARTS * (FRAMES - 1) - 2))
    assert found.clips[0].clip == "worst"
    assert found.clips[0].reported.value == pytest.approx(PARTS - 6 / FRAMES)
    difference = value(found, "count of a frame, off by", "difference")
    assert difference.value == pytest.approx(6 / (6 * FRAMES))
    assert difference.p_holm is not None
    assert difference.low is not None
    gaps = value(found, "gaps in tracks", "difference")
    assert (gaps.unit, gaps.value) == ("points", pytest.approx(100 * 2 / (6 * PARTS * (FRAMES - 1) - 2)))


def test_a_hidden_part_that_is_found_again_keeps_its_id() -> None:
    hidden = range(4, 7)
    (one,) = measured([clip("hidden", hidden)], {number: [0] for number in hidden})
    found = over_time(SIM, times(12, one), SCORE)
    assert value(found, "found again, same id").value == 1.0
    assert value(found, "found again, same id").n == 12
    assert value(found, "found again, same id", "simulated").status == "too_few"
    assert value(found, "interruptions").value == 0.0
    assert value(found, "count of a frame, off by").value == 0.0


@pytest.mark.parametrize(("clips", "status"), [(9, "too_few"), (10, "measured")])
def test_a_figure_is_made_of_ten_events_or_more(clips: int, status: str) -> None:
    hidden = range(4, 7)
    (one,) = measured([clip("hidden", hidden)], {number: [0] for number in hidden})
    assert value(over_time(SIM, times(clips, one), SCORE), "found again, same id").status == status


def test_the_clip_that_is_counted_worst_in_a_frame_stands_first() -> None:
    clips = [replace(PLAIN, name="long", frames=24, off=6.0), replace(PLAIN, name="short", frames=6, off=3.0)]
    assert [one.clip for one in over_time(SIM, clips, SCORE).clips] == ["short", "long"]


def test_without_track_ids_only_what_needs_none_is_measured() -> None:
    labelled = clip("nameless")
    nameless = replace(labelled, frames=tuple(replace(one, track_ids=None) for one in labelled.frames))
    (one,) = measured([nameless], {3: [1]})
    found = over_time(SIM, times(6, one), SCORE)
    have = {row.name for row in found.rows if row.real.status == "measured"}
    assert have == {"count of a frame, off by", "gaps in tracks"}
    assert "track_id" in value(found, "flicker").note
    assert value(found, "flicker", "difference").status == "not_measured"
    assert {one.parts.status for one in found.clips} == {"not_measured"}
    mixed = over_time(SIM, [one, one, *times(5, PLAIN)], SCORE)
    assert "2 of 7 clips" in value(mixed, "flicker").note
    assert value(mixed, "flicker").n_units == 5


def test_fewer_than_five_clips_give_values_without_intervals_and_single_pictures_none() -> None:
    found = over_time([], times(4, PLAIN), SCORE)
    assert value(found, "count of a frame, off by").low is None
    assert "5 sessions are needed" in value(found, "count of a frame, off by").note
    assert value(found, "flicker", "simulated").status == "not_measured"
    one = clip("c")
    photos = ClipSource("photos", ("bolt",), tuple(Clip(f.name, (f,)) for f in one.frames))
    assert not has_clips(photos)
    assert followed_clips(detections({}), photos, PhotoSessions(np.arange(FRAMES), "photos", ""), SCORE) == []
    assert has_clips(ClipSource("clips", ("bolt",), (one,)))
