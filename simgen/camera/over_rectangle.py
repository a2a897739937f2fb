"""From where a camera sees a rectangle of known size on the ground at known pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64

from simgen.spec.geometry import pose
from simgen.spec.types import Distortion, Pose


@dataclass(frozen=True)
class Place:
    """A camera's place over a rectangle."""

    world_from_camera: Pose  # the rectangle's middle is the origin, its first side runs along +x or +y, z is up
    off_px: float  # root mean square between its corners as seen from there and as given


def place_over(
    corners_px: Float64[np.ndarray, "4 2"],
    sides_m: tuple[float, float],
    focal_px: float,
    centre_px: tuple[float, float],
    distortion: Distortion,
) -> Place | None:
    """The place from which the corners are seen best; None where there is none above the ground.

    The pose is that of the infinitesimal plane-based method (Collins and Bartoli, "Infinitesimal Plane-Based Pose
    Estimation", IJCV 2014), for the first side as the length and as the width.

    Args:
        corners_px: in turn, counter-clockwise as one sees them.
        sides_m: the rectangle's extents along x and y.
        distortion: Brown and Conrady's, with OpenCV's k1, k2, p1, p2, k3.
    """
    x, y = sides_m[0] / 2, sides_m[1] / 2
    matrix = np.array([[focal_px, 0, centre_px[0]], [0, focal_px, centre_px[1]], [0, 0, 1]])
    places = []
    for first in (0, 1):
        corners_m = np.roll([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]], -first, axis=0)
        try:
            _, turns, moves, off = cv2.solvePnPGeneric(
                corners_m, corners_px, matrix, np.array(distortion), flags=cv2.SOLVEPNP_IPPE
            )
        except cv2.error:
            continue
        for turn, move, error in zip(turns, moves, np.ravel(off), strict=True):
            camera_from_world = cv2.Rodrigues(turn)[0].astype(np.float64)
            eye_m = -camera_from_world.T @ move[:, 0]
            depths_m = corners_m @ camera_from_world[2] + move[2, 0]
            if eye_m[2] > 0 and depths_m.min() > 0 and np.isfinite(eye_m).all():
                places.append(Place(pose(camera_from_world.T, eye_m), float(error)))
    return min(places, key=lambda place: place.off_px, default=None)
