"""Poses, rotations and the pinhole camera's geometry: numpy alone, float64.

A pose `a_from_b` maps coordinates of b to coordinates of a; quaternions are xyzw; the camera's frame is OpenCV's
(x right, y down, z along the optical axis).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float64

from simgen.spec.types import Pose, Quat, Vec3

IDENTITY = Pose(position_m=(0.0, 0.0, 0.0), rotation_xyzw=(0.0, 0.0, 0.0, 1.0))


def vec3(v: Sequence[float] | Float[np.ndarray, " 3"]) -> Vec3:
    return float(v[0]), float(v[1]), float(v[2])


def rotation_matrix(rotation_xyzw: Sequence[float] | Float[np.ndarray, " 4"]) -> Float64[np.ndarray, "3 3"]:
    """The rotation matrix of a quaternion of any length.

    Raises:
        ValueError: its length is zero or not finite.
    """
    quat = np.asarray(rotation_xyzw, np.float64)
    squared = float(quat @ quat)
    if not (0 < squared < np.inf):
        raise ValueError(f"needs a quaternion xyzw of finite length above 0, got {tuple(quat)}")
    x, y, z, w = (quat * np.sqrt(2 / squared)).tolist()
    return np.array(
        [
            [1 - y * y - z * z, x * y - z * w, x * z + y * w],
            [x * y + z * w, 1 - x * x - z * z, y * z - x * w],
            [x * z - y * w, y * z + x * w, 1 - x * x - y * y],
        ]
    )


def quaternion(rotation: Float64[np.ndarray, "3 3"]) -> Quat:
    """The unit quaternion xyzw, with w >= 0, of a rotation matrix.

    Shepperd's method (1978), which is stable for every rotation: the matrix gives the outer product of the quaternion
    with itself, and the row of the largest diagonal entry is the quaternion times a number.
    """
    (a, b, c), (d, e, f), (g, h, i) = rotation.tolist()
    trace = a + e + i
    products = (  # 4 q q^T, in the order xyzw
        (1 - trace + 2 * a, b + d, c + g, h - f),
        (b + d, 1 - trace + 2 * e, f + h, c - g),
        (c + g, f + h, 1 - trace + 2 * i, d - b),
        (h - f, c - g, d - b, 1 + trace),
    )
    largest = max(range(4), key=lambda k: products[k][k])
    row = np.array(products[largest])
    row = row / np.linalg.norm(row)
    x, y, z, w = (row if row[3] >= 0 else -row).tolist()
    return x, y, z, w


def pose(rotation: Float64[np.ndarray, "3 3"], position_m: Float[np.ndarray, " 3"]) -> Pose:
    return Pose(position_m=vec3(position_m), rotation_xyzw=quaternion(rotation))


def transform(a_from_b: Pose, points_m: Float[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 3"]:
    """Points of frame b in frame a."""
    rotation = rotation_matrix(a_from_b.rotation_xyzw)
    points: Float64[np.ndarray, "*n 3"] = np.asarray(points_m, np.float64) @ rotation.T + np.asarray(
        a_from_b.position_m
    )
    return points


def compose(a_from_b: Pose, b_from_c: Pose) -> Pose:
    rotation = rotation_matrix(a_from_b.rotation_xyzw)
    position = np.asarray(b_from_c.position_m, np.float64) @ rotation.T + np.asarray(a_from_b.position_m)
    return pose(rotation @ rotation_matrix(b_from_c.rotation_xyzw), position)


@lru_cache(maxsize=64)  # a camera's inverse is needed once for each part
def invert(a_from_b: Pose) -> Pose:
    b_from_a = rotation_matrix(a_from_b.rotation_xyzw).T
    return pose(b_from_a, -b_from_a @ np.asarray(a_from_b.position_m))


def look_at(eye_m: Vec3, target_m: Vec3, up: Vec3 = (0.0, 0.0, 1.0)) -> Pose:
    """`world_from_camera` of a camera at `eye_m` whose optical axis meets `target_m`; `up` is up in its picture.

    Raises:
        ValueError: eye and target coincide, or `up` is along the optical axis.
    """
    eye, target = np.asarray(eye_m, np.float64), np.asarray(target_m, np.float64)
    forward = target - eye
    right = np.cross(forward, np.asarray(up, np.float64))
    if np.linalg.norm(right) <= 1e-9 * np.linalg.norm(forward) * np.linalg.norm(up):
        raise ValueError(f"no view from {eye_m} to {target_m} with up {up}: needs two points, and up across the view")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    return pose(np.stack([right, np.cross(forward, right), forward], axis=1), eye)


def about_z(angle: float) -> np.ndarray:
    """The matrix of a rotation about z, in radians, counter-clockwise seen from +z."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def about_x(angle: float) -> np.ndarray:
    """The matrix of a rotation about x, in radians, counter-clockwise seen from +x."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def toward(elevation_rad: float, azimuth_rad: float) -> Vec3:
    """The unit vector in a direction: elevation above the xy plane, azimuth counter-clockwise from x."""
    flat = math.cos(elevation_rad)
    return flat * math.cos(azimuth_rad), flat * math.sin(azimuth_rad), math.sin(elevation_rad)
