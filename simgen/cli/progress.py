"""Progress of a run, as a bar on a terminal. Without a terminal, a line on stderr every 30 s."""

from __future__ import annotations

import heapq
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import TracebackType

import rich.progress as bars
from rich.console import Console

from simgen.dataset.format.manifest import ShardEntry, shard_name
from simgen.generation.budget import duration
from simgen.generation.engines import Event, SceneLost, SceneMade, ShardAgain
from simgen.generation.run import Kept
from simgen.spec.text.lines import line_every_s

LINE_EVERY_S = line_every_s()  # where there is no terminal
WINDOW_S = 60.0  # the rate is that of the last steps: of this time, and of at least so many:
WINDOW_STEPS = 16
SCHEDULED = 8  # shards to come for each worker; with more, the last ones hardly matter


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


class Shards:
    """The time that a run still takes. A shard is made by one worker, so that the last shards decide, not the rate.

    Twelve workers need as long for sixteen shards as for twenty-four.

    Args:
        scenes: of the run.
        size: scenes in a shard.
        workers: that make shards at the same time.
    """

    def __init__(self, scenes: int, size: int, workers: int) -> None:
        self._scenes, self._size, self._workers = scenes, size, workers
        self._begun: dict[int, tuple[int, float]] = {}  # each shard in progress: scenes that ended, and when
        self._took_s: deque[float] = deque(maxlen=max(WINDOW_STEPS, 4 * workers))  # the last scenes, each by one worker
        self._ended = 0  # scenes in shards that are no longer in progress, or never were

    def step(self, scene: int) -> None:
        """Note that a scene has ended. The first one of a shard may include the start of a worker."""
        now, shard = time.monotonic(), scene // self._size
        ended, last_s = self._begun.get(shard, (0, now))
        if ended:
            self._took_s.append(now - last_s)
        self._begun[shard] = ended + 1, now

    def end(self, entry: ShardEntry) -> None:
        """Note that a shard is there."""
        self._begun.pop(entry.first_scene // self._size, None)
        self._ended += entry.clips + len(entry.quarantined)

    def again(self, name: str) -> None:
        """Note that a shard is made again from its start."""
        self._begun = {shard: state for shard, state in self._begun.items() if shard_name(shard) != name}

    @property
    def matter(self) -> bool:
        """Whether the last shards are near, and are of more than one scene. If not, the rate tells as much."""
        return self._size > 1 and self._waiting <= SCHEDULED * self._size * self._at_once

    @property
    def _waiting(self) -> int:
        """Scenes of shards that have not begun."""
        return self._scenes - self._ended - self._size * len(self._begun)

    @property
    def _at_once(self) -> int:
        return max(self._workers, len(self._begun))

    @property
    def seconds(self) -> float | None:
        """None until enough scenes have ended to tell: the first ones are the quick ones."""
        waiting, at_once = self._waiting, self._at_once
        if len(self._took_s) < max(3, at_once):
            return None
        now, scene_s = time.monotonic(), sum(self._took_s) / len(self._took_s)
        busy = [
            (min(self._size, self._scenes) - ended) * scene_s - min(now - last_s, scene_s)
            for ended, last_s in self._begun.values()
        ]
        ends_s = sorted([max(0.0, one) for one in busy] + [0.0] * (at_once - len(busy)))  # a heap
        while waiting > 0:
            heapq.heapreplace(ends_s, ends_s[0] + min(self._size, waiting) * scene_s)
            waiting -= self._size
        return max(ends_s)


class Progress:
    """A bar with scenes and frames per second, remaining time and failures. Pass `on_event` to `run_plan`.

    Args:
        scenes: of the run, with those that are there already.
        workers: that make scenes at the same time.
        shard_scenes: in a shard; None: not known.
    """

    def __init__(self, scenes: int, workers: int = 1, shard_scenes: int | None = None) -> None:
        self.scenes, self.kept, self.made, self.frames, self.lost = scenes, 0, 0, 0, 0
        self.again, self.bytes = 0, 0
        self.start, self.rate = time.monotonic(), Rate(workers)
        self._shards = None if shard_scenes is None else Shards(scenes, shard_scenes, workers)
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
            self._shard_ends(event.entry)
        elif isinstance(event, SceneMade):
            self.made, self.frames = self.made + 1, self.frames + event.frames
            self._scene_ends(event.index)
        elif isinstance(event, SceneLost):
            self.lost += 1
            self._scene_ends(event.index)
            self._note(f"scene {event.index} is left out: {event.reason}")
        elif isinstance(event, ShardAgain):
            self.made, self.frames, self.lost = (
                self.made - event.made,
                self.frames - event.frames,
                self.lost - event.lost,
            )
            self.again += 1
            if self._shards is not None:
                self._shards.again(event.name)
            self._note(f"{event.name} is made again: {event.reason}")
        else:
            self.bytes += event.entry.bytes
            self._shard_ends(event.entry)
        if self.console.is_terminal:
            self.bar.update(self.task, completed=self.done, rates="  ".join(self._rates()))

    def _scene_ends(self, scene: int) -> None:
        self.rate.step()
        if self._shards is not None:
            self._shards.step(scene)

    def _shard_ends(self, entry: ShardEntry) -> None:
        if self._shards is not None:
            self._shards.end(entry)

    def _left(self) -> str:
        if self._shards is None or not self._shards.matter or self.done >= self.scenes:
            return self.rate.left(self.scenes - self.done)
        seconds = self._shards.seconds
        return "" if seconds is None else f"about {duration(seconds)} left"

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
        left = self._left()
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
