"""Fewer triangles, and the colours of the file on them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial import cKDTree

from simgen.assets.cad.shape.repair import Body, grey
from simgen.assets.cad.shape.solid import Solid, mass_of

COLOUR_SAMPLES = 200_000


def simplified(solid: Solid, most_triangles: int) -> Solid:
    """The solid with at most so many triangles, by quadric error metrics (Garland and Heckbert 1997)."""
    if len(solid.triangles) <= most_triangles:
        return solid
    import fast_simplification

    scale = float(np.abs(solid.vertices_m).max())
    points, faces = fast_simplification.simplify(
        (solid.vertices_m / scale).astype(np.float64), solid.triangles.astype(np.int32), target_count=most_triangles
    )
    faces = np.asarray(faces, np.int64)
    whole = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    used, index = np.unique(faces[whole], return_inverse=True)
    return Solid(np.asarray(points, np.float64)[used] * scale, index.reshape(-1, 3))


def change(before: Solid, after: Solid) -> float:
    """By how much of the volume the two differ."""
    volume_m3 = mass_of(before).volume_m3
    return abs(mass_of(after).volume_m3 - volume_m3) / volume_m3


def painted(solid: Solid, bodies: list[Body]) -> Float32[np.ndarray, "t 3"] | None:
    """The colour of each triangle: that of the nearest place of the bodies that looks into the same direction.

    Args:
        bodies: in the frame of the solid. If none of them has a colour the result is None.
    """
    if all(body.colours is None for body in bodies):
        return None
    total = sum(float(_areas(body).sum()) for body in bodies)
    points, normals, tints = (
        np.concatenate(parts) for parts in zip(*(_samples(body, total) for body in bodies), strict=True)
    )
    corners = solid.corners_m
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-300)
    distance, near = cKDTree(points).query(corners.mean(axis=1), k=8)
    away = np.einsum("ti,tki->tk", facing, normals[near]) < 0.5
    best = np.argmin(np.where(away, np.inf, distance), axis=1)
    colours: Float32[np.ndarray, "t 3"] = tints[near[np.arange(len(near)), best]]
    return colours


def _areas(body: Body) -> Float64[np.ndarray, " t"]:
    corners = body.vertices_m[body.triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.asarray(np.linalg.norm(cross, axis=1) / 2)


def _samples(body: Body, total_m2: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points on a body's surface with normals and colours: the middle of each triangle, and more in large ones."""
    corners, areas = body.vertices_m[body.triangles], _areas(body)
    cross = (
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / np.maximum(2 * areas, 1e-300)[:, None]
    )
    rng = np.random.default_rng(0)
    count = np.round(COLOUR_SAMPLES * areas / total_m2).astype(int)
    chosen = np.concatenate([np.arange(len(areas)), np.repeat(np.arange(len(areas)), count)])
    weights = rng.dirichlet((1.0, 1.0, 1.0), len(chosen))
    weights[: len(areas)] = 1 / 3
    points = np.einsum("nk,nki->ni", weights, corners[chosen])
    return points, cross[chosen], grey(body)[chosen]
