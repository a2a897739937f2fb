"""Layers of a config: what a preset changes in its base, and what --set changes in both."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simgen.presets.layers import _merged, find, override, presets, read_preset, suggest
from simgen.spec.errors import ConfigError
from simgen.spec.text.yaml_text import Tree

KEYS = st.sampled_from(["a", "b", "weights"])
TREES = st.recursive(
    st.integers() | st.text("xy", max_size=2), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
GROUPS = st.dictionaries(KEYS, TREES, max_size=3)
laws = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@laws
@given(GROUPS)
def test_an_empty_layer_changes_nothing_and_the_same_layer_twice_is_once(base: dict[str, Any]) -> None:
    assert _merged(base, {}) == base
    assert _merged({}, base) == base
    assert _merged(base, base) == base


@laws
@given(GROUPS, GROUPS)
def test_what_a_layer_says_holds_and_the_rest_is_the_bases(base: dict[str, Any], own: dict[str, Any]) -> None:
    merged = _merged(base, own)
    assert merged.keys() == base.keys() | own.keys()
    for key, value in merged.items():
        if key not in own:
            assert value == base[key]
        elif key == "weights" or not (isinstance(own[key], dict) and isinstance(base.get(key), dict)):
            assert value == own[key]
        else:
            assert value == _merged(base[key], own[key])


@laws
@given(GROUPS, GROUPS, GROUPS)
def test_layers_may_be_merged_in_any_grouping(
    base: dict[str, Any], middle: dict[str, Any], top: dict[str, Any]
) -> None:
    """Without a scalar in the place of a group, which hides what is below it."""
    if all(_alike(one, other) for one, other in ((base, middle), (middle, top), (base, top))):
        assert _merged(_merged(base, middle), top) == _merged(base, _merged(middle, top))


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) != isinstance(other, dict):
        return False
    return not isinstance(one, dict) or all(_alike(one[key], other[key]) for key in one.keys() & other.keys())


def test_null_removes_a_key_of_the_base_and_one_that_is_not_there() -> None:
    assert _merged({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": None}, "gone": None}) == {"b": {"d": 3}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("light.low=5", {"light": {"low": 5, "high": 2}, "mix": {"weights": {"x": 1, "y": 2}}}),
        (" light.low = 5", {"light": {"low": 5, "high": 2}, "mix": {"weights": {"x": 1, "y": 2}}}),
        ("mix.weights.x=9", {"light": {"low": 1, "high": 2}, "mix": {"weights": {"x": 9, "y": 2}}}),
        ("mix.weights={z: 1}", {"light": {"low": 1, "high": 2}, "mix": {"weights": {"z": 1}}}),
        ("light=", {"mix": {"weights": {"x": 1, "y": 2}}}),
        ("light.low=null", {"light": {"high": 2}, "mix": {"weights": {"x": 1, "y": 2}}}),
        ("new.group.key=a=b", {"light": {"low": 1, "high": 2}, "mix": {"weights": {"x": 1, "y": 2}},
                               "new": {"group": {"key": "a=b"}}}),
    ],
)  # fmt: skip
def test_an_override_changes_one_key(text: str, expected: dict[str, Any]) -> None:
    before = {"light": {"low": 1, "high": 2}, "mix": {"weights": {"x": 1, "y": 2}}}
    tree = override(Tree(before, {(): "scene.yaml"}), text)
    assert tree.values == expected
    assert before == {"light": {"low": 1, "high": 2}, "mix": {"weights": {"x": 1, "y": 2}}}


@pytest.mark.parametrize("text", ["light.low", "=5", "light..low=5", ".light=5", ""])
def test_an_override_without_a_key_or_a_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="needs key=value, such as"):
        override(Tree({}, {(): "scene.yaml"}), text)


def test_an_override_through_a_number_names_it() -> None:
    with pytest.raises(ConfigError, match=r"--set: light\.low\.x: light\.low is 1, not a group"):
        override(Tree({"light": {"low": 1}}, {(): "scene.yaml"}), "light.low.x=2")


def test_a_base_is_found_beside_the_file_and_marks_say_which_file_a_value_is_from(tmp_path: Any) -> None:
    (tmp_path / "base.yaml").write_text("light:\n  low: 1\n  high: 2\n")
    (tmp_path / "own.yaml").write_text("base: ./base.yaml\nlight:\n  high: 3\n")
    tree = read_preset(find("./own.yaml", tmp_path, ""), ())
    assert tree.values == {"light": {"low": 1, "high": 3}}
    assert tree.where(("light", "low")).endswith("base.yaml:2")
    assert tree.where(("light", "high")).endswith("own.yaml:3")


def test_every_preset_describes_itself_in_one_sentence() -> None:
    assert len(presets()) >= 5
    for name, text in presets().items():
        assert text.endswith("."), name
        assert 10 < len(text) < 200, name


def test_a_suggestion_is_made_where_a_name_is_close() -> None:
    assert suggest("conveyer", ["conveyor", "tiny"]) == "did you mean 'conveyor'? "
    assert suggest("zebra", ["conveyor", "tiny"]) == ""
