"""Sheet and plate: flanges with a bolt circle (EN 1092-1), L-brackets and slotted plates.

No standard gives sizes of brackets and slotted plates. These are such as shops sell; their holes are those of ISO 273,
medium series (the same in `clearance_hole_sizes.csv` of cq_warehouse). A bracket's bend is drawn sharp.

The flanges' D, K, L and number of bolts agree with an open table of EN 1092-1, PN 16. For the thickness C1 and the bore
B1 no second source was found; B1 is 0.6 to 1.2 mm over the diameter of the pipe that the flange takes.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from simgen.assets.parts.families.hexagons import round_ring
from simgen.assets.parts.families.solids import (
    SEGMENTS,
    box_hull,
    disc,
    mesh_of,
    polygon,
    principal_part,
    rod_hole,
    slot,
    turns_about_z,
)
from simgen.assets.parts.mesh import Hull
from simgen.assets.parts.model import Family, PartModel, Size, turned_part
from simgen.spec.geometry import about_z

FLANGE_MM = {  # EN 1092-1, PN 16, type 01 (plate): D, K, L, bolts, thickness C1, bore B1
    15: (95, 65, 14, 4, 14, 22.0), 20: (105, 75, 14, 4, 16, 27.5), 25: (115, 85, 14, 4, 16, 34.5),
    32: (140, 100, 18, 4, 18, 43.5), 40: (150, 110, 18, 4, 18, 49.5),
}  # fmt: skip
HOLE_MM = {4: 4.5, 5: 5.5, 6: 6.6, 8: 9.0, 10: 11.0}  # ISO 273, medium
BRACKET_MM = {  # leg: width, thickness, screw
    25: (18, 2.0, 4), 30: (20, 2.5, 5), 40: (25, 3.0, 5), 50: (30, 4.0, 6), 60: (40, 5.0, 8),
}  # fmt: skip
PLATE_MM = {  # length: width, thickness, screw, length of a slot
    50: (20, 2.0, 5, 14.0), 60: (25, 3.0, 6, 17.0), 80: (30, 4.0, 8, 24.0), 100: (40, 5.0, 10, 30.0),
}  # fmt: skip
SIDES = 24  # of the collision shape of a flange: of few, its corners would stand out by millimetres


def _flange(size: Size) -> PartModel:
    outer, circle, hole, count, thick, bore = map(float, FLANGE_MM[int(size.diameter_mm)])
    bolts = int(count)
    outline = disc(outer, segments=SEGMENTS) - disc(bore, segments=SEGMENTS)
    for k in range(bolts):
        angle = 2 * math.pi * (k + 0.5) / bolts
        outline -= disc(hole, circle / 2 * math.cos(angle), circle / 2 * math.sin(angle))
    boxes = round_ring(outer / 1000, bore / 1000, 0.0, thick / 1000, SIDES)
    model = turned_part(mesh_of(outline.extrude(thick)), boxes, thread=None)
    return replace(model, symmetries=turns_about_z(bolts))


def _bracket(size: Size) -> PartModel:
    """Two equal legs at a right angle, each with two holes. The bisector is x, the width is along z."""
    leg = size.length_mm or 0.0
    wide, thick = map(float, BRACKET_MM[int(leg)][:2])
    drill = HOLE_MM[int(size.diameter_mm)]
    corners = np.array([[0, 0], [leg, 0], [leg, thick], [thick, thick], [thick, leg], [0, leg]], float)
    turn = about_z(-math.pi / 4)
    solid = polygon(corners).extrude(wide).translate((0, 0, -wide / 2))
    for at in (thick + (leg - thick) * share for share in (0.3, 0.75)):
        hole = rod_hole(drill, 4 * thick)
        solid -= hole.rotate((90, 0, 0)).translate((at, thick / 2, 0))
        solid -= hole.rotate((0, 90, 0)).translate((thick / 2, at, 0))
    half = wide / 2
    legs = (box_hull((0.0, 0.0, -half), (leg, thick, half)), box_hull((0.0, thick, -half), (thick, leg, half)))
    hulls = tuple(Hull(piece.points_m @ turn.T) for piece in legs)
    return principal_part(mesh_of(solid.rotate((0, 0, -45))), hulls, rests_by_hull=True)


def _plate(size: Size) -> PartModel:
    """A plate with two slots along its length, one behind the other."""
    length = size.length_mm or 0.0
    wide, thick, screw, slotted = map(float, PLATE_MM[int(length)])
    x, y, z = length / 2, wide / 2, thick / 2
    outline = polygon(np.array([[-x, -y], [x, -y], [x, y], [-x, y]], float))
    for side in (-1, 1):
        outline -= slot(slotted, HOLE_MM[int(screw)], side * length / 4)
    solid = outline.extrude(thick).translate((0, 0, -z))
    return principal_part(mesh_of(solid), (box_hull((-x, -y, -z), (x, y, z)),), rests_by_hull=True)


FLANGE = Family(
    standard="EN 1092-1",
    category="flange",
    sizes=tuple(Size(designation=f"DN{d}", diameter_mm=float(d), length_mm=None) for d in FLANGE_MM),
    build=_flange,
)
BRACKET = Family(
    standard="no standard",
    category="bracket",
    sizes=tuple(
        Size(designation=f"{leg}x{leg}x{row[0]}", diameter_mm=float(row[2]), length_mm=float(leg))
        for leg, row in BRACKET_MM.items()
    ),
    build=_bracket,
)
SLOTTED_PLATE = Family(
    standard="no standard",
    category="slotted_plate",
    sizes=tuple(
        Size(designation=f"{length}x{row[0]}", diameter_mm=float(row[2]), length_mm=float(length))
        for length, row in PLATE_MM.items()
    ),
    build=_plate,
)
