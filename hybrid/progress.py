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
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Rich(*columns, TextColumn("{task.fields[values]}")) as shown:
        task = shown.add_task(title, total=None, values="")

        def tell(done: int, total: int, values: Mapping[str, float]) -> None:
            shown.update(task, completed=done, total=total)
            if values:
                shown.update(task, values="  ".join(f"{name} {value:.3g}" for name, value in values.items()))

        yield tell
