"""A closed mesh: its volume, centre, inertia, and the frame in which a part is stored.

Sums run over the signed tetrahedra from a point to each triangle. That point is the middle of the mesh: CAD files may
lie far from their origin, where the sums would lose digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

EQUAL = 1e-3  # two principal moments that differ by less, as a share of the largest, have no axes of their own
LIKE = 0.03  # with less, the third one's axis is that of a turned part, such as a screw with its thread
SKEWED = 1e-5  # a third moment below this, relative to radius and volume, is no reason to choose a sign


@dataclass(frozen=True)
class Solid:
    """A closed mesh in metres, its triangles counter-clockwise seen from outside, and which body each comes from."""

    vertices_m: Float64[np.ndarray, "v 3"]
    triangles: Int64[np.ndarray, "t 3"]

    @property
    def corners_m(self) -> Float64[np.ndarray, "t 3 3"]:
        corners: Float64[np.ndarray, "t 3 3"] = self.vertices_m[self.triangles]
        return corners

    def turned(self, rotation: Float64[np.ndarray, "3 3"], origin_m: Float64[np.ndarray, " 3"]) -> Solid:
        """The solid in a frame with the rows of `rotation` as axes and another origin."""
        return replace(self, vertices_m=(self.vertices_m - origin_m) @ rotation.T)


@dataclass(frozen=True)
class Mass:
    """Of a solid of uniform density."""

    volume_m3: float
    centre_m: Float64[np.ndarray, " 3"]
    inertia_m2: Float64[np.ndarray, "3 3"]  # of one kilogram about the centre


def is_closed(solid: Solid) -> bool:
    """Whether each edge has one triangle on each side, in opposite directions."""
    edges = solid.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    directed, counts = np.unique(edges, axis=0, return_counts=True)
    backward = np.unique(directed[:, ::-1], axis=0)
    return bool((counts == 1).all()) and np.array_equal(directed, backward)


def mass_of(solid: Solid) -> Mass:
    """Volume, centre and inertia (Blow and Binstock 2004: second moments of a tetrahedron)."""
    middle = (solid.vertices_m.max(axis=0) + solid.vertices_m.min(axis=0)) / 2
    corners = solid.corners_m - middle
    six_volumes = np.linalg.det(corners)
    volume = float(six_volumes.sum() / 6)
    sums = corners.sum(axis=1)
    centre = (six_volumes @ sums) / 24 / volume
    products = np.einsum("t,tki,tkj->ij", six_volumes, corners, corners) + np.einsum(
        "t,ti,tj->ij", six_volumes, sums, sums
    )
    second = products / 120 / volume - np.outer(centre, centre)
    return Mass(volume, centre + middle, np.trace(second) * np.eye(3) - second)


def third_moments(solid: Solid) -> Float64[np.ndarray, " 3"]:
    """The mean cube of each coordinate over the solid, from the origin.

    The mean over a tetrahedron with a corner at the origin is 1/20 of the sum of all products of three coordinates of
    the other corners, by Lasserre and Avrachenkov (2001).
    """
    corners = solid.corners_m
    six_volumes = np.linalg.det(corners)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    products = a**3 + b**3 + c**3 + a * a * (b + c) + b * b * (a + c) + c * c * (a + b) + a * b * c
    moments: Float64[np.ndarray, " 3"] = (six_volumes @ products) / 20 / six_volumes.sum()
    return moments


def part_axes(solid: Solid, mass: Mass) -> Float64[np.ndarray, "3 3"]:
    """The rows are the axes of the part's frame, in the file's frame: principal axes, however the file was turned.

    z is the axis of the moment that differs where the other two are alike; else z has the largest moment and x the
    smallest. Where two are equal, x is the file's axis that lies most across z; where all are, the file's axes are
    kept. A sign is chosen so that the third moment along the axis is positive; where that is zero, by the file's axes.
    """
    moments, columns = np.linalg.eigh(mass.inertia_m2)
    x, y, z = columns.T
    lower, upper = np.diff(moments) / moments[2]
    if max(lower, upper) < EQUAL:
        axes = np.eye(3)
    elif upper < lower and upper < LIKE:  # a rod
        axes = _about(x) if upper < EQUAL else np.stack([y, np.cross(x, y), x])
    else:
        axes = _about(z) if lower < EQUAL else np.stack([x, np.cross(z, x), z])
    return _signed(solid, mass, axes)


def _about(z: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "3 3"]:
    file_axis = np.eye(3)[int(np.argmin(np.round(np.abs(z), 6)))]
    x = file_axis - (file_axis @ z) * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _signed(solid: Solid, mass: Mass, axes: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3 3"]:
    """The axes with their signs, right-handed. Where all three signs are told, the least told one gives way."""
    skew = third_moments(solid.turned(axes, mass.centre_m))
    radius_m = float(np.linalg.norm(solid.vertices_m - mass.centre_m, axis=1).max())
    told = np.where(np.abs(skew) > SKEWED * radius_m**3, np.abs(skew), 0.0)
    by_file = axes[np.arange(3), np.argmax(np.round(np.abs(axes), 6), axis=1)]
    signed = axes * np.where(told > 0, np.sign(skew), np.where(by_file < 0, -1.0, 1.0))[:, None]
    if np.linalg.det(signed) < 0:
        signed[int(np.argmin(told))] *= -1
    return signed
