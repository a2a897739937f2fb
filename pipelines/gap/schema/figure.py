"""One figure of a report: a value, its interval, how it came about, and whether it was measured at all.

A figure without a value says what is missing. So nothing can be shown that has no status, and a NaN cannot be written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

Status = Literal["measured", "too_few", "not_measured"]
STRICT: dict[str, Any] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure. `low` and `high` are both given or both None.

    Raises:
        ValueError: a number is not finite, the interval does not hold the value, a value has the wrong status, or a
            figure without a value does not say what is missing.
    """

    status: Status
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""  # such as AP50, points of AP50, share, photos, false alarms a photo
    method: str = ""  # how value and interval come about, in words
    n: int | None = None  # what was counted: boxes, photos
    n_units: int | None = None  # sessions or scenes: what the interval resamples
    seeds: int | None = None  # trainings behind the value
    p: float | None = None  # two sided, unless `method` says otherwise
    p_holm: float | None = None  # the same, corrected for its family
    note: str = ""  # what is missing, or what must be known to read the value
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    def __post_init__(self) -> None:
        numbers = (self.value, self.low, self.high, self.p, self.p_holm)
        if not all(number is None or math.isfinite(number) for number in numbers):
            raise ValueError(f"a figure must be finite, not {numbers}")
        if (self.value is None) == (self.status == "measured"):
            raise ValueError(f"a figure that is {self.status} cannot have the value {self.value}")
        if self.value is None and (self.low is not None or not self.note):
            raise ValueError("a figure without a value has no interval, and its note says what is missing")
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has both ends or none")
        if self.value is not None and self.low is not None and not self.low <= self.value <= (self.high or 0.0):
            raise ValueError(f"{self.value} is not in its interval, {self.low} to {self.high}")

    @property
    def leaves_out_zero(self) -> bool:
        """Whether the interval is given and 0 is outside it."""
        return self.low is not None and self.high is not None and not self.low <= 0.0 <= self.high

    def noted(self, note: str) -> Figure:
        """The figure with one more sentence in its note."""
        return replace(self, note=f"{self.note} {note}".strip())


def not_measured(missing: str, unit: str = "") -> Figure:
    """A figure that was not measured; `missing` says what it would take."""
    return Figure(status="not_measured", note=missing, unit=unit)


def too_few(missing: str, unit: str = "", n: int | None = None, n_units: int | None = None) -> Figure:
    """A figure for which there is too little data; `missing` says how much it takes."""
    return Figure(status="too_few", note=missing, unit=unit, n=n, n_units=n_units)


def lacking(have: Iterable[tuple[int, int, str]]) -> str:
    """What there is too little of, for `too_few`; empty where nothing is. Each row: how many, the least, of what."""
    short = [f"{count} of {least} {what}" for count, least, what in have if count < least]
    return f"Too few: {', '.join(short)}." if short else ""


def counted(value: float, unit: str, n: int | None = None, note: str = "") -> Figure:
    """A plain count or measure of what is there, which has no interval."""
    return Figure(status="measured", value=value, unit=unit, n=n, method="counted", note=note)
