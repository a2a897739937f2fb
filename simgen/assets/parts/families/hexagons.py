"""Shared by hexagon bolts and nuts: coarse threads (ISO 261, ISO 724), widths across flats (ISO 272), hexagons."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

from simgen.assets.parts.mesh import Primitive, circle, hexagon

SEGMENTS = 24  # points round a mesh: 4 for each side of the hexagon
CHAMFER_SHARE = 0.95  # diameter of the chamfer's circle on the face, of the width across flats (ISO 4014: dw to s)
CHAMFER_SLOPE = math.tan(math.radians(30.0))  # ISO 4014, ISO 4032: 15 to 30 degrees
PITCH_MM = {  # ISO 261, coarse
    3: 0.5, 4: 0.7, 5: 0.8, 6: 1.0, 8: 1.25, 10: 1.5, 12: 1.75, 16: 2.0, 20: 2.5, 24: 3.0, 30: 3.5,
}  # fmt: skip
FLATS_MM = {  # s, nominal = max: ISO 4014, ISO 4017, ISO 4032
    3: 5.5, 4: 7.0, 5: 8.0, 6: 10.0, 8: 13.0, 10: 16.0, 12: 18.0, 16: 24.0, 20: 30.0, 24: 36.0, 30: 46.0,
}  # fmt: skip


def pitch_diameter_m(diameter_mm: float, pitch_mm: float) -> float:
    """ISO 724: d2 = d - 2 * 3/8 H, H = sqrt(3)/2 P."""
    return (diameter_mm - 0.75 * math.sqrt(0.75) * pitch_mm) / 1000


def thread_depth_m(pitch_mm: float) -> float:
    """ISO 68-1: 5/8 H, from crest to root of the basic profile."""
    return 0.625 * math.sqrt(0.75) * pitch_mm / 1000


def chamfered_end(flats_m: float, z_m: float, up: bool) -> list[Float64[np.ndarray, "n 3"]]:
    """The two rings of a hexagon's end at `z_m`, from low to high. A cone of 30 degrees cuts its corners."""
    radius = CHAMFER_SHARE * flats_m / 2
    rim = hexagon(flats_m, z_m, SEGMENTS)
    drop = (np.hypot(rim[:, 0], rim[:, 1]) - radius) * CHAMFER_SLOPE
    rim[:, 2] += -drop if up else drop
    face = circle(radius, z_m, SEGMENTS)
    return [rim, face] if up else [face, rim]


def hexagon_prism(flats_m: float, z_from_m: float, z_to_m: float) -> tuple[Primitive, ...]:
    """A hexagonal prism: exactly the union of three boxes, each between two opposite sides."""
    return tuple(
        Primitive(
            shape="box",
            size_m=(flats_m, flats_m / math.sqrt(3), z_to_m - z_from_m),
            position_m=(0.0, 0.0, (z_from_m + z_to_m) / 2),
            yaw_rad=side * math.pi / 3,
        )
        for side in range(3)
    )


def round_ring(outer_m: float, inner_m: float, z_from_m: float, z_to_m: float, sides: int) -> tuple[Primitive, ...]:
    """A round ring, as one box for each side. Its flats lie as far inside the outer circle as its corners outside.

    Args:
        outer_m: outer diameter.
        inner_m: diameter of the hole.
        z_from_m: lower end.
        z_to_m: upper end.
        sides: how many boxes.
    """
    across_m = outer_m * 2 / (1 + 1 / math.cos(math.pi / sides))
    return ring_of_boxes(across_m, inner_m, z_from_m, z_to_m, sides)


def ring_of_boxes(outer_m: float, inner_m: float, z_from_m: float, z_to_m: float, sides: int) -> tuple[Primitive, ...]:
    """A regular prism with a through hole, as one box for each side.

    Args:
        outer_m: distance across the prism's flats.
        inner_m: distance across the hole's flats.
        z_from_m: lower end.
        z_to_m: upper end.
        sides: how many sides the prism has.
    """
    turn = 2 * math.pi / sides
    middle = (outer_m + inner_m) / 4
    return tuple(
        Primitive(
            shape="box",
            size_m=((outer_m - inner_m) / 2, outer_m * math.tan(turn / 2), z_to_m - z_from_m),
            position_m=(
                middle * math.cos(side * turn),
                middle * math.sin(side * turn),
                (z_from_m + z_to_m) / 2,
            ),
            yaw_rad=side * turn,
        )
        for side in range(sides)
    )
