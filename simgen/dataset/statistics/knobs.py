"""Every knob's values against its range."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from simgen.dataset.statistics.draws import (
    KnobValue,
    Source,
    Value,
    is_fixed,
    is_within,
    ranges_of,
    stored_values,
)
from simgen.dataset.statistics.histogram import Bins
from simgen.spec.differences import differences
from simgen.spec.errors import SimgenError
from simgen.spec.knobs import Choice, IntRange, LogUniform, Uniform
from simgen.spec.scene import SceneSpec

BINS = 12
MOST_LINES = 20


@dataclass
class KnobColumn:
    """The values of one knob, over all scenes."""

    knob: KnobValue
    count: int = 0
    least: float | int = 0.0
    most: float | int = 0.0
    total: float = 0.0
    bins: Bins | None = None  # of numbers, over the knob's range
    names: Counter[str] = field(default_factory=Counter)  # of a choice

    def add(self, value: Value) -> None:
        self.count += 1
        if isinstance(value, str) or isinstance(self.knob, Choice):
            self.names[str(value)] += 1
            return
        self.least = value if self.count == 1 else min(self.least, value)
        self.most = value if self.count == 1 else max(self.most, value)
        self.total += value
        if self.bins is None:
            self.bins = _bins(self.knob)
        self.bins.add(math.log(value) if isinstance(self.knob, LogUniform) and value > 0 else value)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0


def _bins(knob: Uniform | LogUniform | IntRange) -> Bins:
    """Bins over the range of a knob: a bin for each of few whole numbers; of a logarithm where it is drawn so."""
    if isinstance(knob, IntRange):
        numbers = knob.high - knob.low + 1
        return Bins.empty(knob.low, knob.high + 1, numbers if numbers <= 2 * BINS else BINS)
    low, high = (math.log(knob.low), math.log(knob.high)) if isinstance(knob, LogUniform) else (knob.low, knob.high)
    return Bins.empty(low, high, BINS)


class KnobTable:
    """What the scenes drew from every knob of their config.

    A scene is drawn again from the config. Where it is the one that is stored, all its draws are known. Where it is
    not, it counts as a stranger: the config, the scene or simgen was changed since; what the scene itself shows is
    compared with the ranges all the same.
    """

    def __init__(self, source: Source | None, no_config: str = "") -> None:
        self.no_config = no_config  # why there is none
        self.columns: dict[str, KnobColumn] = {}
        self.outside: dict[str, str] = {}  # a line for each knob that lies outside its range somewhere
        self.strangers = 0
        self.strange: list[str] = []  # a line for the first of them
        self._source = source
        if source is not None:
            self.columns = {path: KnobColumn(knob) for path, knob in ranges_of(source.config)}

    @property
    def varying(self) -> dict[str, KnobColumn]:
        """The knobs that may give more than one value."""
        return {path: column for path, column in self.columns.items() if not is_fixed(column.knob)}

    @property
    def fixed(self) -> dict[str, KnobColumn]:
        """The knobs that give one value alone."""
        return {path: column for path, column in self.columns.items() if is_fixed(column.knob)}

    def add(self, spec: SceneSpec) -> None:
        """Add the draws of a stored scene."""
        if self._source is None:
            return
        try:
            shown = stored_values(spec)
        except KeyError as error:
            self._stranger(f"scene {spec.index}: {error.args[0]}")
            return
        self._check(spec.index, shown)
        values = self._draws(self._source, spec)
        for path, drawn in (shown if values is None else {**shown, **values}).items():
            for value in drawn if path in self.columns else ():
                self.columns[path].add(value)

    def _draws(self, source: Source, spec: SceneSpec) -> dict[str, list[Value]] | None:
        """All draws of a scene; None where the config does not draw it."""
        try:
            again = source.draws(spec.index, spec.attempt)
        except (SimgenError, KeyError, ValueError) as error:
            self._stranger(f"scene {spec.index} cannot be drawn again: {error}")
            return None
        before, after = spec.to_json(), again.spec.to_json()
        if before == after:
            return dict(again.values)
        first = next(differences(json.loads(before), json.loads(after)), None)
        where = f": {first.path} is {first.before!r:.40}, drawn {first.after!r:.40}" if first else ""
        self._stranger(f"scene {spec.index} is not what its config draws{where}")
        return None

    def _stranger(self, line: str) -> None:
        self.strangers += 1
        if len(self.strange) < MOST_LINES:
            self.strange.append(line)

    def _check(self, scene: int, shown: dict[str, list[Value]]) -> None:
        for path, values in shown.items():
            column = self.columns.get(path)
            for value in values:
                if column and path not in self.outside and not is_within(column.knob, value):
                    text = value if isinstance(value, str) else f"{value:.6g}"
                    self.outside[path] = f"{path} is {text} in scene {scene}, outside {range_text(column.knob)}"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "not_read": self.no_config,
            "outside": self.outside,
            "scenes_not_of_the_config": self.strangers,
            "first_of_these": self.strange,
            "drawn": {path: _column(column) for path, column in self.columns.items() if column.count},
        }


def _column(column: KnobColumn) -> dict[str, Any]:
    if isinstance(column.knob, Choice):
        return {"count": column.count, "weights": dict(column.knob.weights), "names": dict(column.names)}
    ends = {"low": column.knob.low, "high": column.knob.high, "least": column.least, "most": column.most}
    return {"count": column.count, **ends, "mean": column.mean, "bins": column.bins.counts if column.bins else []}


def range_text(knob: KnobValue) -> str:
    """The range of a knob as short text: "1250 to 1550", "3", or the names of a choice."""
    if isinstance(knob, Choice):
        return ", ".join(sorted(name for name, weight in knob.weights.items() if weight > 0))
    return short(knob.low) if knob.low == knob.high else f"{short(knob.low)} to {short(knob.high)}"


def short(value: float | int) -> str:
    """A number with three digits, or all before its point."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
