"""What the counter of a run leaves: the events of the parts as JSON lines, the counts as CSV and as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hybrid.core.errors import DataError
from hybrid.data.clips import Skips
from hybrid.predict.counting.counter import Counter
from hybrid.predict.counting.passages import Event
from hybrid.predict.counting.places import CountLine, Place, Size
from simgen.dataset.store.files import write_atomically

if TYPE_CHECKING:
    from hybrid.predict.result import Result

HEAD = ("place", "kind", "category", "count", "unconfirmed")


class Counted:
    """Counts the frames of a source, and writes what happens to the parts."""

    def __init__(self, places: Sequence[Place], events: TextIO | None, skips: Skips) -> None:
        self.counter = Counter(places)
        self._events, self._skips = events, skips
        self._size_hw_px: Size | None = None

    def put(self, result: Result, size_hw_px: Size) -> None:
        """Add a frame.

        Raises:
            DataError: a line or region lies outside the first picture. In a later picture it is noted.
        """
        if size_hw_px != self._size_hw_px:
            self._check_places(result.name, size_hw_px)
            self._size_hw_px = size_hw_px
        self._write(self.counter.update(result, size_hw_px))

    def finish(self, path: Path | None) -> None:
        """Tell of the parts that are still there, and write the counts where there are places to count at."""
        self._write(self.counter.finish())
        if path is not None and self.counter.places:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([HEAD, *self.rows()])
            write_atomically(path, text.getvalue().encode())

    def rows(self) -> list[tuple[str, str, str, int, int]]:
        """(place, line or region, category, count, unconfirmed) of each place and category."""
        counts, unconfirmed = self.counter.counts, self.counter.unconfirmed
        return [
            (
                place.name,
                "line" if isinstance(place, CountLine) else "region",
                name,
                counts[place.name].get(name, 0),
                unconfirmed[place.name].get(name, 0),
            )
            for place in self.counter.places
            for name in self.counter.categories
        ]

    def table(self) -> list[str]:
        """For a terminal: a row for each place and a column for each category, and the verdicts where there are any."""
        verdicts = self.counter.verdicts
        told = [f"verdicts: {', '.join(f'{verdicts[one]} {one}' for one in ('ok', 'defective'))}"] if verdicts else []
        if not self.counter.places:
            return told
        counts, unconfirmed = self.counter.counts, self.counter.unconfirmed
        lines = [["counted at", *self.counter.categories, "all", "unconfirmed"]]
        for place in self.counter.places:
            own = counts[place.name]
            figures = [own.get(name, 0) for name in self.counter.categories]
            lines.append([place.name, *map(str, [*figures, sum(own.values()), sum(unconfirmed[place.name].values())])])
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        rows = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
        return rows + told

    def _check_places(self, frame: str, size_hw_px: Size) -> None:
        height, width = size_hw_px
        for place in self.counter.places:
            if not place.is_outside(size_hw_px):
                continue
            points = " ".join(f"({x:g}, {y:g})" for x, y in place.points_px(size_hw_px)[:4])
            where = f"{place.name} at {points} px, in {frame} of {width}x{height}"
            if self._size_hw_px is None:
                raise DataError(f"count line or region outside the picture, where nothing crosses it: {where}")
            self._skips.add("count line or region outside the picture: nothing crosses it", where)

    def _write(self, events: Sequence[Event]) -> None:
        if self._events is not None and events:
            self._events.writelines(json.dumps(event.to_plain()) + "\n" for event in events)
            self._events.flush()
