"""Differences of JSON-like values: all of them, at their paths, and none between equal values."""

from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simgen.spec.differences import Difference, differences

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
KEYS = st.text("abc", min_size=1, max_size=2)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_a_value_does_not_differ_from_its_copy(value: Any) -> None:
    assert list(differences(value, deepcopy(value))) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES, VALUES)
def test_differences_exist_exactly_where_values_are_unequal_and_swap_with_them(one: Any, other: Any) -> None:
    forth, back = list(differences(one, other)), list(differences(other, one))
    assert bool(forth) == (_without_nulls(one) != _without_nulls(other))
    assert {(d.path, repr(d.before), repr(d.after)) for d in forth} == {
        (d.path, repr(d.after), repr(d.before)) for d in back
    }


def _without_nulls(value: Any) -> Any:
    """A missing key and a key with None are the same."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def test_paths_lead_to_the_value() -> None:
    before = {"light": {"lamps": [{"kind": "area"}, {"kind": "spot"}], "sun": 1}, "seed": 5}
    after = {"light": {"lamps": [{"kind": "area"}, {"kind": "ring"}], "sun": 1}, "seed": 6, "belt": {"speed": 0.2}}
    assert list(differences(before, after)) == [
        Difference("light.lamps[1].kind", "spot", "ring"),
        Difference("seed", 5, 6),
        Difference("belt", None, {"speed": 0.2}),
    ]


def test_lists_of_other_lengths_differ_as_a_whole() -> None:
    assert list(differences({"a": [1, 2]}, {"a": [1]})) == [Difference("a", [1, 2], [1])]
    assert list(differences((1, 2), (1, 3))) == [Difference("[1]", 2, 3)]


def test_values_of_other_kinds_differ_as_a_whole() -> None:
    assert list(differences([1], {"a": 1})) == [Difference("", [1], {"a": 1})]
    assert list(differences({"a": "12"}, {"a": ["1", "2"]})) == [Difference("a", "12", ["1", "2"])]
