"""The report as one HTML page without scripts: the counts, and pictures of the problems."""

from __future__ import annotations

import base64
from html import escape

import cv2
import numpy as np

from simgen.dataset.check.pictures import PictureError, pixels_of
from simgen.dataset.check.report import ERRORS, WARNINGS, Problem, Report

MAX_DRAWN_OF_A_KIND = 8
WIDTH_PX = 480
RED = (255, 60, 40)
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; color: #222 }
table { border-collapse: collapse } td, th { padding: .2em .8em; text-align: left; border-bottom: 1px solid #ddd }
figure { display: inline-block; margin: .5em; max-width: 480px; vertical-align: top } img { max-width: 100% }
figcaption { font-size: 13px; overflow-wrap: anywhere } .warning { color: #8a5a00 } .error { color: #b00020 }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd } td, th { border-color: #444 }
  .warning { color: #e0b050 } .error { color: #ff7a80 } }
"""


def page(report: Report) -> str:
    """The HTML of a report."""
    verdict = f"{report.errors} errors, {report.warnings} warnings" if report.counts else "nothing wrong"
    counted = f"{report.clips} clips, {report.frames} pictures, {sum(report.labels.values())} labels"
    sections = "".join(_section(kind, report) for kind in (*ERRORS, *WARNINGS) if report.counts[kind])
    labels = "".join(f"<tr><td>{escape(name)}<td>{count}" for name, count in sorted(report.labels.items()))
    title = escape(f"{report.path}: {verdict}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>{counted}, checked as {escape(report.form)}."
        f"<table><tr><th>category<th>labels{labels}</table>{sections}</html>\n"
    )


def _section(kind: str, report: Report) -> str:
    problems = [problem for problem in report.problems if problem.kind == kind]
    what = ERRORS.get(kind) or WARNINGS[kind]
    drawn = [figure for problem in problems if (figure := _figure(problem))][:MAX_DRAWN_OF_A_KIND]
    rows = "".join(f"<li>{escape(str(problem))}" for problem in problems)
    grade = "error" if kind in ERRORS else "warning"
    left = report.counts[kind] - len(problems)
    more = f"<p>and {left} more" if left else ""
    return (
        f'<h2 class="{grade}">{escape(kind)}: {report.counts[kind]}</h2><p>{escape(what)}</p>{"".join(drawn)}'
        f"<details><summary>all that were kept</summary><ul>{rows}</ul>{more}</details>"
    )


def _figure(problem: Problem) -> str | None:
    if problem.picture is None:
        return None
    try:
        image = pixels_of(problem.picture)
    except (OSError, PictureError):
        return None
    scale = WIDTH_PX / image.shape[1]
    size = (WIDTH_PX, max(1, round(image.shape[0] * scale)))
    shown = np.ascontiguousarray(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    )
    for box in problem.boxes_xyxy_px:
        x0, y0, x1, y1 = (round(float(np.clip(v * scale, -1e4, 1e4))) for v in box)
        cv2.rectangle(shown, (x0, y0), (x1 - 1, y1 - 1), RED, 2)
    ok, jpeg = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    if not ok:
        return None
    text = base64.b64encode(jpeg.tobytes()).decode()
    caption = escape(str(problem))
    return (
        f'<figure><img alt="{caption}" src="data:image/jpeg;base64,{text}"><figcaption>{caption}</figcaption></figure>'
    )
