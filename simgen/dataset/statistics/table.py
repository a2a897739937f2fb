"""The summary of a data set for a terminal: plain text, 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from simgen.dataset.statistics.histogram import quantile
from simgen.dataset.statistics.knobs import KnobColumn, range_text, short
from simgen.dataset.statistics.summary import Summary
from simgen.spec.knobs import Choice

WIDTH = 80
SHADES = " .:-=+*#%@"  # of the map: none, few .. many


def lines(found: Summary) -> Iterator[str]:
    """The summary, line by line."""
    sizes = ", ".join(f"{w} x {h}" for w, h in sorted(found.frame_px))
    yield f"{found.place}: {found.preset or 'a preset without a name'}, seed {found.seed}"
    yield f"  {found.clips} scenes, {found.frames} frames of {sizes or 'no'} pixels, {found.boxes} boxes"
    for name, text in facts(found):
        yield from _folded(f"  {name:<15}{text}", 17)
    yield from _categories(found)
    if found.boxes:
        yield from _map(found)
    yield from _knobs(found)
    for line in problems(found):  # not folded: a path in it is to be copied
        yield f"problem: {line}"


def facts(found: Summary) -> Iterator[tuple[str, str]]:
    """What is told in words, as (name, text)."""
    counts = found.boxes_a_frame
    if found.frames:
        middle, low, high = (quantile(counts, q) for q in (0.5, 0.05, 0.95))
        yield "boxes a frame", f"median {middle}; nine frames in ten have {low} to {high}; most {max(counts)}"
    yield "empty", f"{found.empty_clips} scenes without a part, {found.empty_frames} frames without a box"
    if found.decoys:
        yield "decoys", f"{found.decoys} in {found.clips_with_decoys} scenes"
    if found.on_photo:
        yield "on photos", f"{found.on_photo} scenes"
    if found.redrawn:
        often = max(found.redrawn)
        yield "drawn again", f"{found.redrawn.total()} scenes, whose parts fell wrongly at first, up to {often} times"
    for reason, count in found.quarantined.items():
        yield "left out", f"{count} scenes: {reason}"


def problems(found: Summary) -> Iterator[str]:
    """A line for each fault, the first of each kind."""
    yield from found.damage
    if found.damaged > len(found.damage):
        yield f"{found.damaged - len(found.damage)} more shards or clips are damaged"
    yield from found.knobs.outside.values()
    yield from found.knobs.strange[:3]
    if found.knobs.strangers > 3:
        yield f"{found.knobs.strangers} scenes in all are not what their config draws: another version, or changed"


def _folded(text: str, indent: int) -> list[str]:
    """A line of at most 80 letters, and what is left of it below, indented."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def _categories(found: Summary) -> Iterator[str]:
    yield ""
    yield f"{'category':<20}{'boxes':>9}{'share':>7}   {'size in px: 5 %, median, 95 %':<21}{'whole':>6}{'cut':>6}"
    for name, one in sorted(found.categories.items()):
        share = one.boxes / found.boxes if found.boxes else 0.0
        sizes = "".join(f"{one.size_px.quantile(q):>9.0f}" for q in (0.05, 0.5, 0.95))
        seen = max(1, one.boxes)
        yield f"{name[:19]:<20}{one.boxes:>9}{share:>7.0%}{sizes:>32}{one.whole / seen:>6.0%}{one.cut / seen:>6.0%}"
    hidden = sum(one.hidden for one in found.categories.values())
    yield f"  size: square root of the area. whole: nothing covers it. {hidden} more are hidden."


def _map(found: Summary) -> Iterator[str]:
    most = max(map(max, found.places))
    yield ""
    yield f"where the boxes' middles are in the picture, {SHADES[1]} few to {SHADES[-1]} many (up to {most})"
    rows = found.places
    for top, below in zip(rows[::2], rows[1::2], strict=True):  # a letter is twice as high as wide
        counts = [a + b for a, b in zip(top, below, strict=True)]
        yield "  |" + "".join(_shade(count, 2 * most) * 2 for count in counts) + "|"


def _shade(count: int, most: int) -> str:
    return SHADES[0] if count == 0 else SHADES[max(1, round(count / most * (len(SHADES) - 1)))]


def _knobs(found: Summary) -> Iterator[str]:
    table = found.knobs
    yield ""
    if table.no_config:
        yield f"the knobs are not shown: {table.no_config}"
        return
    drawn = {path: column for path, column in table.varying.items() if column.count}
    yield f"{'knob':<40}{'range':>18}{'drawn':>21}"
    group = ""
    for path, column in drawn.items():
        above, _, name = path.partition(".")
        if not isinstance(column.knob, Choice):
            yield from () if above == group else (above,)
            group = above
            ends = f"{drawn_text(column):>21}"
            yield f"  {name:<38}{range_text(column.knob):>18}{ends}{_mark(found, path)}".rstrip()
    yield "names"
    for path, column in drawn.items():
        if isinstance(column.knob, Choice):
            yield from _folded(f"  {path}: {drawn_text(column)}{_mark(found, path)}", 4)
    undrawn = len(table.varying) - len(drawn)
    more = f"; {undrawn} more vary and were drawn in no scene" if undrawn else ""
    yield f"  {len(table.fixed)} more have one value{more}"


def _mark(found: Summary, path: str) -> str:
    return "  !" if path in found.knobs.outside else ""


def drawn_text(column: KnobColumn) -> str:
    """What a knob gave: the least and the largest number, or the share of each name."""
    if isinstance(column.knob, Choice):
        weights = column.knob.weights
        names = sorted(name for name in {*column.names, *weights} if column.names[name] or weights.get(name, 0) > 0)
        total = sum(weights.values())
        return ", ".join(
            f"{name} {column.names[name] / column.count:.0%} (asked {weights.get(name, 0) / total:.0%})"
            for name in names
        )
    return f"{short(column.least)} to {short(column.most)}"
