"""Small drawings in the rows of tables: a dot with its interval, a range over a range, a bar.

Each stands beside its own figures in the same row, so a screen reader leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipelines.gap.page.svg import Scale, around, line, ornament, rect, sign, text, tick_words

WIDTH, HEIGHT = 200.0, 28.0
MOST_TICKS = 4
MARGIN = 12.0  # room for half a tick's label at both ends


def axis(scale: Scale, signed: bool = False) -> Markup:
    """The scale's ticks and their labels, for the head of a column of dots."""
    ticks = scale.ticks(MOST_TICKS)
    marks = [line(scale(tick), 18.0, scale(tick), 22.0, "ax") for tick in ticks]
    labels = [text(scale(tick), 13.0, tick_words(tick, signed), "tick", "middle") for tick in ticks]
    return ornament(WIDTH, 22.0, [*marks, *labels], "strip")


def dot(
    scale: Scale,
    value: float,
    interval: tuple[float, float] | None = None,
    single: Sequence[float] = (),
    colour: str = "sim",
    sure: bool = True,
) -> Markup:
    """A value, its interval and the values that it is the mean of (a tick for each seed). Hollow unless `sure`."""
    grid = [line(scale(tick), 0.0, scale(tick), HEIGHT, "grid") for tick in scale.ticks(MOST_TICKS)]
    if scale.low < 0.0 < scale.high:
        grid.append(line(scale(0.0), 0.0, scale(0.0), HEIGHT, "zero"))
    bars: list[Markup] = []
    if interval is not None:
        ends = [scale(end) for end in interval]
        bars = [line(ends[0], 14.0, ends[1], 14.0, f"bar-{colour}")]
        bars += [line(end, 9.0, end, 19.0, f"bar-{colour}") for end in ends]
    seeds = [line(scale(one), 5.0, scale(one), 23.0, f"seed-{colour}") for one in single]
    mean = sign(scale(value), 14.0, colour, f"{'dot' if sure else 'hollow'}-{colour}")
    return ornament(WIDTH, HEIGHT, [*grid, *seeds, *bars, mean], "strip")


def empty(scale: Scale) -> Markup:
    """A row's place on the scale where there is no value to show."""
    grid = [line(scale(tick), 0.0, scale(tick), HEIGHT, "grid") for tick in scale.ticks(MOST_TICKS)]
    return ornament(WIDTH, HEIGHT, grid, "strip")


def ranges(simulated: Sequence[float], real: Sequence[float]) -> Markup:
    """Simulated above, real below: the middle 90 % as a bar, the middle half darker, the median as a line.

    Args:
        simulated: five quantiles: 5 %, 25 %, 50 %, 75 % and 95 %.
        real: the same of the real ones. What of their middle 90 % lies outside the simulated one is marked.
    """
    scale = around([*simulated, *real], 0.0, WIDTH)
    limits = [line(scale(end), 2.0, scale(end), 30.0, "limit") for end in (simulated[0], simulated[-1])]
    outside = [
        rect(scale(start), 18.0, scale(end) - scale(start), 10.0, "beyond")
        for start, end in ((real[0], min(simulated[0], real[-1])), (max(simulated[-1], real[0]), real[-1]))
        if end > start
    ]
    bars = [*_box(scale, simulated, 4.0, "sim"), *_box(scale, real, 18.0, "real"), *outside]
    return ornament(WIDTH, 32.0, [*bars, *limits], "strip")


def _box(scale: Scale, quantiles: Sequence[float], top: float, colour: str) -> list[Markup]:
    q05, q25, q50, q75, q95 = (scale(q) for q in quantiles)
    return [
        rect(q05, top + 2.0, q95 - q05, 6.0, f"wide-{colour}"),
        rect(q25, top, q75 - q25, 10.0, f"half-{colour}"),
        line(q50, top, q50, top + 10.0, "median"),
    ]


def bar(share: float, colour: str) -> Markup:
    """A bar of a share, 0 to 1, of the drawing's width."""
    return ornament(72.0, 10.0, [rect(0.0, 1.0, max(2.0, 72.0 * min(max(share, 0.0), 1.0)), 8.0, f"fill-{colour}")])


def mark(colour: str) -> Markup:
    """The sign of a legend."""
    return ornament(12.0, 12.0, [sign(6.0, 6.0, colour, f"fill-{colour}")], "key")
