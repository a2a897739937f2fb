"""A coarse mesh beside the part's own: a picture of many parts is drawn far faster with it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy.spatial import cKDTree

from simgen.assets.cad.packed import CoarseMesh
from simgen.assets.cad.shape.budget import simplified
from simgen.assets.cad.shape.distance import MANY, Surface, farthest_m
from simgen.assets.cad.shape.shading import shaded
from simgen.assets.cad.shape.solid import Solid

COUNTS = (500, 1000, 2000, 4000, 8000)  # of triangles, tried in this order
MOST_ERROR = 0.003  # of the part's longest side
SPACING = 0.02  # of the points at which the error is measured, as a share of the longest side
WORTH = 0.4  # a mesh with a larger share of the triangles saves too little
CROOKED = 1e-3  # a normal whose length is further from 1 is of a triangle without an area


def coarse_mesh(solid: Solid, colours: Float32[np.ndarray, "t 3"] | None) -> CoarseMesh | None:
    """The solid's surface with far fewer triangles; None where it has few, or fewer would change what is seen.

    Args:
        colours: of the solid's triangles.
    """
    longest_m = float(np.ptp(solid.vertices_m, axis=0).max())
    fine, most_m = Surface(solid, SPACING * longest_m), MOST_ERROR * longest_m
    for count in COUNTS:
        if count > WORTH * len(solid.triangles):
            return None
        fewer = simplified(solid, count)
        error_m = _error_m(fine, Surface(fewer, SPACING * longest_m), most_m)
        if error_m <= most_m:
            near = cKDTree(solid.corners_m.mean(axis=1)).query(fewer.corners_m.mean(axis=1))[1]
            vertices_m, normals, triangles, tints = shaded(fewer, None if colours is None else colours[near])
            if np.abs(np.linalg.norm(normals, axis=1) - 1).max() > CROOKED:
                continue
            return CoarseMesh(
                vertices_m=vertices_m, normals=normals, triangles=triangles, colours=tints, error_m=error_m
            )
    return None


def _error_m(one: Surface, other: Surface, most_m: float) -> float:
    """How far two surfaces are apart, from either side; at fewer points where that is too much already."""
    few_m = float(one.distances_m(other.solid.corners_m.mean(axis=1), MANY).max())
    if few_m > most_m:
        return few_m
    there_m = farthest_m(other, one)
    return there_m if there_m > most_m else max(there_m, farthest_m(one, other))
