"""Progress of a run, as a bar on a terminal. Without a terminal, one line on stderr every minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

import rich.progress as bars
from rich.console import Console

from simgen.generation.engines import Event, SceneLost, SceneMade, ShardAgain
from simgen.generation.run import Kept

LINE_EVERY_S = 60.0  # where there is no terminal


class Progress:
    """A bar with scenes and frames per second, remaining time and failures. Pass `tell` to `run_plan`."""

    def __init__(self, scenes: int) -> None:
        self.scenes, self.kept, self.made, self.frames, self.lost = scenes, 0, 0, 0, 0
        self.again, self.bytes = 0, 0
        self.start = self.said = time.monotonic()
        self.console = Console(stderr=True)
        self.bar = bars.Progress(
            bars.TextColumn("render"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("scenes  {task.fields[rates]}"),
            bars.TimeRemainingColumn(elapsed_when_finished=True),
            console=self.console,
            speed_estimate_period=120,
            transient=False,
        )
        self.task = self.bar.add_task("render", total=scenes, rates="")

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:  # else rich would print an empty line
            self.bar.stop()

    def tell(self, event: Event | Kept) -> None:
        """Count an event, and update the display."""
        if isinstance(event, Kept):
            self.kept += event.entry.clips + len(event.entry.quarantined)
        elif isinstance(event, SceneMade):
            self.made, self.frames = self.made + 1, self.frames + event.frames
        elif isinstance(event, SceneLost):
            self.lost += 1
            self._note(f"scene {event.index} is left out: {event.reason}")
        elif isinstance(event, ShardAgain):
            self.made, self.frames, self.lost = (
                self.made - event.made,
                self.frames - event.frames,
                self.lost - event.lost,
            )
            self.again += 1
            self._note(f"{event.name} is made again: {event.reason}")
        else:
            self.bytes += event.entry.bytes
        self._show()

    def _show(self) -> None:
        now = time.monotonic()
        seconds = max(now - self.start, 1e-6)
        parts = [f"{self.made / seconds:.2f} scenes/s", f"{self.frames / seconds:.1f} frames/s"]
        if self.bytes:
            parts.append(f"{self.bytes / seconds / 1e6:.1f} MB/s")
        if self.kept:
            parts.append(f"{self.kept} reused")
        if self.lost:
            parts.append(f"[red]{self.lost} left out[/]")
        if self.again:
            parts.append(f"[yellow]{self.again} made again[/]")
        done = self.kept + self.made + self.lost
        if self.console.is_terminal:
            self.bar.update(self.task, completed=done, rates="  ".join(parts))
        elif now - self.said >= LINE_EVERY_S:
            self.said = now
            sys.stderr.write(f"{done} of {self.scenes} scenes, {parts[0]}, {parts[1]}\n")

    def _note(self, text: str) -> None:
        self.console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def track(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """A bar on a terminal. Yields a function to call after each step; `total` is None where it is unknown."""
    console = Console(stderr=True)
    columns = (bars.TextColumn(what), bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeRemainingColumn())
    with bars.Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
