"""Every figure of a report, with its place in report.json."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from pipelines.gap.schema.figure import Figure


def figures(item: object, place: str = "") -> Iterator[tuple[str, Figure]]:
    """(place, figure) of all figures in dataclasses, tuples and dicts, in their order; such as `runs[0].real.ap50`."""
    if isinstance(item, Figure):
        yield place, item
    elif isinstance(item, dict):
        for key, value in item.items():
            yield from figures(value, f"{place}[{key!r}]")
    elif isinstance(item, tuple):
        for index, value in enumerate(item):
            yield from figures(value, f"{place}[{index}]")
    elif is_dataclass(item):
        for one in fields(item):
            yield from figures(getattr(item, one.name), f"{place}.{one.name}".removeprefix("."))
