"""Progress of long runs. Training and evaluation call a `Progress`; the caller decides who shows it and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Progress = Callable[[int, int, Mapping[str, float]], None]  # (done, total, values to show)


def silent(done: int, total: int, values: Mapping[str, float]) -> None:
    """Show nothing."""


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A progress bar on the terminal, with the remaining time and the latest values."""
    with bars(title) as (report,):
        yield report


@contextmanager
def bars(*titles: str) -> Iterator[tuple[Progress, ...]]:
    """Several progress bars, one below the other. All but the first appear with their first report."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Rich(*columns, TextColumn("{task.fields[values]}")) as display:
        tasks = [display.add_task(title, total=None, values="", visible=title == titles[0]) for title in titles]

        def reporter(index: int) -> Progress:
            def report(done: int, total: int, values: Mapping[str, float]) -> None:
                display.update(tasks[index], completed=done, total=total, visible=True)
                if values:
                    text = "  ".join(f"{name} {value:.3g}" for name, value in values.items())
                    display.update(tasks[index], values=text)

            return report

        yield tuple(reporter(index) for index in range(len(titles)))
