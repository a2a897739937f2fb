"""The time of exposure: what moves is smeared by as much as it moves, and slanted by a rolling shutter."""

from dataclasses import replace

import numpy as np
import pytest

from simgen.assets.parts import part_model
from simgen.camera import shutter
from simgen.generation.exposure import capture
from simgen.labels.boxes import annotate, project, silhouette_px, world_from_part
from simgen.presets.read import load_config
from simgen.renderers import render
from simgen.scene.sampling.sample import sample
from simgen.spec.errors import ConfigError
from simgen.spec.frames import Frame, Trajectory
from simgen.spec.geometry import transform
from simgen.spec.scene import FamilySize, FlickerSpec, ShutterSpec
from simgen.spec.types import BACKGROUND
from tests.simgen.scenes import part, scene

LYING = (0.0, 0.7071068, 0.0, 0.7071068)


def opened(spec, exposure_s=0.0, row_time_s=0.0, subframes=9):
    return replace(spec, shutter=ShutterSpec(exposure_s=exposure_s, row_time_s=row_time_s, subframes=subframes))


def riding(spec, speed_m_s):
    """Every part where the spec lets it go, moving along x."""
    times = shutter.moments_s(spec)
    at = np.arange(spec.frames) * spec.frame_interval_s if times is None else times
    positions = np.array([p.world_from_part.position_m for p in spec.parts]).reshape(-1, 3)
    positions = positions + at[:, None, None] * np.array([speed_m_s, 0.0, 0.0])
    rotations = np.tile([p.world_from_part.rotation_xyzw for p in spec.parts], (len(at), 1, 1)).reshape(len(at), -1, 4)
    return Trajectory(
        positions.astype(np.float32), rotations.astype(np.float32), np.zeros((len(at), 0, 3), np.float32), times
    )


def sliding_edge(px_s, at_px=60.0):
    """A renderer whose pictures are white left of an edge that slides right by so many pixels a second."""

    def render(spec, trajectory):
        times = np.zeros(1) if trajectory.times_s is None else trajectory.times_s
        for seconds in times:
            covered = np.clip(at_px + px_s * seconds - np.arange(spec.camera.width_px), 0, 1)
            row = np.tile(covered, (spec.camera.height_px, 1)).astype(np.float32)
            ids = np.where(row > 0.5, 0, BACKGROUND).astype(np.int32)
            yield Frame(np.repeat(row[..., None], 3, axis=2), 1 + row, ids)

    return render


@pytest.mark.parametrize(
    ("exposure_s", "row_time_s"), [(0.01, 0.0), (0.0, 1e-4), (0.004, 1e-4), (0.02, 1e-5), (1e-5, 1e-4)]
)
def test_each_rows_shares_sum_to_one_about_the_middle_of_its_own_exposure(exposure_s, row_time_s):
    spec = opened(scene([], frames=1), exposure_s, row_time_s, subframes=15)
    offsets, shares = shutter.offsets_s(spec), shutter.row_shares(spec)
    cell_s = shutter.duration_s(spec) / 15
    assert offsets[7] == 0
    assert shares.shape == (15, 120)
    assert shares.sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert np.abs(offsets @ shares - shutter.row_offsets_s(spec)).max() <= cell_s / 2 * (1 + 1e-6)
    assert np.abs(offsets[shutter.row_subframes(spec)] - shutter.row_offsets_s(spec)).max() <= cell_s / 2 * (1 + 1e-6)


def test_an_edge_is_smeared_by_speed_times_exposure_and_labelled_in_its_middle():
    spec = opened(scene([], frames=1), exposure_s=0.01, subframes=41)
    frame = next(capture(spec, riding(spec, 0.0), sliding_edge(px_s=2000.0)))
    row = frame.linear[30, :, 0]
    ramp = np.flatnonzero((row > 0.02) & (row < 0.98))
    assert np.ptp(ramp) == pytest.approx(20, abs=1.5)
    assert np.diff(row[52:68]) == pytest.approx(-1 / 20, abs=0.006)
    assert row.sum() == pytest.approx(60, abs=0.05)
    assert (frame.ids[30] == 0).sum() == 60
    assert np.array_equal(frame.linear[0], frame.linear[-1])


def test_a_rolling_shutter_slants_an_edge_by_speed_times_row_time():
    spec = opened(scene([], frames=1), row_time_s=2e-4, subframes=121)
    frame = next(capture(spec, riding(spec, 0.0), sliding_edge(px_s=2000.0)))
    edge_px, rows = frame.linear[..., 0].sum(axis=1), np.arange(120)
    slope, at_top = np.polyfit(rows, edge_px, 1)
    assert slope == pytest.approx(2000 * 2e-4, rel=0.01)
    assert at_top + slope * 59.5 == pytest.approx(60, abs=0.1)  # the frame's own time is its middle row's
    assert np.abs((frame.ids == 0).sum(axis=1) - edge_px).max() <= 0.5 + 1e-6  # ids are of the light's own moment
    assert np.array_equal(frame.depth_m, 1 + frame.linear[..., 0])


def test_without_a_time_of_exposure_a_frame_is_the_renderers():
    made = Frame(np.ones((120, 160, 3), np.float32), np.ones((120, 160), np.float32), np.zeros((120, 160), np.int32))
    spec = scene([], frames=1)
    drawn = []

    def render(spec, trajectory):
        drawn.append(spec)
        yield made

    assert next(capture(replace(spec, shutter=ShutterSpec(subframes=9)), riding(spec, 0.0), render)) is made
    assert drawn[0].camera == spec.camera


@pytest.mark.parametrize(("row_time_s", "speed_m_s"), [(4e-4, 1.0), (4e-4, -1.0), (8e-4, 0.6)])
def test_labels_under_a_rolling_shutter_are_of_each_rows_own_time(row_time_s, speed_m_s):
    """The id map is put together by rows from exact silhouettes; boxes are worked out from the vertices' paths."""
    spec = scene([part("hex_screw", "M20x60", (0.0, 0.0, 0.02), LYING)], frames=1)
    spec = opened(spec, row_time_s=row_time_s, subframes=61)
    trajectory = riding(spec, speed_m_s)
    model, ids = part_model(FamilySize("hex_screw", "M20x60")), np.full((1, 120, 160), BACKGROUND, np.int32)
    for row, moment in enumerate(shutter.row_subframes(spec)):
        pixels, _ = project(transform(world_from_part(trajectory, int(moment), 0), model.vertices_m), spec.camera, 0)
        cover, (x, y) = silhouette_px(pixels, model.triangles)
        if 0 <= row - y < len(cover):
            ids[0, row, np.flatnonzero(cover[row - y]) + x] = 0
    result = annotate(spec, trajectory, ids).frames[0].parts[0]
    np.testing.assert_allclose(result.amodal_box_xyxy_px, result.box_xyxy_px, atol=1.2)
    assert result.visible_share == pytest.approx(1, abs=0.02)
    at_once = annotate(scene(spec.parts, frames=1), riding(scene(spec.parts, frames=1), speed_m_s), ids)
    apart = np.subtract(at_once.frames[0].parts[0].unclipped_box_xyxy_px, result.unclipped_box_xyxy_px)
    assert np.abs(apart).max() > 2
    assert result.camera_from_part == at_once.frames[0].parts[0].camera_from_part  # the pose is the frame's own


def test_parts_and_belt_go_on_through_the_exposure():
    pytest.importorskip("pybullet")
    from simgen.scene.simulate import simulate

    nut = part("hex_nut", "M20", (0.0, 0.0, 0.01))
    spec = scene([nut], belt_speed_m_s=0.5, settle_s=0.3, frames=2, frame_interval_s=0.1)
    whole, cut = simulate(spec), simulate(opened(spec, exposure_s=0.02, subframes=5))
    assert whole.times_s is None
    assert cut.positions_m.shape == (10, 1, 3)
    assert np.diff(cut.times_s) == pytest.approx([0.004] * 4 + [0.084] + [0.004] * 4)
    assert np.diff(cut.positions_m[:5, 0, 0]) == pytest.approx([0.002] * 4, abs=2e-5)
    assert cut.positions_m[[2, 7]] == pytest.approx(whole.positions_m, abs=2e-4)
    assert shutter.middle(opened(spec, 0.02, subframes=5), cut, 1) == 7

    smeared = list(capture(opened(spec, exposure_s=0.02, subframes=5), cut, render))
    sharp = list(capture(spec, whole, render))
    assert len(smeared) == 2
    differing = smeared[0].ids != sharp[0].ids
    assert differing.mean() < 0.002  # ids are of the frame's own time
    steep = [np.abs(np.diff(frames[0].linear[..., 1], axis=1)).max() for frames in (smeared, sharp)]
    assert steep[0] < 0.6 * steep[1]  # some 5 px a picture


def test_a_camera_that_moves_has_a_pose_at_every_moment():
    config = load_config("tiny", ["camera.drift_m_s={low: 0.3, high: 0.3}"])
    spec = sample(config, 0, 0)
    moving = opened(spec, exposure_s=0.01, subframes=3)
    poses = shutter.camera_poses(moving)
    assert len(poses) == 3 * spec.frames
    assert poses[1] == spec.camera.world_from_camera[0]
    step = np.subtract(poses[2].position_m, poses[0].position_m)
    assert np.linalg.norm(step) == pytest.approx(0.3 * 0.01 * 2 / 3)
    along = np.subtract(spec.camera.world_from_camera[1].position_m, spec.camera.world_from_camera[0].position_m)
    assert np.cross(along, step) == pytest.approx(0, abs=1e-9)
    assert along @ step > 0


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("shutter.subframes=4", "needs an odd number"),
        ("shutter.exposure_s.high=0.01", "subframes must be 3 or more"),
        ("shutter.exposure_s.low=-1", "needs 0 to 10 s, got low=-1"),
    ],
)
def test_a_shutter_that_cannot_be_is_refused(override, says):
    with pytest.raises(ConfigError, match=says):
        load_config("tiny", [override])


def test_an_exposure_longer_than_a_frame_says_so():
    spec = opened(scene([], frames=3, frame_interval_s=0.02), exposure_s=0.01, row_time_s=2e-4)
    with pytest.raises(ValueError, match=r"take 0.034 s .* 120 rows of 0.0002 s.*longer than the 0.02 s"):
        shutter.moments_s(spec)
    with pytest.raises(ValueError, match="needs an odd number"):
        shutter.offsets_s(opened(spec, 0.01, subframes=2))


@pytest.mark.parametrize(("row_time_s", "exposure_s"), [(1 / 6000, 1 / 500), (1 / 6000, 1 / 100), (0.0, 1 / 300)])
def test_lamps_on_the_mains_leave_bands_behind_a_rolling_shutter(row_time_s, exposure_s):
    """Each row is as bright as the lamps are on the mean of its own exposure."""
    spec = scene([], frames=2, frame_interval_s=1 / 24)
    mains = FlickerSpec(mains_hz=50.0, depth=0.6, exposure_s=1.0, phase_rad=0.7)
    spec = opened(replace(spec, light=replace(spec.light, flicker=mains)), exposure_s, row_time_s, subframes=61)
    shape = spec.camera.height_px, spec.camera.width_px

    def white(spec, trajectory):
        for _ in trajectory.times_s:
            light = np.ones((*shape, 3), np.float32)
            yield Frame(linear=light, depth_m=light[..., 0], ids=np.full(shape, BACKGROUND, np.int32))

    frames = list(capture(spec, riding(spec, 0.0), white))
    swing = []
    for k, frame in enumerate(frames):
        starts = k * spec.frame_interval_s + shutter.row_offsets_s(spec) - exposure_s / 2
        moments = starts[:, None] + (np.arange(200) + 0.5) / 200 * exposure_s
        due = 1 + mains.depth * np.cos(2 * np.pi * 100 * moments + mains.phase_rad).mean(axis=1)
        np.testing.assert_allclose(frame.linear[:, 0, 0], due, atol=0.02)
        swing.append(float(np.ptp(frame.linear[:, 0, 0])))
    banded = row_time_s > 0 and exposure_s < 1 / 100  # a whole period of the light leaves none
    assert (min(swing) > 0.5) == banded
