"""Trays, heaps, belts with fittings, what passes through, and data sets of several places."""

import json
import math
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from pydantic import ValidationError

from simgen.assets.parts import part_model
from simgen.dataset.format.plain import from_plain
from simgen.labels.boxes import annotate
from simgen.presets.read import load_config
from simgen.renderers import render
from simgen.scene.config import BeltKnobs, BridgeKnobs, PassingKnobs, StageKnobs
from simgen.scene.kinds import KINDS, draw_kind, with_kind
from simgen.scene.kinds.drop import DropArea, lying_size_m
from simgen.scene.kinds.setting import Setting, bar
from simgen.scene.sampling.parts import Ground, stock
from simgen.scene.sampling.passing import PASSING, draw_passing
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate
from simgen.spec.errors import ConfigError
from simgen.spec.geometry import invert, transform
from simgen.spec.knobs import Choice, IntRange, Uniform
from simgen.spec.scene import FamilySize, SceneSpec
from tests.simgen.scenes import part as one_part
from tests.simgen.scenes import scene

FULL = ["stage.tray={empty_share: 0, wrong_share: 0, columns: 4, rows: 3}", "parts.kinds.hex_bolt.diameter_mm=10"]


@cache
def drawn(preset, *changes, index=0):
    return sample(load_config(preset, list(changes)), 7, index)


@cache
def conveyor():
    return load_config("conveyor")


def outside_m(body, points_m):
    """How far points are from a box, each axis by itself; 0 inside."""
    local = transform(invert(body.world_from_body), points_m)
    return np.maximum(np.abs(local) - np.asarray(body.size_m) / 2, 0).max(axis=1)


def test_each_part_of_a_tray_lies_in_a_nest_of_its_own_clear_of_the_ribs():
    spec = drawn("tray", "parts.only=hex_bolt", *FULL)
    assert len({part.source for part in spec.parts}) == 1
    assert len(spec.walls) == 5 + 4
    assert len(spec.parts) == 12
    for part in spec.parts:
        corners = transform(part.world_from_part, part_model(part.source).corners_m)
        assert 0 < corners[:, 2].min() < 0.001
        assert min(outside_m(wall, corners).min() for wall in spec.walls) > 0
    columns = sorted({round(part.world_from_part.position_m[1], 2) for part in spec.parts})
    assert 3 <= len(columns) <= 6  # bolts lie either way round in three rows
    assert spec.stage.sheets[-1].rgb == spec.stage.sides.rgb  # the tray's floor


def test_parts_of_a_tray_stay_in_their_nests():
    pytest.importorskip("pybullet")
    from simgen.scene.simulate import simulate_checked

    spec = drawn("tray", "parts.only=hex_bolt", *FULL)
    path, fault = simulate_checked(spec)
    assert not fault
    start = np.array([part.world_from_part.position_m for part in spec.parts])
    assert np.abs(path.positions_m[-1] - start)[:, :2].max() < 0.012
    heights = [lying_size_m(part_model(part.source))[2] for part in spec.parts]
    assert (path.positions_m[-1, :, 2] < heights).all()


def test_a_tray_has_empty_nests_and_wrong_parts_as_often_as_its_knobs_say():
    shares = {"empty_share": 0.25, "wrong_share": 0.3, "columns": 6, "rows": 5}
    config = load_config("tray", [f"stage.tray={json.dumps(shares)}", "stage.length_m=3", "stage.width_m=3"])
    stage, parts = replace(drawn("tray").stage, size_m=(3.0, 3.0)), stock(config.parts)
    full, wrong = 0, 0
    for seed in range(20):
        setting = KINDS["tray"].furnish(stage, config.stage, parts, np.random.default_rng(seed))
        assert len(setting.nests) == len(setting.contents)
        (_, most), *_ = Counter(setting.contents).most_common(1)
        full, wrong = full + len(setting.contents), wrong + len(setting.contents) - most
    assert full / 600 == pytest.approx(0.75, abs=0.06)
    assert wrong / full == pytest.approx(0.3, abs=0.07)  # a wrong one may be of the right size by chance


def test_what_does_not_fit_into_a_nest_starts_above_the_ribs():
    config = load_config("tray", ["parts.only=[hex_bolt, hex_nut]", "stage.tray={wrong_share: 0.5, empty_share: 0}"])
    lifted = 0
    for index in range(3):
        spec = sample(config, 7, index)
        top_m = spec.walls[0].size_m[2]
        for part in spec.parts:
            low = transform(part.world_from_part, part_model(part.source).corners_m)[:, 2].min()
            assert low == pytest.approx(0.0005) or low == pytest.approx(top_m + 0.0005)
            lifted += low > 0.001
    assert lifted


def test_heaps_of_a_scatter_are_narrow_and_their_parts_start_clear_of_each_other():
    spec = drawn("scatter", "stage.scatter={heaps: 1, radius_m: 0.02}", "parts.count=30")
    at = np.array([part.world_from_part.position_m for part in spec.parts])
    assert at[:, :2].std(axis=0) == pytest.approx([0.02, 0.02], rel=0.4)
    reach = np.array([part_model(part.source).radius_m for part in spec.parts])
    apart = np.linalg.norm(at[:, None] - at[None], axis=2) - (reach[:, None] + reach[None])
    assert apart[np.triu_indices(30, 1)].min() > -1e-9


def test_parts_are_laid_clear_of_what_stands_on_the_belt_and_rides_on_it():
    stage = scene([], belt_speed_m_s=0.3).stage
    plate = bar(stage, (0.15, 0.008, 0.03), (0.05, 0.03), -math.pi / 6)
    cleats = tuple(bar(stage, (0.006, 0.4, 0.02), (x, 0.0), rides=True) for x in (-0.25, 0.25))
    setting = Setting(walls=(plate,), riding=cleats, loop_m=1.0)
    area = DropArea(half_m=(0.9, 0.15), upstream_m=0.4, standing_share=0.0, pile_share=0.0, setting=setting)
    drop, rng, washer = KINDS["belt"].drop(area), np.random.default_rng(0), part_model(FamilySize("washer", "M16"))
    poses = [drop.next_pose(washer, rng) for _ in range(25)]
    low = [pose for pose in poses if pose.position_m[2] < 0.01]
    assert len(low) > 15
    for pose in low:
        corners = transform(pose, washer.corners_m)
        assert outside_m(plate, corners).min() > 0
        for cleat in cleats:
            x = (corners[:, 0] - cleat.world_from_body.position_m[0] + 0.5) % 1 - 0.5
            assert np.abs(x).min() > 0.003
    assert min(pose.position_m[0] for pose in low) < -0.8  # cleats come again there


@pytest.mark.parametrize(("share", "walls", "riding"), [
    ("guide_share", 2, 0), ("gate_share", 1, 0), ("diverter_share", 1, 0), ("cleat_share", 0, 4)])  # fmt: skip
def test_each_fitting_of_a_belt_has_a_share_of_its_own_and_is_solid(share, walls, riding):
    fixed = {"cleat_pitch_m": Uniform(0.25, 0.25), "guide_inset_m": Uniform(0.02, 0.02)}
    knobs = conveyor().stage.model_copy(
        update={"belt": BeltKnobs.model_validate({share: 1.0}).model_copy(update=fixed)}
    )
    stage = scene([], belt_speed_m_s=0.3, size_m=(1.0, 0.3)).stage
    setting = KINDS["belt"].furnish(stage, knobs, stock(conveyor().parts), np.random.default_rng(0))
    assert (len(setting.walls), len(setting.riding)) == (walls, riding)
    assert len(setting.solid) == walls + riding
    for body in setting.solid:
        assert body.friction > 0
        assert bool(body.rides) == (share == "cleat_share")
        assert body.world_from_body.position_m[2] == pytest.approx(body.size_m[2] / 2)
    area = Ground(stage, setting).area(spread=1.0, standing_share=0.0, pile_share=0.0)
    assert area.half_m[1] == pytest.approx(0.15 - (0.02 + 0.012 if share == "guide_share" else 0.0))


def test_a_bridge_stands_over_the_belt_and_lets_all_parts_pass_below():
    for reach, bodies in ((1.4, 3), (0.4, 2)):
        knobs = BridgeKnobs(
            count=IntRange(2, 2), at_m=Uniform(0.1, 0.1), run_m=Uniform(0.06, 0.06), clear_m=Uniform(0.07, 0.07),
            reach=Uniform(reach, reach),
        )  # fmt: skip
        stage = scene([], belt_speed_m_s=0.3, size_m=(1.0, 0.3)).stage
        config = conveyor().stage.model_copy(update={"belt": BeltKnobs(bridges=knobs)})
        setting = KINDS["belt"].furnish(stage, config, stock(conveyor().parts), np.random.default_rng(0))
        assert (len(setting.above), setting.walls, setting.solid) == (2 * bodies, (), ())
        slab, *posts = setting.above[:bodies]
        assert slab.size_m[0] == 0.06
        assert slab.world_from_body.position_m[0] == 0.1
        assert slab.world_from_body.position_m[2] - slab.size_m[2] / 2 == pytest.approx(0.07)
        ends = [slab.world_from_body.position_m[1] + side * slab.size_m[1] / 2 for side in (-1, 1)]
        covered = min(ends[1], 0.15) - max(ends[0], -0.15)
        assert covered == pytest.approx(0.3 * min(reach, 1))
        assert all(abs(post.world_from_body.position_m[1]) > 0.15 for post in posts)


def test_bridges_move_nothing_else_and_belts_without_them_are_as_before():
    plain = drawn("belt_line")
    bridged = drawn("belt_line", "stage.belt.bridges={count: {low: 1, high: 1}}")
    assert len(bridged.occluders) == len(plain.occluders) + 3
    assert replace(bridged, occluders=plain.occluders) == plain
    assert "bridges" not in load_config("belt_line").model_dump_json()
    again = load_config("belt_memory").model_dump(mode="json")["stage"]["belt"]["bridges"]
    assert again["run_m"] == {"low": 0.03, "high": 0.11}


def test_a_bridge_hides_what_lies_below_it_and_nothing_beside_it():
    knobs = BridgeKnobs(count=IntRange(1, 1), at_m=Uniform(0.0, 0.0), run_m=Uniform(0.06, 0.06))
    config = conveyor().stage.model_copy(update={"belt": BeltKnobs(bridges=knobs)})
    nuts = [one_part("hex_nut", "M8", (x, 0.0, 0.01)) for x in (0.0, 0.09)]
    spec = scene(nuts, belt_speed_m_s=0.3, size_m=(1.0, 0.3), frames=1, settle_s=0.0)
    above = KINDS["belt"].furnish(spec.stage, config, stock(conveyor().parts), np.random.default_rng(0)).above
    spec = replace(spec, occluders=above)
    trajectory = simulate(spec)
    (frame,) = render(spec, trajectory)
    (labels,) = annotate(spec, trajectory, frame.ids[None]).frames
    assert [part.visible_share for part in labels.parts] == [0.0, pytest.approx(1.0, abs=0.05)]
    assert labels.parts[0].amodal_box_xyxy_px is not None


def test_a_belt_with_fittings_is_stored_and_read_again():
    spec = drawn("belt_line", "stage.belt.cleat_share=1", "stage.belt.stop_share=1")
    assert spec.stage.cycle is not None
    assert any(body.rides for body in spec.occluders)
    assert from_plain(SceneSpec, json.loads(spec.to_json())) == spec


@pytest.mark.parametrize("kind", sorted(PASSING))
def test_what_passes_is_over_the_stage_amid_the_clip_and_stays_in_one_piece(kind):
    stage = scene([]).stage
    knobs = PassingKnobs(
        share=1.0, kinds=Choice({kind: 1.0}), height_m=Uniform(0.07, 0.07), speed_m_s=Uniform(0.4, 0.4)
    )
    for seed in range(5):
        bodies = draw_passing(knobs, stage, 2.0, np.random.default_rng(seed))
        assert len({body.velocity_m_s for body in bodies}) == 1
        velocity = np.array(bodies[0].velocity_m_s)
        assert np.linalg.norm(velocity) == pytest.approx(0.4)
        assert velocity[2] == 0
        middle = [np.array(body.world_from_body.position_m) + velocity * 1.0 for body in bodies]
        assert min(np.abs(at[:2] / stage.size_m).max() for at in middle) < 0.5
        unit = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
        corners = [transform(body.world_from_body, unit * body.size_m) for body in bodies]
        assert min(at[:, 2].min() for at in corners) == pytest.approx(0.07, abs=0.012)
    assert draw_passing(None, stage, 2.0, np.random.default_rng(0)) == ()
    never = knobs.model_copy(update={"share": 0.0})
    assert draw_passing(never, stage, 2.0, np.random.default_rng(0)) == ()


def test_a_preset_of_several_kinds_draws_them_by_weight_and_a_place_that_stands_has_no_speed():
    config = load_config("line_mix", ["stage.kinds={weights: {table: 1, belt: 3}}"])
    rng = np.random.default_rng(0)
    names = [draw_kind(config.stage, rng) for _ in range(200)]
    assert names.count("belt") == pytest.approx(150, abs=20)
    assert names.count("table") == 200 - names.count("belt")
    stage = drawn("belt_line").stage
    assert with_kind(stage, "table").belt_speed_m_s == 0.0
    assert with_kind(stage, "feeder").belt_speed_m_s == stage.belt_speed_m_s > 0
    still = drawn("line_mix", "stage.kinds={weights: {table: 1}}")
    assert (still.frame_times_s, still.stage.cycle, still.walls, still.stage.belt_speed_m_s) == (None, None, None, 0.0)


def test_the_draw_of_the_kind_moves_nothing_else():
    table = drawn("conveyor", "stage.kinds={weights: {table: 1}}")
    belt = drawn("conveyor")
    assert (table.light, table.camera, table.clutter) == (belt.light, belt.camera, belt.clutter)
    assert replace(table.stage, belt_speed_m_s=belt.stage.belt_speed_m_s, kind=None) == belt.stage
    assert drawn("conveyor", "stage.kinds={weights: {belt: 1}}") == belt


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": Choice({"bin": 1.0})}, "kinds: bin needs walls: give wall_height_m"),
        ({"kinds": Choice({"belt": 1.0}), "belt_speed_m_s": Uniform(0.0, 0.0)}, "kinds: belt needs a belt that moves"),
        ({"tray": {}, "scatter": {}}, "a scene is of one kind: of tray, feeder and scatter give one"),
        ({"belt": {"gate_share": 2.0}}, "needs 0 to 1 share, got 2.0"),
    ],
)
def test_knobs_that_do_not_go_together_are_refused(changes, message):
    values = {name: getattr(conveyor().stage, name) for name in StageKnobs.model_fields}
    with pytest.raises(ValidationError, match=message):
        StageKnobs.model_validate({**values, **changes})


def test_unknown_names_are_refused_when_a_preset_is_read():
    with pytest.raises(ConfigError, match="no scene kind 'carousel'"):
        load_config("conveyor", ["stage.kinds={weights: {carousel: 1}}"])
    with pytest.raises(ConfigError, match="no thing that passes 'drone'"):
        load_config("conveyor", ["clutter.passing={kinds: {weights: {drone: 1}}}"])
