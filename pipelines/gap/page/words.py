"""A figure of the report as words: digits by its unit, and notes that several figures of a table share."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.gap.schema.figure import Figure

MINUS, SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
WHY_NOT = {"too_few": "too few", "not_measured": "not measured"}


def number(value: float, unit: str, signed: bool = False) -> str:
    """`value` with the digits that its unit deserves: shares in per cent, points and the like with one digit."""
    if abs(value) >= 1e9:
        return _sign(f"{value:.3g}", signed)
    if unit == "share":
        return _sign(f"{100 * value:.0f}", signed) + f"{SPACE}%"
    if unit.startswith(("AP", "AR", "recall", "score", "D-ECE")):
        return _sign(f"{value:.2f}", signed)
    if unit.startswith("points"):
        return _sign(f"{value:.1f}", signed)
    if float(value).is_integer() and abs(value) < 1e15:
        return _sign(f"{value:,.0f}", signed)
    return _sign(f"{value:.2g}" if abs(value) < 10 else f"{value:,.0f}", signed)


def quantity(value: float) -> str:
    """A value of the simulation's config, with three digits."""
    return _sign(f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}", False)


def _sign(digits: str, signed: bool) -> str:
    """A true minus, none before a rounded zero, and a plus where `signed`."""
    bare = digits.removeprefix("-")
    if not bare.strip("0.,%"):
        return bare
    if digits.startswith("-"):
        return MINUS + bare
    return f"+{bare}" if signed else bare


def interval(figure: Figure, signed: bool = False, open_end: bool = False) -> str:
    """`[low, high]`, or nothing where there is none. `open_end`: the upper end is written as "more"."""
    if figure.low is None or figure.high is None:
        return ""
    low, high = (number(end, figure.unit, signed) for end in (figure.low, figure.high))
    return f"[{low}, {'more than all' if open_end else high}]"


def p_value(p: float) -> str:
    """A p as it is printed: two digits, and never 0."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def duration(seconds: float) -> str:
    """In hours, minutes or seconds."""
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


@dataclass
class Notes:
    """The notes of one table, each said once under it and marked by a number in its cells."""

    lines: list[str] = field(default_factory=list)

    def mark(self, note: str) -> int:
        """The number of a note; a new one is added."""
        if note not in self.lines:
            self.lines.append(note)
        return self.lines.index(note) + 1
