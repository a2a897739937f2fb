"""Flow leads each pixel to where its point is in the next frame."""

from dataclasses import replace

import numpy as np
import pytest

from simgen.camera import shutter
from simgen.dataset.check import check
from simgen.dataset.format.manifest import DATA_SET_FORMAT, MANIFEST, Manifest, Request, write_manifest
from simgen.dataset.format.png16 import decode_flow, encode_flow, encode_png
from simgen.dataset.format.reader import DataSet
from simgen.generation.clip import categories, make_clip
from simgen.generation.engines import Plan, make_shard
from simgen.generation.exposure import capture
from simgen.labels.flow import flow_px
from simgen.presets.read import load_config
from simgen.renderers import render
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate
from simgen.spec.errors import ShardError
from simgen.spec.frames import Trajectory
from simgen.spec.geometry import look_at
from simgen.spec.scene import BodySpec, ShutterSpec
from simgen.spec.types import BACKGROUND, CLUTTER, Pose
from tests.simgen.scenes import part, scene, still

ABOVE = look_at((0.0, 0.0, 0.5), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))  # x right, y up in the picture
INTERVAL_S = 0.1


def seen_from_above(parts=(), frames=2, **more):
    spec = scene(parts, frames=frames, frame_interval_s=INTERVAL_S, **more)
    return replace(spec, camera=replace(spec.camera, world_from_camera=(ABOVE,) * frames))


def flat(spec, depth_m, id_=BACKGROUND):
    shape = (spec.camera.height_px, spec.camera.width_px)
    return np.full(shape, id_, np.int32), np.full(shape, depth_m, np.float32)


def test_a_belt_flows_by_its_speed_and_the_floor_stands_still():
    spec = seen_from_above(belt_speed_m_s=0.2)
    flow = flow_px(spec, still(spec), 0, *flat(spec, 0.5))
    due = 0.2 * INTERVAL_S * spec.camera.focal_px / 0.5
    assert flow[..., 0] == pytest.approx(due, abs=1e-3)
    assert flow[..., 1] == pytest.approx(0, abs=1e-3)
    assert flow_px(spec, still(spec), 0, *flat(spec, 1.2)) == pytest.approx(0, abs=1e-4)  # the floor


def test_a_camera_that_moves_makes_everything_flow_the_other_way_the_nearer_the_faster():
    spec = seen_from_above()
    poses = tuple(look_at((x, y, 0.5), (x, y, 0.0), (0.0, 1.0, 0.0)) for x, y in ((0.0, 0.0), (0.01, 0.02)))
    spec = replace(spec, camera=replace(spec.camera, world_from_camera=poses))
    for depth_m in (0.25, 0.5):
        flow = flow_px(spec, still(spec), 0, *flat(spec, depth_m))
        per_m = spec.camera.focal_px / depth_m
        assert flow[..., 0] == pytest.approx(-0.01 * per_m, abs=1e-3)
        assert flow[..., 1] == pytest.approx(0.02 * per_m, abs=1e-3)  # y is up in the world and down in the picture


def test_a_part_that_turns_about_the_optical_axis_turns_its_pixels():
    angle = 0.3
    spec = seen_from_above([part("washer", "M20", (0.0, 0.0, 0.0))])
    turned = np.array([[[0.0, 0.0, 0.0, 1.0]], [[0.0, 0.0, np.sin(angle / 2), np.cos(angle / 2)]]], np.float32)
    path = Trajectory(np.zeros((2, 1, 3), np.float32), turned, np.zeros((2, 0, 3), np.float32))
    flow = flow_px(spec, path, 0, *flat(spec, 0.5, 0))
    rows, columns = np.indices(flow.shape[:2]) + 0.5
    x, y = columns - 80, rows - 60
    c, s = np.cos(angle), np.sin(angle)
    assert flow[..., 0] == pytest.approx(c * x + s * y - x, abs=2e-3)  # counter-clockwise, with y down
    assert flow[..., 1] == pytest.approx(-s * x + c * y - y, abs=2e-3)


def test_an_occluder_flows_by_its_own_motion_and_what_stands_does_not():
    pose = Pose(position_m=(0.0, 0.0, 0.1), rotation_xyzw=(0.0, 0.0, 0.0, 1.0))
    grey = scene([]).stage.top
    bar = BodySpec(
        shape="box", size_m=(0.05, 0.05, 0.02), material=grey, world_from_body=pose, velocity_m_s=(0.3, 0.0, 0.0)
    )
    spec = seen_from_above(occluders=[bar])
    path = Trajectory(
        np.zeros((2, 0, 3), np.float32), np.zeros((2, 0, 4), np.float32),
        np.array([[[0.0, 0.0, 0.1]], [[0.03, 0.0, 0.1]]], np.float32),
    )  # fmt: skip
    flow = flow_px(spec, path, 0, *flat(spec, 0.39, CLUTTER))
    assert flow[60, 80] == pytest.approx([0.03 * 200 / 0.39, 0.0], abs=1e-3)
    assert flow[60, 5] == pytest.approx([0.0, 0.0], abs=1e-3)  # 15 cm away from it


def test_there_is_no_flow_from_the_last_frame_nor_where_nothing_is_nor_behind_the_camera():
    spec = seen_from_above()
    ids, depth_m = flat(spec, 0.5)
    depth_m[10] = np.inf
    assert np.isnan(flow_px(spec, still(spec), 1, ids, depth_m)).all()
    flow = flow_px(spec, still(spec), 0, ids, depth_m)
    assert np.isnan(flow[10]).all()
    assert np.isfinite(np.delete(flow, 10, axis=0)).all()
    away = (ABOVE, look_at((0.0, 0.0, -0.1), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)))
    gone = replace(spec, camera=replace(spec.camera, world_from_camera=away))
    assert np.isnan(flow_px(gone, still(gone), 0, ids, depth_m)).all()


LENS = ("lens.k1.low=-0.3", "lens.k1.high=-0.28")
ROLLING = (
    "shutter.subframes=5", "shutter.exposure_s.low=0.001", "shutter.exposure_s.high=0.001",
    "shutter.row_time_s.low=0.0003", "shutter.row_time_s.high=0.0003",
)  # fmt: skip


@pytest.mark.parametrize("more", [(), LENS, (*LENS, *ROLLING)], ids=["pinhole", "lens", "lens and rolling shutter"])
def test_a_warped_frame_lies_on_the_next_ones_ids(more):
    """But for edges and what something nearer hides then."""
    config = load_config("conveyor", ["camera.width_px=160", "camera.height_px=120", "camera.focal_px.low=150",
        "camera.focal_px.high=160", "timing.frames=2", "timing.frame_interval_s.low=0.06", "timing.settle_s=0.4",
        "timing.frame_interval_s.high=0.06", "parts.count.low=8", "clutter.occluders.high=0", *more])  # fmt: skip
    moved, visible, shifts = 0, 0, []
    for k in range(3):
        spec = sample(config, 3, k)
        trajectory = simulate(spec)
        before, after = capture(spec, trajectory, render)
        flow = flow_px(spec, trajectory, 0, before.ids, before.depth_m)
        rows, columns = np.nonzero(before.ids >= 0)
        there = np.stack([columns, rows], axis=1) + 0.5 + flow[rows, columns]
        x, y = np.floor(there).astype(int).T
        inside = (x >= 1) & (x < 159) & (y >= 1) & (y < 119)
        rows, columns, x, y = rows[inside], columns[inside], x[inside], y[inside]
        near = [after.ids[y + j, x + i] == before.ids[rows, columns] for j in (-1, 0, 1) for i in (-1, 0, 1)]
        moved, visible = moved + np.any(near, axis=0).sum(), visible + len(rows)
        shifts.append(np.linalg.norm(flow[rows, columns], axis=1))
    assert visible > 300
    assert np.median(np.concatenate(shifts)) > 1.5  # pixels: else anything would do
    assert moved / visible > 0.97


def test_flow_of_a_rolling_shutter_is_of_the_rows_own_times():
    """A belt seen from above: both ends are read as much later as their row is, so that rows do not differ."""
    spec = seen_from_above(belt_speed_m_s=0.2)
    spec = replace(spec, shutter=ShutterSpec(exposure_s=0.0, row_time_s=0.0005, subframes=5))
    times_s = shutter.moments_s(spec)
    count = len(times_s)
    empty = (np.zeros((count, 0, n), np.float32) for n in (3, 4, 3))
    path = Trajectory(*empty, times_s, surface_shifts_m=0.2 * times_s)
    flow = flow_px(spec, path, 0, *flat(spec, 0.5))
    assert flow[..., 0] == pytest.approx(8.0, abs=1e-3)
    falling = seen_from_above([part("washer", "M20", (0.0, 0.0, 0.0))])
    falling = replace(falling, shutter=spec.shutter)
    down = np.zeros((count, 1, 3), np.float32)
    down[:, 0, 1] = -0.3 * times_s  # down the picture, as the read-out runs: it is read later, further on
    path = Trajectory(
        down, np.tile(np.array([0, 0, 0, 1], np.float32), (count, 1, 1)), np.zeros((count, 0, 3), np.float32), times_s
    )
    middle = flow_px(falling, path, 0, *flat(falling, 0.5, 0))[20:80, 80, 1]
    assert middle.mean() == pytest.approx(12.0 / (1 - 0.3 * 400 * 0.0005), rel=0.05)  # 12 px a frame, run after
    assert middle.mean() > 12.3


def test_flow_survives_its_picture_to_a_128th_of_a_pixel():
    rng = np.random.default_rng(0)
    flow = rng.uniform(-500, 500, (7, 5, 2)).astype(np.float32)
    flow[2, 3], flow[4, 1, 0] = np.nan, 600.0
    back = decode_flow(encode_flow(flow))
    lost = np.zeros((7, 5), bool)
    lost[2, 3] = lost[4, 1] = True
    assert np.isnan(back[lost]).all()
    assert np.abs(back - flow)[~lost].max() <= 1 / 128
    assert decode_flow(encode_flow(np.zeros((2, 2, 2), np.float32))) == pytest.approx(0)
    with pytest.raises(ValueError, match="twice as high"):
        decode_flow(encode_png(np.ones((5, 4), np.uint16)))


def data_set(folder, overrides, scenes=1, clip=make_clip):
    config = load_config("tiny", overrides)
    request = Request(
        simgen="0", preset="tiny", config=config.model_dump(mode="json"), seed=0, scenes=scenes, shard_scenes=scenes
    )
    folder.mkdir()
    shard = make_shard(Plan(request, config, clip), folder, 0, {})
    write_manifest(
        folder / MANIFEST,
        Manifest(format=DATA_SET_FORMAT, request=request, categories=categories(config), shards=(shard,)),
    )
    return DataSet(folder)


MOVING = ("camera.drift_m_s.low=0.3", "camera.drift_m_s.high=0.4", "timing.frames=3")


def spoilt(config, seed, index):
    clip = make_clip(config, seed, index)
    return replace(clip, flow_px=clip.flow_px + np.float32(1.0))


def test_a_data_set_has_flow_where_it_was_asked_for_and_check_tells_a_wrong_one(tmp_path):
    plain = data_set(tmp_path / "plain", MOVING).clip(0)
    assert not plain.has_flow
    with pytest.raises(ShardError, match=r"no 'f000.flow.png'"):
        plain.flow_px(0)
    data = data_set(tmp_path / "flow", (*MOVING, "labels.flow=true"))
    clip = data.clip(0)
    assert clip.has_flow
    assert clip.read("f000.jpg") == plain.read("f000.jpg")
    assert np.isfinite(clip.flow_px(0)).mean() > 0.9
    assert np.isnan(clip.flow_px(2)).all()
    assert not check(tmp_path / "flow").problems
    data_set(tmp_path / "wrong", (*MOVING, "labels.flow=true"), clip=spoilt)
    problems = check(tmp_path / "wrong").problems
    assert {p.kind for p in problems} == {"flow"}
    assert "px off" in problems[0].text


def test_golden_flow():
    """The mean displacement of a scene's parts; changed only on purpose."""
    clip = make_clip(load_config("tiny", (*MOVING, "labels.flow=true")), 0, 0)
    flow = clip.flow_px[0][clip.ids[0] >= 0]
    assert len(flow) > 20
    assert flow.mean(axis=0) == pytest.approx((13.749, 0.553), abs=0.01)
