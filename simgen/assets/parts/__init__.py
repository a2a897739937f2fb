"""Parts by kind: a family of sizes from a standard. A new family is a new file and a row here."""

from __future__ import annotations

from functools import cache

from simgen.assets.parts.families.bolts import HEX_BOLT, HEX_SCREW
from simgen.assets.parts.families.nuts import HEX_NUT
from simgen.assets.parts.families.washers import WASHER
from simgen.assets.parts.mesh import Primitive
from simgen.assets.parts.model import Family, PartModel, Size, Thread
from simgen.spec.scene import PartSource

__all__ = ["PARTS", "Family", "PartModel", "Primitive", "Size", "Thread", "part_family", "part_model"]

PARTS: dict[str, Family] = {
    "hex_bolt": HEX_BOLT,
    "hex_nut": HEX_NUT,
    "hex_screw": HEX_SCREW,
    "washer": WASHER,
}


def part_family(kind: str) -> Family:
    """A row of PARTS.

    Raises:
        KeyError: no such kind; the message lists the kinds.
    """
    if kind not in PARTS:
        raise KeyError(f"no part kind {kind!r}; there are {sorted(PARTS)}")
    return PARTS[kind]


@cache
def part_model(source: PartSource) -> PartModel:
    """The model of a part, from where its shape comes from (`PartSpec.source`).

    Raises:
        KeyError: no such kind of part, or no such size of it; the message lists what exists.
    """
    family = part_family(source.kind)
    return family.build(family.size(source.designation))
