"""Optical flow of single pixels whose points are worked out by hand: what each goes with, and where its limits are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.camera import shutter
from simgen.camera.lens import brown_conrady
from simgen.labels.flow import ON_BODY_M, ON_TOP_M, flow_px
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import look_at
from simgen.spec.scene import BodySpec, ShutterSpec
from simgen.spec.types import BACKGROUND, CLUTTER, Pose
from tests.simgen.scenes import GREY, part, scene, still

HEIGHT_M = 0.5
ABOVE = look_at((0.0, 0.0, HEIGHT_M), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))  # x right, y up in the picture
INTERVAL_S = 0.1
PX_PER_M = 200.0 / HEIGHT_M


def from_above(parts=(), frames=2, size=(9, 7), **more):
    """A small picture about the optical axis: 400 px a metre on the stage."""
    spec = scene(parts, frames=frames, frame_interval_s=INTERVAL_S, **more)
    small = {"width_px": size[0], "height_px": size[1], "centre_px": (size[0] / 2, size[1] / 2)}
    return replace(spec, camera=replace(spec.camera, world_from_camera=(ABOVE,) * frames, **small))


def seen(spec, depth_m=HEIGHT_M, id_=BACKGROUND):
    shape = (spec.camera.height_px, spec.camera.width_px)
    return np.full(shape, id_, np.int32), np.full(shape, depth_m, np.float32)


def moves(spec, **steps):
    """A trajectory in which the parts, and the occluders, go on by these steps a frame, without turning."""
    start = still(spec)
    t = np.arange(spec.frames, dtype=np.float32)[:, None, None]
    return Trajectory(
        start.positions_m + t * np.float32(steps.get("parts", (0, 0, 0))),
        start.rotations_xyzw,
        start.occluder_positions_m + t * np.float32(steps.get("occluders", (0, 0, 0))),
    )


def test_each_pixel_goes_with_its_own_part_and_the_ground_stands():
    spec = from_above([part("washer", "M20", (0.0, 0.0, 0.0)), part("hex_nut", "M16", (0.1, 0.0, 0.0))], frames=3)
    path = still(spec)
    path.positions_m[1:, 0] += (0.01, 0.0, 0.0)
    path.positions_m[1:, 1] += (0.0, 0.02, 0.0)
    ids, depth_m = seen(spec)
    ids[2, 3], ids[5, 6] = 0, 1
    flow = flow_px(spec, path, 0, ids, depth_m)
    assert flow[2, 3] == pytest.approx([4, 0], abs=1e-3)
    assert flow[5, 6] == pytest.approx([0, -8], abs=1e-3)
    ids[2, 3] = ids[5, 6] = BACKGROUND
    flow[2, 3] = flow[5, 6] = 0
    assert flow == pytest.approx(0, abs=1e-4)
    assert flow_px(spec, path, 1, *seen(spec, id_=0)) == pytest.approx(0, abs=1e-4)  # from frame 1 on it stands
    assert flow.dtype == np.float32


def test_a_part_that_rises_spreads_its_pixels_from_the_axis():
    spec = from_above([part("washer", "M20", (0.0, 0.0, 0.0))])
    flow = flow_px(spec, moves(spec, parts=(0, 0, 0.1)), 0, *seen(spec, id_=0))
    rows, columns = np.indices((7, 9)) + 0.5
    np.testing.assert_allclose(flow[..., 0], (columns - 4.5) * (0.5 / 0.4 - 1), atol=1e-4)
    np.testing.assert_allclose(flow[..., 1], (rows - 3.5) * (0.5 / 0.4 - 1), atol=1e-4)


@pytest.mark.parametrize(("above_m", "carried"), [(0.0, True), (0.9, True), (-0.9, True), (1.3, False), (-1.3, False)])
def test_the_belt_carries_what_lies_within_half_a_millimetre_of_its_top(above_m, carried):
    spec = from_above(belt_speed_m_s=0.2)
    assert ON_TOP_M == 0.0005
    depth_m = HEIGHT_M - above_m * ON_TOP_M
    flow = flow_px(spec, still(spec), 0, *seen(spec, depth_m))
    wanted = 0.2 * INTERVAL_S * 200 / depth_m if carried else 0.0
    assert flow[..., 0] == pytest.approx(wanted, abs=1e-3)
    assert flow_px(spec, still(spec), 0, *seen(spec, depth_m, CLUTTER)) == pytest.approx(0, abs=1e-4)
    resting = replace(spec, stage=replace(spec.stage, belt_speed_m_s=0.0))
    assert flow_px(resting, still(resting), 0, *seen(resting, depth_m)) == pytest.approx(0, abs=1e-4)


def test_beyond_the_belts_edges_nothing_is_carried():
    """A belt of 12 by 8 mm under a picture of 22 by 17 mm: pixels whose centres lie on it move."""
    spec = from_above(belt_speed_m_s=0.2, size_m=(0.012, 0.008))
    flow = flow_px(spec, still(spec), 0, *seen(spec))
    rows, columns = np.indices((7, 9)) + 0.5
    on = (np.abs(columns - 4.5) <= 0.006 * PX_PER_M) & (np.abs(rows - 3.5) <= 0.004 * PX_PER_M)
    assert 0 < on.sum() < on.size
    np.testing.assert_allclose(flow[..., 0], np.where(on, 8.0, 0.0), atol=1e-3)


def bar(x_m, size_m=(0.01, 0.02, 0.04), turned=(0.0, 0.0, 0.0, 1.0)):
    pose = Pose(position_m=(x_m, 0.0, 0.1), rotation_xyzw=turned)
    return BodySpec(shape="box", size_m=size_m, material=GREY, velocity_m_s=(0.1, 0.0, 0.0), world_from_body=pose)


def test_clutter_goes_with_the_occluder_that_it_lies_in_to_two_millimetres():
    """Two bars side by side that move apart; between them and beside them clutter stands."""
    spec = from_above([part("washer", "M20", (0.3, 0.0, 0.0))], size=(31, 3), occluders=[bar(-0.015), bar(0.015)])
    path = still(spec)
    path.occluder_positions_m[1] += np.array([[-0.01, 0, 0], [0, 0.02, 0]], np.float32)
    flow = flow_px(spec, path, 0, *seen(spec, 0.4, CLUTTER))[1]
    assert ON_BODY_M == 0.002
    x_m = (np.arange(31) + 0.5 - 15.5) * 0.4 / 200
    first, second = (np.abs(x_m - middle) < 0.005 + ON_BODY_M for middle in (-0.015, 0.015))
    assert (first.sum(), second.sum(), (~(first | second)).sum()) == (7, 7, 17)
    np.testing.assert_allclose(flow[:, 0], np.where(first, -0.01 * 200 / 0.4, 0), atol=1e-3)
    np.testing.assert_allclose(flow[:, 1], np.where(second, -0.02 * 200 / 0.4, 0), atol=1e-3)
    assert flow_px(spec, path, 0, *seen(spec, 0.4, BACKGROUND)) == pytest.approx(0, abs=1e-4)
    below = flow_px(spec, path, 0, *seen(spec, 0.4 + 0.02 + 1.5 * ON_BODY_M, CLUTTER))  # under the bars' lower faces
    assert below == pytest.approx(0, abs=1e-4)


def test_a_turned_occluder_is_looked_for_in_its_own_frame():
    """A long bar that lies along the picture's diagonal holds points along that diagonal alone."""
    eighth = (0.0, 0.0, float(np.sin(np.pi / 8)), float(np.cos(np.pi / 8)))
    spec = from_above(size=(21, 21), occluders=[bar(0.0, (0.06, 0.002, 0.04), eighth)])
    flow = flow_px(spec, moves(spec, occluders=(0.01, 0, 0)), 0, *seen(spec, 0.4, CLUTTER))
    moving = flow[..., 0] > 1
    assert all(moving[20 - k, k] for k in range(3, 18))  # x right and y up
    assert not any(moving[k, k] for k in range(21) if abs(k - 10) > 2)


def test_a_point_that_comes_nearer_than_a_centimetre_has_no_flow():
    spec = from_above([part("washer", "M20", (0.0, 0.0, 0.0))])
    for rise_m, known in ((0.4895, True), (0.4905, False), (0.6, False)):
        flow = flow_px(spec, moves(spec, parts=(0, 0, rise_m)), 0, *seen(spec, id_=0))
        assert np.isfinite(flow).all() == known
        assert np.isnan(flow).all() != known


def test_through_a_lens_both_ends_are_bent():
    """A pixel's flow leads from its own centre to where the lens draws the point then."""
    spec = from_above([part("washer", "M20", (0.0, 0.0, 0.0))], size=(160, 120))
    lens = (-0.3, 0.1, 0.004, -0.006, 0.0)
    spec = replace(spec, camera=replace(spec.camera, distortion=lens))
    flow = flow_px(spec, moves(spec, parts=(0.03, -0.02, 0.05)), 0, *seen(spec, id_=0))
    rows, columns = np.indices((120, 160)) + 0.5
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    ideal = brown_conrady.undistort((pixels - (80, 60)) / 200, lens)
    x, y = (ideal * HEIGHT_M + (0.03, 0.02)).T / (HEIGHT_M - 0.05)  # y of the picture is down
    wanted = brown_conrady.distort(np.column_stack([x, y]), lens) * 200 + (80, 60) - pixels
    np.testing.assert_allclose(flow.reshape(-1, 2), wanted, atol=2e-3)


@pytest.mark.parametrize("speed_m_s", [(0.4, 0.0, 0.0), (0.0, -0.5, 0.0), (0.0, 0.5, 0.0)])
def test_under_a_rolling_shutter_each_end_is_read_in_its_own_row(speed_m_s):
    """A point at row r of frame 0 is read at s(r), and at row q of frame 1 at 0.1 s + s(q), where q is its own row."""
    row_time_s = 4e-4
    spec = from_above([part("washer", "M20", (0.0, 0.0, 0.0))], size=(5, 120))
    spec = replace(spec, shutter=ShutterSpec(exposure_s=0.0, row_time_s=row_time_s, subframes=121))
    times = shutter.moments_s(spec)
    path = Trajectory(
        (times[:, None, None] * np.array(speed_m_s)).astype(np.float32),
        np.tile(np.array([0, 0, 0, 1], np.float32), (len(times), 1, 1)),
        np.zeros((len(times), 0, 3), np.float32), times,
    )  # fmt: skip
    flow = flow_px(spec, path, 0, *seen(spec, id_=0))[:, 2]
    right, down = speed_m_s[0] * PX_PER_M, -speed_m_s[1] * PX_PER_M
    taken_s = INTERVAL_S / (1 - down * row_time_s)  # dt = interval + (q - r) row_time and q - r = down dt
    inside = np.arange(120) + 0.5 + down * taken_s
    inside = (inside > 1) & (inside < 119)
    assert inside.sum() > 80
    np.testing.assert_allclose(flow[inside, 0], right * taken_s, atol=0.1)  # a moment is a row's, not its centre's
    np.testing.assert_allclose(flow[inside, 1], down * taken_s, atol=0.15)


@pytest.mark.parametrize("speed_m_s", [0.05, -0.05])
def test_every_row_has_its_own_moment_the_first_and_the_last_too(speed_m_s):
    """Nine rows and nine sub-frames: row r of a frame is read at (r - 4) row times. 2 px a frame up or down."""
    row_time_s, rate_px_s = 2e-3, -speed_m_s * PX_PER_M
    spec = from_above([part("washer", "M20", (0.0, 0.0, 0.0))], size=(3, 9))
    spec = replace(spec, shutter=ShutterSpec(exposure_s=0.0, row_time_s=row_time_s, subframes=9))
    times = shutter.moments_s(spec)
    down = np.zeros((18, 1, 3), np.float32)
    down[:, 0, 1] = speed_m_s * times
    turns = np.tile(np.array([0, 0, 0, 1], np.float32), (18, 1, 1))
    flow = flow_px(spec, Trajectory(down, turns, np.zeros((18, 0, 3), np.float32), times), 0, *seen(spec, id_=0))
    for row in range(9):
        fits = []  # of the rows in which it may be read then, the one that it is in at that time
        for then in range(9):
            moved = rate_px_s * (INTERVAL_S + (then - row) * row_time_s)
            at_row = row + 0.5 + moved
            if int(np.clip(np.floor(at_row), 0, 8)) == then:
                fits.append(moved)
        assert len(fits) == 1
        assert flow[row, 1] == pytest.approx([0, fits[0]], abs=1e-3)


def test_a_camera_that_moves_while_rows_are_read_moves_what_stands():
    """By the time between the two readings of a row, which for a row that stays is the frame's interval."""
    spec = from_above(size=(5, 60))
    poses = tuple(look_at((0.02 * k, 0.0, HEIGHT_M), (0.02 * k, 0.0, 0.0), (0.0, 1.0, 0.0)) for k in range(2))
    flying = replace(spec.camera, world_from_camera=poses, velocity_m_s=(0.2, 0.0, 0.0))
    spec = replace(spec, camera=flying, shutter=ShutterSpec(exposure_s=0.0, row_time_s=5e-4, subframes=61))
    path = Trajectory(*(np.zeros((122, 0, n), np.float32) for n in (3, 4, 3)), shutter.moments_s(spec))
    flow = flow_px(spec, path, 0, *seen(spec))
    assert flow[..., 0] == pytest.approx(-0.02 * PX_PER_M, abs=1e-2)
    assert flow[..., 1] == pytest.approx(0, abs=1e-3)


def test_only_the_last_frame_has_no_next_one():
    spec = from_above(frames=3)
    known = [np.isfinite(flow_px(spec, still(spec), k, *seen(spec))).all() for k in range(3)]
    assert known == [True, True, False]
    ids, depth_m = seen(spec)
    depth_m[2, 3], depth_m[4, 5] = np.inf, np.nan
    missing = np.isnan(flow_px(spec, still(spec), 0, ids, depth_m)).all(axis=2)
    assert list(zip(*np.nonzero(missing), strict=True)) == [(2, 3), (4, 5)]
