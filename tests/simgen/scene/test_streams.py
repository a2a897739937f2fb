"""Each group of knobs draws from its own stream: another group's draws stay as they are (DESIGN, law 3)."""

import json
from functools import cache

import pytest

from simgen.presets.read import load_config
from simgen.scene.config import SceneConfig
from simgen.scene.sampling.sample import sample

# For each group: one knob that is drawn from its stream, and the fields of SceneSpec that may follow it. What is listed
# beside the group's own field is computed from it: auto exposure follows the light, parts start upstream of a longer
# clip, everything round the stage follows its size.
GROUPS = {
    "parts": ({"spread": {"low": 0.1, "high": 0.2}}, {"parts"}),
    "stage": ({"length_m": {"low": 2.0, "high": 2.5}}, {"stage", "parts", "camera", "clutter", "occluders"}),
    "texture": ({"top": {"roughness": {"low": 0.1, "high": 0.2}}}, {"stage"}),
    "clutter": ({"ring_m": {"low": 2.0, "high": 3.0}}, {"clutter"}),
    "light": ({"key_intensity": {"low": 9.0, "high": 10.0}}, {"light", "sensor"}),
    "camera": ({"roll_deg": {"low": 30.0, "high": 40.0}}, {"camera"}),
    "lens": ({"k1": {"low": -0.3, "high": -0.2}}, {"camera"}),
    "shutter": ({"subframes": 3, "exposure_s": {"low": 0.001, "high": 0.002}}, {"shutter"}),
    "sensor": ({"gamma": {"low": 1.5, "high": 1.6}}, {"sensor"}),
    "timing": ({"frame_interval_s": {"low": 0.2, "high": 0.3}}, {"frame_interval_s", "camera", "parts"}),
    "render": ({"renderer": "pathtraced"}, {"render"}),
    "matter": ({"parts": {"materials": {"weights": {"machined": 1}}}}, {"parts"}),
    "labels": ({"flow": True}, set()),
    "decoys": ({"count": {"low": 3, "high": 4}}, {"decoys"}),
}


@cache
def config():
    return load_config("tiny")


def merged(tree, changes):
    for key, value in changes.items():
        tree[key] = merged(tree[key], value) if isinstance(value, dict) and isinstance(tree.get(key), dict) else value
    return tree


def drawn(changes, index=0):
    made = SceneConfig.model_validate(merged(config().model_dump(), changes))
    return json.loads(sample(made, 3, index).to_json())


def differing(group):
    changes = {group: GROUPS[group][0]}
    fields = set()
    for index in range(2):
        before, after = drawn({}, index), drawn(changes, index)
        fields |= {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return fields


def test_every_group_of_the_config_is_here():
    assert sorted(GROUPS) == sorted(SceneConfig.model_fields)


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_a_group_moves_its_own_draws_and_what_is_computed_from_them(group):
    moved = differing(group)
    assert moved <= GROUPS[group][1]
    assert moved or group == "labels"


def test_a_longer_stage_leaves_sizes_masses_and_finishes_of_its_parts():
    before, after = drawn({}), drawn({"stage": GROUPS["stage"][0]})
    for one, other in zip(before["parts"], after["parts"], strict=True):
        del one["world_from_part"], other["world_from_part"]
        assert one == other


def test_a_finish_leaves_where_parts_lie():
    finishes = {name: {"roughness": {"low": 0.01, "high": 0.02}} for name in config().texture.finishes}
    before, after = drawn({}), drawn({"texture": {"finishes": finishes}})
    assert before["parts"] != after["parts"]
    for one, other in zip(before["parts"], after["parts"], strict=True):
        assert one["world_from_part"] == other["world_from_part"]
        assert one["material"]["rgb"] == other["material"]["rgb"]


def test_more_light_leaves_the_light_there_was():
    lamps = {
        "count": {"low": 2, "high": 2}, "kinds": {"weights": {"spot": 1}}, "distance_m": {"low": 1.0, "high": 2.0},
        "elevation_deg": {"low": 30, "high": 60}, "azimuth_deg": {"low": 0, "high": 360},
        "intensity": {"low": 0.1, "high": 0.2}, "temperature_k": {"low": 3000, "high": 6000},
        "size_m": {"low": 0.1, "high": 0.2}, "half_angle_deg": {"low": 20, "high": 30}, "aim_m": {"low": 0, "high": 0},
    }  # fmt: skip
    flicker = {
        "mains_hz": {"weights": {"50": 1}},
        "depth": {"low": 0.1, "high": 0.2},
        "exposure_s": {"low": 0.01, "high": 0.02},
    }
    plain, more = drawn({})["light"], drawn({"light": {"lamps": lamps, "flicker": flicker}})["light"]
    assert len(more.pop("lamps")) == 2
    assert more.pop("flicker")["mains_hz"] == 50
    assert more == plain


def test_the_scenes_of_a_seed_do_not_repeat():
    scenes = [drawn({}, index) for index in range(3)]
    assert len({json.dumps(scene["light"]) for scene in scenes}) == 3
    assert [scene["index"] for scene in scenes] == [0, 1, 2]
