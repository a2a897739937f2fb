"""Basic types and conventions. The values that flow through simgen are frozen dataclasses of plain numbers and arrays.

Units: metres, seconds, radians, kilograms, kelvin. Light is linear RGB (sRGB primaries).
Frames: the world has z up. A pose `world_from_x` maps coordinates of x to the world; quaternions are xyzw.
The camera's frame is OpenCV's: x right, y down, z along the optical axis; pixel (0, 0)'s centre is at (0.5, 0.5).
Boxes: pixels, (x_min, y_min, x_max, y_max), max exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

Metres = NewType("Metres", float)
Radians = NewType("Radians", float)
Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]
Distortion = tuple[float, float, float, float, float]  # k1, k2, p1, p2, k3 of Brown and Conrady, in OpenCV's order
MAX_LAMPS = 3  # of a scene, beside the key light

BACKGROUND = -1  # in an id map: table, belt, floor, sky
CLUTTER = -2  # in an id map: an occluder or an unlabelled object


@dataclass(frozen=True, kw_only=True)
class Pose:
    position_m: Vec3
    rotation_xyzw: Quat


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """How a belt stops and goes, again and again: it speeds up, runs, slows down, and stands."""

    run_s: float  # with both ramps
    stop_s: float
    ramp_s: float  # of each change between standing and full speed, at most half of `run_s`
    phase_s: float  # how far in its cycle the belt is when the parts start to fall
