"""SVG as text: elements whose texts are escaped, and scales that give the places of values.

Lengths are in the drawing's own units, which are CSS pixels where it is shown in its natural size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

LARGEST = 1e12  # a value that a drawing tells from its neighbours


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """One element. In a name `_` stands for `-`, and goes at its end (`class_`). None leaves an attribute out."""
    words = [
        Markup(' {}="{}"').format(Markup(name.rstrip("_").replace("_", "-")), _short(value))
        for name, value in attributes.items()
        if value is not None
    ]
    inside = Markup("").join(item if isinstance(item, Markup) else escape(str(item)) for item in content)
    return Markup("<{}{}>{}</{}>").format(Markup(tag), Markup("").join(words), inside, Markup(tag))


def _short(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def drawing(width: float, height: float, title: str, content: Iterable[Markup], class_: str | None = None) -> Markup:
    """A whole drawing, which a screen reader reads as `title`."""
    view = f"0 0 {_short(float(width))} {_short(float(height))}"
    return element(
        "svg", *content, viewBox=view, width=width, height=height, role="img", aria_label=title, class_=class_
    )


def ornament(width: float, height: float, content: Iterable[Markup], class_: str | None = None) -> Markup:
    """A drawing beside its own figures: a screen reader leaves it out."""
    view = f"0 0 {_short(float(width))} {_short(float(height))}"
    return element("svg", *content, viewBox=view, width=width, height=height, aria_hidden="true", class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", class_=class_, x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2))


def rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    return element(
        "rect", class_=class_, x=float(x), y=float(y), width=max(0.0, float(width)), height=max(0.0, float(height))
    )


def text(x: float, y: float, words: str, class_: str, anchor: str | None = None) -> Markup:
    return element("text", words, class_=class_, x=float(x), y=float(y), text_anchor=anchor)


def path(points: Sequence[tuple[float, float]], class_: str, closed: bool = False) -> Markup:
    """Straight lines through points."""
    places = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("path", class_=class_, d=f"M{places}{'Z' if closed else ''}")


def sign(x: float, y: float, colour: str, class_: str) -> Markup:
    """The mark of a way of training, so that it is told by its shape too: a square for photos, a triangle for both."""
    if colour == "real":
        return rect(x - 5.0, y - 5.0, 10.0, 10.0, class_)
    if colour == "both":
        return path([(x, y - 6.0), (x + 6.0, y + 5.0), (x - 6.0, y + 5.0)], class_, closed=True)
    return element("circle", class_=class_, cx=x, cy=y, r=5.5)


@dataclass(frozen=True)
class Scale:
    """A straight map of the values [low, high] to the places [start, end]. Values outside go to the nearer end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values on the scale."""
        return round_values(self.low, self.high, most)


def around(values: Iterable[float], start: float, end: float) -> Scale:
    """A scale that holds all values, and a little more. Never of no width, nor too wide for a float."""
    every = [min(max(value, -LARGEST), LARGEST) for value in values]
    low, high = (min(every), max(every)) if every else (0.0, 1.0)
    size = max(abs(low), abs(high), 1.0)
    margin = max(0.06 * (high - low), 1e-6 * size) if high > low else 0.05 * size
    return Scale(low - margin, high + margin, start, end)


def round_values(low: float, high: float, most: int) -> list[float]:
    """At most `most` multiples of 1, 2 or 5 times a power of ten from `low` to `high`."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(s * power for s in (1.0, 2.0, 5.0, 10.0, 20.0) if _count(low, high, s * power) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, first + _count(low, high, step))]


def _count(low: float, high: float, step: float) -> int:
    return math.floor(high / step + 1e-9) - math.ceil(low / step - 1e-9) + 1


def tick_words(value: float, signed: bool = False) -> str:
    """A tick's label: a true minus, a sign where `signed`, no needless digit."""
    words = f"{abs(value):g}"
    if value < 0:
        return f"\N{MINUS SIGN}{words}"
    return f"+{words}" if signed and value else words
