"""Parts by kind: a family of sizes from a standard. A new family is a new file and a row here."""

from __future__ import annotations

from functools import cache

from simgen.assets.parts.families.bolts import HEX_BOLT, HEX_SCREW
from simgen.assets.parts.families.nuts import HEX_NUT
from simgen.assets.parts.families.washers import WASHER
from simgen.assets.parts.model import Family, PartModel, Primitive, Size, Thread

__all__ = ["PARTS", "Family", "PartModel", "Primitive", "Size", "Thread", "part_model"]

PARTS: dict[str, Family] = {
    "hex_bolt": HEX_BOLT,
    "hex_nut": HEX_NUT,
    "hex_screw": HEX_SCREW,
    "washer": WASHER,
}


@cache
def part_model(kind: str, designation: str) -> PartModel:
    """The model of one size of one family.

    Raises:
        KeyError: no such kind, or no such size of it; the message lists those there are.
    """
    if kind not in PARTS:
        raise KeyError(f"no part kind {kind!r}; there are {sorted(PARTS)}")
    family = PARTS[kind]
    return family.build(family.size(designation))
