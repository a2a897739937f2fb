"""Each part counts once, by its track: over lines, into regions, back and forth, through occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from hybrid.core.errors import ConfigError, InputError
from hybrid.predict.counting import Counter, CountLine, Event, Region, crossings
from hybrid.predict.result import Result

SIZE = (100, 200)  # height, width
CATEGORIES = ("bolt", "nut", "nut_defective")
Row = tuple[int, float, float]  # track, x, y of the centre


def frame(number: int, *rows: Row, hidden: Sequence[int] = (), labels: dict[int, int] | None = None) -> Result:
    centres = np.array([[x, y] for _, x, y in rows], np.float32).reshape(-1, 2)
    ids = np.array([track for track, _, _ in rows], np.int64)
    unseen = np.isin(ids, hidden)
    return Result(
        f"f{number}", number / 10, np.concatenate([centres - 4, centres + 4], 1), np.full(len(rows), 0.8, np.float32),
        np.array([(labels or {}).get(track, 0) for track in ids.tolist()], np.int64), CATEGORIES, ids, unseen=unseen,
        visible=(~unseen).astype(np.float32),
    )  # fmt: skip


def told(counter: Counter, frames: Sequence[Result]) -> list[Event]:
    return [event for one in frames for event in counter.update(one, SIZE)]


def way(*centres: tuple[float, float]) -> list[Row]:
    return [(number, x, y) for number, (x, y) in enumerate(centres)]


@pytest.mark.parametrize(
    ("line", "centres", "frame_of_count"),
    [
        (CountLine.vertical(0.5), [(90, 50), (99, 50), (104, 50), (110, 50)], 2),
        (CountLine.vertical(0.5), [(110, 50), (90, 50)], 1),
        (CountLine.vertical(100), [(90, 50), (110, 50)], 1),
        (CountLine.vertical(0.5), [(90, 50), (99.9, 50)], None),
        (CountLine.vertical(0.5), [(99, 50), (100, 50)], 1),
        (CountLine.vertical(0.5, direction="forward"), [(110, 50), (90, 50)], None),
        (CountLine.vertical(0.5, direction="backward"), [(110, 50), (90, 50)], 1),
        (CountLine.vertical(0.5, direction="forward"), [(110, 50), (90, 50), (110, 50)], None),
        (CountLine.horizontal(0.5, direction="forward"), [(20, 40), (20, 60)], 1),
        (CountLine.horizontal(0.5, direction="backward"), [(20, 40), (20, 60)], None),
        (CountLine((0.5, 0.0), (0.5, 0.4)), [(90, 50), (110, 50)], None),
        (CountLine((0.5, 0.0), (0.5, 0.6)), [(90, 50), (110, 50)], 1),
        (CountLine((0, 0), (1, 1), direction="backward"), [(100, 20), (100, 80)], None),
        (CountLine((1, 1), (0, 0), direction="backward"), [(100, 20), (100, 80)], 1),
        (CountLine.vertical(0.5), [(90, -3), (110, -3)], 1),
        (Region.rectangle(0.4, 0.2, 0.6, 0.8), [(70, 50), (90, 50), (130, 50)], 1),
        (Region.rectangle(0.4, 0.2, 0.6, 0.8), [(90, 50), (130, 50)], None),
        (Region.rectangle(0.4, 0.2, 0.6, 0.8), [(70, 50), (130, 50)], 1),
        (Region.rectangle(0.4, 0.2, 0.6, 0.8), [(70, 10), (130, 10)], None),
        (Region(((0, 0), (1, 0), (0, 1))), [(190, 90), (90, 90), (50, 30)], 2),
    ],
)  # fmt: skip
def test_a_way_counts_where_it_crosses(
    line: CountLine | Region, centres: list[tuple[float, float]], frame_of_count: int | None
) -> None:
    assert crossings(way(*centres), line, SIZE) == frame_of_count
    counter = Counter([line])
    events = told(counter, [frame(k, (3, x, y)) for k, (x, y) in enumerate(centres)])
    counted = [event.at.number for event in events if event.kind == "count"]
    assert counted == ([] if frame_of_count is None else [frame_of_count])


def test_jitter_over_the_line_counts_once_and_each_part_once() -> None:
    counter = Counter([CountLine.vertical(0.5)])
    frames = [frame(k, (1, 95 + 10 * (k % 2), 30), (2, 90 + 4 * k, 60), (3, 120 + k, 80)) for k in range(12)]
    events = told(counter, frames)
    assert [(event.track, event.at.frame) for event in events if event.kind == "count"] == [(1, "f1"), (2, "f3")]
    assert counter.counts == {"line": {"bolt": 2}}, "a part that begins beyond the line does not count"
    other = Counter([CountLine.vertical(0.5)])
    told(other, [frame(k, (-1, 90 + 20 * k, 30)) for k in range(3)])
    assert other.counts == {"line": {}}, "what has no track is no part"


def test_a_part_is_what_most_of_its_visible_frames_say() -> None:
    counter = Counter([CountLine.vertical(0.5), CountLine.vertical(0.7, "exit")])
    labels = [1, 0, 0, 2, 2, 2, 2, 1, 1, 1]
    for k, label in enumerate(labels[:3]):
        counter.update(frame(k, (5, 80 + 15 * k, 50), labels={5: label}), SIZE)
    assert counter.counts == {"line": {"bolt": 1}, "exit": {}}
    for k in range(3, 7):
        counter.update(frame(k, (5, 112, 50), hidden=[5], labels={5: 2}), SIZE)
    assert counter.counts == {"line": {"bolt": 1}, "exit": {}}, "hidden frames do not vote"
    for k in range(7, 10):
        counter.update(frame(k, (5, 120 + k, 50), labels={5: 1}), SIZE)
    assert counter.counts == {"line": {"nut": 1}, "exit": {}}, "what was counted moves to the category it has by now"


def test_a_hidden_part_counts_when_it_is_seen_beyond_and_is_told_apart_if_it_never_is() -> None:
    counter = Counter([CountLine.vertical(0.5)], gone_frames=3)
    hides = [frame(k, (1, 80 + 6 * k, 30), (2, 80 + 6 * k, 60), hidden=[1, 2] if k else []) for k in range(6)]
    events = told(counter, hides)
    assert [(event.kind, event.track, event.at.number) for event in events] == [
        ("enter", 1, 0), ("enter", 2, 0), ("hidden", 1, 1), ("hidden", 2, 1),
    ]  # fmt: skip
    assert counter.counts == {"line": {}}
    events = told(counter, [frame(6, (1, 118, 30)), *(frame(k) for k in range(7, 10))])
    assert [(event.kind, event.track, event.at.number) for event in events] == [
        ("reappeared", 1, 6), ("count", 1, 6), ("unconfirmed", 2, 4), ("leave", 2, 5), ("leave", 1, 6),
    ]  # fmt: skip
    assert counter.counts == counter.unconfirmed == {"line": {"bolt": 1}}
    returned = Counter([CountLine.vertical(0.5)])
    told(returned, [frame(k, (1, x, 30), hidden=[1] if k else []) for k, x in enumerate((90, 110, 95))])
    returned.finish()
    assert returned.unconfirmed == {"line": {}}, "it is expected before the line again"
    back = Counter([CountLine.vertical(0.5)])
    told(back, [*hides, frame(6, (1, 90, 30), (2, 90, 60))])
    back.finish()
    assert back.counts == back.unconfirmed == {"line": {}}, "the prediction was wrong: it is still before the line"


def test_the_summary_of_a_passage_and_its_verdict() -> None:
    counter = Counter([CountLine.vertical(0.5)])
    for k, label in enumerate([1, 2, 2, 2]):
        counter.update(frame(k, (4, 90 + 6 * k, 50), (6, 20, 20), labels={4: label, 6: 1}), SIZE)
    counter.update(frame(4, (4, 115, 50), (6, 20, 20), hidden=[4], labels={4: 1, 6: 1}), SIZE)
    ends = {event.track: event.to_plain() for event in counter.finish()}
    assert ends[4] == {
        "event": "end", "time_s": 0.4, "frame": "f4", "track": 4, "category": "nut_defective", "first_s": 0.0,
        "seen_frames": 4, "hidden_frames": 1, "counted": ["line"], "verdict": "defective", "defective_share": 0.75,
    }  # fmt: skip
    assert (ends[6]["verdict"], ends[6]["defective_share"]) == ("ok", 0.0)
    assert counter.finish() == []
    assert counter.verdicts == {"defective": 1}, "the other part was not counted"


def test_frames_in_which_little_is_seen_say_little_about_defects() -> None:
    counter = Counter()
    for k, (label, share) in enumerate([(2, 0.1), (2, 0.1), (1, 0.9)]):
        one = frame(k, (4, 90, 50), labels={4: label})
        one.visible[:] = share
        counter.update(one, SIZE)
    (end,) = counter.finish()
    assert end.more["verdict"] == "ok"
    assert end.more["defective_share"] == pytest.approx(0.2 / 1.1, abs=1e-3)


def test_another_size_is_another_clip() -> None:
    counter = Counter([CountLine.vertical(0.5)])
    counter.update(frame(0, (1, 90, 50)), SIZE)
    events = counter.update(frame(1, (7, 310, 50)), (400, 600))
    assert [(event.kind, event.track) for event in events] == [("leave", 1), ("enter", 7)]
    assert [event.kind for event in counter.update(frame(2, (7, 290, 50)), (400, 600))] == ["count"]


def test_a_part_leaves_when_it_is_not_followed_any_more_however_long_nothing_is_told_of_it() -> None:
    counter = Counter([CountLine.vertical(0.5)])
    told(counter, [frame(0, (1, 90, 50), (2, 20, 20))])
    followed = np.array([1])
    events = told(counter, [replace(frame(k), followed=followed) for k in range(1, 100)])
    assert [(event.kind, event.track) for event in events] == [("leave", 2)]
    events = told(counter, [replace(frame(100, (1, 110, 50)), followed=followed)])
    assert [(event.kind, event.track) for event in events] == [("count", 1)]


def test_what_is_forgotten_is_bounded() -> None:
    counter = Counter([CountLine.vertical(0.5)])
    for k in range(120):
        counter.update(frame(k, (k, 90, 50), (k - 1, 110, 50)), SIZE)
        assert len(counter._passages) <= 92
    assert counter.counts == {"line": {"bolt": 119}}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CountLine.vertical(1.2), "line: 1.2 is no coordinate: a share of the picture is from 0 to 1"),
        (lambda: CountLine.vertical(float("nan")), "nan is no coordinate"),
        (lambda: CountLine.vertical(-5), "-5 is no coordinate"),
        (lambda: CountLine((0.1, 0.1), (0.1, 0.1)), "two points that differ"),
        (lambda: CountLine.vertical(0.5, direction="up"), "no direction 'up'; there are both, forward, backward"),
        (lambda: Region(((0, 0), (1, 1))), "three points or more, got 2"),
        (lambda: Counter([CountLine.vertical(0.5), CountLine.vertical(0.6)]), "two lines or regions are named 'line'"),
    ],
)
def test_impossible_places_are_refused(make: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()  # type: ignore[operator]


def test_a_result_from_a_file_needs_the_size() -> None:
    with pytest.raises(InputError, match=r"f0: comes from no stream; give the frame's size"):
        Counter().update(frame(0))
