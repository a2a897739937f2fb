"""The curve of label efficiency: AP against the number of labelled photos, with and without simulation first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from pipelines.gap.page.svg import LARGEST, Scale, around, drawing, line, path, sign, text, tick_words

WIDTH, HEIGHT = 520.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 500.0, 34.0, 282.0
LETTER_PX = 9.6  # the mean width of a letter on a small screen, where they are 17 px high


@dataclass(frozen=True)
class Point:
    """One number of photos of one arm."""

    photos: int
    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Arm:
    """One way of training, over numbers of photos."""

    name: str
    colour: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Worth:
    """`photos` with simulation do what `alone` photos do without it."""

    photos: int
    value: float  # of both
    alone: float


def learning_curve(arms: Sequence[Arm], title: str, unit: str, worth: Worth | None = None) -> Markup:
    """Both arms over photos, on a logarithmic axis that holds 0; a band where there are intervals."""
    points = [point for arm in arms for point in arm.points]
    across = Scale(0.0, _doublings(float(max(2, *(p.photos for p in points)))), LEFT, RIGHT)
    ends = [end for p in points for end in (p.interval or (p.value, p.value))]
    up = around(ends, BOTTOM, TOP)
    up = replace(up, low=max(up.low, min(0.0, *ends)), high=min(up.high, max(1.0, *ends)))
    content = [*_grid(across, up, sorted({p.photos for p in points}), unit)]
    for arm in arms:
        content += _arm(across, up, arm)
    if worth is not None:
        content += _worth(across, up, worth)
    return drawing(WIDTH, HEIGHT, title, content, "wide")


def _doublings(photos: float) -> float:
    return math.log2(min(max(photos, 0.0), LARGEST) + 1.0)


def _place(across: Scale, photos: int | float) -> float:
    return across(_doublings(float(photos)))


def _grid(across: Scale, up: Scale, photos: Sequence[int], unit: str) -> list[Markup]:
    marks = []
    for tick in up.ticks(6):
        marks += [line(LEFT, up(tick), RIGHT, up(tick), "grid")]
        marks += [text(LEFT - 8.0, up(tick) + 4.5, tick_words(tick), "tick", "end")]
    marks.append(line(LEFT, BOTTOM, RIGHT, BOTTOM, "ax"))
    last = -1e9
    for count in photos:
        x = _place(across, count)
        marks.append(line(x, BOTTOM, x, BOTTOM + 5.0, "ax"))
        if x - last >= 20.0:  # else the labels run into each other
            marks.append(text(x, BOTTOM + 21.0, str(count), "tick", "middle"))
            last = x
    marks.append(text((LEFT + RIGHT) / 2, BOTTOM + 45.0, "labelled photos (log scale)", "tick", "middle"))
    return [*marks, text(8.0, 16.0, unit, "tick", "start")]


def _arm(across: Scale, up: Scale, arm: Arm) -> list[Markup]:
    points = sorted(arm.points, key=lambda point: point.photos)
    places = [(_place(across, p.photos), up(p.value)) for p in points]
    content = []
    banded = [(x, p.interval) for (x, _), p in zip(places, points, strict=True) if p.interval is not None]
    if len(banded) > 1:
        edge = [(x, up(i[1])) for x, i in banded] + [(x, up(i[0])) for x, i in reversed(banded)]
        content.append(path(edge, f"band-{arm.colour}", closed=True))
    if len(places) > 1:
        content.append(path(places, f"line-{arm.colour}"))
    for (x, y), point in zip(places, points, strict=True):
        if point.interval is not None:
            content.append(line(x, up(point.interval[0]), x, up(point.interval[1]), f"bar-{arm.colour}"))
        sure = point.interval is not None
        content.append(sign(x, y, arm.colour, f"{'dot' if sure else 'hollow'}-{arm.colour}"))
    return content


def _worth(across: Scale, up: Scale, worth: Worth) -> list[Markup]:
    start, end, y = _place(across, worth.photos), _place(across, worth.alone), up(worth.value)
    if end <= start:
        return []
    words = f"{worth.photos} with simulation = {worth.alone:.0f} without"
    middle = min(max(end, LEFT + len(words) * LETTER_PX / 2), RIGHT - len(words) * LETTER_PX / 2)
    return [
        line(start + 8.0, y, end, y, "arrow"),
        line(end, y, end, BOTTOM, "arrow dashed"),
        path([(end - 4.0, BOTTOM - 7.0), (end + 4.0, BOTTOM - 7.0), (end, BOTTOM)], "ink", closed=True),
        text(middle, BOTTOM - 14.0, words, "lab halo", "middle"),
    ]
