"""Every knob has a unit, physical bounds and a meaning, and a value outside its bounds is refused with the reason."""

import contextlib
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simgen.presets.knobs import ABSENT, KnobRow, knobs
from simgen.presets.layers import find, override, presets, read_preset
from simgen.presets.read import config_of, load_config
from simgen.spec.errors import ConfigError

ROWS = list(knobs())
BOUNDED = [row for row in ROWS if row.bounds]
KINDS = ("hex_bolt", "hex_nut", "hex_screw", "washer")
NAMES = {"parts.kinds": "hex_nut", "texture.finishes": "zinc", "wear": "dust"}
UNITS = {"_px": "px", "_m": "m", "_mm": "mm", "_s": "s", "_m_s": "m/s", "_deg": "deg", "_k": "K", "_e": "e-"}
WORKSHOP = read_preset(find("workshop", Path(), ""), ())
RANGES = ("range", "range of whole numbers", "range, drawn evenly in its logarithm")


def key_of(row: KnobRow) -> str:
    """The knob's key with names that the preset workshop has."""
    group = row.path.partition(".*")[0]
    return row.path.replace("*", next((name for end, name in NAMES.items() if group.endswith(end)), ""))


def refusal(row: KnobRow, value: str) -> str:
    text = f"{{low: {value}, high: {value}}}" if row.type in RANGES else value
    with pytest.raises(ConfigError) as caught:
        config_of(override(WORKSHOP, f"{key_of(row)}={text}"))
    return caught.value.problems[0]


def test_there_are_all_knobs():
    paths = [row.path for row in ROWS]
    assert len(paths) == len(set(paths)) > 150
    assert {"parts.kinds.*.diameter_mm", "light.lamps.size_m", "matter.top.wear.*", "camera.hfov_deg"} <= set(paths)
    assert {path.split(".")[0] for path in paths} == set(type(load_config("tiny")).model_fields)
    assert len(BOUNDED) > 120


def test_every_knob_has_a_meaning_and_the_unit_that_its_name_says():
    for row in ROWS:
        assert row.meaning.endswith("."), row.path
        assert 6 < len(row.meaning) < 180, row.path
        name = row.path.rpartition(".")[2]
        ends = [end for end in UNITS if name.endswith(end)]
        if ends:
            assert row.unit == UNITS[max(ends, key=len)], row.path


def test_only_numbers_have_bounds_and_all_numbers_have():
    for row in ROWS:
        assert bool(row.bounds) == (row.type in (*RANGES, "number", "whole number")), row.path


@pytest.mark.parametrize("row", BOUNDED, ids=lambda row: row.path)
def test_a_value_beyond_the_bounds_is_refused_with_the_bounds_and_the_reason(row):
    if row.path == "camera.hfov_deg":
        pytest.skip("stands instead of focal_px")
    beyond = int(row.knob.most + 1) if "whole" in row.type else row.knob.most * 1.001 + 1e-6
    line = refusal(row, f"{beyond}")
    assert line.startswith(f"--set: {key_of(row)}: needs {row.bounds}"), line
    assert ": " in line.partition(", got ")[2], "the reason is missing"


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e999", "-1e999", "1000000000000", "-1000000000000"])
@pytest.mark.parametrize("path", ["timing.frame_interval_s", "parts.kinds.*.weight", "parts.count", "timing.frames"])
def test_no_number_is_endless(path, value):
    (row,) = (row for row in ROWS if row.path == path)
    assert refusal(row, value).startswith(f"--set: {key_of(row)}")


@pytest.mark.parametrize("value", [".nan", ".inf", "-1", "1e10"])
def test_no_weight_of_a_name_is_endless_or_negative(value):
    with pytest.raises(ConfigError, match=r"stage\.sheets: needs at least one name with a weight above 0"):
        load_config("tiny", [f"stage.sheets={{weights: {{none: {value}, covering: 1}}}}"])


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["camera.width_px=8192", "camera.height_px=8192", "render.supersample=2"], "a frame must fit in memory"),
        (["light.ambient_intensity={low: 0, high: 0}", "light.key_intensity={low: 0, high: 0}"], "nothing shines"),
        (["light.ambient_intensity={low: 0, high: 0}", "light.elevation_deg={low: 0, high: 0}"], "nothing shines"),
        ([f"parts.kinds.{kind}.weight=0" for kind in KINDS], "all weights are 0"),
    ],
)  # fmt: skip
def test_knobs_that_cannot_go_together_are_refused(overrides, says):
    with pytest.raises(ConfigError, match=says):
        load_config("tiny", overrides)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(BOUNDED), st.floats(0, 1), st.floats(0, 1))
def test_what_lies_within_the_bounds_is_accepted_or_named(row, one, other):
    """Some knobs have further rules, such as an odd number. None is answered by anything but a ConfigError."""
    low, high = (row.knob.least + share * (row.knob.most - row.knob.least) for share in sorted((one, other)))
    low, high = (math.ceil(low), math.ceil(high)) if "whole" in row.type else (low, high)
    text = f"{{low: {low}, high: {high}}}" if row.type in RANGES else f"{high}"
    with contextlib.suppress(ConfigError):
        config = config_of(override(WORKSHOP, f"{key_of(row)}={text}"))
        assert row.value_in(config)


@pytest.mark.parametrize("preset", presets())
def test_every_preset_has_a_text_for_every_knob(preset):
    config = load_config(preset)
    texts = {row.path: row.value_in(config) for row in ROWS}
    assert all(texts.values())
    assert texts["camera.width_px"] == str(config.camera.width_px)
    assert (texts["light.environment.folder"] == ABSENT) is True


def test_values_are_short_text():
    (count, sheets, weight) = (
        next(row for row in ROWS if row.path == path)
        for path in ("parts.count", "stage.sheets", "parts.kinds.*.weight")
    )
    config = load_config("tiny")
    assert count.value_in(config) == "3 to 5"
    assert sheets.value_in(config) == "none 1"
    assert "hex_bolt: 0.15" in weight.value_in(config)
