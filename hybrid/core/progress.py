"""Telling how far a long run is. The engine calls a `Progress`; who shows it, and how, is the caller's business."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Progress = Callable[[int, int, Mapping[str, float]], None]  # (done, total, figures to show)


def silent(done: int, total: int, values: Mapping[str, float]) -> None:
    """Show nothing."""


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A bar on the terminal, with the time that remains and the values last told."""
    with bars(title) as (tell,):
        yield tell


@contextmanager
def bars(*titles: str) -> Iterator[tuple[Progress, ...]]:
    """As `bar`, one below the other; all but the first are there from when they are first told something."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Rich(*columns, TextColumn("{task.fields[values]}")) as shown:
        tasks = [shown.add_task(title, total=None, values="", visible=title == titles[0]) for title in titles]

        def teller(place: int) -> Progress:
            def tell(done: int, total: int, values: Mapping[str, float]) -> None:
                shown.update(tasks[place], completed=done, total=total, visible=True)
                if values:
                    told = "  ".join(f"{name} {value:.3g}" for name, value in values.items())
                    shown.update(tasks[place], values=told)

            return tell

        yield tuple(teller(place) for place in range(len(titles)))
