"""Plain washers, normal series (ISO 7089)."""

from __future__ import annotations

from simgen.assets.parts.families.hexagons import round_ring
from simgen.assets.parts.mesh import circle, loft
from simgen.assets.parts.model import Family, PartModel, Size, turned_part

SEGMENTS = 36
SIDES = 12  # of the collision shape
RING_MM = {  # d1 min, d2 max, h nominal
    2: (2.2, 5.0, 0.3), 2.5: (2.7, 6.0, 0.5), 3: (3.2, 7.0, 0.5), 4: (4.3, 9.0, 0.8), 5: (5.3, 10.0, 1.0),
    6: (6.4, 12.0, 1.6), 8: (8.4, 16.0, 1.6), 10: (10.5, 20.0, 2.0), 12: (13.0, 24.0, 2.5), 16: (17.0, 30.0, 3.0),
    20: (21.0, 37.0, 3.0), 24: (25.0, 44.0, 4.0), 30: (31.0, 56.0, 4.0),
}  # fmt: skip


def _washer(size: Size) -> PartModel:
    inner_m, outer_m, thick_m = (mm / 1000 for mm in RING_MM[size.diameter_mm])
    rings = [(outer_m, 0.0), (outer_m, thick_m), (inner_m, thick_m), (inner_m, 0.0)]
    mesh = loft([circle(diameter / 2, z, SEGMENTS) for diameter, z in rings], closed=True)
    return turned_part(mesh, round_ring(outer_m, inner_m, 0.0, thick_m, SIDES), thread=None)


WASHER = Family(
    standard="ISO 7089",
    category="washer",
    sizes=tuple(Size(designation=f"M{d:g}", diameter_mm=float(d), length_mm=None) for d in RING_MM),
    build=_washer,
)
