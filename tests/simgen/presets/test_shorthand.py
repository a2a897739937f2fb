"""Fixed values, single names, only some parts, and a field of view that holds for every resolution."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simgen.presets.knobs import knobs
from simgen.presets.layers import presets
from simgen.presets.read import load_config
from simgen.presets.shorthand import with_same_view, written_out
from simgen.scene.config.camera import focal_of
from simgen.scene.sampling.sample import sample
from simgen.spec.errors import ConfigError


@pytest.fixture
def preset(tmp_path):
    def write(text, name="own.yaml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def views_deg(config):
    """The least and the largest horizontal field of view."""
    camera = config.camera
    return sorted(
        2 * math.degrees(math.atan(camera.width_px / 2 / f)) for f in (camera.focal_px.low, camera.focal_px.high)
    )


def test_a_number_is_a_fixed_value_in_a_file_and_in_an_override(preset):
    config = load_config(preset("base: tiny\ncamera: {focal_px: 400}\nparts: {count: 7}\nclutter: {size_m: 0.1}\n"))
    assert (config.camera.focal_px.low, config.camera.focal_px.high) == (400, 400)
    assert (config.parts.count.low, config.parts.count.high) == (7, 7)
    assert config == load_config("tiny", ["camera.focal_px=400", "parts.count=7", "clutter.size_m=0.1"])


def test_every_range_can_be_fixed_by_a_number():
    ranges = [row for row in knobs() if row.type.startswith("range")]
    assert len(ranges) > 100
    for row in ranges:
        nested = written_out(_nested(row.path.replace("*", "hex_bolt").split("."), 3))
        for key in row.path.replace("*", "hex_bolt").split("."):
            nested = nested[key]
        assert nested == {"low": 3, "high": 3}, row.path


def _nested(path, value):
    return value if not path else {path[0]: _nested(path[1:], value)}


def test_one_end_of_a_fixed_value_can_be_moved_by_a_layer_above(preset):
    preset("base: tiny\nlight: {azimuth_deg: 30}\n", "below.yaml")
    config = load_config(preset("base: ./below.yaml\nlight: {azimuth_deg: {high: 50}}\n"), ["light.azimuth_deg.low=20"])
    assert (config.light.azimuth_deg.low, config.light.azimuth_deg.high) == (20, 50)


def test_a_name_is_the_only_choice():
    config = load_config("belt", ["sensor.demosaic=bilinear", "stage.sheets=covering"])
    assert config.sensor.demosaic.weights == {"bilinear": 1}
    assert config.stage.sheets.weights == {"covering": 1}


@pytest.mark.parametrize("value", ["true", "[1, 2]", "north", ""])
def test_what_is_no_number_is_no_fixed_value(value):
    with pytest.raises(ConfigError, match=r"--set: light\.azimuth_deg"):
        load_config("tiny", [f"light.azimuth_deg={value}"])


def test_only_some_parts_are_those_without_the_others(preset):
    only = load_config(preset("base: tiny\nparts: {only: [hex_bolt, washer]}\n"))
    without = load_config(preset("base: tiny\nparts: {kinds: {hex_nut: null, hex_screw: null}}\n"))
    assert only == without
    assert only.model_dump(mode="json") == without.model_dump(mode="json")
    assert {part.source.kind for part in sample(only, 1, 0).parts} <= {"hex_bolt", "washer"}
    assert load_config("tiny", ["parts.only=[hex_nut]"]).parts.kinds.keys() == {"hex_nut"}


def test_only_parts_that_are_never_drawn_are_refused():
    with pytest.raises(ConfigError, match="all weights are 0"):
        load_config("tiny", ["parts.only=[hex_nut]", "parts.kinds.hex_nut.weight=0"])


@pytest.mark.parametrize("name", presets())
@pytest.mark.parametrize("width", [160, 1920])
def test_another_width_leaves_the_field_of_view(name, width):
    config, wide = load_config(name), load_config(name, [f"camera.width_px={width}"])
    assert wide.camera.width_px == width
    assert views_deg(wide) == pytest.approx(views_deg(config), rel=1e-12)
    same = {"width_px": config.camera.width_px, "focal_px": config.camera.focal_px}
    assert wide.model_copy(update={"camera": wide.camera.model_copy(update=same)}) == config


def test_another_width_in_a_layer_leaves_the_field_of_view_and_a_focal_length_beside_it_holds(preset):
    wide = load_config(preset("base: conveyor\ncamera: {width_px: 640}\n"))
    assert (wide.camera.focal_px.low, wide.camera.focal_px.high) == (760, 900)
    given_too = load_config(preset("base: conveyor\ncamera: {width_px: 640, focal_px: {low: 500, high: 700}}\n"))
    assert (given_too.camera.focal_px.low, given_too.camera.focal_px.high) == (500, 700)


@pytest.mark.parametrize("turned", [False, True])
def test_the_order_of_overrides_does_not_matter_to_the_view(turned):
    overrides = ["camera.width_px=640", "camera.focal_px.low=500", "camera.focal_px.high=700"]
    config = load_config("conveyor", overrides[::-1] if turned else overrides)
    assert (config.camera.width_px, config.camera.focal_px.low, config.camera.focal_px.high) == (640, 500, 700)


def test_a_field_of_view_is_a_focal_length_in_pixels_of_any_width(preset):
    path = preset("base: conveyor\ncamera: {hfov_deg: {low: 30, high: 60}}\n")
    for overrides in ([], ["camera.width_px=1280"], ["camera.hfov_deg.low=20"]):
        config = load_config(path, overrides)
        assert views_deg(config) == pytest.approx([20 if "low" in str(overrides) else 30, 60])
        assert config.camera.hfov_deg is None
        assert "hfov_deg" not in config.model_dump()["camera"]
    fixed = load_config(path, ["camera.focal_px=400"])
    assert (fixed.camera.focal_px.low, fixed.camera.focal_px.high) == (400, 400)


def test_the_focal_length_of_a_right_angle_is_half_the_width():
    assert focal_of(90.0, 640) == pytest.approx(320)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
                        st.sampled_from(["camera", "width_px", "focal_px", "hfov_deg", "low", "parts", "kinds", "x"]),
                        inner, max_size=3), max_leaves=10))  # fmt: skip
def test_any_layer_can_be_written_out_twice_and_laid_on_any_other(layer):
    once = written_out(layer)
    assert repr(written_out(once)) == repr(once)
    if isinstance(once, dict):
        assert with_same_view(once, once).keys() == once.keys()
