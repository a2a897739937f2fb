"""The coarse mesh of an imported part is nowhere further from the part's surface than it says."""

import numpy as np
import pytest

pytest.importorskip("fast_simplification")

from simgen.assets.cad.shape.coarse import MOST_ERROR, coarse_mesh
from simgen.assets.cad.shape.solid import Solid
from simgen.assets.parts.mesh import circle, loft

RADIUS_M = 0.03


def ball(rings, segments):
    angles = np.linspace(-np.pi / 2, np.pi / 2, rings + 2)[1:-1]
    mesh = loft([circle(RADIUS_M * float(np.cos(a)), RADIUS_M * float(np.sin(a)), segments) for a in angles])
    return Solid(mesh.vertices_m, mesh.triangles.astype(np.int64))


def test_a_ball_gets_a_coarse_mesh_whose_error_is_known():
    fine = ball(60, 120)
    red_above = np.where(fine.corners_m.mean(axis=1)[:, 2:] > 0, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    coarse = coarse_mesh(fine, red_above.astype(np.float32))
    assert len(coarse.triangles) <= 0.4 * len(fine.triangles)
    corners = coarse.vertices_m[coarse.triangles].astype(float)
    inside_m = RADIUS_M - np.linalg.norm(corners.mean(axis=1), axis=1)  # the middles lie deepest
    assert 0.3 * inside_m.max() < coarse.error_m <= MOST_ERROR * 2 * RADIUS_M
    assert inside_m.max() < coarse.error_m + 0.0001  # the fine ball has sides too
    high = coarse.vertices_m[:, 2] > 0.2 * RADIUS_M
    assert (coarse.colours[high] == [1, 0, 0]).all()


def test_a_part_of_few_triangles_has_none():
    assert coarse_mesh(ball(6, 12), None) is None
