"""Hexagon nuts, style 1 (ISO 4032)."""

from __future__ import annotations

from simgen.assets.parts.families.hexagons import (
    FLATS_MM,
    PITCH_MM,
    SEGMENTS,
    chamfered_end,
    pitch_diameter_m,
    ring_of_boxes,
    thread_depth_m,
)
from simgen.assets.parts.mesh import circle, loft
from simgen.assets.parts.model import Family, PartModel, Size, Thread, turned_part

HEIGHT_MM = {  # m, max = nominal
    3: 2.4, 4: 3.2, 5: 4.7, 6: 5.2, 8: 6.8, 10: 8.4, 12: 10.8, 16: 14.8, 20: 18.0, 24: 21.5, 30: 25.6,
}  # fmt: skip
COUNTERSINK_MM = {  # d_a, max
    3: 3.45, 4: 4.6, 5: 5.75, 6: 6.75, 8: 8.75, 10: 10.8, 12: 13.0, 16: 17.3, 20: 21.6, 24: 25.9, 30: 32.4,
}  # fmt: skip


def _nut(size: Size) -> PartModel:
    d = int(size.diameter_mm)
    flats_m, height_m, sink_m = FLATS_MM[d] / 1000, HEIGHT_MM[d] / 1000, COUNTERSINK_MM[d] / 2000
    hole_m = pitch_diameter_m(size.diameter_mm, PITCH_MM[d]) / 2
    deep_m = (sink_m - hole_m) / 3**0.5  # a countersink of 120 degrees (ISO 4032: 90 to 120)
    mesh = loft(
        [
            *chamfered_end(flats_m, 0.0, up=False),
            *chamfered_end(flats_m, height_m, up=True),
            circle(sink_m, height_m, SEGMENTS),
            circle(hole_m, height_m - deep_m, SEGMENTS),
            circle(hole_m, deep_m, SEGMENTS),
            circle(sink_m, 0.0, SEGMENTS),
        ],
        closed=True,
    )
    thread = Thread(
        z_from_m=deep_m,
        z_to_m=height_m - deep_m,
        radius_m=hole_m,
        pitch_m=PITCH_MM[d] / 1000,
        depth_m=thread_depth_m(PITCH_MM[d]),
        internal=True,
    )
    return turned_part(mesh, ring_of_boxes(flats_m, 2 * hole_m, 0.0, height_m, sides=6), thread)


HEX_NUT = Family(
    standard="ISO 4032",
    category="nut",
    sizes=tuple(Size(designation=f"M{d}", diameter_mm=float(d), length_mm=None) for d in HEIGHT_MM),
    build=_nut,
)
