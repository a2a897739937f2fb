"""What costs AP without training again: parts and grounds exchanged between the photos and simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pipelines.gap.schema.figure import STRICT, Figure

From = Literal["photos", "simulation"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """AP50 of pictures into which parts were pasted, in the same way for all four cells."""

    parts: From
    grounds: From
    ap50: Figure
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One of the two taken from simulation in place of the photos, the other from the photos."""

    name: Literal["parts", "grounds"]
    effect: Figure  # points of AP50 that the exchange wins; not measured where pasting alone costs too much
    so: str
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Pasted:
    """Parts and grounds exchanged, the detector kept."""

    plain: Figure  # AP50 of the same photos as they are
    pasting: Figure  # points of AP50: the photos' parts pasted on the photos' grounds, minus the photos as they are
    cells: tuple[Cell, ...]
    exchanges: tuple[Exchange, ...]
    note: str  # how many pictures and parts, and how they were pasted
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class DrawnValue:
    """What one value that was drawn for each simulated scene costs the detector, within its range."""

    key: str  # of the simulation's config; with "= NAME": the share of this name among the draws
    low: float  # the 5 % and the 95 % quantile of the scenes' values
    high: float
    effect: Figure  # points of F1 lost from `low` to `high`; negative: won
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The loss of each simulated scene, regressed on the values drawn for it."""

    loss: Figure  # points of F1 lost, the mean over the scenes
    rows: tuple[DrawnValue, ...]  # the least p first; not all of them
    tested: int  # values, over which p is corrected
    left_out: tuple[str, ...]  # what could not be tested, each with its count and reason
    note: str  # what the loss is
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
