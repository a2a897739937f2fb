"""Progress of long runs. Training and evaluation call a `Progress`; the caller decides who shows it and how.

On a terminal it is shown as bars, elsewhere (a log, CI) as a line every `LINE_EVERY_S`. Both go to the error stream.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simgen.spec.text.lines import line_every_s

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[int, int, Mapping[str, float]], None]  # (done, total, values to show)
LINE_EVERY_S = line_every_s()  # where there is no terminal
_COUNT = re.compile(r"^(?:(?P<what>[^:]{1,60}): )?(?P<done>\d{1,9}) of (?P<total>\d{1,9})\b")


def silent(done: int, total: int, values: Mapping[str, float]) -> None:
    """Show nothing."""


class Together:
    """Several pieces of work in one display: what is done of all of them, and so how long all will take.

    Pieces that are to come are announced with `expect`; one that turns out to be done already is taken out again.
    Where pieces count different things, `worth` says how long one of them takes, against the others.
    """

    def __init__(self, report: Progress = silent) -> None:
        self._report = report
        self._sizes: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._worth: dict[str, float] = {}

    def expect(self, name: str, size: int, worth: float = 1.0) -> None:
        """A piece of this size is to come."""
        self._sizes.setdefault(name, size)
        self._worth.setdefault(name, worth)

    def drop(self, name: str) -> None:
        """Nothing is to be done for a piece that was expected."""
        if name not in self._done:
            self._sizes.pop(name, None)

    def piece(self, name: str, size: int) -> Progress:
        """A piece begins, of the worth that was announced. Returns what it calls with (done, total, values)."""
        self._sizes[name] = size

        def report(done: int, total: int, values: Mapping[str, float]) -> None:
            self._done[name], self._sizes[name] = done, total
            self._report(self._whole(self._done), self._whole(self._sizes), values)

        return report

    def _whole(self, counts: Mapping[str, int]) -> int:
        return round(sum(count * self._worth.get(name, 1.0) for name, count in counts.items()))


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A progress bar on the terminal, with the remaining time and the latest values."""
    with bars(title) as (report,):
        yield report


@contextmanager
def bars(*titles: str) -> Iterator[tuple[Progress, ...]]:
    """Several progress bars, one below the other. All but the first appear with their first report.

    Where there is no terminal, each report function writes a line every `LINE_EVERY_S`.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with _on_terminal(console, titles) as reports:
            yield reports
    else:
        yield tuple(_lines(title) for title in titles)


@contextmanager
def _on_terminal(console: Console, titles: Sequence[str]) -> Iterator[tuple[Progress, ...]]:
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Rich(*columns, TextColumn("{task.fields[values]}"), console=console) as display:
        tasks = [display.add_task(escape(title), total=None, values="", visible=title == titles[0]) for title in titles]

        def reporter(index: int) -> Progress:
            def report(done: int, total: int, values: Mapping[str, float]) -> None:
                display.update(tasks[index], completed=done, total=total, visible=True)
                if values:
                    display.update(tasks[index], values=_text(values))

            return report

        yield tuple(reporter(index) for index in range(len(titles)))


def _lines(title: str) -> Progress:
    """A report function that writes a line when `LINE_EVERY_S` have passed since its first call or its last line."""
    began: list[tuple[float, int]] = []  # when the first report came, and how much was done then: a run may be resumed
    last_line_s = time.monotonic()

    def report(done: int, total: int, values: Mapping[str, float]) -> None:
        nonlocal last_line_s
        now = time.monotonic()
        if not began:
            began.append((now, done))
        if now - last_line_s < LINE_EVERY_S:
            return
        (start_s, start_done), last_line_s = began[0], now
        words = [f"{title}: {done} of {total}"]
        if done > start_done:
            words.append(f"about {minutes((now - start_s) * (total - done) / (done - start_done))} left")
        sys.stderr.write(", ".join([*words, *([_text(values)] if values else [])]) + "\n")

    return report


@dataclass(frozen=True)
class Count:
    """How far a command is, as it says in a line: `train: 15 of 100, about 3 min left`."""

    what: str  # may be empty
    done: int
    total: int


def count_in(line: str) -> Count | None:
    """The count in a line that a command of this project writes where there is no terminal; None: it holds none."""
    found = _COUNT.match(line)
    return None if found is None else Count(found["what"] or "", int(found["done"]), int(found["total"]))


def minutes(seconds: float) -> str:
    """A duration for people: seconds up to a minute and a half, then minutes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _text(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in values.items())
