"""Closed triangle meshes: lofts through rings about z, mass properties, normals for shading; collision primitives.

Triangles run counter-clockwise seen from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32

CREASE_COS = float(np.cos(np.radians(25.0)))  # of the angle above which two surfaces meet in a sharp edge


@dataclass(frozen=True, kw_only=True)
class Primitive:
    """A convex piece of a collision shape: a box, or a cylinder along z; first turned about z, then moved."""

    shape: str  # "box" | "cylinder"
    size_m: tuple[float, float, float]  # full extents; a cylinder's diameter is x and its length is z
    position_m: tuple[float, float, float]
    yaw_rad: float = 0.0


@dataclass(frozen=True)
class Hull:
    """A convex piece of a collision shape: the convex hull of points."""

    points_m: Float64[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Mesh:
    vertices_m: Float64[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "t 3"]


def circle(radius_m: float, z_m: float, segments: int) -> Float64[np.ndarray, "n 3"]:
    """Points on a circle about z, counter-clockwise from x."""
    angle = 2 * np.pi * np.arange(segments) / segments
    return np.stack([radius_m * np.cos(angle), radius_m * np.sin(angle), np.full(segments, z_m)], axis=1)


def hexagon(across_flats_m: float, z_m: float, segments: int) -> Float64[np.ndarray, "n 3"]:
    """Points on a hexagon at equal angles. A flat is square to x; `segments` = 12 n puts points on the corners."""
    angle = 2 * np.pi * np.arange(segments) / segments
    from_flat = (angle + np.pi / 6) % (np.pi / 3) - np.pi / 6
    return circle(1.0, 0.0, segments) * (across_flats_m / 2 / np.cos(from_flat))[:, None] + [0.0, 0.0, z_m]


def loft(rings: Sequence[Float64[np.ndarray, "n 3"]], closed: bool = False) -> Mesh:
    """The surface through rings of equally many points: with caps at both ends, or `closed` from the last to the first.

    Rings run counter-clockwise seen from +z, and the first is the lower end; a closed loft goes up on the outside.
    """
    count, n = len(rings), len(rings[0])
    point, following = np.arange(n), np.roll(np.arange(n), -1)
    faces = []
    for lower in range(count if closed else count - 1):
        low, high = lower * n, (lower + 1) % count * n
        faces.append(np.stack([low + point, low + following, high + following], axis=1))
        faces.append(np.stack([low + point, high + following, high + point], axis=1))
    if not closed:
        fan = np.stack([np.zeros(n - 2, int), np.arange(1, n - 1), np.arange(2, n)], axis=1)
        faces += [fan[:, ::-1], fan + (count - 1) * n]
    return Mesh(np.concatenate(list(rings)), np.concatenate(faces).astype(np.int32))


def mass_properties(mesh: Mesh) -> tuple[float, Float64[np.ndarray, " 3"], Float64[np.ndarray, "3 3"]]:
    """Volume, centre of mass, and inertia tensor of one kilogram about that centre, of the solid in a closed mesh.

    Exact for the mesh: sums over the signed tetrahedra from the origin to each triangle, whose second moments are
    det/120 (sum of the corners' outer products + outer product of their sum) (Blow and Binstock 2004).
    """
    corners = mesh.vertices_m[mesh.triangles]
    six_volumes = np.linalg.det(corners)
    volume = float(six_volumes.sum() / 6)
    sums = corners.sum(axis=1)
    centre = (six_volumes @ sums) / 24 / volume
    products = np.einsum("tki,tkj->tij", corners, corners) + np.einsum("ti,tj->tij", sums, sums)
    second = np.einsum("t,tij->ij", six_volumes, products) / 120 / volume - np.outer(centre, centre)
    return volume, centre, np.trace(second) * np.eye(3) - second


def neighbours(mesh: Mesh) -> Int32[np.ndarray, "t 3"]:
    """The triangle on the other side of each edge (first to second corner, second to third, third to first).

    Corners at one place are one. -1 where no triangle, or more than one, runs along the edge in the other direction.
    """
    _, welded = np.unique(mesh.vertices_m, axis=0, return_inverse=True)
    starts = welded.reshape(-1)[mesh.triangles].astype(np.int64)
    ends, count = np.roll(starts, -1, axis=1), int(starts.max()) + 1
    there, back = (starts * count + ends).ravel(), (ends * count + starts).ravel()
    order = np.argsort(there, kind="stable")
    first, after = (np.searchsorted(there[order], back, side=side) for side in ("left", "right"))
    found = order[np.minimum(first, len(order) - 1)] // 3
    return np.where(after - first == 1, found, -1).reshape(-1, 3).astype(np.int32)


def shaded(mesh: Mesh) -> tuple[Float64[np.ndarray, "v 3"], Float64[np.ndarray, "v 3"], Int32[np.ndarray, "t 3"]]:
    """Vertices, normals and triangles for drawing: normals are smooth, except across creases, where vertices repeat."""
    corners = mesh.vertices_m[mesh.triangles]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    vertex, face = mesh.triangles.ravel(), np.repeat(np.arange(len(areas)), 3)
    order = np.argsort(vertex, kind="stable")
    counts = np.bincount(vertex)
    slot = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    around = np.zeros((len(counts), int(counts.max()), 3))  # the triangles round each vertex, padded with zeros
    around[vertex[order], slot] = areas[face[order]]
    flat = around / np.maximum(np.linalg.norm(around, axis=2, keepdims=True), 1e-300)
    together = flat @ flat.swapaxes(1, 2) > CREASE_COS
    sums = together.astype(float) @ around
    smooth = np.empty((len(order), 3))
    smooth[order] = sums[vertex[order], slot]
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
    keys = np.concatenate([vertex[:, None], np.round(smooth, 6)], axis=1)
    _, first, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return mesh.vertices_m[vertex[first]], smooth[first], index.reshape(-1, 3).astype(np.int32)
