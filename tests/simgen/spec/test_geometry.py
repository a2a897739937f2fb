import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.spec.geometry import IDENTITY, compose, invert, look_at, pose, quaternion, rotation_matrix, transform
from simgen.spec.types import Pose

QUATS = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 1e-3)
POSES = st.builds(lambda q, p: Pose(position_m=p, rotation_xyzw=q), QUATS, st.tuples(*[st.floats(-2, 2)] * 3))


def same(a, b):
    np.testing.assert_allclose(a.position_m, b.position_m, atol=1e-9)
    np.testing.assert_allclose(rotation_matrix(a.rotation_xyzw), rotation_matrix(b.rotation_xyzw), atol=1e-9)


@given(QUATS)
def test_a_rotation_matrix_is_a_proper_rotation_and_its_quaternion_gives_it_back(quat):
    matrix = rotation_matrix(quat)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_allclose(rotation_matrix(quaternion(matrix)), matrix, atol=1e-12)
    assert np.linalg.norm(quaternion(matrix)) == pytest.approx(1)


def test_a_quarter_turn_about_z_takes_x_to_y():
    half = 0.5**0.5
    np.testing.assert_allclose(rotation_matrix((0.0, 0.0, half, half)) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@given(POSES)
def test_a_pose_and_its_inverse_cancel(a_from_b):
    same(compose(a_from_b, invert(a_from_b)), IDENTITY)


@given(POSES, POSES)
def test_composing_poses_is_applying_one_after_the_other(a_from_b, b_from_c):
    points = np.array([[0.0, 0, 0], [1, 2, 3], [-0.5, 0.1, 0.0]])
    both = transform(a_from_b, transform(b_from_c, points))
    np.testing.assert_allclose(transform(compose(a_from_b, b_from_c), points), both, atol=1e-9)


def test_look_at_has_opencv_axes():
    world_from_camera = look_at((0.0, -1.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    x, y, z = rotation_matrix(world_from_camera.rotation_xyzw).T
    np.testing.assert_allclose(x, [1, 0, 0], atol=1e-12)  # right in the picture
    np.testing.assert_allclose(y, np.array([0, -1, -1]) / np.sqrt(2), atol=1e-12)  # down in the picture
    np.testing.assert_allclose(z, np.array([0, 1, -1]) / np.sqrt(2), atol=1e-12)  # into the scene
    in_camera = transform(invert(world_from_camera), np.array([0.0, 0, 0]))
    np.testing.assert_allclose(in_camera, [0, 0, np.sqrt(2)], atol=1e-12)


def test_no_view_without_a_direction_or_an_up():
    with pytest.raises(ValueError, match="up across the view"):
        look_at((0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="two points"):
        look_at((0.0, 0.0, 1.0), (0.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="length above 0"):
        rotation_matrix((0.0, 0.0, 0.0, 0.0))


def test_pose_takes_arrays():
    assert pose(np.eye(3), np.zeros(3)) == IDENTITY
