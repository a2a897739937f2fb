"""The coarse mesh of an imported part is nowhere further from the part's surface than it says."""

import numpy as np
import pytest

pytest.importorskip("fast_simplification")

from simgen.assets.cad.shape.coarse import MOST_ERROR, coarse_mesh
from simgen.assets.cad.shape.distance import Surface, farthest_m
from simgen.assets.cad.shape.solid import Solid
from simgen.assets.parts.mesh import circle, loft

RADIUS_M = 0.03


def ball(rings, segments):
    angles = np.linspace(-np.pi / 2, np.pi / 2, rings + 2)[1:-1]
    mesh = loft([circle(RADIUS_M * float(np.cos(a)), RADIUS_M * float(np.sin(a)), segments) for a in angles])
    return Solid(mesh.vertices_m, mesh.triangles.astype(np.int64))


def test_a_ball_gets_a_coarse_mesh_whose_error_is_known():
    fine = ball(36, 72)
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


def sheet(points, triangles, spacing_m=0.2):
    return Surface(Solid(np.array(points, np.float64), np.array(triangles, np.int64)), spacing_m)


def strips(count, lift_m=0.0):
    """A square metre in long thin triangles: as many strips, each of two; lifted."""
    x = np.linspace(0, 1, count + 1)
    points = [(a, y, lift_m) for y in (0.0, 1.0) for a in x]
    low, high = np.arange(count), np.arange(count) + count + 1
    quads = [[(i, i + 1, j + 1), (i, j + 1, j)] for i, j in zip(low, high, strict=True)]
    return sheet(points, [triangle for quad in quads for triangle in quad])


def test_long_thin_triangles_are_as_far_apart_as_their_planes():
    """Middles alone, as were taken before, lie half a metre from those of the other sheet."""
    for one, other in ((strips(2), strips(23, 0.003)), (strips(23, 0.003), strips(2))):
        assert farthest_m(one, other) == pytest.approx(0.003, rel=1e-9)


def test_a_dent_amid_a_large_triangle_is_found_from_either_side():
    flat = sheet([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2)], 0.02)
    ring = [(0.3, 0.3, 0), (0.34, 0.3, 0), (0.3, 0.34, 0)]
    dented = sheet(
        [(0, 0, 0), (1, 0, 0), (0, 1, 0), *ring, (0.3133, 0.3133, -0.01)],
        [(0, 1, 4), (0, 4, 3), (1, 2, 5), (1, 5, 4), (2, 0, 3), (2, 3, 5), (3, 4, 6), (4, 5, 6), (5, 3, 6)],
        0.02,
    )
    assert farthest_m(dented, flat) == pytest.approx(0.01, rel=1e-9)
    assert 0.004 < farthest_m(flat, dented) <= 0.01  # to the walls of the dent
