"""The counter: each part once at each line and region, and the events of its passage."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hybrid.core.errors import ConfigError, InputError
from hybrid.predict.counting.passages import Event, Moment, Passage, Point, defective_labels
from hybrid.predict.counting.places import CountLine, Place, Size

if TYPE_CHECKING:
    from hybrid.predict.result import Result

GONE_FRAMES = 90  # without a word about a track, after which it has left; longer than any tracker here is silent


class Counter:
    """Counts the parts of a stream, and tells what happens to each.

    >>> counter = Counter([CountLine.vertical(0.7)])
    >>> counter.counts
    {'line': {}}
    """

    def __init__(self, places: Sequence[Place] = (), gone_frames: int = GONE_FRAMES) -> None:
        """
        Args:
            places: lines and regions, with names of their own; none: only the parts' events are told.
            gone_frames: frames without a word about a track, after which it has left, where `Result.followed` is None.

        Raises:
            ConfigError: two places have one name.
        """
        names = [place.name for place in places]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"two lines or regions are named {twice[0]!r}; each needs a name of its own")
        self.places = tuple(places)
        self._gone_frames = gone_frames
        self._passages: dict[int, Passage] = {}
        self.frames, self._size_hw_px = 0, (0, 0)
        self.categories: tuple[str, ...] = ()
        self._defective: tuple[int, ...] = ()
        self._tally: Tally[tuple[str, int]] = Tally()
        self._unconfirmed: Tally[tuple[str, int]] = Tally()
        self.verdicts: Tally[str] = Tally()  # ok and defective; with places, of the parts that were counted at one

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """For each place the number of parts of each category, by the categories that the parts have by now."""
        return self._by_place(self._tally)

    @property
    def unconfirmed(self) -> dict[str, dict[str, int]]:
        """As `counts`: the parts that were hidden when they crossed, and were not seen again. They are not counted."""
        return self._by_place(self._unconfirmed)

    def update(self, result: Result, size_hw_px: Size | None = None) -> list[Event]:
        """Add the next frame, and tell what happened in it.

        Args:
            result: of the frame. Detections without a track are not looked at.
            size_hw_px: height and width of the frame; by default as the detector's stream knows them.

        Raises:
            InputError: the size is not known, as of a result that was read from a file.
        """
        size_hw_px = size_hw_px or (None if result.state is None else result.state.tiles.size_hw)
        if size_hw_px is None:
            raise InputError(f"{result.name}: comes from no stream; give the frame's size: update(result, (480, 640))")
        at = Moment(self.frames, result.name, result.time_s)
        events = self._change_size(size_hw_px)
        self.frames += 1
        if self.categories != result.categories:
            self.categories, self._defective = result.categories, defective_labels(result.categories)
        for row, track in enumerate(result.track_ids.tolist()):
            if track >= 0:
                events += self._told(result, row, track, at)
        return events + [event for passage in self._gone(result, at) for event in self._end(passage, "leave")]

    def _gone(self, result: Result, at: Moment) -> list[Passage]:
        """The parts that are not followed any more."""
        if result.followed is None:
            return [one for one in self._passages.values() if at.number - one.last.number >= self._gone_frames]
        followed = {*result.followed.tolist(), *result.track_ids.tolist()}
        return [one for track, one in self._passages.items() if track not in followed]

    def finish(self) -> list[Event]:
        """End the stream: tell of the parts that are still there."""
        return [event for passage in list(self._passages.values()) for event in self._end(passage, "end")]

    def _change_size(self, size_hw_px: Size) -> list[Event]:
        """Of another size is another clip: no track goes on in it."""
        was, self._size_hw_px = self._size_hw_px, size_hw_px
        passages = [] if size_hw_px == was else list(self._passages.values())
        return [event for passage in passages for event in self._end(passage, "leave")]

    def _told(self, result: Result, row: int, track: int, at: Moment) -> list[Event]:
        """Add one detection."""
        x0, y0, x1, y1 = result.boxes_xyxy_px[row].tolist()
        centre, label = ((x0 + x1) / 2, (y0 + y1) / 2), int(result.labels[row])
        passage = self._passages.get(track)
        if result.hidden[row]:
            return [] if passage is None else self._hidden(passage, centre, at)
        visible = 1.0 if result.visible is None else float(result.visible[row])
        if passage is None:
            passage = self._passages[track] = Passage(track, at, at, centre)
            passage.see(at, centre, label, float(result.scores[row]), visible)
            return [self._event("enter", passage, at)]
        was_hidden, before, label_before = passage.is_hidden, passage.centre_xy_px, passage.label
        passage.see(at, centre, label, float(result.scores[row]), visible)
        self._relabel(passage, label_before)
        events = [self._event("reappeared", passage, at)] if was_hidden else []
        return events + self._count(passage, before, centre, at)

    def _hidden(self, passage: Passage, centre: Point, at: Moment) -> list[Event]:
        events = [] if passage.is_hidden else [self._event("hidden", passage, at)]
        passage.hide(at)
        for place in self.places:
            way = place.passed(passage.centre_xy_px, centre, self._size_hw_px)
            if way and place.name not in passage.counted and passage.net[place.name] + way in place.counts_as:
                passage.pending.setdefault(place.name, at)
            else:
                passage.pending.pop(place.name, None)
        return events

    def _count(self, passage: Passage, before: Point, after: Point, at: Moment) -> list[Event]:
        events = []
        for place in self.places:
            way = place.passed(before, after, self._size_hw_px)
            passage.net[place.name] += way
            if way and passage.net[place.name] in place.counts_as and place.name not in passage.counted:
                passage.counted[place.name] = at
                self._tally[place.name, passage.label] += 1
                direction = {"direction": "forward" if way > 0 else "backward"} if isinstance(place, CountLine) else {}
                events.append(self._event("count", passage, at, **_of(place), **direction))
        return events

    def _relabel(self, passage: Passage, before: int) -> None:
        """Move what was counted to the category that most frames have by now."""
        if passage.label != before:
            for name in passage.counted:
                self._tally[name, before] -= 1
                self._tally[name, passage.label] += 1

    def _end(self, passage: Passage, kind: str) -> list[Event]:
        del self._passages[passage.track]
        events = []
        for place in self.places:
            if place.name in passage.pending:
                self._unconfirmed[place.name, passage.label] += 1
                events.append(self._event("unconfirmed", passage, passage.pending[place.name], **_of(place)))
        summary = passage.summary(self._defective)
        if "verdict" in summary and (passage.counted or not self.places):
            self.verdicts[summary["verdict"]] += 1
        return [*events, self._event(kind, passage, passage.last, **summary)]

    def _event(self, kind: str, passage: Passage, at: Moment, **more: object) -> Event:
        return Event(kind, at, passage.track, self.categories[passage.label], more)

    def _by_place(self, tally: Tally[tuple[str, int]]) -> dict[str, dict[str, int]]:
        return {
            place.name: {
                name: tally[place.name, label]
                for label, name in enumerate(self.categories)
                if tally[place.name, label] > 0
            }
            for place in self.places
        }


def _of(place: Place) -> dict[str, str]:
    return {"line" if isinstance(place, CountLine) else "region": place.name}
