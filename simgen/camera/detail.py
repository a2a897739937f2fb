"""How fine a detail a camera can show."""

from __future__ import annotations

import math

from simgen.spec.scene import CameraSpec

TALLEST_M = 0.1  # of what lies on the work surface, below the camera


def most_px_per_m(camera: CameraSpec) -> float:
    """How many pixels a metre has at most: on top of what lies below the camera at its lowest."""
    lowest_m = min(pose.position_m[2] for pose in camera.world_from_camera) - TALLEST_M
    return camera.focal_px / lowest_m if lowest_m > 0 else math.inf
