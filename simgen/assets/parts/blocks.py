"""Plain solids: boxes and cylinders, for decoys."""

from __future__ import annotations

import numpy as np

from simgen.assets.parts.mesh import Primitive, circle, loft
from simgen.assets.parts.model import PartModel, turned_part
from simgen.spec.scene import Block

SEGMENTS = 32  # round a cylinder


def block_model(source: Block) -> PartModel:
    """The model of a plain solid.

    Raises:
        KeyError: there is no such solid.
    """
    x, y, z = source.block_size_m
    if source.block == "box":
        corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]]) / 2
        rings = [np.column_stack([corners, np.full(4, height)]) for height in (0.0, z)]
    elif source.block == "cylinder":
        rings = [circle(x / 2, height, SEGMENTS) for height in (0.0, z)]
    else:
        raise KeyError(f"no block {source.block!r}; there are box and cylinder")
    solid = Primitive(shape=source.block, size_m=(x, y, z), position_m=(0.0, 0.0, z / 2))
    return turned_part(loft(rings), (solid,), thread=None)
