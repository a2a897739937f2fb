"""Every mistake in a YAML file is answered with its file, line and key, what came, and what would do."""
# ruff: noqa: E501 (tables of messages)

import json

import pytest

from simgen.presets.explain import _all_dotted
from simgen.presets.layers import presets
from simgen.presets.read import load_config
from simgen.scene.config import SceneConfig
from simgen.spec.errors import ConfigError


def problems(path, *overrides):
    with pytest.raises(ConfigError) as caught:
        load_config(str(path), overrides)
    return [line.replace(f"{path.parent}/", "") if hasattr(path, "parent") else line for line in caught.value.problems]


@pytest.fixture
def scene(tmp_path):
    def write(text, name="scene.yaml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.mark.parametrize("preset", presets())
def test_every_preset_loads_and_says_what_it_is(preset):
    config = load_config(preset)
    assert isinstance(config, SceneConfig)
    assert SceneConfig.model_validate_json(config.model_dump_json(), strict=True) == config
    assert presets()[preset].endswith(".")


def test_there_are_presets():
    assert {"bolts_on_table", "conveyor", "tiny"} <= presets().keys()


CASES = {
    "wrong key": ("light:\n  ambiant_intensity: {low: 1, high: 2}",
                  "scene.yaml:3: light.ambiant_intensity: no such knob; did you mean 'ambient_intensity'?"),
    "wrong group": ("lihgt:\n  glow_count: {low: 1, high: 2}", "scene.yaml:2: lihgt: no such knob; did you mean 'light'?"),
    "right key, wrong group": ("camera:\n  jpeg_quality: {low: 1, high: 2}",
                               "scene.yaml:3: camera.jpeg_quality: no such knob here; did you mean 'sensor.jpeg_quality'?"),
    "key of a knob": ("light:\n  azimuth_deg:\n    low: 1\n    hihg: 2",
                      "scene.yaml:5: light.azimuth_deg.hihg: no such knob; did you mean 'high'?"),
    "key under a name": ("parts:\n  kinds:\n    hex_nut: {wieght: 1}",
                         "scene.yaml:4: parts.kinds.hex_nut.wieght: no such knob; did you mean 'weight'?"),
    "text for a number": ("light:\n  azimuth_deg: {low: north}", "scene.yaml:3: light.azimuth_deg.low: needs a number, got 'north'"),
    "quoted number": ("light:\n  azimuth_deg: {low: '1'}", "scene.yaml:3: light.azimuth_deg.low: needs a number, got '1'"),
    "truth for a number": ("light:\n  azimuth_deg: {low: true}", "scene.yaml:3: light.azimuth_deg.low: needs a number, got True"),
    "text for a knob": ("light:\n  azimuth_deg: north",
                        "scene.yaml:3: light.azimuth_deg: needs a number, or a group with the keys low, high, got 'north'"),
    "fraction for a count": ("parts:\n  count: 2.5",
                             "scene.yaml:3: parts.count: needs a whole number, or a group with the keys low, high, got 2.5"),
    "number for a choice": ("sensor:\n  demosaic: 3",
                            "scene.yaml:3: sensor.demosaic: needs a name, or a group with the keys weights, got 3"),
    "fixed beyond the bounds": ("camera:\n  focal_px: -400",
                                "scene.yaml:3: camera.focal_px: needs 1 to 1e+06 px, got -400.0: a length in the picture"),
    "part by half": ("parts:\n  kinds:\n    gear: {weight: 1}",
                     "scene.yaml:4: parts.kinds.gear: no part 'gear'; did you mean 'spur_gear'? there are ball_bearing, "),
    "no size": ("parts:\n  kinds:\n    hex_nut: {diameter_mm: 5.5}",
                "scene.yaml:4: parts.kinds.hex_nut: ISO 4032 has no size in"),
    "only an unknown part": ("parts:\n  only: [gear]",
                             "scene.yaml:3: parts.only: no kind 'gear' in parts.kinds; there are hex_bolt, hex_nut,"),
    "only a number": ("parts:\n  only: 3", "scene.yaml:3: parts.only: needs a list of names, such as [hex_bolt, washer], got 3"),
    "two views": ("camera:\n  hfov_deg: 40\n  focal_px: 400", "scene.yaml:2: camera: hfov_deg and focal_px are the same"),
    "no view": ("camera:\n  focal_px: null", "scene.yaml:2: camera: missing focal_px or hfov_deg"),
    "a view of no camera": ("camera:\n  hfov_deg: 180", "scene.yaml:3: camera.hfov_deg: needs 0.05 to 175 deg, got 180.0"),
    "list for a knob": ("light:\n  azimuth_deg: [1, 2]",
                        "scene.yaml:3: light.azimuth_deg: needs a number, or a group with the keys low, high, got [1, 2]"),
    "fraction of a pixel": ("camera:\n  width_px: 320.5", "scene.yaml:3: camera.width_px: needs a whole number, got 320.5"),
    "out of range": ("camera:\n\n  width_px: 3", "scene.yaml:4: camera.width_px: needs 16 to 8192 px, got 3: images"),
    "not a number": ("light:\n  azimuth_deg: {low: .nan}",
                     "scene.yaml:3: light.azimuth_deg: needs finite low <= high, got low=nan, high=360.0"),
    "low above high": ("light:\n  azimuth_deg:\n    low: 500",
                       "scene.yaml:3: light.azimuth_deg: needs finite low <= high, got low=500.0, high=360.0"),
    "no weights": ("stage:\n  sheets: {weights: {}}",
                   "scene.yaml:3: stage.sheets: needs at least one name with a weight above 0, none below or over 1e9, got {}"),
    "emptied group": ("light:\n", "scene.yaml:2: light: missing; it needs elevation_deg,"),
    "unknown part": ("parts:\n  kinds:\n    hex_nat: {weight: 1, diameter_mm: {low: 5, high: 6}, length_mm: {low: 0, high: 0}}",
                     "scene.yaml:4: parts.kinds.hex_nat: no part 'hex_nat'; did you mean 'hex_nut'?"),
    "unknown texture": ("texture:\n  top:\n    texture: {weights: {plian: 1}}",
                        "scene.yaml:4: texture.top.texture.weights.plian: no texture 'plian'; did you mean 'plain'?"),
    "unknown renderer": ("render:\n  renderer: tinny", "scene.yaml:3: render.renderer: no renderer 'tinny'; did you mean 'tiny'?"),
    "twice": ("light: {}\ncamera: {}\nlight: {}", "scene.yaml:4: light: is given twice, first at scene.yaml:2"),
    "not YAML": ("light: [1, 2", "scene.yaml:3: not YAML: expected ',' or ']', but got '<stream end>' (while parsing a flow sequence, begun in line 2)"),
    "tab": ("light:\n\tlow: 3", "scene.yaml:3: not YAML: found character '\\t' that cannot start any token"),
    "alias": ("light: &a {}\ncamera: *a", "scene.yaml:3: aliases (*name) are not supported; write the value again"),
    "python tag": ("light: !!python/object/apply:os.system ['true']", "scene.yaml:2: light: the tag"),
    "list as a key": ("? [a]\n: 1", "scene.yaml:2: the whole file: a key must be a plain word"),
    "two documents": ("---\na: 1\n", "scene.yaml:2: not YAML: but found another document"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_with_its_line(scene, case):
    text, expected = CASES[case]
    result = problems(scene(f"base: tiny\n{text}\n"))
    assert len(result) == 1
    assert result[0].startswith(expected)


def test_all_mistakes_come_at_once(scene):
    result = problems(scene("base: tiny\nlight: {azimut_deg: {low: 1}}\ncamera:\n  width_px: x\n"))
    assert [line.split(": ")[0] for line in result] == ["scene.yaml:2", "scene.yaml:4"]


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_asked_for_a_base(scene, text):
    (line,) = problems(scene(text))
    groups = sum(field.is_required() for field in SceneConfig.model_fields.values())
    assert groups > 8
    assert line.startswith(f"scene.yaml: missing parts, stage, texture, clutter, light, camera and {groups - 6} more: ")
    assert "start with the line 'base: demo'" in line


def test_a_file_without_a_base_that_lacks_a_knob_is_asked_for_one_beside_its_other_faults(scene):
    whole = json.loads(load_config("tiny").model_dump_json())
    del whole["lens"], whole["sensor"]["gain"]
    whole["timing"]["frames"] = 0
    first, second = problems(scene(json.dumps(whole)))
    assert first.startswith("scene.yaml: missing lens, sensor.gain: ")
    assert second.startswith("scene.yaml:1: timing.frames: needs 1 to 1000, got 0")


def test_a_misspelt_key_is_not_reported_as_missing_too(scene):
    whole = load_config("tiny").model_dump_json().replace('"gamma"', '"gama"')
    assert problems(scene(whole)) == ["scene.yaml:1: sensor.gama: no such knob; did you mean 'gamma'?"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [(b"a: \xff", "not UTF-8 text: byte 3 is 0xff"), (b"[" * 20000, "nested more than 30 deep"), (b"#" * 2**21, "more than the 1048576 bytes")],
)  # fmt: skip
def test_files_that_are_no_config(tmp_path, raw, message):
    (tmp_path / "scene.yaml").write_bytes(raw)
    assert message in problems(tmp_path / "scene.yaml")[0]


def test_a_file_that_is_no_mapping_and_one_that_is_not_there(scene, tmp_path):
    assert problems(scene("- 1")) == ["scene.yaml:1: needs groups such as 'light:', got [1]"]
    assert problems(tmp_path / "none.yaml")[0].startswith("no file")
    assert "no file" in problems(scene("base: ./other.yaml"))[0]


def test_an_unknown_preset_gets_the_list_and_a_suggestion():
    (line,) = problems("convayor")
    assert line.startswith(
        "no preset 'convayor'; did you mean 'conveyor'? there are belt, belt_line, belt_memory, bin, bolts_on_table, conveyor,"
    )


def test_a_preset_inherits_and_a_circle_is_found(scene, tmp_path):
    scene("base: tiny\nlight:\n  azimuth_deg: {low: 10}\n", "a.yaml")
    child = load_config(str(scene("base: ./a.yaml\nlight:\n  azimuth_deg: {high: 20}\n", "b.yaml")))
    assert (child.light.azimuth_deg.low, child.light.azimuth_deg.high) == (10, 20)
    assert child.sensor == load_config("tiny").sensor
    scene("base: b.yaml\n", "a.yaml")
    assert problems(tmp_path / "b.yaml") == ["a.yaml:1: base: inherits from itself: b -> a -> b"]
    assert problems(scene("base: c.yaml", "c.yaml")) == ["c.yaml:1: base: inherits from itself: c -> c"]
    assert problems(scene("base: [a]", "c.yaml")) == ["c.yaml:1: base: needs a preset's name or a path, got ['a']"]


def test_weights_are_replaced_and_null_takes_away(scene):
    path = scene("base: conveyor\nparts: {kinds: {hex_nut: null}}\nstage: {sheets: {weights: {none: 2}}}\n")
    config = load_config(str(path))
    assert "hex_nut" in load_config("conveyor").parts.kinds
    assert "hex_nut" not in config.parts.kinds
    assert config.stage.sheets.weights == {"none": 2}


@pytest.mark.parametrize("number", ["1e-3", "0.001", "1.0E-3", ".001"])
def test_numbers_are_read_as_people_write_them(number):
    config = load_config("tiny", [f"light.azimuth_deg.low={number}"])
    assert config.light.azimuth_deg.low == 0.001


def test_overrides_change_what_they_name_and_nothing_else():
    base = load_config("bolts_on_table")
    moved = load_config("bolts_on_table", ["light.azimuth_deg={low: 7, high: 9}", "stage.sheets.weights.none=5"])
    assert (moved.light.azimuth_deg.low, moved.light.azimuth_deg.high) == (7, 9)
    assert moved.stage.sheets.weights == {**base.stage.sheets.weights, "none": 5}
    light = moved.light.model_copy(update={"azimuth_deg": base.light.azimuth_deg})
    stage = moved.stage.model_copy(update={"sheets": base.stage.sheets})
    assert moved.model_copy(update={"light": light, "stage": stage}) == base


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("light.ambiant.low=3", "--set: light.ambiant: no such knob"),
        ("light.azimuth_deg.low=500", "--set: light.azimuth_deg: needs finite low <= high, got low=500.0, high=360.0"),
        ("light.azimuth_deg.low=x", "--set: light.azimuth_deg.low: needs a number, got 'x'"),
        ("light.azimuth_deg.low=", "--set: light.azimuth_deg.low: missing"),
        ("light.azimuth_deg.low.x=1", "--set: light.azimuth_deg.low.x: light.azimuth_deg.low is 0, not a group"),
        ("camera.width_px=[1", "--set camera.width_px:1: not YAML"),
        ("camera.width_px", "--set: 'camera.width_px': needs key=value"),
        ("camera..width_px=3", "--set: 'camera..width_px=3': needs key=value"),
        ("=3", "--set: '=3': needs key=value"),
        ("render.renderer=x", "--set: render.renderer: no renderer 'x'; there are"),
    ],
)
def test_a_wrong_override_is_named_as_one(override, expected):
    (line,) = problems("tiny", override)
    assert line.startswith(expected)


def test_suggestions_know_every_group():
    assert {name.split(".")[0] for name in _all_dotted(SceneConfig, "")} == SceneConfig.model_fields.keys()
