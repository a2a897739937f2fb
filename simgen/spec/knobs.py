"""Knobs: distributions as values. A config holds knobs, and `draw` makes one value."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

MOST_WEIGHT = 1e9
_STRICT = {"extra": "forbid"}  # pydantic: an unknown key in YAML is an error


@dataclass(frozen=True)
class Uniform:
    low: float
    high: float
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"needs finite low <= high, got low={self.low}, high={self.high}")

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform:
    low: float
    high: float
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    def __post_init__(self) -> None:
        if not (0 < self.low <= self.high and math.isfinite(self.high)):
            raise ValueError(f"needs 0 < low <= high, got low={self.low}, high={self.high}")

    def draw(self, rng: np.random.Generator) -> float:
        return math.exp(rng.uniform(math.log(self.low), math.log(self.high)))


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from low to high, both included."""

    low: int
    high: int
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ValueError(f"needs 0 <= low <= high, got low={self.low}, high={self.high}")

    def draw(self, rng: np.random.Generator) -> int:
        return int(rng.integers(self.low, self.high + 1))


@dataclass(frozen=True)
class Choice:
    """Names with their weights, which need not sum to one."""

    weights: Mapping[str, float]
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    def __post_init__(self) -> None:
        weights = self.weights.values()
        if not all(0 <= weight <= MOST_WEIGHT for weight in weights) or not any(weight > 0 for weight in weights):
            came = f"{dict(self.weights)!r:.200}"
            raise ValueError(f"needs at least one name with a weight above 0, none below or over 1e9, got {came}")

    def draw(self, rng: np.random.Generator) -> str:
        names = sorted(self.weights)
        shares = np.array([self.weights[name] for name in names], float)
        return names[int(rng.choice(len(names), p=shares / shares.sum()))]


@dataclass(frozen=True)
class MeshContent:
    """The content of an imported part's file. A preset names the file; the config of a data set holds this."""

    name: str
    sha256: str
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    def __post_init__(self) -> None:
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise ValueError(f"needs the sha256 of a file in 64 small hexadecimal digits, got {self.sha256!r:.80}")


@dataclass(frozen=True)
class Streams:
    """Independent random streams of one scene, by name.

    A knob added, removed or changed under one name leaves every other name's draws as they were,
    so two configs that differ only in light have the same parts at the same poses.

    Streams of another attempt are others altogether.
    """

    seed: int
    index: int
    attempt: int = 0

    def __call__(self, name: str) -> np.random.Generator:
        again = [self.attempt] if self.attempt else []
        return np.random.default_rng([self.seed, self.index, zlib.crc32(name.encode()), *again])
