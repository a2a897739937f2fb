"""The summary of a data set as a page: one HTML file without scripts, dark or light as the reader's screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from simgen.dataset.page_style import STYLE
from simgen.dataset.statistics.histogram import quantile
from simgen.dataset.statistics.knobs import KnobColumn, range_text
from simgen.dataset.statistics.summary import COLUMNS, ROWS, Category, Summary
from simgen.dataset.statistics.table import drawn_text, facts, problems
from simgen.spec.knobs import Choice

CELL = 10  # of the map, in units of its drawing
BAR_W, BAR_H = 160, 34


def page(found: Summary) -> str:
    """The HTML of a summary."""
    title = f"{found.place}: what is in it"
    head = f"{found.clips} scenes of {found.preset or 'a preset'}, seed {found.seed}: {found.frames} frames"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><main><h1>{escape(title)}</h1>"
        f"<p>{escape(head)}, {found.boxes} boxes.</p>{_problems(found)}{_facts(found)}"
        f"{_categories(found)}{_pictures(found)}{_knobs(found)}</main></html>\n"
    )


def _problems(found: Summary) -> str:
    rows = "".join(f"<li>{escape(line)}" for line in problems(found))
    return f'<section class="bad"><h2>Problems</h2><ul>{rows}</ul></section>' if rows else ""


def _facts(found: Summary) -> str:
    rows = "".join(f"<tr><th>{escape(name)}<td>{escape(text)}" for name, text in facts(found))
    return f'<div class="wide"><table>{rows}</table></div>'


def _categories(found: Summary) -> str:
    rows = "".join(_category(name, one, found.boxes) for name, one in sorted(found.categories.items()))
    return (
        '<h2>Categories</h2><div class="wide"><table><tr><th>category<th>boxes<th>share<th>size, px: 5 %<th>median'
        "<th>95 %<th>whole<th>cut by the edge<th>wholly hidden<th>visible share, 0 to 1"
        f"{rows}</table></div><p>Size is the square root of the box's area. Whole: nothing covers the part.</p>"
    )


def _category(name: str, one: Category, total: int) -> str:
    seen = max(1, one.boxes)
    numbers = (
        f"{one.boxes}", f"{one.boxes / max(1, total):.0%}",
        *(f"{one.size_px.quantile(q):.0f}" for q in (0.05, 0.5, 0.95)),
        f"{one.whole / seen:.0%}", f"{one.cut / seen:.0%}", f"{one.hidden}",
    )  # fmt: skip
    cells = "".join(f'<td class="n">{number}' for number in numbers)
    bars = _bars(one.visible.counts, f"visible share of {name}, in ten steps from 0 to 1")
    return f"<tr><th>{escape(name)}{cells}<td>{bars}"


def _bars(counts: Sequence[int], text: str) -> str:
    """Bars side by side, the highest as high as the drawing."""
    most, wide = max([*counts, 1]), BAR_W / max(1, len(counts))
    bars = "".join(
        f'<rect x="{k * wide:.1f}" y="{BAR_H * (1 - count / most):.1f}" width="{wide - 1:.1f}" '
        f'height="{BAR_H * count / most:.1f}"><title>{count}</title></rect>'
        for k, count in enumerate(counts)
    )
    listed = ", ".join(map(str, counts))
    return (
        f'<svg class="bars" viewBox="0 0 {BAR_W} {BAR_H}" role="img" aria-label="{escape(text)}: {listed}">{bars}</svg>'
    )


def _pictures(found: Summary) -> str:
    most = max([1, *map(max, found.places)])
    cells = "".join(
        f'<rect x="{x * CELL}" y="{y * CELL}" width="{CELL}" height="{CELL}" fill-opacity="{count / most:.3f}">'
        f"<title>{count}</title></rect>"
        for y, row in enumerate(found.places)
        for x, count in enumerate(row)
        if count
    )
    where = (
        f'<svg class="map" viewBox="0 0 {COLUMNS * CELL} {ROWS * CELL}" role="img" '
        f'aria-label="map of the boxes\' middles, up to {most} in a cell">{cells}</svg>'
    )
    return (
        '<div class="pair"><section><h2>Where boxes are</h2>'
        f"{where}<p>The middle of each box in the picture. The darkest cell has {most}.</p></section>"
        f"<section><h2>Boxes a frame</h2>{_per_frame(found)}</section></div>"
    )


def _per_frame(found: Summary) -> str:
    counts = found.boxes_a_frame
    if not counts:
        return "<p>No frame was read."
    high = max(quantile(counts, 0.999), 1)
    step = max(1, -(-(high + 1) // 40))
    bins = [sum(counts[value] for value in range(low, low + step)) for low in range(0, high + 1, step)]
    return (
        f"{_bars(bins, 'frames by their number of boxes')}<p>From 0 to {high}, "
        f"{step} a bar; median {quantile(counts, 0.5)}, most {max(counts)}.</p>"
    )


def _knobs(found: Summary) -> str:
    table = found.knobs
    if table.no_config:
        return f"<h2>Knobs</h2><p>Not shown: {escape(table.no_config)}</p>"
    rows = "".join(_knob_rows(found))
    fixed = "".join(f"<li>{escape(path)}: {escape(range_text(one.knob))}" for path, one in table.fixed.items())
    return (
        "<h2>Knobs</h2><p>What the scenes drew. The bars go from the low to the high end of the config's range. "
        "A value outside the range is a fault.</p>"
        '<div class="wide"><table><tr><th>knob<th>range<th>draws<th>least<th>mean<th>largest<th>from low to high'
        f"{rows}</table></div><details><summary>{len(table.fixed)} knobs have one value</summary><ul>{fixed}</ul>"
        "</details>"
    )


def _knob_rows(found: Summary) -> Iterator[str]:
    for path, column in found.knobs.varying.items():
        mark = ' class="bad"' if path in found.knobs.outside else ""
        yield f"<tr{mark}><th>{escape(path)}{_knob_cells(path, column)}"


def _knob_cells(path: str, column: KnobColumn) -> str:
    if not column.count:
        return f'<td>{escape(range_text(column.knob))}<td class="n">0<td colspan="4">drawn in no scene'
    if isinstance(column.knob, Choice):
        return f'<td>names<td class="n">{column.count}<td colspan="4">{escape(drawn_text(column))}'
    numbers = "".join(f'<td class="n">{value:.4g}' for value in (column.least, column.mean, column.most))
    bars = _bars(column.bins.counts, f"{path} over its range") if column.bins else ""
    return f'<td>{escape(range_text(column.knob))}<td class="n">{column.count}{numbers}<td>{bars}'
