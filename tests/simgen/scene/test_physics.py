"""Mechanics, measured on what comes out: free fall, rest, friction, belts; and that it is the same every time."""

import hashlib
import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

p = pytest.importorskip("pybullet")

from simgen.assets.parts import PARTS, part_model  # noqa: E402
from simgen.presets.read import load_config  # noqa: E402
from simgen.scene.bullet import GRAVITY_M_S2, SCALE, world  # noqa: E402
from simgen.scene.sampling.sample import sample  # noqa: E402
from simgen.scene.simulate import simulate  # noqa: E402
from simgen.spec.geometry import rotation_matrix  # noqa: E402
from simgen.spec.scene import BodySpec, FamilySize  # noqa: E402
from simgen.spec.types import Pose  # noqa: E402
from tests.simgen.scenes import GREY, part, scene, standing_m  # noqa: E402

FASTENERS = ("hex_bolt", "hex_nut", "hex_screw", "washer")  # families of later rest in assets/test_families.py
HALF = math.sqrt(0.5)
LYING = (0.0, HALF, 0.0, HALF)  # the axis along x


def heights_m(spec, trajectory, frame=0):
    """The lowest vertex of each part."""
    return np.array(
        [
            (part_model(made.source).vertices_m @ rotation_matrix(turn).T)[:, 2].min() + position[2]
            for made, position, turn in zip(
                spec.parts, trajectory.positions_m[frame], trajectory.rotations_xyzw[frame], strict=True
            )
        ]
    )


def axes(trajectory, frame=0):
    return np.array([rotation_matrix(turn)[:, 2] for turn in trajectory.rotations_xyzw[frame]])


def grid(kind, rotation, drop_m):
    """Every size of a kind, each on its own spot, let go `drop_m` above the table."""
    sizes = PARTS[kind].sizes
    columns = math.ceil(math.sqrt(len(sizes)))
    pitch_m = 2.2 * max(part_model(FamilySize(kind, size.designation)).radius_m for size in sizes)
    parts = []
    for i, size in enumerate(sizes):
        model = part_model(FamilySize(kind, size.designation))
        low = float((model.vertices_m @ rotation_matrix(rotation).T)[:, 2].min())
        x, y = ((n - columns / 2) * pitch_m for n in divmod(i, columns))
        parts.append(part(kind, size.designation, (x, y, drop_m - low), rotation))
    return scene(parts, settle_s=1.0, frames=2, size_m=(2 * columns * pitch_m, 2 * columns * pitch_m))


@pytest.mark.parametrize("kind", FASTENERS)
def test_every_size_stands_upright_at_its_height(kind):
    spec = grid(kind, (0.0, 0.0, 0.0, 1.0), drop_m=0.0005)
    trajectory = simulate(spec)
    assert len(spec.parts) == len(PARTS[kind].sizes)
    expected = [standing_m(part_model(made.source)) for made in spec.parts]
    np.testing.assert_allclose(trajectory.positions_m[0, :, 2], expected, atol=0.0002)
    np.testing.assert_allclose(axes(trajectory)[:, 2], 1, atol=1e-4)
    np.testing.assert_array_equal(trajectory.positions_m[0], trajectory.positions_m[1])


@pytest.mark.parametrize("kind", ["hex_bolt", "hex_screw"])
def test_every_bolt_that_is_laid_down_lies_on_the_table(kind):
    """It touches with its head, whose corners reach the table; its thread's crests, which the mesh has not, do too."""
    spec = grid(kind, LYING, drop_m=0.0005)
    trajectory = simulate(spec)
    low = heights_m(spec, trajectory)
    assert (low > -0.0002).all()
    crest = [model.thread.depth_m for model in (part_model(made.source) for made in spec.parts)]
    assert (low < 0.0002 + np.array(crest)).all()
    assert (np.abs(axes(trajectory)[:, 2]) < 0.95).all()


def test_every_washer_that_is_let_go_tilted_lies_flat():
    tilt = math.radians(25) / 2
    spec = grid("washer", (math.sin(tilt), 0.0, 0.0, math.cos(tilt)), drop_m=0.01)
    trajectory = simulate(spec)
    np.testing.assert_allclose(np.abs(axes(trajectory)[:, 2]), 1, atol=1e-3)
    np.testing.assert_allclose(heights_m(spec, trajectory), 0, atol=0.0002)


@pytest.mark.parametrize("designation", ["M2", "M3", "M8"])
def test_thin_washers_do_not_go_through_the_table(designation):
    parts = [part("washer", designation, (0.05 * i, 0.0, 0.3 + 0.1 * i)) for i in range(4)]
    spec = scene(parts, settle_s=1.0, frames=1)
    np.testing.assert_allclose(heights_m(spec, simulate(spec)), 0, atol=0.0003)


def test_free_fall():
    """s = g t^2 / 2, and the steps' own g t dt / 2 (semi-implicit Euler)."""
    spec = scene([part("hex_nut", "M8", (0.0, 0.0, 1.0)), part("hex_bolt", "M20x80", (0.2, 0.0, 1.5), LYING)])
    times = np.array([0.1, 0.2, 0.3, 0.4])
    trajectory = simulate(replace(spec, settle_s=0.1, frame_interval_s=0.1))
    fallen = np.array([1.0, 1.5]) - trajectory.positions_m[:, :, 2]
    expected = GRAVITY_M_S2 * times**2 / 2
    np.testing.assert_allclose(fallen, np.stack([expected, expected], axis=1), rtol=0.03)
    np.testing.assert_allclose(trajectory.rotations_xyzw[-1], trajectory.rotations_xyzw[0], atol=1e-6)


@pytest.mark.parametrize("friction", [0.2, 0.5])
@pytest.mark.parametrize("kind", ["washer", "hex_nut"])
def test_sliding_parts_stop_where_friction_says(kind, friction):
    """s = v^2 / (2 mu g)."""
    speed = 0.6
    model = part_model(FamilySize(kind, "M16"))
    spec = scene([part(kind, "M16", (0.0, 0.0, standing_m(model)), friction=friction)])
    with world(spec, collide=True) as solid:
        (body,) = solid.parts
        p.setTimeStep(1 / 480, physicsClientId=solid.client)
        p.resetBaseVelocity(body, [speed * SCALE, 0, 0], physicsClientId=solid.client)
        for _ in range(480):
            p.stepSimulation(physicsClientId=solid.client)
        x = p.getBasePositionAndOrientation(body, physicsClientId=solid.client)[0][0] / SCALE
    assert x == pytest.approx(speed**2 / (2 * friction * GRAVITY_M_S2), rel=0.05)


def test_a_washer_dropped_over_a_standing_screw_lands_on_its_head():
    screw, washer = part_model(FamilySize("hex_screw", "M8x40")), part_model(FamilySize("washer", "M12"))
    head_m = 0.0053
    parts = [part("hex_screw", "M8x40", (0.0, 0.0, standing_m(screw))), part("washer", "M12", (0.0, 0.0, 0.06))]
    spec = scene(parts, settle_s=1.0, frames=1)
    trajectory = simulate(spec)
    assert heights_m(spec, trajectory)[1] == pytest.approx(head_m, abs=0.0003)
    assert abs(axes(trajectory)[1, 2]) > 0.999
    assert standing_m(washer) < head_m  # so that lying on the table would be seen


def pile(count, seed, **changes):
    rng = np.random.default_rng(seed)
    parts = []
    for i in range(count):
        kind = FASTENERS[i % 4]
        sizes = [s for s in PARTS[kind].sizes if 5 <= s.diameter_mm <= 12 and (s.length_mm or 0) <= 60]
        designation = sizes[int(rng.integers(len(sizes)))].designation
        x, y = (float(v) for v in rng.uniform(-0.06, 0.06, 2))
        turn = rng.normal(size=4)
        turn = tuple(float(v) for v in turn / np.linalg.norm(turn))
        parts.append(part(kind, designation, (x, y, 0.05 + 0.01 * i), turn, friction=float(rng.uniform(0.2, 0.6))))
    return scene(parts, **changes)


def test_a_pile_lies_on_the_table_and_hardly_sinks():
    spec = pile(24, 0, settle_s=2.0)
    trajectory = simulate(spec)
    low = heights_m(spec, trajectory)
    assert low.min() > -0.002
    assert np.median(np.abs(low)) < 0.001
    assert low.max() < 0.05
    inside = np.array(spec.stage.size_m) / 2
    assert (np.abs(trajectory.positions_m[0, :, :2]) < inside).all()
    moved = np.linalg.norm(np.diff(trajectory.positions_m, axis=0), axis=2)
    assert np.median(moved) < 1e-5


@pytest.mark.parametrize("belt_speed_m_s", [0.05, 0.3])
def test_a_belt_carries_parts_without_slip_and_without_sinking(belt_speed_m_s):
    parts = [part("washer", "M10", (-0.2, 0.0, 0.001)), part("hex_nut", "M10", (-0.1, 0.05, 0.0045))]
    parts.append(part("hex_bolt", "M10x50", (0.0, -0.05, 0.009), LYING))
    spec = scene(parts, belt_speed_m_s=belt_speed_m_s, settle_s=0.8, frames=20, frame_interval_s=0.1)
    still = simulate(replace(spec, stage=replace(spec.stage, belt_speed_m_s=0.0)))
    ridden = simulate(spec)
    times = spec.settle_s + np.arange(spec.frames) * spec.frame_interval_s
    assert ridden.positions_m.shape == (20, 3, 3)
    shift = ridden.positions_m - still.positions_m
    np.testing.assert_allclose(shift[:, :, 0], np.repeat(belt_speed_m_s * times[:, None], 3, axis=1), atol=1e-5)
    np.testing.assert_allclose(shift[:, :, 1:], 0, atol=1e-5)
    np.testing.assert_array_equal(ridden.rotations_xyzw[1:], ridden.rotations_xyzw[:-1])
    np.testing.assert_allclose(heights_m(spec, ridden, 19), 0, atol=0.0006)


@pytest.mark.parametrize(
    ("belt_speed_m_s", "direction", "held"), [(0.0, 0, True), (0.0, 1, True), (0.2, 0, False), (0.2, 1, True)]
)
def test_walls_stand_round_a_table_and_beside_a_belt(belt_speed_m_s, direction, held):
    spec = scene([part("hex_nut", "M8", (0.0, 0.0, 0.01), friction=0.05)], belt_speed_m_s=belt_speed_m_s)
    with world(spec, collide=True) as solid:
        (body,) = solid.parts
        velocity = [0.0, 0.0, 0.0]
        velocity[direction] = 2.0 * SCALE
        p.resetBaseVelocity(body, velocity, physicsClientId=solid.client)
        for _ in range(240):
            p.stepSimulation(physicsClientId=solid.client)
        there = p.getBasePositionAndOrientation(body, physicsClientId=solid.client)[0][direction] / SCALE
    assert (there < spec.stage.size_m[direction] / 2) == held
    assert there > 0.1


def test_occluders_move_from_the_first_frame_on():
    bar = BodySpec(
        shape="box", size_m=(0.1, 0.1, 0.1), material=GREY, velocity_m_s=(0.1, -0.2, 0.0),
        world_from_body=Pose(position_m=(0.0, 0.3, 0.2), rotation_xyzw=(0.0, 0.0, 0.0, 1.0)),
    )  # fmt: skip
    trajectory = simulate(scene([], occluders=[bar], frames=3, frame_interval_s=0.5))
    expected = [[[0.0, 0.3, 0.2]], [[0.05, 0.2, 0.2]], [[0.1, 0.1, 0.2]]]
    np.testing.assert_allclose(trajectory.occluder_positions_m, expected, atol=1e-6)
    assert trajectory.positions_m.shape == (3, 0, 3)


def test_a_clip_may_start_before_anything_has_moved():
    spec = scene([part("washer", "M8", (0.0, 0.0, 0.2))], settle_s=0.0, frames=2)
    trajectory = simulate(spec)
    np.testing.assert_allclose(trajectory.positions_m[0, 0], [0, 0, 0.2], atol=1e-6)
    assert trajectory.positions_m[1, 0, 2] < 0.2


def digest(seed):
    trajectory = simulate(pile(8, seed, settle_s=0.3, belt_speed_m_s=0.1 * (seed % 2)))
    return hashlib.sha256(trajectory.positions_m.tobytes() + trajectory.rotations_xyzw.tobytes()).hexdigest()


def test_the_same_bits_in_any_process_and_order():
    here = [digest(seed) for seed in range(4)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        there = list(pool.map(digest, [3, 2, 1, 0]))
    assert here == there[::-1]
    assert len(set(here)) == 4


@pytest.mark.slow
def test_what_is_poured_into_a_bin_stays_in_it_and_piles_up():
    spec = sample(load_config("bin", ["parts.count={low: 100, high: 100}"]), 1, 0)
    spec = replace(spec, camera=replace(spec.camera, world_from_camera=spec.camera.world_from_camera[:1]))
    at = simulate(spec).positions_m[0]
    half = np.array(spec.stage.size_m) / 2
    assert (np.abs(at[:, :2]) < half).all()
    assert at[:, 2].min() > -0.003
    assert at[:, 2].max() < 0.12
    assert np.count_nonzero(at[:, 2] > 0.02) >= 10  # on others: what lies on the floor is lower
