"""How far two surfaces are apart, measured at points that lie densely on them (as METRO does: Cignoni et al. 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial import cKDTree

from simgen.assets.cad.shape.solid import Solid

FEW, MANY = 2, 12  # nearest samples whose triangles are measured: for every point, and for the farthest points
FARTHEST = 0.05  # share of the points that are measured again

Corners = Float64[np.ndarray, "_ 3 3"]
Points = Float64[np.ndarray, "_ 3"]


@dataclass(frozen=True)
class Surface:
    """The surface of a solid, cut into pieces whose sides are shorter than `spacing_m`."""

    solid: Solid
    spacing_m: float

    @cached_property
    def pieces(self) -> tuple[Corners, Int64[np.ndarray, " _"]]:
        """The pieces' corners, and the triangle that each comes from. Halved across the longest side, so long thin
        triangles become few pieces.
        """
        corners = self.solid.corners_m
        owner = np.arange(len(corners))
        done, owners = [], []
        while len(corners):
            sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2).max(axis=1)
            small = sides < self.spacing_m
            done.append(corners[small])
            owners.append(owner[small])
            corners, owner = halved(corners[~small]), np.tile(owner[~small], 2)
        return np.concatenate(done), np.concatenate(owners)

    @cached_property
    def middles_m(self) -> Points:
        """Of the pieces."""
        return np.asarray(self.pieces[0].mean(axis=1))

    @cached_property
    def tree(self) -> cKDTree:
        """Of the pieces' middles."""
        return cKDTree(self.middles_m)

    @cached_property
    def points_m(self) -> Points:
        """The middles of the pieces, and the corners of the triangles."""
        return np.concatenate([self.middles_m, self.solid.vertices_m[np.unique(self.solid.triangles)]])

    def distances_m(self, points_m: Points, nearest: int) -> Float64[np.ndarray, " _"]:
        """From each point to the triangles of the nearest samples; never less than to the surface."""
        corners, owner = self.solid.corners_m, self.pieces[1]
        _, found = self.tree.query(points_m, k=min(nearest, len(owner)))
        columns = owner[found.reshape(len(points_m), -1)].T
        return np.asarray(np.min([_distance_m(points_m, corners[column]) for column in columns], axis=0))


def farthest_m(one: Surface, other: Surface) -> float:
    """The largest distance of one of the points of `one` from the surface of `other`."""
    points_m = one.points_m
    rough_m = other.distances_m(points_m, FEW)
    order = np.argsort(-rough_m)
    step, found_m = max(1, round(FARTHEST * len(order))), 0.0
    for start in range(0, len(order), step):
        chosen = order[start : start + step]
        if rough_m[chosen[0]] <= found_m:  # nor is any other point farther than that
            break
        found_m = max(found_m, float(other.distances_m(points_m[chosen], MANY).max()))
    return found_m


def halved(corners: Corners) -> Corners:
    """Each triangle cut in two, from the middle of its longest side to the corner that faces it."""
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    turn = (sides.argmax(axis=1)[:, None] + np.arange(3)) % 3
    a, b, c = np.moveaxis(np.take_along_axis(corners, turn[..., None], axis=1), 1, 0)
    middle = (a + b) / 2
    return np.concatenate([np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)])


def _distance_m(points_m: Points, corners_m: Corners) -> Float64[np.ndarray, " _"]:
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
