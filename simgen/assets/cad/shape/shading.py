"""Normals for drawing: smooth over a surface, apart where two surfaces meet in a sharp edge or in two colours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from simgen.assets.cad.shape.solid import Solid

CREASE_COS = float(np.cos(np.radians(25.0)))  # of the angle above which two surfaces meet in a sharp edge


def shaded(
    solid: Solid, colours: Float32[np.ndarray, "t 3"] | None
) -> tuple[
    Float32[np.ndarray, "v 3"], Float32[np.ndarray, "v 3"], Int32[np.ndarray, "t 3"], Float32[np.ndarray, "v 3"] | None
]:
    """Vertices, normals, triangles and colours for drawing, from a solid and the colour of each triangle.

    Two triangles share the normal of a corner if they are connected there over edges that are not sharp. A normal is
    the mean of its triangles', weighted with their angles at the corner (Thuermer and Wuethrich 1998), so that long
    thin triangles of a tessellated cylinder count rightly.
    """
    flat = _flat_normals(solid)
    _, group = connected_components(_smooth_links(solid, flat, colours), directed=False)
    angles = _corner_angles(solid)
    smooth = np.zeros((int(group.max()) + 1, 3))
    np.add.at(smooth, group, (flat[:, None] * angles[..., None]).reshape(-1, 3))
    lengths = np.linalg.norm(smooth, axis=1, keepdims=True)
    first = np.zeros(len(smooth), np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    smooth = np.where(lengths > 1e-9, smooth / np.maximum(lengths, 1e-300), flat[first // 3])
    vertices = solid.vertices_m[solid.triangles.ravel()[first]]
    tints = None if colours is None else colours[first // 3]
    return vertices.astype(np.float32), smooth.astype(np.float32), group.reshape(-1, 3).astype(np.int32), tints


def _flat_normals(solid: Solid) -> Float64[np.ndarray, "t 3"]:
    corners = solid.corners_m
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(cross, axis=1, keepdims=True)
    return np.where(lengths > 0, cross / np.maximum(lengths, 1e-300), [0.0, 0.0, 1.0])


def _corner_angles(solid: Solid) -> Float64[np.ndarray, "t 3"]:
    corners = solid.corners_m
    to_next, to_last = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    across = np.linalg.norm(np.cross(to_next, to_last), axis=2)
    angles: Float64[np.ndarray, "t 3"] = np.arctan2(across, np.sum(to_next * to_last, axis=2))
    return angles


def edge_pairs(triangles: Int64[np.ndarray, "t 3"]) -> Int64[np.ndarray, "e 4"]:
    """For each edge that two triangles share: two corners (3 t + k) at its one end, then two at its other end."""
    corner = np.arange(triangles.size).reshape(-1, 3)
    here, there = corner.ravel(), np.roll(corner, -1, axis=1).ravel()
    ends = triangles.ravel()[np.stack([here, there], axis=1)]
    swapped = ends[:, 0] > ends[:, 1]
    low, high = np.where(swapped, there, here), np.where(swapped, here, there)
    keys = np.sort(ends, axis=1)
    order = np.lexsort(keys.T)
    same = (keys[order][1:] == keys[order][:-1]).all(axis=1)
    one, other = order[:-1][same], order[1:][same]
    return np.stack([low[one], low[other], high[one], high[other]], axis=1)


def _smooth_links(
    solid: Solid, flat: Float64[np.ndarray, "t 3"], colours: Float32[np.ndarray, "t 3"] | None
) -> coo_matrix:
    """The graph of the triangles' corners in which an edge that is not sharp links the corners at both its ends."""
    pairs = edge_pairs(solid.triangles)
    one, other = pairs[:, 0] // 3, pairs[:, 1] // 3
    smooth = np.sum(flat[one] * flat[other], axis=1) > CREASE_COS
    if colours is not None:
        smooth &= (colours[one] == colours[other]).all(axis=1)
    links = np.concatenate([pairs[smooth, :2], pairs[smooth, 2:]])
    size = solid.triangles.size
    return coo_matrix((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(size, size))
