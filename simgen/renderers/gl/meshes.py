"""Meshes on the graphics processor, by key: parts by what is drawn of them, and the shapes that all else is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from simgen.assets.parts import Drawn
from simgen.renderers.primitives import Arrays, primitive

Key = Drawn | str  # a part's, at a scale of 1, or the name of a primitive


@dataclass
class Mesh:
    """A mesh's buffers, and its vertex arrays by program."""

    vertices: Any
    indices: Any
    colours: Any = None  # of the vertices, where the mesh has its own
    arrays: dict[str, Any] = field(default_factory=dict)  # by program


def upload(context: Any, key: Key) -> Mesh:
    """Upload a mesh.

    Raises:
        KeyError: the part or the primitive is unknown.
    """
    (points, normals, triangles), colours = (primitive(key), None) if isinstance(key, str) else _part(key)
    vertices = np.concatenate([points, normals], axis=1).astype(np.float32)
    return Mesh(
        context.buffer(vertices.tobytes()),
        context.buffer(triangles.astype(np.int32).tobytes()),
        None if colours is None else context.buffer(colours.astype(np.float32).tobytes()),
    )


def _part(mesh: Drawn) -> tuple[Arrays, Float32[np.ndarray, "v 3"] | None]:
    model = mesh.model
    return (model.vertices_m, model.normals, model.triangles), model.colours
