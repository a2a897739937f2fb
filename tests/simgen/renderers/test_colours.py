"""Colours by place, for TinyRenderer: right at the surface and near it, and made in no time."""

from __future__ import annotations

import numpy as np

from simgen.assets.parts import part_model
from simgen.assets.parts.things import THINGS
from simgen.renderers.tiny.colours import CELLS, ColourGrid
from simgen.spec.scene import Block


def test_points_on_a_part_and_deep_in_it_have_the_colour_of_the_nearest_surface() -> None:
    """A renderer's depth is not exact, so that a point may lie some cells below the surface."""
    assert "carton" in THINGS
    model = part_model(Block("carton", (0.1, 0.1, 0.1), 1))
    assert model.colours is not None
    grid = ColourGrid(model)
    corners = model.vertices_m[model.triangles]
    middles, tints = corners.mean(1), model.colours[model.triangles]
    plain = np.ptp(tints, axis=1).max(1) < 1e-6  # triangles of one colour
    assert plain.mean() > 0.5
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    cell_m = np.ptp(model.vertices_m, axis=0) / CELLS
    for depth in (0.0, 0.8, 5.0):
        inwards = -normals * cell_m * depth
        right = np.abs(grid.at((middles + inwards).astype(np.float32)) - tints.mean(1)).max(1) < 0.02
        assert right[plain].mean() > (0.95 if depth < 1 else 0.8)
