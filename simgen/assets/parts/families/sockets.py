"""Screws with a hexagon socket: cap screws (ISO 4762) and countersunk screws (ISO 10642). The head is at the bottom.

The figures of ISO 10642 agree with the table of FreeCAD's Fasteners workbench (`FsData/iso10642def.csv`). cq_warehouse
has lower heads and deeper sockets for the same standard (k 1.7 and t 1.2 for M3, k 5.5 and t 4.4 for M10).
"""

from __future__ import annotations

from simgen.assets.parts.families.bolts import screw_sizes
from simgen.assets.parts.families.hexagons import PITCH_MM, pitch_diameter_m, thread_depth_m
from simgen.assets.parts.families.solids import hexagonal_hole, mesh_of, turned
from simgen.assets.parts.mesh import Primitive
from simgen.assets.parts.model import Family, PartModel, Size, Thread, turned_part

Profile = list[tuple[float, float]]
CAP_MM = {  # ISO 4762, table 1: d_k max (plain head), s nominal, t min; the head is as high as d
    3: (5.5, 2.5, 1.3), 4: (7.0, 3.0, 2.0), 5: (8.5, 4.0, 2.5), 6: (10.0, 5.0, 3.0), 8: (13.0, 6.0, 4.0),
    10: (16.0, 8.0, 5.0), 12: (18.0, 10.0, 6.0), 16: (24.0, 14.0, 8.0), 20: (30.0, 17.0, 10.0),
}  # fmt: skip
CAP_RANGE_MM = {  # lengths from, to: ISO 4762, preferred sizes, up to 100
    3: (6, 30), 4: (6, 40), 5: (8, 50), 6: (10, 60), 8: (12, 80), 10: (16, 100), 12: (20, 100), 16: (25, 100),
    20: (30, 100),
}  # fmt: skip
SUNK_MM = {  # ISO 10642, table 1: k max (to the sharp corner), s nominal, t min; 90 degrees
    3: (1.86, 2.0, 1.1), 4: (2.48, 2.5, 1.5), 5: (3.1, 3.0, 1.9), 6: (3.72, 4.0, 2.2), 8: (4.96, 5.0, 3.0),
    10: (6.2, 6.0, 3.6), 12: (7.44, 8.0, 4.3),
}  # fmt: skip
SUNK_RANGE_MM = {3: (8, 30), 4: (8, 40), 5: (8, 50), 6: (8, 60), 8: (10, 80), 10: (12, 100), 12: (20, 100)}
EDGE = 0.1  # v, ISO 4762: the head's chamfer, at most so many diameters
STEPS = 3  # cylinders that stand for a cone where things collide


def thread_length_mm(diameter_mm: float) -> float:
    """ISO 4762: b, the reference length of the thread of a long screw."""
    return 2 * diameter_mm + 12


def _cap_screw(size: Size) -> PartModel:
    d, length = size.diameter_mm, size.length_mm or 0.0
    head_mm, socket_mm, deep_mm = CAP_MM[int(d)]
    edge = EDGE * d
    plain_mm = max(0.0, length - thread_length_mm(d))
    head: Profile = [(0.0, 0.0), (head_mm / 2 - edge, 0.0), (head_mm / 2, edge), (head_mm / 2, d)]
    body = (_cylinder(head_mm, 0.0, d), _cylinder(d, d, d + length))
    return _screw(head, d, d, d + length, plain_mm, (socket_mm, deep_mm), body)


def _countersunk_screw(size: Size) -> PartModel:
    d, length = size.diameter_mm, size.length_mm or 0.0
    high_mm, socket_mm, deep_mm = SUNK_MM[int(d)]
    rim_mm = high_mm - d / 2  # the head is 2 d wide, where its sharp corner would be wider
    plain_mm = max(0.0, length - high_mm - thread_length_mm(d))
    head: Profile = [(0.0, 0.0), (d, 0.0), (d, rim_mm)]
    cone = [
        _cylinder(2 * d - d * (k + 1) / STEPS, rim_mm + d / 2 * k / STEPS, rim_mm + d / 2 * (k + 1) / STEPS)
        for k in range(STEPS)
    ]
    body = (_cylinder(2 * d, 0.0, rim_mm), *cone, _cylinder(d, high_mm, length))
    return _screw(head, d, high_mm, length, plain_mm, (socket_mm, deep_mm), body)


def _screw(
    head: Profile, d: float, from_mm: float, tip_mm: float, plain_mm: float, socket_mm: tuple[float, float],
    body: tuple[Primitive, ...],
) -> PartModel:  # fmt: skip
    """A head, then from `from_mm` a plain shank, then a thread up to the tip. The socket is of (flats, depth)."""
    pitch_mm = PITCH_MM[int(d)]
    core_mm, depth_mm = 500 * pitch_diameter_m(d, pitch_mm), 1000 * thread_depth_m(pitch_mm)
    plain_to_mm = from_mm + plain_mm
    shank: Profile = [(d / 2, from_mm), *([(d / 2, plain_to_mm)] if plain_mm else [])]
    tip: Profile = [(core_mm, plain_to_mm), (core_mm, tip_mm - depth_mm), (core_mm - depth_mm, tip_mm), (0.0, tip_mm)]
    solid = turned([*head, *shank, *tip]) - hexagonal_hole(socket_mm[0], 0.0, socket_mm[1])
    thread = Thread(
        z_from_m=plain_to_mm / 1000,
        z_to_m=tip_mm / 1000,
        radius_m=core_mm / 1000,
        pitch_m=pitch_mm / 1000,
        depth_m=depth_mm / 1000,
        internal=False,
    )
    return turned_part(mesh_of(solid), body, thread)


def _cylinder(diameter_mm: float, low_mm: float, high_mm: float) -> Primitive:
    size = (diameter_mm / 1000, diameter_mm / 1000, (high_mm - low_mm) / 1000)
    return Primitive(shape="cylinder", size_m=size, position_m=(0.0, 0.0, (low_mm + high_mm) / 2000))


CAP_SCREW = Family(standard="ISO 4762", category="cap_screw", sizes=screw_sizes(CAP_RANGE_MM), build=_cap_screw)
COUNTERSUNK_SCREW = Family(
    standard="ISO 10642", category="countersunk_screw", sizes=screw_sizes(SUNK_RANGE_MM), build=_countersunk_screw
)
