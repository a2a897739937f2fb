"""Imported parts fall, rest in the poses that their files state, and are as hollow as their hulls."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pybullet")

from simgen.assets.parts import part_model
from simgen.scene.kinds import KINDS
from simgen.scene.kinds.drop import DropArea
from simgen.scene.simulate import simulate
from simgen.spec.geometry import rotation_matrix
from tests.simgen.assets.cad.packed_parts import packed_box
from tests.simgen.imported import HEIGHT_M, THICK_M, imported_part, kept, packed_channel
from tests.simgen.scenes import part, scene, standing_m

AREA = DropArea(half_m=(0.2, 0.2), upstream_m=0.0, standing_share=0.0, pile_share=0.0)


def lowest_m(spec, trajectory, frame):
    """How far each part reaches down."""
    return np.array(
        [
            (part_model(made.source).vertices_m @ rotation_matrix(turn).T)[:, 2].min() + position[2]
            for made, position, turn in zip(
                spec.parts, trajectory.positions_m[frame], trajectory.rotations_xyzw[frame], strict=True
            )
        ]
    )


def laid(source, count, seed=0):
    """Parts as a table lays them, each on a table of its own width."""
    model, rng = part_model(source), np.random.default_rng(seed)
    drop = KINDS["table"].drop(replace(AREA, half_m=(2.0, 2.0)))
    poses = [drop.next_pose(model, rng) for _ in range(count)]
    return [imported_part(source, pose.position_m, pose.rotation_xyzw) for pose in poses]


def test_parts_are_laid_in_their_resting_poses_as_often_as_their_file_says():
    packed = packed_channel()
    model, rng = part_model(kept(packed)), np.random.default_rng(3)
    drop = KINDS["table"].drop(AREA)
    poses = [drop.next_pose(model, rng) for _ in range(600)]
    ups = np.array([rotation_matrix(pose.rotation_xyzw)[2] for pose in poses])  # the vertical in the part's frame
    assert len(packed.resting_poses) == 6
    for rest in packed.resting_poses:
        share = float((ups @ rotation_matrix(rest.rotation_xyzw)[2] > 0.999).mean())
        assert share == pytest.approx(rest.probability, abs=0.06)
    yaw = np.arctan2(*np.array([rotation_matrix(pose.rotation_xyzw)[:2, 0] for pose in poses]).T)
    assert np.histogram(yaw, 4)[0].min() > 100


@pytest.mark.parametrize("make", [packed_box, packed_channel])
def test_what_is_laid_in_a_resting_pose_stays_there_and_does_not_sink(make):
    spec = scene(laid(kept(make()), 20), settle_s=0.5, frames=10, size_m=(5.0, 5.0))
    trajectory = simulate(spec)
    start = np.array([made.world_from_part.position_m for made in spec.parts])
    assert len(spec.parts) == 20
    assert np.abs(trajectory.positions_m[0] - start).max() < 0.001  # half a millimetre of fall
    assert np.abs(lowest_m(spec, trajectory, 0)).max() < 0.0002
    np.testing.assert_array_equal(trajectory.positions_m[0], trajectory.positions_m[-1])


def test_what_is_thrown_comes_to_rest_in_one_of_the_poses():
    packed = packed_channel()
    source, rng = kept(packed), np.random.default_rng(5)
    turns = rng.normal(size=(12, 4))
    grid = [(0.3 * i, 0.3 * j, 0.12) for i in range(-2, 2) for j in range(-1, 2)]
    parts = [
        imported_part(source, at, tuple(turn / np.linalg.norm(turn))) for at, turn in zip(grid, turns, strict=True)
    ]
    spec = scene(parts, settle_s=2.5, frames=2, size_m=(3.0, 3.0))
    trajectory = simulate(spec)
    rests = [rotation_matrix(rest.rotation_xyzw)[2] for rest in packed.resting_poses]
    ups = [rotation_matrix(turn)[2] for turn in trajectory.rotations_xyzw[0]]
    assert all(max(float(up @ rest) for rest in rests) > 0.999 for up in ups)
    assert np.abs(lowest_m(spec, trajectory, 0)).max() < 0.0003


def test_a_nut_falls_into_a_channel_and_not_onto_its_convex_hull():
    source = kept(packed_channel())
    up = standing_m(part_model(source))
    spec = scene(
        [imported_part(source, (0.0, 0.0, up)), part("hex_nut", "M8", (0.0, 0.0, 0.06))], settle_s=1.0, frames=1
    )
    nut_m = simulate(spec).positions_m[0, 1, 2]
    assert THICK_M < nut_m < HEIGHT_M / 2 + THICK_M


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_scaled_part_is_as_large_as_its_scale_says(scale):
    packed = packed_channel()
    one, other = part_model(kept(packed)), part_model(kept(packed, mesh_scale=scale))
    assert other.volume_m3 == pytest.approx(one.volume_m3 * scale**3)
    assert other.inertia_m2 == pytest.approx(tuple(moment * scale**2 for moment in one.inertia_m2))
    assert other.radius_m == pytest.approx(one.radius_m * scale)
    source = kept(packed, mesh_scale=scale)
    spec = scene([imported_part(source, (0.0, 0.0, 0.12))], settle_s=1.5, frames=1)
    assert abs(lowest_m(spec, simulate(spec), 0)[0]) < 0.0003
