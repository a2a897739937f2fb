"""An HTML page with a camera fit, and with simulated pictures for comparison. One file, no script."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np

from simgen.presets.fit_camera.fit import CameraFit
from simgen.presets.fit_camera.measures import FIGURES, Comparison, Measures, compare, values

COLOURS = ("#222", "#d55e00", "#0072b2", "#009e73", "#cc79a7")  # after Okabe and Ito: safe for colour-blind readers
WIDTH, ROW = 360, 14  # pixels: width of a strip, height of a row in it
FAR = 1.0  # half widths of the photos' range; a larger distance is printed bold
_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.3em .8em;border-top:1px solid #ddd;text-align:left;"
    "vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}.far{font-weight:bold}"
    "code,small{color:#555}code{overflow-wrap:anywhere}"
)


def page(fit: CameraFit, beside: Mapping[str, Sequence[Measures]]) -> str:
    """The HTML of a fit, with the sets of simulated pictures in `beside`, by name, such as before and after."""
    sets: dict[str, Sequence[Measures]] = {"photographs": fit.measures, **beside}
    width, height = fit.size_px
    body = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Camera</title>",
        f"<style>{_STYLE}</style><h1>Camera</h1>",
        f"<p>{fit.photos} photographs of {width} x {height} pixels. ",
        "A dot is a picture, a bar the median. Bold: the median is further from that of the photographs than half of "
        "the range that contains eight in ten of them. The content of the scenes influences the "
        "figures, not the camera alone. Pictures of other sizes show "
        "noise and edges at another scale.</p>",
        _legend(sets),
        _figures(sets),
        "<h2>The camera as a preset</h2>",
        _ranges(fit),
    ]
    return "\n".join(body) + "\n"


def _legend(sets: Mapping[str, Sequence[Measures]]) -> str:
    spots = (
        f"<span style='color:{_colour(i)}'>&#9679;</span> {html.escape(name)} ({len(pictures)})"
        for i, (name, pictures) in enumerate(sets.items())
    )
    return "<p>" + " &nbsp; ".join(spots) + "</p>"


def _colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]


def _figures(sets: Mapping[str, Sequence[Measures]]) -> str:
    first, *others = sets.values()
    compared = [{c.name: c for c in compare(first, other)} for other in others]
    names = "".join(f"<th>{html.escape(name)}" for name in sets)
    rows = [f"<table><tr><th>figure<th>{names}<th>changed by"]
    for name, figure in FIGURES.items():
        numbers = [values(pictures, name) for pictures in sets.values()]
        cells = [f"<td class='n'>{_median(numbers[0])}"]
        cells += [_other(by_name[name]) for by_name in compared]
        rows.append(
            f"<tr><td>{figure.title}<br><small>{figure.unit}</small><td>{_strip(numbers)}{''.join(cells)}"
            f"<td><code>{figure.knobs}</code>"
        )
    return "\n".join(rows) + "</table>"


def _median(numbers: np.ndarray) -> str:
    return f"{np.median(numbers):.3g}" if len(numbers) else "&ndash;"


def _other(compared: Comparison) -> str:
    far = " far" if abs(compared.distance) > FAR else ""
    return f"<td class='n{far}'>{_median(compared.other)}"


def _strip(sets: Sequence[np.ndarray]) -> str:
    """Every picture's number as a dot on one axis, a row for each set."""
    everything = np.concatenate(sets)
    if not len(everything):
        return ""
    low, high = float(everything.min()), float(everything.max())
    scale = (WIDTH - 16) / (high - low or 1.0)
    marks = []
    for i, numbers in enumerate(sets):
        middle = ROW * i + ROW / 2
        marks += [
            f"<circle cx='{8 + (v - low) * scale:.1f}' cy='{middle}' r='3' fill='{_colour(i)}' fill-opacity='.45'/>"
            for v in numbers
        ]
        if len(numbers):
            x = 8 + (float(np.median(numbers)) - low) * scale
            marks.append(f"<rect x='{x - 1:.1f}' y='{middle - 6}' width='2' height='12' fill='{_colour(i)}'/>")
    bottom = ROW * len(sets) + 12
    ends = (
        f"<text x='2' y='{bottom}' font-size='10'>{low:.3g}</text>"
        f"<text x='{WIDTH - 2}' y='{bottom}' font-size='10' text-anchor='end'>{high:.3g}</text>"
    )
    return f"<svg width='{WIDTH}' height='{bottom + 3}' role='img'>{''.join(marks)}{ends}</svg>"


def _ranges(fit: CameraFit) -> str:
    rows = ["<table><tr><th>knob<th>from<th>to<th>how"]
    for name, found in fit.ranges.items():
        numbers = f"<td class='n'>{found.low:g}<td class='n'>{found.high:g}"
        rows.append(f"<tr><td><code>sensor.{name}</code>{numbers}<td>{html.escape(found.how)}")
    for name, why in fit.not_estimated.items():
        rows.append(f"<tr><td><code>{name}</code><td colspan='2'>as in the base<td>{html.escape(why)}")
    return "\n".join(rows) + "</table>"
