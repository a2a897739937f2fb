"""A report's three files: NAME.json, NAME-pictures.json beside it, and NAME.html, which is drawn from the two."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pipelines.gap.page.render import render_page
from pipelines.gap.schema.picture_file import beside, pictures_to_json, with_pictures
from pipelines.gap.schema.report import Report, read_report, report_from_json
from simgen.dataset.store.files import write_atomically


def write_report(report: Report, out: Path) -> None:
    """Write all three, each whole or not at all. `out`: the page."""
    text, stored = report.to_json(), out.with_suffix(".json")
    again = replace(report_from_json(json.loads(text)), pictures=report.pictures)
    page = render_page(again)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(beside(stored), pictures_to_json(report).encode())
    write_atomically(stored, text.encode(errors="replace"))
    write_atomically(out, page.encode(errors="replace"))


def draw_again(path: Path, page: Path, photos: bool) -> str:
    """Draw the page of a report.json, with the pictures beside it. Without `photos`, no photo is on it.

    Returns:
        What is missing on the page, in words; empty: nothing.

    Raises:
        RunError: one of the files cannot be read, or is none of this version.
    """
    report = with_pictures(read_report(path), beside(path))
    report = report if photos else report.without_photos()
    write_atomically(page, render_page(report).encode(errors="replace"))
    missing = report.missing_pictures
    if not missing:
        return ""
    why = "does not hold them" if beside(path).exists() else "is not there"
    return f"{missing} pictures are not on the page: {beside(path)} {why}"
