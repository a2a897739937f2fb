"""What an import is asked for and what it found: plain values that travel to the reading process and back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from simgen.assets.cad.facts import NAME

UNITS = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254}
DEFAULT_TRIANGLES = 20_000
DENSITIES_KG_M3 = {  # EN 10088-1, EN 573, ASM Handbook vol. 2; plastics: ISO 1183 values of common grades
    "steel": 7850.0,
    "stainless_steel": 7900.0,
    "cast_iron": 7200.0,
    "aluminium": 2700.0,
    "brass": 8500.0,
    "bronze": 8800.0,
    "copper": 8960.0,
    "zinc": 6700.0,
    "titanium": 4430.0,
    "abs": 1050.0,
    "pla": 1240.0,
    "nylon": 1140.0,
    "pom": 1410.0,
    "polycarbonate": 1200.0,
    "rubber": 1200.0,
    "glass": 2500.0,
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """An import.

    Args:
        unit: of the file's lengths, a key of UNITS; None: what the file or its format says.
        bodies: numbers of the bodies to take, from 1, as the report lists them; empty: all of them, as one part.
        pose: of a URDF's joints, in radians or metres; the others stand at zero.
    """

    file: Path
    name: str
    category: str
    unit: str | None = None
    material: str | None = None
    density_kg_m3: float = DENSITIES_KG_M3["steel"]
    bodies: tuple[int, ...] = ()
    pose: tuple[tuple[str, float], ...] = ()
    most_triangles: int = DEFAULT_TRIANGLES


@dataclass(frozen=True, kw_only=True)
class BodyFound:
    name: str
    size_m: tuple[float, float, float]
    triangles: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the import found, beside the part itself."""

    unit: str
    bodies: tuple[BodyFound, ...]
    triangles_read: int
    notes: tuple[str, ...] = field(default=())


def name_from(file: Path) -> str:
    """A part's name from its file's: letters, digits, dots, dashes and underscores.

    >>> name_from(Path("Bracket (rev 2).STEP"))
    'Bracket_rev_2'
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", file.stem).strip("_.-")[:64]
    return name if re.fullmatch(NAME, name) else "part"
