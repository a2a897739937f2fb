"""What the config says of each knob beside its type: unit, physical bounds, and what it means.

    exposure_s: Annotated[Uniform, Knob("s", 0, 10, "How long a row is exposed.")]

The bounds hold for both ends of a range. `simgen.presets.knobs` lists all knobs with what stands here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from simgen.spec.knobs import IntRange, LogUniform, Uniform

# Why a value of this unit is bounded, where the knob itself does not say it.
REASONS = {
    "share": "a share of a whole",
    "m": "a length in a scene of parts on a table",
    "mm": "a length",
    "m/s": "a speed",
    "s": "a time",
    "px": "a length in the picture",
    "deg": "an angle",
    "K": "the colour of a black body is known in these bounds only",
    "e-": "a number of electrons",
    "weight": "how often it is drawn, relative to the others",
}


class Group(BaseModel):
    """Knobs that belong together. An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Knob:
    """A knob's unit, its bounds, both included, and its meaning. Stands in the `Annotated` type of the knob.

    Names, texts and flags have no bounds: `least` and `most` are None.
    """

    unit: str
    least: float | int | None
    most: float | int | None
    meaning: str
    why: str = ""  # the reason for the bounds; empty: as for all knobs of this unit

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.checked, handler(source))

    def checked(self, value: Any) -> Any:
        """The value itself.

        Raises:
            ValueError: it lies outside the bounds.
        """
        if self.least is None or self.most is None:
            return value
        if isinstance(value, Uniform | LogUniform | IntRange):
            low, high = value.low, value.high
            came = f"low={low}, high={high}" if low != high else f"{low}"
        elif isinstance(value, int | float):
            low, high, came = value, value, f"{value}"
        else:
            return value
        if not (math.isfinite(low) and math.isfinite(high) and self.least <= low and high <= self.most):
            unit = f" {self.unit}" if self.unit else ""
            why = self.why or REASONS.get(self.unit, "")
            raise ValueError(f"needs {self.least:g} to {self.most:g}{unit}, got {came}" + (f": {why}" if why else ""))
        return value


def plain(meaning: str, unit: str = "") -> Knob:
    """A knob without bounds: a name, a text, a flag, or names with weights."""
    return Knob(unit, None, None, meaning)


def weight(meaning: str) -> Knob:
    """How often something is drawn, relative to what it stands beside."""
    return Knob("weight", 0, 1e9, meaning)


def share(meaning: str, most: float = 1.0, why: str = "") -> Knob:
    """A number from 0 to 1, or to less."""
    return Knob("share", 0, most, meaning, why)


def share_or_off(meaning: str) -> Knob:
    """A share of which a range may begin below 0: what is drawn there counts as 0, so that a scene often has none."""
    return Knob("share", -10, 1, f"{meaning} A draw below 0 counts as 0.")


def kelvin(meaning: str) -> Knob:
    """A colour temperature, where `black_body` is defined."""
    return Knob("K", 1667, 25000, meaning)


def count(meaning: str, most: int, why: str = "a scene with more takes hours and gigabytes") -> Knob:
    """A whole number from 0."""
    return Knob("", 0, most, meaning, why)


def turn(meaning: str) -> Knob:
    """An angle all around, which may run over 360 degrees."""
    return Knob("deg", -3600, 3600, meaning)


def none_or_over(least: float) -> AfterValidator:
    """Check that a range is 0 to 0, which means off, or starts at `least` or above."""

    def check(knob: Uniform) -> Uniform:
        if (knob.low, knob.high) != (0, 0) and knob.low < least:
            raise ValueError(f"needs 0 to 0 (off), or low >= {least}, got low={knob.low}, high={knob.high}")
        return knob

    return AfterValidator(check)
