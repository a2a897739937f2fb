"""Shafts with a keyway (DIN 6885, form A: round ends). Length and chamfers of the shaft are no matter of DIN 6885.

Width and depth agree with the open package din6885 (hanslhansl, after DIN 6885-1:2021-11). For the lengths of keys no
second source was found.
"""

from __future__ import annotations

import manifold3d
import numpy as np

from simgen.assets.parts.families.solids import HOLE_SEGMENTS, THROUGH_MM, Solid, mesh_of, principal_part, turned
from simgen.assets.parts.mesh import Hull, circle
from simgen.assets.parts.model import Family, PartModel, Size

KEYWAY_MM = {  # DIN 6885-1, table 1: width b, depth t1 in the shaft
    10: (3, 1.8), 12: (4, 2.5), 16: (5, 3.0), 20: (6, 3.5), 25: (8, 4.0), 30: (8, 4.0),
}  # fmt: skip
KEY_LENGTHS_MM = (8, 10, 12, 14, 16, 18, 20, 22, 25, 28, 32, 36, 40, 45, 50, 56, 63)  # DIN 6885-1
LONG = (4, 6)  # diameters
EDGE = 0.05  # diameters: the chamfer at both ends
AWAY = 0.5  # diameters from the keyway to the shaft's end
ROUND = 24  # corners of the collision shape


def key_length_mm(diameter_mm: float) -> int:
    """The longest key that is at most 1.5 diameters long."""
    return max(length for length in KEY_LENGTHS_MM if length <= 1.5 * diameter_mm)


def _shaft(size: Size) -> PartModel:
    d, length = size.diameter_mm, size.length_mm or 0.0
    edge, r = EDGE * d, d / 2
    bar = turned([(0.0, 0.0), (r - edge, 0.0), (r, edge), (r, length - edge), (r - edge, length), (0.0, length)])
    rings = [circle((r - edge) / 1000, 0.0, ROUND), circle(r / 1000, edge / 1000, ROUND)]
    ends = [*rings, *(ring * [1, 1, -1] + [0, 0, length / 1000] for ring in rings)]
    return principal_part(mesh_of(bar - _keyway(d, length)), (Hull(np.concatenate(ends)),))


def _keyway(d: float, length: float) -> Solid:
    """The tool, in +x near the upper end."""
    wide, deep = map(float, KEYWAY_MM[int(d)])
    high = length - AWAY * d
    mill = manifold3d.Manifold.cylinder(deep + THROUGH_MM, wide / 2, circular_segments=HOLE_SEGMENTS)
    across = mill.rotate((0, 90, 0)).translate((d / 2 - deep, 0, 0))
    places = (high - wide / 2, high - key_length_mm(d) + wide / 2)
    return manifold3d.Manifold.batch_hull([across.translate((0, 0, z)) for z in places])


SHAFT = Family(
    standard="DIN 6885",
    category="shaft",
    sizes=tuple(
        Size(designation=f"{d}x{d * long}", diameter_mm=float(d), length_mm=float(d * long))
        for d in KEYWAY_MM
        for long in LONG
    ),
    build=_shaft,
)
