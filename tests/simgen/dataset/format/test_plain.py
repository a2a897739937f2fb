"""Dataclasses from what JSON made of them: exact round trips, and a message with the path of what does not fit."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NewType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simgen.dataset.format.plain import from_plain

TrackId = NewType("TrackId", int)


@dataclass(frozen=True)
class Point:
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Thing:
    name: str
    track: TrackId
    at: Point
    corners: tuple[Point, ...]
    size: tuple[int, float]
    whole: bool
    near: Point | None
    extra: Mapping[str, Any]
    added: int = 7  # in files of before it was added it is missing
    lists: tuple[int, ...] = field(default_factory=tuple)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
POINTS = st.builds(Point, NUMBERS, NUMBERS)
THINGS = st.builds(
    Thing,
    name=st.text(),
    track=st.integers().map(TrackId),
    at=POINTS,
    corners=st.lists(POINTS, max_size=3).map(tuple),
    size=st.tuples(st.integers(), NUMBERS),
    whole=st.booleans(),
    near=st.none() | POINTS,
    extra=st.dictionaries(st.text(), st.integers() | st.text(), max_size=2),
    added=st.integers(),
    lists=st.lists(st.integers(), max_size=3).map(tuple),
)
ONE = Thing(
    name="a", track=TrackId(1), at=Point(0.5, 1.0), corners=(Point(0.0, 1.0),), size=(1, 2.0), whole=True, near=None,
    extra={},
)  # fmt: skip


def plain(thing: Thing = ONE) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(thing)))  # type: ignore[no-any-return]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(THINGS)
def test_a_value_survives_json(thing: Thing) -> None:
    back = from_plain(Thing, plain(thing))
    assert back == thing
    assert type(back.corners) is tuple
    assert type(back.size) is tuple


def test_a_whole_number_is_a_float_where_one_belongs() -> None:
    """Other programs write 1.0 as 1."""
    back = from_plain(Thing, {**plain(), "at": {"x": 1, "y": 2}})
    assert back.at == Point(1.0, 2.0)
    assert type(back.at.x) is float


def test_what_was_added_since_has_its_default() -> None:
    old = {key: value for key, value in plain().items() if key not in ("added", "lists")}
    assert from_plain(Thing, old) == ONE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, r"Thing\.name: needs <class 'str'>, got 3"),
        ({"track": 1.0}, r"Thing\.track: needs <class 'int'>, got 1\.0"),
        ({"track": True}, r"Thing\.track: needs <class 'int'>, got True"),
        ({"whole": 1}, r"Thing\.whole: needs <class 'bool'>, got 1"),
        ({"at": None}, r"Thing\.at: needs the keys \['x', 'y'\], got None"),
        ({"at": {"x": 1.0}}, r"Thing\.at: needs the keys \['x', 'y'\], got \['x'\]"),
        ({"at": {"x": 1.0, "y": 2.0, "z": 3.0}}, r"Thing\.at: needs the keys .*got \['x', 'y', 'z'\]"),
        ({"at": {"x": True, "y": 2.0}}, r"Thing\.at\.x: needs <class 'float'>, got True"),
        ({"at": {"x": "1.0", "y": 2.0}}, r"Thing\.at\.x: needs <class 'float'>, got '1\.0'"),
        ({"corners": [{"x": 1.0, "y": 2.0}, {"x": 1.0, "y": []}]}, r"Thing\.corners\[1\]\.y: needs <class 'float'>"),
        ({"corners": {}}, r"Thing\.corners: needs tuple.*got \{\}"),
        ({"size": [1]}, r"Thing\.size: needs tuple\[int, float\], got \[1\]"),
        ({"size": [1, 2.0, 3.0]}, r"Thing\.size: needs tuple"),
        ({"near": {"x": 1.0, "y": None}}, r"Thing\.near\.y: needs <class 'float'>, got None"),
        ({"extra": [1]}, r"Thing\.extra: needs .*Mapping.*got \[1\]"),
        ({"unknown": 1}, r"Thing: needs the keys"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_plain(Thing, {**plain(), **change})


def test_a_message_does_not_repeat_a_large_value() -> None:
    with pytest.raises(ValueError, match="needs") as caught:
        from_plain(Thing, {**plain(), "name": ["x" * 10_000]})
    assert len(str(caught.value)) < 200
