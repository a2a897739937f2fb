"""Foreign formats. A new one is a new file and a row here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from simgen.export import coco
from simgen.export.errors import ExportError
from simgen.shards import DataSet

__all__ = ["EXPORTERS", "ExportError", "export"]

Step = Callable[[], None]  # called after each clip
Exporter = Callable[[DataSet, Path, Step], tuple[Path, dict[str, int]]]

EXPORTERS: dict[str, Exporter] = {"coco": coco.write}


def export(data: DataSet, format: str, out: Path, step: Step = lambda: None) -> tuple[Path, dict[str, int]]:
    """Write `data` in another format. Returns the main file and how many of what it holds.

    Raises:
        ExportError: there is no such format, or something stands at `out` already.
        ShardError: the data set is damaged.
    """
    if format not in EXPORTERS:
        raise ExportError(f"no format {format!r}; there are {', '.join(sorted(EXPORTERS))}")
    return EXPORTERS[format](data, out, step)
