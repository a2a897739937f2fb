"""Imported parts, from the bytes that `simgen.spec.contents` keeps."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float64

from simgen.assets.cad.packed import CoarseMesh, PackedPart, read_packed
from simgen.assets.parts.mesh import Hull, Mesh, neighbours
from simgen.assets.parts.model import PartModel, Rest, Turns
from simgen.spec.contents import content
from simgen.spec.geometry import rotation_matrix


@lru_cache(maxsize=64)
def packed_part(sha256: str) -> PackedPart:
    """The part in the file that has this sha256.

    Raises:
        MissingContent: the file is not known here.
        PartFileError: it is no imported part.
    """
    return read_packed(content(sha256, "an imported part"), sha256[:16])


def imported_model(sha256: str) -> PartModel:
    """The model of the part whose file has this sha256.

    Raises:
        MissingContent: the file is not known here.
    """
    part = packed_part(sha256)
    model = PartModel(
        **_mesh(part),
        volume_m3=part.volume_m3,
        inertia_m2=part.inertia_m2,
        collision=tuple(Hull(points_m) for points_m in part.hulls_m),
        outline_m=_outline(part.vertices_m.astype(np.float64)),
        rests=tuple(Rest(rotation_matrix(rest.rotation_xyzw), rest.probability) for rest in part.resting_poses),
        symmetries=Turns(tuple(map(rotation_matrix, part.symmetries.rotations_xyzw)), part.symmetries.axes),
    )
    if part.coarse is None:
        return model
    return replace(model, coarse=replace(model, **_mesh(part.coarse)), coarse_error_m=part.coarse.error_m)


def _mesh(mesh: PackedPart | CoarseMesh) -> dict[str, Any]:
    """What of a model is of its mesh alone."""
    vertices_m = mesh.vertices_m.astype(np.float64)
    return {
        "vertices_m": vertices_m,
        "normals": mesh.normals.astype(np.float64),
        "triangles": mesh.triangles,
        "neighbours": neighbours(Mesh(vertices_m, mesh.triangles)),
        "colours": mesh.colours,
    }


def _outline(vertices_m: Float64[np.ndarray, "v 3"]) -> Float64[np.ndarray, "o 3"]:
    """The corners of the convex hull."""
    from scipy.spatial import ConvexHull  # slow to load, and only imported parts need it

    return np.asarray(vertices_m[np.sort(ConvexHull(vertices_m).vertices)])
