"""Hexagon head bolts (ISO 4014, thread on a part of the shank) and screws (ISO 4017, thread up to the head)."""

from __future__ import annotations

from simgen.assets.parts.families.hexagons import (
    FLATS_MM,
    PITCH_MM,
    SEGMENTS,
    chamfered_end,
    hexagon_prism,
    pitch_diameter_m,
    thread_depth_m,
)
from simgen.assets.parts.mesh import Primitive, circle, hexagon, loft
from simgen.assets.parts.model import Family, PartModel, Size, Thread, turned_part

HEAD_MM = {  # k, nominal: ISO 4014, ISO 4017
    3: 2.0, 4: 2.8, 5: 3.5, 6: 4.0, 8: 5.3, 10: 6.4, 12: 7.5, 16: 10.0, 20: 12.5, 24: 15.0, 30: 18.7,
}  # fmt: skip
LENGTHS_MM = (  # l, nominal: ISO 888
    6, 8, 10, 12, 16, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 180, 200,
    220, 240, 260, 280, 300,
)  # fmt: skip
BOLT_RANGE_MM = {  # lengths from, to: ISO 4014, table of preferred sizes
    3: (20, 30), 4: (25, 40), 5: (25, 50), 6: (30, 60), 8: (40, 80), 10: (45, 100), 12: (50, 120), 16: (65, 160),
    20: (80, 200), 24: (90, 240), 30: (110, 300),
}  # fmt: skip
SCREW_RANGE_MM = {  # lengths from, to: ISO 4017, table of preferred sizes
    3: (6, 30), 4: (8, 40), 5: (10, 50), 6: (12, 60), 8: (16, 80), 10: (20, 100), 12: (25, 120), 16: (30, 150),
    20: (40, 150), 24: (50, 150), 30: (60, 200),
}  # fmt: skip


def thread_length_mm(diameter_mm: float, length_mm: float) -> float:
    """ISO 4014: b, the reference length of the thread, shorter for short bolts."""
    return 2 * diameter_mm + (6 if length_mm <= 125 else 12 if length_mm <= 200 else 25)


def _bolt(size: Size) -> PartModel:
    assert size.length_mm is not None
    return _hexagon_headed(size, plain_mm=size.length_mm - thread_length_mm(size.diameter_mm, size.length_mm))


def _screw(size: Size) -> PartModel:
    return _hexagon_headed(size, plain_mm=0.0)


def _hexagon_headed(size: Size, plain_mm: float) -> PartModel:
    """A bolt with `plain_mm` of unthreaded shank of the full diameter. The head is at the bottom."""
    d = int(size.diameter_mm)
    assert size.length_mm is not None
    flats_m, head_m, pitch_mm = FLATS_MM[d] / 1000, HEAD_MM[d] / 1000, PITCH_MM[d]
    tip_m = head_m + size.length_mm / 1000
    plain_to_m = head_m + plain_mm / 1000
    thread_radius_m = pitch_diameter_m(size.diameter_mm, pitch_mm) / 2
    depth_m = thread_depth_m(pitch_mm)
    plain = [circle(d / 2000, z, SEGMENTS) for z in (head_m, plain_to_m)] if plain_mm else []
    mesh = loft(
        [
            *chamfered_end(flats_m, 0.0, up=False),
            hexagon(flats_m, head_m, SEGMENTS),
            *plain,
            circle(thread_radius_m, plain_to_m, SEGMENTS),
            circle(thread_radius_m, tip_m - depth_m, SEGMENTS),
            circle(thread_radius_m - depth_m, tip_m, SEGMENTS),  # ISO 4753: chamfered end, 45 degrees
        ]
    )
    shank = Primitive(
        shape="cylinder",
        size_m=(d / 1000, d / 1000, tip_m - head_m),
        position_m=(0.0, 0.0, (head_m + tip_m) / 2),
    )
    thread = Thread(
        z_from_m=plain_to_m,
        z_to_m=tip_m,
        radius_m=thread_radius_m,
        pitch_m=pitch_mm / 1000,
        depth_m=depth_m,
        internal=False,
    )
    return turned_part(mesh, (*hexagon_prism(flats_m, 0.0, head_m), shank), thread)


def screw_sizes(ranges_mm: dict[int, tuple[int, int]]) -> tuple[Size, ...]:
    """Every preferred length from the shortest to the longest of each diameter, by its name: M8x40."""
    return tuple(
        Size(designation=f"M{d}x{length}", diameter_mm=float(d), length_mm=float(length))
        for d, (shortest, longest) in ranges_mm.items()
        for length in LENGTHS_MM
        if shortest <= length <= longest
    )


HEX_BOLT = Family(standard="ISO 4014", category="bolt", sizes=screw_sizes(BOLT_RANGE_MM), build=_bolt)
HEX_SCREW = Family(standard="ISO 4017", category="bolt", sizes=screw_sizes(SCREW_RANGE_MM), build=_screw)
