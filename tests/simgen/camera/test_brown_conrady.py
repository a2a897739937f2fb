"""Lens distortion as a function of points: inverse, symmetry, turning radius, and the size of the rendered image."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simgen.camera.lens import brown_conrady
from simgen.camera.lens.brown_conrady import NONE, distort, turning_radius, undistort
from simgen.camera.lens.distortion import STEP_PX, pinhole
from tests.simgen.scenes import scene


def within(limit):
    """Numbers with six decimals: smaller coefficients are no lens, but overflow in float64."""
    return st.floats(-limit, limit).map(lambda value: round(value, 6))


coefficients = st.tuples(within(0.3), within(0.05), within(0.01), within(0.01), within(0.01))
POINTS = np.random.default_rng(0).uniform(-0.45, 0.45, (64, 2))
CAMERA = scene([], frames=1).camera


@settings(deadline=None, max_examples=60)
@given(coefficients)
def test_undistort_is_the_inverse_of_distort_for_any_moderate_lens(lens):
    np.testing.assert_allclose(undistort(distort(POINTS, lens), lens), POINTS, atol=1e-7)


@settings(deadline=None, max_examples=60)
@given(coefficients)
def test_the_middle_stays_and_points_near_it_move_by_less_than_their_radius_squared(lens):
    assert distort(np.zeros((1, 2)), lens) == pytest.approx(np.zeros((1, 2)))
    near = POINTS * 0.01
    shift = np.linalg.norm(distort(near, lens) - near, axis=1)
    assert (shift <= 0.1 * (near**2).sum(axis=1) + 1e-12).all()  # no linear term: the focal length is the camera's own


@settings(deadline=None, max_examples=30)
@given(within(0.3), within(0.05), within(0.01), st.floats(0, 6.28))
def test_radial_distortion_commutes_with_rotation(k1, k2, k3, angle):
    lens = (k1, k2, 0.0, 0.0, k3)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(distort(POINTS @ turn.T, lens), distort(POINTS, lens) @ turn.T, atol=1e-12)


def test_no_distortion_returns_the_points_themselves():
    assert distort(POINTS, NONE) is POINTS
    assert undistort(POINTS, NONE) is POINTS
    assert turning_radius(NONE) == np.inf


def test_undistort_leaves_its_argument_unchanged():
    points = POINTS.copy()
    undistort(points, (-0.2, 0.05, 0.001, 0.0, 0.0))
    np.testing.assert_array_equal(points, POINTS)


@pytest.mark.parametrize("lens", [(-0.3, 0.0, 0.0, 0.0, 0.0), (-0.5, 0.1, 0.0, 0.0, 0.0), (0.1, -0.2, 0.0, 0.0, 0.01)])
def test_the_radius_grows_up_to_the_turning_radius_and_the_formula_falls_after_it(lens):
    turns = turning_radius(lens)
    assert 0.5 < turns < 3
    k1, k2, _, _, k3 = lens
    radii = np.linspace(0, 1.2 * turns, 600)
    mapped = radii * (1 + k1 * radii**2 + k2 * radii**4 + k3 * radii**6)
    assert (np.diff(mapped[radii < turns]) > 0).all()
    assert (np.diff(mapped[(radii > turns) & (radii < 1.1 * turns)]) < 0).all()


@pytest.mark.parametrize("k1", [-0.1, -1.0])
def test_beyond_the_turning_radius_points_go_on_straight_outwards(k1):
    """x (1 + k1 x^2) turns at sqrt(-1 / 3 k1): 1.83, and 0.58, so that the second point lies within 1 of the middle."""
    turning = (-1 / (3 * k1)) ** 0.5
    x = 1.4 * turning
    wanted = turning * (1 + k1 * turning**2) + (x - turning)
    assert distort(np.array([[x, 0.0]]), (k1, 0.0, 0.0, 0.0, 0.0))[0] == pytest.approx([wanted, 0.0])


def test_a_point_beyond_the_reach_of_the_lens_is_an_error_with_the_reach():
    with pytest.raises(ValueError, match=r"no picture out to 0\.9 focal lengths.*turns back on itself at 1\.05"):
        undistort(np.array([[0.1, 0.0], [0.9, 0.0]]), (-0.3, 0.0, 0.0, 0.0, 0.0))


def test_the_derivatives_are_those_of_the_formula():
    lens, step = (-0.2, 0.07, 0.01, -0.02, 0.01), 1e-6
    _, (xx, xy, yy) = brown_conrady._distorted(POINTS, lens)
    for axis, (along_x, along_y) in enumerate(((xx, xy), (xy, yy))):
        shift = np.eye(2)[axis] * step
        slope = (distort(POINTS + shift, lens) - distort(POINTS - shift, lens)) / (2 * step)
        np.testing.assert_allclose(slope, np.stack([along_x, along_y], axis=1), atol=1e-8)


@pytest.mark.parametrize(
    "lens", [(-0.25, 0.05, 0.0, 0.0, 0.0), (0.2, 0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.02, -0.02, 0.0)]
)
def test_the_rendered_image_holds_every_pixel_of_the_distorted_one(lens):
    camera = replace(CAMERA, distortion=lens)
    drawn, _ = pinhole(camera)
    columns, rows = np.meshgrid(np.arange(camera.width_px) + 0.5, np.arange(camera.height_px) + 0.5)
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1)
    ideal = undistort((pixels - camera.centre_px) / camera.focal_px, lens) * drawn.focal_px + drawn.centre_px
    assert (ideal >= 1).all()  # a cubic filter needs a pixel on each side
    assert (ideal <= np.array([drawn.width_px, drawn.height_px]) - 1).all()
    assert drawn.focal_px == camera.focal_px
    assert drawn.distortion == NONE
    assert (drawn.width_px - camera.width_px) % STEP_PX == (drawn.height_px - camera.height_px) % STEP_PX == 0
    assert min(drawn.width_px - camera.width_px, drawn.height_px - camera.height_px) >= 0


def test_a_camera_without_distortion_is_drawn_as_it_is():
    drawn, behind_the_lens = pinhole(CAMERA)
    frame = object()
    assert drawn is CAMERA
    assert behind_the_lens(frame) is frame
