"""Check a data set: checksums, schema, images, and labels against the pixels under them.

`check` takes a simgen data set or a COCO JSON, simulated or real, and returns a `Report`. Nothing in the data set is
trusted: hostile content is reported as a problem.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from simgen.dataset.check.clips import check_shards
from simgen.dataset.check.coco import check_coco
from simgen.dataset.check.page import page
from simgen.dataset.check.report import ERRORS, WARNINGS, Picture, Problem, Report
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.locations import Location, location

__all__ = ["ERRORS", "WARNINGS", "Picture", "Problem", "Report", "check", "check_data_set", "page"]


def check(path: Location | str, step: Callable[[], None] = lambda: None) -> Report:
    """Check a data set: checksums, schema, images, and labels against the pixels under them.

    Args:
        path: a folder or URL that `simgen render` wrote, or a COCO JSON with its images.
        step: called after each clip, or after each image of a COCO JSON.

    Raises:
        ShardError: the folder has no readable manifest.

    >>> report = check("out/belt")
    >>> report.clips, report.errors
    (6, 0)
    """
    path = location(path)
    if not isinstance(path, Path) or path.is_dir():
        return check_data_set(DataSet(path), step)
    report = Report(path, "coco")
    check_coco(path, report, step)
    return report


def check_data_set(data: DataSet, step: Callable[[], None] = lambda: None) -> Report:
    """Check a simgen data set. `step` is called after each clip."""
    report = Report(data.folder, "simgen")
    check_shards(data, report, step)
    return report
