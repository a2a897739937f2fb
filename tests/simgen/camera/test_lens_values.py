"""Distortion and defocus in cases that are worked out by hand or by a slow loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.camera.lens import brown_conrady
from simgen.camera.lens.defocus import SHARP_PX, circle_of_confusion_px, defocus
from simgen.camera.lens.distortion import MAX_SCALE, STEP_PX, pinhole
from simgen.spec.frames import Frame
from tests.simgen.scenes import scene

LENSES = {
    "barrel": (-0.3, 0.1, 0.0, 0.0, -0.01),
    "pincushion": (0.2, -0.05, 0.0, 0.0, 0.02),
    "decentred": (-0.25, 0.0, 0.01, -0.015, 0.0),
}

# --- the formula ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coefficients", "wanted"),
    [  # of (0.3, -0.4), whose radius squared is 0.25
        ((0.8, 0.0, 0.0, 0.0, 0.0), (0.3 * 1.2, -0.4 * 1.2)),
        ((0.0, 0.8, 0.0, 0.0, 0.0), (0.3 * 1.05, -0.4 * 1.05)),
        ((0.0, 0.0, 0.0, 0.0, 0.8), (0.3 * 1.0125, -0.4 * 1.0125)),
        ((0.0, 0.0, 0.1, 0.0, 0.0), (0.3 + 0.2 * -0.12, -0.4 + 0.1 * (0.25 + 0.32))),
        ((0.0, 0.0, 0.0, 0.1, 0.0), (0.3 + 0.1 * (0.25 + 0.18), -0.4 + 0.2 * -0.12)),
    ],
)
def test_each_coefficient_moves_a_point_by_its_own_term(coefficients, wanted):
    assert brown_conrady.distort(np.array([[0.3, -0.4]]), coefficients)[0] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("coefficients", "radius"),
    [
        (brown_conrady.NONE, np.inf),
        ((0.3, 0.1, 0.0, 0.0, 0.2), np.inf),
        ((-1 / 3, 0.0, 0.0, 0.0, 0.0), 1.0),  # 1 - r^2 is 0
        ((0.0, -1 / 5, 0.0, 0.0, 0.0), 1.0),
        ((0.0, 0.0, 0.0, 0.0, -1 / 7), 1.0),
        ((-5 / 12, 1 / 20, 0.3, -0.2, 0.0), 1.0),  # (1 - r^2)(1 - r^2 / 4): the first of two; p1 and p2 do not count
        ((-0.3, 0.2, 0.0, 0.0, 0.0), np.inf),  # roots that are not real
    ],
)
def test_the_radius_at_which_a_lens_turns(coefficients, radius):
    assert brown_conrady.turning_radius(coefficients) == pytest.approx(radius)


def test_beyond_the_turning_radius_points_go_on_straight_outwards():
    bent = (-1 / 3, 0.0, 0.0, 0.0, 0.0)  # turns at 1, where a point is drawn at 2/3
    x = np.array([[0.5, 0.0], [1.0, 0.0], [1.5, 0.0], [0.0, -3.0], [3.0, 4.0]])
    distorted = brown_conrady.distort(x, bent)
    out = 5 - 1 + 2 / 3
    wanted = [(0.5 - 0.125 / 3, 0), (2 / 3, 0), (2 / 3 + 0.5, 0), (0, -2 / 3 - 2), (0.6 * out, 0.8 * out)]
    np.testing.assert_allclose(distorted, wanted, atol=1e-9)
    assert brown_conrady.distort(np.zeros((1, 2)), bent).tolist() == [[0, 0]]


@pytest.mark.parametrize("lens", LENSES)
def test_undistortion_takes_few_rounds(lens, monkeypatch):
    """By Newton's method each squares what is left: with a wrong derivative it is slower, or does not arrive."""
    monkeypatch.setattr(brown_conrady, "_MAX_STEPS", 5)
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (300, 2))
    distorted = brown_conrady.distort(points, LENSES[lens])
    kept = distorted.copy()
    np.testing.assert_allclose(brown_conrady.undistort(distorted, LENSES[lens]), points, atol=1e-9)
    assert np.array_equal(distorted, kept)


def test_undistortion_of_nothing_and_through_nothing():
    points = np.array([[0.1, 0.2]])
    assert brown_conrady.undistort(points, brown_conrady.NONE) is points
    assert brown_conrady.distort(points, brown_conrady.NONE) is points
    assert brown_conrady.undistort(np.zeros((0, 2)), LENSES["barrel"]).shape == (0, 2)


def test_points_that_no_ideal_point_is_drawn_at_are_refused():
    bent = (-1 / 3, 0.0, 0.0, 0.0, 0.0)  # draws nothing beyond 2/3
    np.testing.assert_allclose(brown_conrady.undistort(np.array([[0.66, 0.0]]), bent), [[0.9, 0.0]], atol=0.02)
    with pytest.raises(ValueError, match=r"no picture out to 0.7 focal lengths .* turns back on itself at 1 of"):
        brown_conrady.undistort(np.array([[0.1, 0.0], [0.0, -0.7]]), bent)


# --- a picture through it ---------------------------------------------------------------------------------------------


def camera(lens, **changes):
    return replace(scene([], frames=1).camera, distortion=LENSES[lens], **changes)


@pytest.mark.parametrize("lens", LENSES)
def test_the_drawn_picture_has_a_margin_of_whole_steps_that_holds_all_that_is_seen(lens):
    view = camera(lens, focal_px=170.0, centre_px=(75.0, 62.0))
    drawn, _ = pinhole(view)
    left, top = np.subtract(drawn.centre_px, view.centre_px)
    right, bottom = drawn.width_px - view.width_px - left, drawn.height_px - view.height_px - top
    edge = [(x, y) for x in np.linspace(0.5, 159.5, 160) for y in (0.5, 119.5)]
    edge += [(x, y) for x in (0.5, 159.5) for y in np.linspace(0.5, 119.5, 120)]
    ideal = brown_conrady.undistort((np.array(edge) - view.centre_px) / 170.0, view.distortion) * 170 + view.centre_px
    needs = [*-ideal.min(axis=0), *(ideal.max(axis=0) - (160, 120))]
    assert STEP_PX == 8
    for margin, need in zip((left, top, right, bottom), needs, strict=True):
        assert margin % STEP_PX == 0
        assert max(0, need + 2) <= margin < max(0, need + 2) + STEP_PX
    assert max(left, top, right, bottom) > 0 or lens == "pincushion"
    assert (drawn.focal_px, drawn.distortion) == (170.0, brown_conrady.NONE)


def planes(drawn):
    """A picture whose light, depth and ids say where each pixel's centre lies."""
    rows, columns = np.indices((drawn.height_px, drawn.width_px))
    x, y = columns + 0.5 - drawn.centre_px[0], rows + 0.5 - drawn.centre_px[1]
    light = np.stack([x, y, np.ones_like(x)], axis=-1)
    return Frame(light.astype(np.float32) + 500, x.astype(np.float32), rows.astype(np.int32))


@pytest.mark.parametrize("lens", LENSES)
def test_light_is_sampled_where_the_lens_has_it_and_depth_and_ids_from_the_nearest_pixel(lens):
    view = camera(lens, focal_px=170.0, centre_px=(75.0, 62.0))
    drawn, behind = pinhole(view)
    frame = behind(planes(drawn))
    rows, columns = np.indices((120, 160)) + 0.5
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    ideal = (brown_conrady.undistort((pixels - view.centre_px) / 170, view.distortion) * 170).reshape(120, 160, 2)
    np.testing.assert_allclose(frame.linear[..., :2] - 500, ideal, atol=0.1)  # a cubic is not quite straight
    assert np.abs(frame.depth_m - ideal[..., 0]).max() <= 0.5 + 1e-3
    assert np.abs(frame.ids + 0.5 - drawn.centre_px[1] - ideal[..., 1]).max() <= 0.5 + 1e-3
    assert frame.ids.dtype == np.int32
    assert frame.ids.flags.c_contiguous


def test_no_light_is_below_zero_beside_a_highlight():
    """A cubic swings below the black."""
    drawn, behind = pinhole(camera("barrel"))
    bright = planes(drawn)
    spots = np.zeros_like(bright.linear)
    spots[::9, ::7] = 50
    linear = behind(replace(bright, linear=spots)).linear
    assert linear.min() == 0
    assert linear.max() > 10


def test_a_lens_that_shows_near_twice_the_picture_is_drawn_and_one_that_shows_more_is_refused():
    wide = replace(scene([], frames=1).camera, distortion=(-0.3, 0.041, 0.0, 0.0, 0.0))
    drawn, _ = pinhole(replace(wide, focal_px=125.0))
    assert (drawn.width_px, drawn.height_px) == (272, 216)
    assert MAX_SCALE == 2
    with pytest.raises(ValueError, match=r"only a picture of 336 x 248 pixels holds without distortion, for 160 x 120"):
        pinhole(replace(wide, focal_px=124.0))


@pytest.mark.parametrize("side", ["width_px", "height_px"])
def test_neither_side_may_grow_to_more_than_twice_itself(side):
    """A margin of 8 px at both ends makes 32 of 16, which is drawn, and 31 of 15, which is not."""
    mild = replace(camera("barrel"), **{side: 16}, centre_px=(8.0, 60.0) if side == "width_px" else (80.0, 8.0))
    drawn, _ = pinhole(mild)
    assert getattr(drawn, side) == 32
    with pytest.raises(ValueError, match="shows what only a picture of"):
        pinhole(replace(mild, **{side: 15}))


def test_without_distortion_nothing_is_done():
    plain = scene([], frames=1).camera
    drawn, behind = pinhole(plain)
    frame = planes(plain)
    assert drawn is plain
    assert behind(frame) is frame


# --- defocus ----------------------------------------------------------------------------------------------------------

LENS = replace(
    scene([], frames=1).camera, width_px=61, height_px=41, focal_px=2500.0, focal_length_m=0.016, f_number=2.0,
    focus_m=0.5,
)  # fmt: skip


def at(depth_m, linear):
    shape = linear.shape[:2]
    depth = np.broadcast_to(np.asarray(depth_m, np.float32), shape).copy()
    return Frame(linear.astype(np.float32), depth, np.zeros(shape, np.int32))


def depth_of(disc_px):
    """The depth whose disc is so wide; negative: in front of the focus."""
    return 1 / (1 / LENS.focus_m - disc_px / (LENS.focal_length_m / LENS.f_number * LENS.focal_px))


def test_a_lens_without_an_aperture_or_one_that_is_off():
    assert circle_of_confusion_px(np.array([0.1, 9.0]), replace(LENS, f_number=0.0)).tolist() == [0, 0]
    assert circle_of_confusion_px(np.array([np.inf]), LENS) == pytest.approx(0.008 * 2500 / 0.5)
    for wrong in ({"focus_m": 0.016}, {"focal_length_m": 0.0}, {"focal_length_m": -1.0}, {"f_number": -1.0}):
        with pytest.raises(ValueError, match=r"no lens of .* mm at f/.* is focused on .* above 0"):
            circle_of_confusion_px(np.array([1.0]), replace(LENS, **wrong))


@pytest.mark.parametrize(("disc_px", "sharp"), [(0.98, True), (-0.98, True), (1.2, False), (-1.2, False)])
def test_a_disc_of_a_pixel_is_sharp(disc_px, sharp):
    picture = at(depth_of(disc_px), np.random.default_rng(0).uniform(0, 1, (41, 61, 3)))
    assert SHARP_PX == 1.0
    assert (defocus(picture, LENS) is picture) == sharp


@pytest.mark.parametrize("disc_px", [3.0, -5.0, 8.4, 12.6])
def test_a_point_is_spread_over_the_pixels_of_its_disc_by_a_slow_loop(disc_px):
    """Each pixel by the share of its middle line that lies in the disc; all of it sums to the point's light."""
    point = np.zeros((41, 61, 3))
    point[20, 30] = (1.0, 2.0, 4.0)
    spread = defocus(at(depth_of(disc_px), point), LENS).linear
    share = np.zeros((41, 61))
    for row, column in np.ndindex(41, 61):
        share[row, column] = min(max(abs(disc_px) / 2 + 0.5 - np.hypot(row - 20, column - 30), 0), 1)
    wanted = share[..., None] / share.sum() * (1.0, 2.0, 4.0)
    np.testing.assert_allclose(spread, wanted, atol=2e-5)


def test_each_depth_is_spread_by_its_own_disc():
    """A point in front of the focus and one behind it, far apart; the ground between them is in focus."""
    depths, point = np.full((41, 61), 0.5), np.zeros((41, 61, 3))
    depths[:, :25], depths[:, 36:] = depth_of(-6.0), depth_of(4.0)
    point[20, 10] = point[20, 50] = 1.0
    spread = defocus(at(depths, point), LENS).linear[..., 0]
    x, y = np.indices((41, 61))[::-1]
    for column, disc in ((10, 6.0), (50, 4.0)):
        near = np.abs(x - column) < 8
        total = spread[near].sum()
        variance = (spread[near] * ((x[near] - column) ** 2 + (y[near] - 20) ** 2)).sum() / total
        assert total == pytest.approx(1, rel=1e-3)
        assert variance == pytest.approx(disc**2 / 8, rel=0.2)  # of a disc, in both axes together
    assert spread[:, 25:36].max() < 1e-6


def test_two_depths_behind_the_focus_have_two_discs():
    depths, point = np.full((41, 61), depth_of(3.0)), np.zeros((41, 61, 3))
    depths[:, 30:] = depth_of(9.0)
    point[20, 12] = point[20, 48] = 1.0
    spread = defocus(at(depths, point), LENS).linear[..., 0]
    assert (spread[20, 12], spread[20, 48]) == pytest.approx((4 / np.pi / 9, 4 / np.pi / 81), rel=0.2)


def test_what_lies_beyond_a_discs_reach_does_not_shine_through_its_edge():
    """The ground four pixels from a soft part's edge stands for what the part hides; ground further away does not."""
    depths, light = np.full((41, 61), 0.5), np.full((41, 61, 3), 0.8)
    depths[:, 25:36], light[:, 25:36] = depth_of(-6.0), 0.2
    alone = defocus(at(depths, light), LENS).linear[20, :, 0]
    light[:, :21] = 0.0
    beside = defocus(at(depths, light), LENS).linear[20, :, 0]
    assert beside[:20] == pytest.approx(np.zeros(20), abs=1e-4)
    np.testing.assert_allclose(beside[25:], alone[25:], atol=1e-4)


def test_what_is_hidden_behind_a_soft_edge_is_taken_for_what_is_seen_round_it():
    """A soft, dark part before a sharp ground of one brightness: at its edge there is no more and no less light."""
    depths, light = np.full((41, 61), 0.5), np.full((41, 61, 3), 0.8)
    depths[:, 25:36], light[:, 25:36] = depth_of(-6.0), 0.2
    line = defocus(at(depths, light), LENS).linear[20, :, 0]
    assert line[:20] == pytest.approx(np.full(20, 0.8), abs=1e-4)
    assert line[30] == pytest.approx(0.2, abs=1e-4)
    assert (np.diff(line[20:31]) <= 1e-5).all()
    assert line[24:26].mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(line, line[::-1], atol=1e-5)


def test_a_disc_is_never_wider_than_the_picture():
    close = replace(LENS, f_number=0.05)
    picture = at(1e-3, np.full((41, 61, 3), 0.3))
    assert np.abs(circle_of_confusion_px(picture.depth_m, close)).min() > 61
    spread = defocus(picture, close)
    assert spread.linear == pytest.approx(picture.linear, abs=1e-4)
    assert np.array_equal(spread.depth_m, picture.depth_m)
    assert np.array_equal(spread.ids, picture.ids)
