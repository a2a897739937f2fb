"""Progress of a run, as a bar on a terminal. Without a terminal, a line on stderr every 30 s."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import TracebackType

import rich.progress as bars
from rich.console import Console

from simgen.generation.budget import duration
from simgen.generation.engines import Event, SceneLost, SceneMade, ShardAgain
from simgen.generation.run import Kept

LINE_EVERY_S = 30.0  # where there is no terminal
WINDOW_S = 60.0  # the rate is that of the last steps: of this time, and of at least so many:
WINDOW_STEPS = 16


class Rate:
    """Steps per second, over the last ones. The start of the workers does not count.

    Args:
        at_once: how many steps are worked on at a time. As many end nearly together, so that many are skipped first.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._skip = self._at_once = max(1, at_once)
        self._times_s: deque[float] = deque()  # when steps ended

    def step(self) -> None:
        """Note that a step has ended."""
        now = time.monotonic()
        self._skip = max(0, self._skip - 1)
        if self._skip:
            return
        self._times_s.append(now)
        least = max(WINDOW_STEPS, 4 * self._at_once)
        while len(self._times_s) > least and self._times_s[1] < now - WINDOW_S:
            self._times_s.popleft()

    @property
    def per_second(self) -> float | None:
        """None until enough steps have ended to tell."""
        steps = len(self._times_s) - 1
        seconds = self._times_s[-1] - self._times_s[0] if steps > 0 else 0.0
        return steps / seconds if steps >= max(3, self._at_once) and seconds > 0 else None

    def left(self, steps: int) -> str:
        """How long so many steps still take, as text; empty while nobody can tell."""
        if (rate := self.per_second) is None or steps <= 0:
            return ""
        waited = min(time.monotonic() - self._times_s[-1], 1 / rate)
        return f"about {duration(max(0.0, steps / rate - waited))} left"


class Progress:
    """A bar with scenes and frames per second, remaining time and failures. Pass `on_event` to `run_plan`.

    Args:
        scenes: of the run, with those that are there already.
        workers: that make scenes at the same time.
    """

    def __init__(self, scenes: int, workers: int = 1) -> None:
        self.scenes, self.kept, self.made, self.frames, self.lost = scenes, 0, 0, 0, 0
        self.again, self.bytes = 0, 0
        self.start, self.rate = time.monotonic(), Rate(workers)
        self.console = Console(stderr=True)
        self.bar = bars.Progress(
            bars.TextColumn("render"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("scenes  {task.fields[rates]}"),
            console=self.console,
            transient=False,
        )
        self.task = self.bar.add_task("render", total=scenes, rates="")
        self._stack = ExitStack()

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self.bar.start()
            self._stack.callback(self.bar.stop)
        else:
            self._stack.enter_context(lines(lambda: f"{self.done} of {self.scenes} scenes, {', '.join(self._rates())}"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def done(self) -> int:
        return self.kept + self.made + self.lost

    def on_event(self, event: Event | Kept) -> None:
        """Count an event, and update the display."""
        if isinstance(event, Kept):
            self.kept += event.entry.clips + len(event.entry.quarantined)
        elif isinstance(event, SceneMade):
            self.made, self.frames = self.made + 1, self.frames + event.frames
            self.rate.step()
        elif isinstance(event, SceneLost):
            self.lost += 1
            self.rate.step()
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
        if self.console.is_terminal:
            self.bar.update(self.task, completed=self.done, rates="  ".join(self._rates()))

    def _rates(self) -> list[str]:
        seconds = max(time.monotonic() - self.start, 1e-6)
        rate = self.rate.per_second or self.made / seconds
        parts = [f"{rate:.2f} scenes/s", f"{rate * self.frames / max(1, self.made):.1f} frames/s"]
        if self.bytes:
            parts.append(f"{self.bytes / seconds / 1e6:.1f} MB/s")
        if self.kept:
            parts.append(f"{self.kept} reused")
        if self.lost:
            parts.append(f"{self.lost} left out")
        if self.again:
            parts.append(f"{self.again} made again")
        left = self.rate.left(self.scenes - self.done)
        return [*parts, left] if left else parts

    def _note(self, text: str) -> None:
        self.console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def track(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, else lines. Yields a function to call after each step; `total` is None where unknown."""
    console, rate, done = Console(stderr=True), Rate(), [0]
    left = bars.TextColumn("{task.fields[left]}")
    columns = (bars.TextColumn(what), bars.BarColumn(), bars.MofNCompleteColumn(), left)

    def line() -> str:
        left = rate.left((total or 0) - done[0])
        return f"{what}: {done[0]}" + (f" of {total}" if total else "") + (f", {left}" if left else "")

    bar = bars.Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
    with bar, nullcontext() if console.is_terminal else lines(line):
        task = bar.add_task(what, total=total, left="")

        def step() -> None:
            done[0] += 1
            rate.step()
            bar.update(task, advance=1, left=rate.left((total or 0) - done[0]))

        yield step


@contextmanager
def lines(text: Callable[[], str]) -> Iterator[None]:
    """Write a line on stderr every `LINE_EVERY_S` until the block ends, also while nothing happens."""
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(LINE_EVERY_S):
            sys.stderr.write(f"{text()}\n")
            sys.stderr.flush()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
