"""What every row of KINDS keeps to, and what tells one kind from another."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from simgen.assets.parts import PARTS, part_model
from simgen.dataset.format.plain import from_plain
from simgen.presets.read import load_config
from simgen.scene.kinds import KINDS, kind_name, scene_kind, with_kind
from simgen.scene.kinds.drop import DROP_M, DropArea
from simgen.scene.kinds.model import DEPTH_M
from simgen.scene.sampling.parts import stock
from simgen.scene.sampling.sample import sample
from simgen.spec.errors import SimgenError
from simgen.spec.geometry import transform
from simgen.spec.knobs import Uniform
from simgen.spec.scene import FamilySize, SceneSpec
from tests.simgen.scenes import part, scene

ROW = pytest.mark.parametrize("name", sorted(KINDS))
# A small scene of each kind. A new row needs an entry here.
OF_KIND = {
    "bin": ("bin", ["parts.count={low: 12, high: 12}"]),
    "belt": ("tiny", []),
    "table": ("tiny", ["stage.belt_speed_m_s={low: 0, high: 0}"]),
    "tray": ("tiny", ["stage.belt_speed_m_s=0", "stage.tray={columns: 6, rows: 6, wrong_share: 0.4}"]),
    "feeder": ("tiny", ["stage.feeder={}", "timing.settle_s=0.4"]),
    "scatter": ("tiny", ["stage.belt_speed_m_s=0", "stage.scatter={}"]),
}
MOVE, HAVE_WALLS = {"belt", "feeder"}, {"bin", "tray"}
AREA = DropArea(half_m=(0.2, 0.1), upstream_m=0.0, standing_share=0.5, pile_share=0.3)
SOURCES = [FamilySize(kind, family.sizes[len(family.sizes) // 2].designation) for kind, family in PARTS.items()]


@cache
def small(name):
    preset, changes = OF_KIND[name]
    return sample(load_config(preset, changes), 5, 0)


@cache
def table_knobs():
    return load_config("bolts_on_table").stage


def knobs(**changes):
    return table_knobs().model_copy(update={name: Uniform(*limits) for name, limits in changes.items()})


@cache
def furnished(name):
    """What a scene kind puts on its stage, with a plan for 24 parts at least."""
    config = load_config(OF_KIND[name][0], [*OF_KIND[name][1], "parts.count=24"])
    return KINDS[name].furnish(small(name).stage, config.stage, stock(config.parts), np.random.default_rng(1))


def dropped(name, count=24, area=AREA, seed=0):
    """Models and drop poses of a mixture of parts."""
    area = replace(area, setting=furnished(name))
    drop, rng = KINDS[name].drop(area), np.random.default_rng(seed)
    models = [part_model(SOURCES[i % len(SOURCES)]) for i in range(count)]
    return models, [drop.next_pose(model, rng) for model in models[: len(area.setting.nests) or count]]


def test_there_are_six_kinds_with_a_scene_each():
    assert sorted(KINDS) == sorted(OF_KIND) == ["belt", "bin", "feeder", "scatter", "table", "tray"]


@ROW
def test_a_scene_is_of_the_kind_that_its_knobs_ask_for_and_says_so_when_stored(name):
    spec = small(name)
    again = from_plain(SceneSpec, json.loads(spec.to_json()))
    assert again == spec
    assert scene_kind(again.stage) is KINDS[name]


@ROW
def test_parts_start_above_the_work_surface_and_apart_from_their_pile(name):
    models, poses = dropped(name)
    for model, pose in zip(models, poses, strict=name != "tray"):
        assert transform(pose, model.vertices_m)[:, 2].min() > -1e-9
        assert abs(pose.position_m[0]) <= AREA.half_m[0]
        assert abs(pose.position_m[1]) <= AREA.half_m[1]
    assert len({pose.position_m for pose in poses}) == len(poses) > 10


@ROW
def test_drop_poses_are_a_function_of_the_generator(name):
    assert dropped(name)[1] == dropped(name)[1]
    assert dropped(name)[1] != dropped(name, seed=1)[1]


@ROW
def test_one_layout_does_not_remember_another(name):
    """State in a class, and not in its object, would show here."""
    first = dropped(name, count=8)[1]
    dropped(name, count=30, seed=3)
    assert dropped(name, count=8)[1] == first


@ROW
def test_solid_is_a_floor_under_the_whole_stage_and_nothing_on_it(name):
    """Boxes are closed at z = 0 and leave the stage's own area free above it."""
    stage = small(name).stage
    floor, *others = KINDS[name].solid(stage)
    assert floor.centre_m[2] + floor.half_m[2] == 0
    assert floor.half_m[2] * 2 == DEPTH_M
    assert floor.friction > 0
    for size, half in zip(stage.size_m, floor.half_m, strict=False):
        assert half >= size / 2
    assert others
    for box in others:
        outside = [abs(c) - h - size / 2 for c, h, size in zip(box.centre_m, box.half_m, stage.size_m, strict=False)]
        assert max(outside) >= -1e-12
        assert box.centre_m[2] - box.half_m[2] < 0 < box.centre_m[2] + box.half_m[2]


@ROW
def test_walls_that_are_drawn_are_where_solid_ones_are_or_are_solid_themselves(name):
    spec = small(name)
    solid = KINDS[name].solid(spec.stage)[1:]
    for wall in spec.walls or ():
        if wall.friction is not None:
            continue
        x, y, _ = wall.world_from_body.position_m
        axis = 0 if abs(x) > abs(y) else 1
        inner = abs((x, y)[axis]) - wall.size_m[axis] / 2
        faces = [abs(box.centre_m[axis]) - box.half_m[axis] for box in solid]
        assert min(abs(inner - face) for face in faces) < 1e-12
    assert bool(spec.walls) == (name in HAVE_WALLS)


@ROW
def test_only_a_belt_moves_and_its_parts_with_it(name):
    p = pytest.importorskip("pybullet")
    assert p
    from simgen.scene.simulate import simulate

    spec = small(name)
    trajectory = simulate(replace(spec, parts=spec.parts[:3], settle_s=0.1))
    speed = KINDS[name].surface_speed_m_s(spec.stage)
    assert (speed != 0) == (name in MOVE)
    expected = [speed * spec.frame_interval_s * frame for frame in range(spec.frames)]
    assert [trajectory.surface_shift_m(frame) for frame in range(spec.frames)] == expected


def test_a_belt_alone_is_open_at_its_ends():
    stage = scene([]).stage
    count = {name: len(kind.solid(stage)) for name, kind in KINDS.items()}
    assert count == {"table": 5, "bin": 5, "belt": 3, "tray": 5, "scatter": 5, "feeder": 3}


def test_the_shift_of_a_belt_with_a_shutter_is_that_of_the_moments_times():
    pytest.importorskip("pybullet")
    from simgen.scene.simulate import simulate
    from simgen.spec.scene import ShutterSpec

    spec = replace(
        scene([], belt_speed_m_s=0.3, frames=3), shutter=ShutterSpec(exposure_s=0.004, row_time_s=1e-5, subframes=3)
    )
    trajectory = simulate(spec)
    assert len(trajectory.times_s) == 9
    np.testing.assert_array_equal(trajectory.surface_shifts_m, 0.3 * trajectory.times_s)
    assert simulate(replace(spec, stage=replace(spec.stage, belt_speed_m_s=0.0))).surface_shifts_m is None


def test_scattered_parts_lie_clear_of_one_another_while_there_is_room():
    area = replace(AREA, half_m=(1.0, 1.0), pile_share=0.0)
    models, poses = dropped("table", count=12, area=area)
    low = [transform(pose, model.vertices_m)[:, 2].min() for model, pose in zip(models, poses, strict=True)]
    assert low == pytest.approx([DROP_M] * 12, abs=1e-9)
    at = np.array([pose.position_m[:2] for pose in poses])
    reach = np.array([np.linalg.norm(model.vertices_m[:, :2], axis=1).max() for model in models])
    apart = np.linalg.norm(at[:, None] - at[None], axis=2) - (reach[:, None] + reach[None])
    assert apart[np.triu_indices(12, 1)].min() > 0


def test_parts_that_find_no_free_spot_start_higher_than_those_before_them():
    crowded = replace(AREA, half_m=(0.005, 0.005), pile_share=0.0)
    models, poses = dropped("table", count=6, area=crowded)
    low = [transform(pose, model.vertices_m)[:, 2].min() for model, pose in zip(models, poses, strict=True)]
    assert low[0] == pytest.approx(DROP_M)
    assert min(low[1:]) > 0.03


@pytest.mark.parametrize(("share", "cosine"), [(0.0, 0.0), (1.0, 1.0)])
def test_standing_share_stands_bolts_up_or_lays_them_down(share, cosine):
    area = replace(AREA, half_m=(2.0, 2.0), standing_share=share, pile_share=0.0)
    drop, rng, bolt = KINDS["table"].drop(area), np.random.default_rng(0), part_model(FamilySize("hex_bolt", "M8x80"))
    for _ in range(8):
        pose = drop.next_pose(bolt, rng)
        tip, origin = transform(pose, np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
        assert abs((tip - origin)[2]) == pytest.approx(cosine, abs=1e-9)


def test_flat_parts_lie_either_way_up_whatever_the_standing_share():
    drop = KINDS["table"].drop(replace(AREA, half_m=(2.0, 2.0), standing_share=0.0, pile_share=0.0))
    rng, washer = np.random.default_rng(0), part_model(FamilySize("washer", "M10"))
    up = [transform(drop.next_pose(washer, rng), np.array([[0.0, 0.0, 1.0]]))[0, 2] for _ in range(30)]
    assert {round(z) for z in up} == {-1, 1}


def test_parts_start_upstream_of_where_they_are_seen():
    _, here = dropped("belt")
    _, upstream = dropped("belt", area=replace(AREA, upstream_m=0.7))
    shift = np.array([pose.position_m for pose in upstream]) - [pose.position_m for pose in here]
    np.testing.assert_allclose(shift, [[-0.7, 0.0, 0.0]] * len(here), atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "table"),
        ({"belt_speed_m_s": (0.1, 0.2)}, "belt"),
        ({"belt_speed_m_s": (-0.2, 0.0)}, "belt"),
        ({"wall_height_m": (0.05, 0.1)}, "bin"),
    ],
)
def test_the_knobs_choose_the_kind(changes, name):
    assert kind_name(knobs(**changes)) == name


@pytest.mark.parametrize(("preset", "name"), [("bin", "bin"), ("conveyor", "belt")])
def test_a_preset_is_of_the_kind_that_its_name_says(preset, name):
    assert kind_name(load_config(preset).stage) == name


def test_a_bin_that_runs_is_refused_when_the_config_is_read():
    with pytest.raises(SimgenError, match="a stage with walls stands still"):
        load_config("conveyor", ["stage.wall_height_m={low: 0.1, high: 0.1}"])


def test_a_table_and_a_belt_store_no_kind_and_a_bin_does():
    stored = {name: json.loads(small(name).to_json())["stage"].get("kind") for name in KINDS}
    assert stored == {name: None if name in ("table", "belt") else name for name in KINDS}


def test_a_belt_that_was_drawn_with_speed_zero_is_a_belt_still():
    stage = with_kind(scene([]).stage, "belt")
    assert stage.kind == "belt"
    assert scene_kind(stage) is KINDS["belt"]


def test_an_unknown_kind_is_named_with_those_that_exist():
    with pytest.raises(KeyError, match=r"no scene kind 'carousel'; there are \['belt', 'bin', 'feeder', "):
        scene_kind(replace(scene([]).stage, kind="carousel"))


def test_a_bin_of_an_older_data_set_loads_and_falls_as_it_did():
    """Version 0.1 stored a bin's walls at the end of the clutter, and no kind."""
    pytest.importorskip("pybullet")
    from simgen.scene.simulate import simulate

    new = small("bin")
    new = replace(new, parts=new.parts[:4], settle_s=0.2)
    stored = json.loads(new.to_json())
    stored["clutter"] += stored.pop("walls")
    del stored["stage"]["kind"]
    old = from_plain(SceneSpec, stored)
    assert old.walls is None
    assert old.fixtures == new.fixtures
    np.testing.assert_array_equal(simulate(old).positions_m, simulate(new).positions_m)


def test_fixtures_are_clutter_then_walls():
    spec = small("bin")
    assert spec.fixtures == (*spec.clutter, *spec.walls)
    assert len(spec.walls) == 4
    bare = scene([part("washer", "M8")])
    assert bare.fixtures == ()
