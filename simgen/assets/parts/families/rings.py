"""Rings: spring lock washers (DIN 127), deep groove ball bearings (ISO 15), bushings (ISO 4379).

The bearings' d, D, B and r agree with an open table after JIS B 1520, which has the boundary dimensions of ISO 15;
those of 6000 and 6200 also with a maker's (SKF, in `single_row_deep_groove_ball_bearing_parameters.csv` of
cq_warehouse). For the bushings' outer diameters, widths and chamfers no second source was found: compare them with
ISO 4379 before you rely on them.
"""

from __future__ import annotations

import math

import numpy as np

from simgen.assets.parts.families.hexagons import round_ring
from simgen.assets.parts.families.solids import mesh_of, principal_part, turned
from simgen.assets.parts.mesh import Hull, Mesh, loft, mass_properties
from simgen.assets.parts.model import Family, PartModel, Size, turned_part

SPRING_MM = {  # DIN 127, form B (square ends): d1 min, b nominal, s nominal; the free height is 2 s
    3: (3.1, 1.3, 0.8), 4: (4.1, 1.5, 0.9), 5: (5.1, 1.8, 1.2), 6: (6.1, 2.5, 1.6), 8: (8.1, 3.0, 2.0),
    10: (10.2, 3.5, 2.2), 12: (12.2, 4.0, 2.5), 16: (16.2, 5.0, 3.5), 20: (20.2, 6.0, 4.0), 24: (24.5, 7.0, 5.0),
}  # fmt: skip
GAP = math.radians(8.0)  # between the ends; DIN 127 does not state it
STATIONS = 37  # sections round the spring
PIECES = 12  # convex pieces round it
BEARING_MM = {  # ISO 15, diameter series 0 and 2 (60.., 62..): d, D, B, r min
    "6000": (10, 26, 8, 0.3), "6001": (12, 28, 8, 0.3), "6002": (15, 32, 9, 0.3), "6003": (17, 35, 10, 0.3),
    "6004": (20, 42, 12, 0.6), "6005": (25, 47, 12, 0.6), "6200": (10, 30, 9, 0.6), "6201": (12, 32, 10, 0.6),
    "6202": (15, 35, 11, 0.6), "6203": (17, 40, 12, 0.6), "6204": (20, 47, 14, 1.0), "6205": (25, 52, 15, 1.0),
}  # fmt: skip
# Shields close both sides. ISO 15 does not tell what lies between the rings: these are shares of B, and of D - d.
SHIELD_DEEP, INNER_RING, OUTER_RING = 0.05, 0.14, 0.12
BUSH_MM = {  # ISO 4379, form C, second series: d1, d2; widths b1; chamfer C1
    6: (10, (6, 10), 0.3), 8: (12, (6, 10), 0.3), 10: (14, (6, 10), 0.3), 12: (16, (10, 15, 20), 0.5),
    14: (18, (10, 15, 20), 0.5), 16: (20, (12, 15, 20), 0.5), 18: (22, (12, 20, 30), 0.5), 20: (24, (15, 20, 30), 0.5),
}  # fmt: skip
SIDES = 12  # of the collision shape of a ring


def _spring_washer(size: Size) -> PartModel:
    """A bar of b x s, wound once round d1; its ends stand apart by s."""
    hole_mm, wide_mm, thick_mm = SPRING_MM[int(size.diameter_mm)]
    share = np.linspace(0.0, 1.0, STATIONS)
    angle, rise = GAP / 2 + share * (2 * math.pi - GAP), share * thick_mm
    corners = [(0.0, 0.0), (wide_mm, 0.0), (wide_mm, thick_mm), (0.0, thick_mm)]
    sections = [
        np.array(
            [((hole_mm / 2 + out) * math.cos(a), (hole_mm / 2 + out) * math.sin(a), z + up) for out, up in corners]
        )
        / 1000
        for a, z in zip(angle, rise, strict=True)
    ]
    mesh = loft(sections)
    if mass_properties(mesh)[0] < 0:
        mesh = Mesh(mesh.vertices_m, mesh.triangles[:, ::-1].copy())
    step = (STATIONS - 1) // PIECES
    pieces = [Hull(np.concatenate(sections[k : k + step + 1 : step])) for k in range(0, STATIONS - 1, step)]
    return principal_part(mesh, tuple(pieces))


def _bearing(size: Size) -> PartModel:
    bore, outer, wide, edge = map(float, BEARING_MM[size.designation])
    deep, ring = SHIELD_DEEP * wide, (outer - bore)
    inside, outside = bore / 2 + INNER_RING * ring, outer / 2 - OUTER_RING * ring
    low = [
        (bore / 2 + edge, 0.0),
        (inside, 0.0),
        (inside, deep),
        (outside, deep),
        (outside, 0.0),
        (outer / 2 - edge, 0.0),
    ]
    half = [*low, (outer / 2, edge)]
    other = [(r, wide - z) for r, z in reversed(half)]
    return _ring([*half, *other, (bore / 2, wide - edge), (bore / 2, edge)], bore, outer, wide)


def _bushing(size: Size) -> PartModel:
    bore, wide = size.diameter_mm, size.length_mm or 0.0
    outer, edge = float(BUSH_MM[int(bore)][0]), BUSH_MM[int(bore)][2]
    low = [(bore / 2, 0.0), (outer / 2 - edge, 0.0), (outer / 2, edge)]
    high = [(outer / 2, wide - edge), (outer / 2 - edge, wide), (bore / 2, wide)]
    return _ring([*low, *high], bore, outer, wide)


def _ring(profile: list[tuple[float, float]], bore_mm: float, outer_mm: float, wide_mm: float) -> PartModel:
    boxes = round_ring(outer_mm / 1000, bore_mm / 1000, 0.0, wide_mm / 1000, SIDES)
    return turned_part(mesh_of(turned(profile)), boxes, thread=None)


SPRING_WASHER = Family(
    standard="DIN 127",
    category="spring_washer",
    sizes=tuple(Size(designation=f"M{d}", diameter_mm=float(d), length_mm=None) for d in SPRING_MM),
    build=_spring_washer,
)
BEARING = Family(
    standard="ISO 15",
    category="bearing",
    sizes=tuple(Size(designation=name, diameter_mm=float(row[0]), length_mm=None) for name, row in BEARING_MM.items()),
    build=_bearing,
)
BUSHING = Family(
    standard="ISO 4379",
    category="bushing",
    sizes=tuple(
        Size(designation=f"{bore}x{outer}x{wide}", diameter_mm=float(bore), length_mm=float(wide))
        for bore, (outer, widths, _) in BUSH_MM.items()
        for wide in widths
    ),
    build=_bushing,
)
