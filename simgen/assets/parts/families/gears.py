"""Spur gears with involute flanks: basic rack of ISO 53 (20 degrees, addendum m, dedendum 1.25 m), modules of ISO 54.

Face width and bore are no matter of these standards: here 10 m wide and a bore of 0.3 of the pitch diameter.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from simgen.assets.parts.families.hexagons import round_ring
from simgen.assets.parts.families.solids import SEGMENTS, disc, mesh_of, polygon, turns_about_z
from simgen.assets.parts.model import Family, PartModel, Size, turned_part

PRESSURE_ANGLE = math.radians(20.0)  # ISO 53
ADDENDUM, DEDENDUM = 1.0, 1.25  # ISO 53, in modules
MODULES_MM, TEETH = (1.0, 1.5, 2.0), (18, 20, 24, 30, 36)  # ISO 54, series I; with fewer teeth they would be undercut
WIDE, BORE = 10.0, 0.3  # in modules; of the pitch diameter
FLANK = 5  # points on each flank
SIDES = 12  # of the collision shape


def half_tooth_rad(radius_mm: float, module_mm: float, teeth: int) -> float:
    """Half of the angle that a tooth takes at a radius: pi / 2z + inv 20 deg - inv a, where cos a = r_base / r.

    The involute ends at the base circle; below it the flank goes straight to the axis.
    """
    base_mm = module_mm * teeth / 2 * math.cos(PRESSURE_ANGLE)
    angle = math.acos(min(1.0, base_mm / radius_mm))
    return math.pi / (2 * teeth) + (math.tan(PRESSURE_ANGLE) - PRESSURE_ANGLE) - (math.tan(angle) - angle)


def radii_mm(module_mm: float, teeth: int) -> tuple[float, float, float]:
    """The radii of the root circle, of the tip circle, and of the bore."""
    pitch = module_mm * teeth / 2
    return pitch - DEDENDUM * module_mm, pitch + ADDENDUM * module_mm, BORE * pitch


def _outline(module_mm: float, teeth: int) -> Float64[np.ndarray, "n 2"]:
    root, tip, _ = radii_mm(module_mm, teeth)
    start = max(root, module_mm * teeth / 2 * math.cos(PRESSURE_ANGLE))
    up = [root, *np.linspace(start, tip, FLANK)] if start > root else list(np.linspace(root, tip, FLANK))
    half = [half_tooth_rad(radius, module_mm, teeth) for radius in up]
    points = []
    for tooth in range(teeth):
        middle = 2 * math.pi * tooth / teeth
        rising = [(r, middle - a) for r, a in zip(up, half, strict=True)]
        falling = [(r, middle + a) for r, a in zip(reversed(up), reversed(half), strict=True)]
        points += [(r * math.cos(a), r * math.sin(a)) for r, a in (*rising, (tip, middle), *falling)]
    return np.array(points)


def _gear(size: Size) -> PartModel:
    module_mm, teeth = _numbers(size)
    _, tip, bore = radii_mm(module_mm, teeth)
    wide_mm = WIDE * module_mm
    solid = (polygon(_outline(module_mm, teeth)) - disc(2 * bore, segments=SEGMENTS)).extrude(wide_mm)
    boxes = round_ring(2 * tip / 1000, 2 * bore / 1000, 0.0, wide_mm / 1000, SIDES)
    return replace(turned_part(mesh_of(solid), boxes, thread=None), symmetries=turns_about_z(teeth))


def _numbers(size: Size) -> tuple[float, int]:
    module, _, teeth = size.designation.removeprefix("m").partition("z")
    return float(module), int(teeth)


GEAR = Family(
    standard="ISO 53",
    category="gear",
    sizes=tuple(
        Size(designation=f"m{module:g}z{teeth}", diameter_mm=module * teeth, length_mm=None)
        for module in MODULES_MM
        for teeth in TEETH
    ),
    build=_gear,
)
