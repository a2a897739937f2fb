"""The shutter's numbers for a picture of a few rows, by hand and by a slow loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.camera import shutter
from simgen.spec.frames import Trajectory
from simgen.spec.scene import ShutterSpec
from simgen.spec.types import Pose
from tests.simgen.scenes import scene


def few_rows(rows=4, frames=2, interval_s=0.9, **settings):
    spec = scene([], frames=frames, frame_interval_s=interval_s)
    return replace(spec, camera=replace(spec.camera, height_px=rows), shutter=ShutterSpec(**settings))


ROLLING = {"exposure_s": 0.0, "row_time_s": 0.1, "subframes": 3}
SLOW = {"exposure_s": 0.2, "row_time_s": 0.1, "subframes": 3}  # 4 rows: 0.6 s, in three cells of 0.2 s
GLOBAL = {"exposure_s": 0.3, "row_time_s": 0.0, "subframes": 3}
SHUT = {"exposure_s": 0.0, "row_time_s": 0.0, "subframes": 9}


def test_a_frame_takes_its_rows_and_its_exposure():
    for settings, is_open, count, duration_s in (
        (ROLLING, True, 3, 0.4), (SLOW, True, 3, 0.6), (GLOBAL, True, 3, 0.3), (SHUT, False, 1, 0.0),
    ):  # fmt: skip
        spec = few_rows(**settings)
        assert (shutter.is_open(spec), shutter.subframes(spec)) == (is_open, count)
        assert shutter.duration_s(spec) == pytest.approx(duration_s)


def test_moments_are_the_middles_of_equal_cells_about_each_frames_time():
    assert shutter.offsets_s(few_rows(**SLOW)) == pytest.approx([-0.2, 0.0, 0.2])
    assert shutter.moments_s(few_rows(**SLOW)) == pytest.approx([-0.2, 0.0, 0.2, 0.7, 0.9, 1.1])
    assert shutter.offsets_s(few_rows(**SHUT)).tolist() == [0.0]
    assert shutter.moments_s(few_rows(**SHUT)) is None


def test_rows_are_read_about_the_middle_one():
    assert shutter.row_offsets_s(few_rows(**ROLLING)) == pytest.approx([-0.15, -0.05, 0.05, 0.15])
    assert shutter.row_offsets_s(few_rows(rows=3, **ROLLING)) == pytest.approx([-0.1, 0.0, 0.1])
    assert shutter.row_offsets_s(few_rows(**GLOBAL)) == pytest.approx([0, 0, 0, 0])


def test_each_row_has_the_sub_frame_nearest_to_its_middle():
    assert shutter.row_subframes(few_rows(**ROLLING)).tolist() == [0, 1, 1, 2]  # cells of 0.133 s
    assert shutter.row_subframes(few_rows(**SLOW)).tolist() == [0, 1, 1, 2]
    assert shutter.row_subframes(few_rows(**GLOBAL)).tolist() == [1, 1, 1, 1]
    assert shutter.row_subframes(few_rows(**SHUT)).tolist() == [0, 0, 0, 0]
    many = few_rows(rows=30, **(ROLLING | {"subframes": 5}))  # 6 rows a cell
    assert shutter.row_subframes(many).tolist() == [k for k in range(5) for _ in range(6)]


def test_a_rows_light_is_of_the_cells_that_its_exposure_covers():
    """Exposures of 0.2 s about -0.15, -0.05, 0.05 and 0.15 s; cells end at -0.3, -0.1, 0.1 and 0.3 s."""
    wanted = np.array([[0.75, 0.25, 0.0, 0.0], [0.25, 0.75, 0.75, 0.25], [0.0, 0.0, 0.25, 0.75]])
    np.testing.assert_allclose(shutter.row_shares(few_rows(**SLOW)), wanted, atol=1e-6)
    np.testing.assert_allclose(shutter.row_shares(few_rows(**GLOBAL)), np.full((3, 4), 1 / 3), atol=1e-6)


def test_without_an_exposure_a_row_is_all_of_its_own_sub_frame():
    assert shutter.row_shares(few_rows(**ROLLING)).tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    assert shutter.row_shares(few_rows(**(SLOW | {"subframes": 1}))).tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize(("exposure_s", "row_time_s", "subframes"), [(0.05, 0.03, 7), (0.4, 0.01, 5), (0.01, 0.08, 9)])
def test_shares_are_those_of_a_slow_loop_over_instants(exposure_s, row_time_s, subframes):
    spec = few_rows(rows=6, exposure_s=exposure_s, row_time_s=row_time_s, subframes=subframes)
    cell_s = shutter.duration_s(spec) / subframes
    wanted = np.zeros((subframes, 6))
    for row, middle in enumerate(shutter.row_offsets_s(spec)):
        for instant in middle + ((np.arange(4000) + 0.5) / 4000 - 0.5) * exposure_s:
            wanted[int(instant / cell_s + subframes / 2), row] += 1
    np.testing.assert_allclose(shutter.row_shares(spec), wanted / 4000, atol=2e-3)


def test_a_camera_moves_along_its_velocity_about_each_frames_pose():
    pose = Pose(position_m=(1.0, 2.0, 3.0), rotation_xyzw=(0.0, 0.6, 0.0, 0.8))
    there = shutter.moved(pose, (0.1, -0.2, 0.3), 2.0)
    assert there.position_m == pytest.approx((1.2, 1.6, 3.6))
    assert there.rotation_xyzw == pose.rotation_xyzw
    spec = few_rows(**SLOW)
    spec = replace(spec, camera=replace(spec.camera, world_from_camera=(pose, there), velocity_m_s=(1.0, 0.0, 0.5)))
    poses = shutter.camera_poses(spec)
    assert [p.position_m[0] for p in poses] == pytest.approx([0.8, 1.0, 1.2, 1.0, 1.2, 1.4])
    assert [p.position_m[2] for p in poses] == pytest.approx([2.9, 3.0, 3.1, 3.5, 3.6, 3.7])
    assert shutter.camera_poses(replace(spec, shutter=ShutterSpec(**SHUT))) == (pose, there)


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_a_frames_own_moment_is_the_middle_one_of_its_own(frames):
    spec = few_rows(frames=frames, **(ROLLING | {"subframes": 5}))
    path = Trajectory(*(np.zeros((5 * frames, 0, n), np.float32) for n in (3, 4, 3)))
    assert [shutter.middle(spec, path, k) for k in range(frames)] == [2 + 5 * k for k in range(frames)]
    once = Trajectory(*(np.zeros((frames, 0, n), np.float32) for n in (3, 4, 3)))
    assert [shutter.middle(spec, once, k) for k in range(frames)] == list(range(frames))


def test_a_frame_may_take_just_the_time_that_there_is_and_a_single_one_any():
    assert len(shutter.moments_s(few_rows(interval_s=0.6, **SLOW))) == 6
    with pytest.raises(ValueError, match=r"take 0.6 s \(0.2 s, and 4 rows of 0.1 s\), longer than the 0.59 s"):
        shutter.moments_s(few_rows(interval_s=0.59, **SLOW))
    assert len(shutter.moments_s(few_rows(frames=1, interval_s=0.1, **SLOW))) == 3


@pytest.mark.parametrize("count", [-1, 0, 2, 4])
def test_sub_frames_without_a_middle_are_refused(count):
    with pytest.raises(ValueError, match=f"needs an odd number, of which one is the middle, got {count}$"):
        shutter.subframes(few_rows(**(SLOW | {"subframes": count})))
    assert shutter.subframes(few_rows(**(SHUT | {"subframes": count}))) == 1  # it is not open: nothing is cut
