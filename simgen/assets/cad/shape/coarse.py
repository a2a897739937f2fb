"""A coarse mesh beside the part's own: a picture of many parts is drawn far faster with it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial import cKDTree

from simgen.assets.cad.packed import CoarseMesh
from simgen.assets.cad.shape.budget import simplified
from simgen.assets.cad.shape.shading import shaded
from simgen.assets.cad.shape.solid import Solid

COUNTS = (500, 1000, 2000, 4000)  # of triangles, tried in this order
MOST_ERROR = 0.002  # of the part's longest side
WORTH = 0.4  # a mesh with a larger share of the triangles saves too little
CROOKED = 1e-3  # a normal whose length is further from 1 is of a triangle without an area
NEAREST = 16  # triangles to which the distance of a point is computed


def coarse_mesh(solid: Solid, colours: Float32[np.ndarray, "t 3"] | None) -> CoarseMesh | None:
    """The solid's surface with far fewer triangles; None where it has few, or fewer would change what is seen.

    Args:
        colours: of the solid's triangles.
    """
    longest_m = float(np.ptp(solid.vertices_m, axis=0).max())
    for count in COUNTS:
        if count > WORTH * len(solid.triangles):
            return None
        fewer = simplified(solid, count)
        error_m = max(_farthest_m(solid, fewer), _farthest_m(fewer, solid))
        if error_m <= MOST_ERROR * longest_m:
            near = cKDTree(solid.corners_m.mean(axis=1)).query(fewer.corners_m.mean(axis=1))[1]
            vertices_m, normals, triangles, tints = shaded(fewer, None if colours is None else colours[near])
            if np.abs(np.linalg.norm(normals, axis=1) - 1).max() > CROOKED:
                continue
            return CoarseMesh(
                vertices_m=vertices_m, normals=normals, triangles=triangles, colours=tints, error_m=error_m
            )
    return None


def _farthest_m(one: Solid, other: Solid) -> float:
    """How far a corner or the middle of a triangle of a surface is from another surface at most.

    The distance to the triangles with the nearest middles is taken, so it is never too small.
    """
    points_m = np.concatenate([one.vertices_m[np.unique(one.triangles)], one.corners_m.mean(axis=1)])
    corners_m = other.corners_m
    count = min(NEAREST, len(corners_m))
    _, near = cKDTree(corners_m.mean(axis=1)).query(points_m, k=count)
    found = [_distance_m(points_m, corners_m[column]) for column in near.reshape(-1, count).T]
    return float(np.min(found, axis=0).max())


def _distance_m(
    points_m: Float64[np.ndarray, "n 3"], corners_m: Float64[np.ndarray, "n 3 3"]
) -> Float64[np.ndarray, " n"]:
    """The distance of each point from its triangle: from its plane where the foot lies inside, else from its sides."""
    sides = np.roll(corners_m, -1, axis=1) - corners_m
    away = points_m[:, None] - corners_m
    along = np.einsum("nij,nij->ni", away, sides) / np.maximum(np.einsum("nij,nij->ni", sides, sides), 1e-300)
    to_sides = np.linalg.norm(away - np.clip(along, 0, 1)[..., None] * sides, axis=2).min(axis=1)
    normal = np.cross(sides[:, 0], sides[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    inside = (np.einsum("nij,nij->ni", np.cross(sides, away), normal[:, None]) >= 0).all(axis=1)
    to_plane = np.abs(np.einsum("ni,ni->n", away[:, 0], normal))
    return np.asarray(np.where(inside & (np.abs(normal).max(axis=1) > 0), np.minimum(to_plane, to_sides), to_sides))
