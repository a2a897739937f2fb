"""One display for all steps: a bar on a terminal, lines elsewhere. What a step itself prints goes to its log."""

from __future__ import annotations

import re
import time
from types import TracebackType
from typing import Any

import typer

from hybrid.core.progress import count_in, minutes

LINE_EVERY_S = 30.0  # where there is no terminal
_NOTE = re.compile(r"^(note: |simgen: (note: |renderer )|warning: |  left out: )")


class Display:
    """What is being done, how far it is, and how long all of it still takes. Use it in a `with`."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._bar: Any = None
        self._task: Any = None
        self._began_s = self._step_began_s = self._told_s = time.monotonic()
        self._first: tuple[float, int] | None = None  # when the step's first count came, and how much was done then
        self._what = self._title = ""
        self._step_s = self._later_s = 0.0

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task("", total=1.0, words="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._bar is None:
            typer.echo(text)
        else:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, title: str, step_s: float, later_s: float) -> None:
        """A step begins. It should take `step_s` seconds, and the steps after it `later_s`."""
        self._title, self._step_s, self._later_s, self._first = title, step_s, later_s, None
        self._step_began_s = self._told_s = time.monotonic()
        if self._bar is None:
            typer.echo(f"{title}: about {minutes(step_s)}, {minutes(step_s + later_s)} to the end")
        else:
            self._bar.update(self._task, description=_escaped(title))
            self._show("", step_s)

    def line(self, text: str) -> None:
        """Take a line that the step printed: a count moves the bar, a note is shown, the rest is not."""
        if count := count_in(text):
            self._counted(count.what, count.done, count.total)
        elif _NOTE.match(text):
            self.tell(text)

    def _counted(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        is_whole = not what or what in self._title  # else it is one of several counts in this step
        if self._first is None or what != self._what or done < self._first[1]:
            self._first, self._what = (now, done), what
        since_s, first = self._first
        left_s = max(0.0, self._step_s - (now - self._step_began_s))
        if done > first:
            of_count_s = (now - since_s) * (total - done) / (done - first)
            left_s = of_count_s if is_whole else max(left_s, of_count_s)
        words = f"{done} of {total}" if is_whole else f"{what}: {done} of {total}"
        if self._bar is not None:
            self._show(words, left_s)
        elif now - self._told_s >= LINE_EVERY_S:
            self._told_s = now
            typer.echo(f"  {words}, about {minutes(left_s)}, {minutes(left_s + self._later_s)} to the end")

    def _show(self, words: str, left_s: float) -> None:
        spent_s, left_s = time.monotonic() - self._began_s, left_s + self._later_s
        shown = f"{words}  about {minutes(left_s)} to the end".strip()
        self._bar.update(self._task, completed=spent_s / max(1e-9, spent_s + left_s), words=_escaped(shown))


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
