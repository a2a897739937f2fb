"""Meshes on the graphics processor, by key: parts by their source, and the shapes that all else is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simgen.assets.parts import part_model
from simgen.renderers.primitives import Arrays, primitive
from simgen.spec.scene import PartSource

Key = PartSource | str  # a part's, or the name of a primitive


@dataclass
class Mesh:
    """A mesh's buffers, and its vertex arrays by program."""

    vertices: Any
    indices: Any
    arrays: dict[str, Any] = field(default_factory=dict)  # by program


def upload(context: Any, key: Key) -> Mesh:
    """Upload a mesh.

    Raises:
        KeyError: the part or the primitive is unknown.
    """
    points, normals, triangles = primitive(key) if isinstance(key, str) else _part(key)
    vertices = np.concatenate([points, normals], axis=1).astype(np.float32)
    return Mesh(context.buffer(vertices.tobytes()), context.buffer(triangles.astype(np.int32).tobytes()))


def _part(source: PartSource) -> Arrays:
    model = part_model(source)
    return model.vertices_m, model.normals, model.triangles
