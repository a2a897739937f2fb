"""The search space of `pipelines.tune`: which options may vary, and how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hybrid.core.errors import DataError
from simgen.spec.text.yaml_text import read_tree

WHOLE = ("steps", "batch", "clip-length", "tile", "frozen-stages")  # options with whole numbers
REAL = ("lr", "backbone-rate", "stage-decay", "sim-share")
WORDS = ("method",)
DEFAULT = ("lr=1e-4..2e-3", "backbone-rate=0.03..1", "sim-share=0.2..0.8", "method=plain,frozen-first,wise-ft")
DECADE = 10.0  # a range over more than this is searched by its logarithm


@runtime_checkable
class Trial(Protocol):
    """The part of `optuna.Trial` that is used."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = ...) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool = ...) -> int: ...
    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@dataclass(frozen=True)
class Knob:
    """An option, and what it may be: a range, or some values."""

    name: str
    low: float = math.nan
    high: float = math.nan
    choices: tuple[Any, ...] = ()

    def draw(self, trial: Trial) -> Any:
        """A value for this trial."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        log = self.low > 0 and self.high >= DECADE * self.low
        if self.name in WHOLE:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=log)
        return trial.suggest_float(self.name, self.low, self.high, log=log)

    def holds(self, value: Any) -> bool:
        """Whether it may be `value`."""
        return value in self.choices if self.choices else bool(self.low <= value <= self.high)


def knobs(search: Sequence[str], file: Path | None) -> tuple[Knob, ...]:
    """The search space of `--search NAME=LOW..HIGH` or `NAME=A,B,...`, over that of a YAML file of NAME: LOW..HIGH.

    Raises:
        DataError: an entry is not understood. Names the entry and where it is from.
    """
    given = {text.partition("=")[0]: text for text in search}
    if file is not None:
        given = {name: f"{name}={_plain(value)}" for name, value in read_tree(file).values.items()} | given
    if not given:
        given = {text.partition("=")[0]: text for text in DEFAULT}
    return tuple(_knob(text, "--search" if text in search else str(file or "--search")) for text in given.values())


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _knob(text: str, where: str) -> Knob:
    name, _, values = text.partition("=")
    known = (*REAL, *WHOLE, *WORDS)
    if name not in known:
        raise DataError(f"{where}: {text}: {name!r} cannot be searched; choose from {list(known)}")
    low, dots, high = values.partition("..")
    try:
        if dots and name not in WORDS:
            knob = Knob(name, float(_number(name, low)), float(_number(name, high)))
            if not knob.low < knob.high:
                raise ValueError
            return knob
        parts = [part.strip() for part in values.split(",") if part.strip()]
        if dots or not parts:
            raise ValueError
        return Knob(name, choices=tuple(part if name in WORDS else _number(name, part) for part in parts))
    except ValueError:
        raise DataError(f"{where}: {text}: needs {name}=LOW..HIGH with LOW below HIGH, or {name}=A,B,...") from None


def _number(name: str, text: str) -> float | int:
    value = int(text) if name in WHOLE else float(text)
    if not math.isfinite(value):
        raise ValueError
    return value
