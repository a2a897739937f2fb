"""Physics of what moves: a belt with a gate, a diverter, cleats, stops and goes; a feeder; a camera with an encoder."""

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pybullet")

from simgen.assets.parts import part_model
from simgen.labels.boxes import annotate
from simgen.presets.read import load_config
from simgen.scene.kinds.motion import moment_s, speed_m_s, travel_m
from simgen.scene.kinds.setting import bar
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate, simulate_checked
from simgen.spec.errors import ConfigError
from simgen.spec.types import BACKGROUND, Cycle
from tests.simgen.scenes import part, scene

SPEED, NUT_M = 0.3, 0.012  # of the belt; half of an M16 nut's width across flats
STAGE = scene([]).stage
STOP_AND_GO = Cycle(run_s=0.5, stop_s=0.3, ramp_s=0.1, phase_s=0.0)


def nut(x, y=0.0, friction=0.5, z=0.0075):
    return part("hex_nut", "M16", (x, y, z), friction=friction)


def belt(parts, *, walls=(), riding=(), cycle=None, frames=8, frame_s=0.1, settle_s=0.2):
    spec = scene(parts, belt_speed_m_s=SPEED, frames=frames, frame_interval_s=frame_s, settle_s=settle_s)
    stage = replace(spec.stage, cycle=cycle)
    return replace(spec, walls=tuple(walls) or None, occluders=tuple(riding), stage=stage)


def test_parts_keep_the_speed_of_a_belt_within_a_hundredth_and_do_not_sink():
    washer = part("washer", "M16", (-0.2, 0.03, 0.002))
    far_off = bar(STAGE, (0.02, 0.1, 0.03), (3.0, 0.0))  # so that the belt is simulated as one with a gate
    path = simulate(belt([nut(-0.1), washer], walls=[far_off])).positions_m
    np.testing.assert_allclose(np.diff(path[..., 0], axis=0), SPEED * 0.1, rtol=0.01)
    assert np.ptp(path[..., 1:], axis=0).max() < 0.0005
    thick_m = [float(np.ptp(part_model(one.source).vertices_m[:, 2])) for one in (nut(0.0), washer)]
    np.testing.assert_allclose(path[-1, :, 2], np.array(thick_m) / 2, atol=0.0005)


def test_a_gate_stops_parts_which_queue_before_it_and_slide_on_the_belt():
    gate = bar(STAGE, (0.02, 0.2, 0.03), (0.1, 0.0))
    spec = belt([nut(-0.1), nut(-0.14)], walls=[gate])
    path, fault = simulate_checked(spec)
    assert not fault
    first, second = path.positions_m[-1, :, 0]
    assert first == pytest.approx(0.09 - NUT_M, abs=0.001)
    assert first - 2.4 * NUT_M < second < first - 1.9 * NUT_M  # against it, however they are turned
    np.testing.assert_allclose(path.positions_m[-1], path.positions_m[-2], atol=0.001)
    assert path.surface_shift_m(7) == pytest.approx(0.21)
    assert path.positions_m[..., 2].min() > 0.0070


def test_a_diverter_pushes_a_part_to_the_side_and_lets_it_go_with_the_belt():
    plate = bar(STAGE, (0.15, 0.008, 0.03), (0.05, 0.03), -math.pi / 6, friction=0.1)
    path = simulate(belt([nut(-0.1, 0.04)], walls=[plate], frames=12)).positions_m[:, 0]
    assert path[0, 1] == pytest.approx(0.04, abs=0.001)
    end_m = 0.03 - 0.075 * math.sin(math.pi / 6)  # of the plate, across the belt
    assert end_m - 2 * NUT_M < path[-1, 1] < end_m
    assert 0.1 * SPEED > path[4, 0] - path[3, 0] > 0.05 * SPEED  # slower along the plate
    np.testing.assert_allclose(np.diff(path[-3:, 0]), SPEED * 0.1, rtol=0.01)


def test_a_belt_that_stops_and_goes_takes_its_parts_along():
    path = simulate(belt([nut(-0.1)], cycle=STOP_AND_GO, frames=12))
    moved_m = path.positions_m[:, 0, 0] - path.positions_m[0, 0, 0]
    assert moved_m[-1] > 0.15
    np.testing.assert_allclose(moved_m, path.surface_shifts_m, atol=0.01 * moved_m[-1])
    assert np.diff(moved_m).min() < 1e-4  # it stood


def test_a_part_with_little_friction_slides_on_when_the_belt_stops_as_coulomb_says():
    """From v it slides v^2 / (2 mu g), while the belt brakes over v^2 / (2 a) only."""
    cycle = Cycle(run_s=1.0, stop_s=1.0, ramp_s=0.02, phase_s=0.5)  # it stops 0.5 s after the start
    path = simulate(belt([nut(-0.1, friction=0.1)], cycle=cycle, frames=2, frame_s=0.4, settle_s=0.45))
    slid_m = np.diff(path.positions_m[:, 0, 0])[0] - SPEED * 0.03
    assert np.diff(path.surface_shifts_m)[0] == pytest.approx(SPEED * 0.04, rel=1e-6)
    assert slid_m == pytest.approx(SPEED**2 / (2 * 0.1 * 9.81), rel=0.06)


def test_a_cleat_pushes_a_slippery_part_and_comes_round_again():
    cleat = bar(STAGE, (0.006, 0.2, 0.02), (0.3, 0.0), rides=True)
    starts = Cycle(run_s=10.0, stop_s=1.0, ramp_s=0.05, phase_s=0.0)  # from rest, so that the cleat runs into the nut
    path = simulate(belt([nut(0.33, friction=0.05)], riding=[cleat], cycle=starts))
    at_m, cleat_m = path.positions_m[:, 0, 0], path.occluder_positions_m[:, 0, 0]
    gone_m = SPEED * (0.175 + 0.1 * np.arange(8))
    assert cleat_m.tolist() == pytest.approx(((0.3 + gone_m + 0.5) % 1 - 0.5).tolist())
    assert cleat_m[-1] < -0.3 < 0.35 < cleat_m[0]
    assert np.diff(at_m)[-1] == pytest.approx(SPEED * 0.1, rel=0.02)
    np.testing.assert_allclose(at_m[-1] % 1 - cleat_m[-1] % 1, 0.003 + NUT_M, atol=0.003)


@pytest.mark.parametrize("cycle", [None, STOP_AND_GO, replace(STOP_AND_GO, phase_s=0.45, ramp_s=0.25)])
def test_the_travel_of_a_belt_is_the_sum_of_its_speeds_and_can_be_looked_up(cycle):
    step_s = 1e-3
    speeds = [speed_m_s(SPEED, cycle, (k + 0.5) * step_s) for k in range(2500)]
    assert travel_m(SPEED, cycle, 2.5) == pytest.approx(sum(speeds) * step_s, rel=1e-4)
    assert max(speeds) == pytest.approx(SPEED, rel=0.01)
    assert (min(speeds) == 0) == (cycle is not None)
    for metres in (0.01, 0.2, 0.9):
        found_s = moment_s(SPEED, cycle, metres, 0.3)
        assert travel_m(SPEED, cycle, found_s) - travel_m(SPEED, cycle, 0.3) == pytest.approx(metres, abs=1e-9)
        assert found_s >= 0.3 + metres / SPEED - 1e-9
    with pytest.raises(ValueError, match=r"never moves by 0\.1 m"):
        moment_s(0.0, cycle, 0.1, 0.0)


def test_an_encoder_triggers_the_camera_at_equal_runs_of_the_belt():
    changes = ["timing.frame_step_m=0.02", "timing.frames=6", "stage.belt={stop_share: 1}", "timing.settle_s=0.1"]
    spec = sample(load_config("tiny", [*changes, "parts.count=1"]), 5, 0)
    assert spec.stage.cycle is not None
    path = simulate(spec)
    assert path.surface_shifts_m == pytest.approx(0.02 * np.arange(6), abs=1e-9)
    gaps = np.diff(spec.times_s)
    assert gaps.max() > 1.2 * gaps.min() > 0
    labels = annotate(spec, path, np.full((6, 72, 96), BACKGROUND, np.int32))
    assert [frame.time_s for frame in labels.frames] == list(spec.frame_times_s)
    even = sample(load_config("tiny", ["timing.frames=6"]), 5, 0)
    assert even.frame_times_s is None
    assert even.times_s == tuple(k * even.frame_interval_s for k in range(6))


def test_late_frames_show_the_parts_where_they_are_when_the_frame_is_taken():
    changes = ["timing.frames=6", "timing.frame_interval_s=0.05", "parts.count=1", "stage.belt_speed_m_s=0.3"]
    late = sample(load_config("tiny", [*changes, "timing.late={share: 1, by: 0.5}"]), 5, 0)
    due_s = 0.05 * np.arange(6)
    assert late.times_s == pytest.approx([0.0, *(due_s[1:] + 0.025)])
    assert simulate(late).surface_shifts_m == pytest.approx(0.3 * np.array(late.times_s), abs=1e-9)
    labels = annotate(late, simulate(late), np.full((6, 72, 96), BACKGROUND, np.int32))
    assert [frame.time_s for frame in labels.frames] == list(late.times_s)
    some = sample(load_config("tiny", [*changes, "timing.late={share: 0.5, by: {low: 0.1, high: 0.9}}"]), 5, 0)
    behind = (np.array(some.times_s) - due_s) / 0.05
    assert behind[0] == 0
    assert 0 < np.count_nonzero(behind) < 5
    assert ((behind == 0) | ((behind >= 0.1) & (behind <= 0.9))).all()
    never = sample(load_config("tiny", [*changes, "timing.late={share: 0, by: 0.5}"]), 5, 0)
    assert never.times_s == pytest.approx(due_s)
    assert never.parts == some.parts  # nothing else is drawn otherwise


def test_a_late_frame_of_a_triggered_camera_is_taken_before_the_next_is_due():
    changes = ["timing.frame_step_m=0.02", "timing.frames=6", "stage.belt={stop_share: 1}", "timing.settle_s=0.1"]
    due = sample(load_config("tiny", changes), 5, 0)
    late = sample(load_config("tiny", [*changes, "timing.late={share: 1, by: 0.5}"]), 5, 0)
    assert late.times_s[1:5] == pytest.approx((np.array(due.times_s[1:5]) + due.times_s[2:]) / 2)


def test_a_feeder_lets_go_of_a_part_in_its_time_and_the_belt_takes_it():
    fed = replace(nut(0.0, z=0.1), start_s=0.3, velocity_m_s=(0.1, 0.0, 0.0))
    spec = belt([nut(-0.2), fed], frames=10, frame_s=0.05)
    path, fault = simulate_checked(spec)
    assert not fault
    held, there = path.positions_m[:2, 1], path.positions_m[2:, 1]
    assert (held[:, 2] < -spec.stage.floor_below_m).all()  # where no camera sees it
    np.testing.assert_allclose(there[0], [0.0, 0.0, 0.1], atol=1e-6)
    fallen_s = np.array([0.05, 0.1])
    np.testing.assert_allclose(there[1:3, 2], 0.1 - 9.81 / 2 * fallen_s**2, atol=0.002)
    np.testing.assert_allclose(there[1:3, 0], 0.1 * fallen_s, atol=0.001)
    np.testing.assert_allclose(np.diff(there[-3:, 0]), SPEED * 0.05, rtol=0.02)
    labels = annotate(spec, path, np.full((10, 120, 160), BACKGROUND, np.int32))
    boxes = [frame.parts[1].unclipped_box_xyxy_px for frame in labels.frames]
    assert [box is None for box in boxes] == [True, True] + [False] * 8


def test_parts_of_a_feeder_follow_each_other_without_touching_at_its_mouth():
    spec = sample(load_config("feeder", ["parts.count=12", "stage.feeder.every_s=0.005"]), 7, 0)
    assert spec.stage.kind == "feeder"
    starts = [one.start_s for one in spec.parts]
    assert len(starts) > 3
    assert starts == sorted(starts)
    for one, after in zip(spec.parts, spec.parts[1:], strict=False):
        apart_m = part_model(one.source).radius_m + part_model(after.source).radius_m
        assert 9.81 / 2 * (after.start_s - one.start_s) ** 2 >= apart_m - 1e-9


def test_a_distance_trigger_and_a_feeder_need_a_belt_that_moves():
    with pytest.raises(ConfigError, match=r"feeder needs a belt that moves: give belt_speed_m_s"):
        load_config("tiny", ["stage.belt_speed_m_s=0", "stage.feeder={}"])
    still = sample(load_config("tiny", ["stage.belt_speed_m_s=0", "timing.frame_step_m=0.02"]), 5, 0)
    assert still.frame_times_s is None
