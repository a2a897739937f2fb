"""A begun run as its folder says, however damaged; folds of whole sessions; and what a search may try."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.record import EXPERIMENT, Experiment, write_experiment
from pipelines.common.tuning.auto import MOST_FOLDS, folds
from pipelines.common.tuning.begun import Begun, begun_in
from pipelines.common.tuning.replay import SHARE, share_of
from pipelines.common.tuning.space import REAL, WHOLE, knobs

RECORD = Experiment(script="finetune_real", data="photos.json", kind="real", trained_on=("1",))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, Begun(RECORD)),
        ([], Begun(RECORD)),
        ({"model": {}}, Begun(RECORD)),
        ({"model": {"categories": ["a"]}, "data": [{"weight": None}]}, Begun(RECORD)),
        ({"model": {"categories": ["a", "b"]}, "data": [{"weight": 1}]}, Begun(RECORD, ("a", "b"))),
        ({"model": {"categories": ["a"]}, "data": [{"weight": 0.8}, {"weight": 0.2}]}, Begun(RECORD, ("a",), 0.2)),
        ({"model": {"categories": ["a"]}, "data": [{"weight": 0.3}] * 3}, Begun(RECORD, ("a",))),
    ],
)
def test_what_a_begun_run_has_is_read_as_far_as_it_stands_there(tmp_path: Path, config: Any, expected: Begun) -> None:
    assert begun_in(tmp_path) is None
    write_experiment(tmp_path, RECORD)
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    begun = begun_in(tmp_path)
    assert begun == expected
    assert share_of(None, begun) == (SHARE if expected.sim_share is None else expected.sim_share)
    assert share_of(0.0, begun) == 0.0  # what the user says counts, also nothing


@pytest.mark.parametrize("name", [EXPERIMENT, "config.json"])
def test_a_damaged_folder_is_as_none(tmp_path: Path, name: str) -> None:
    write_experiment(tmp_path, RECORD)
    (tmp_path / name).write_text('{"script": ')
    assert begun_in(tmp_path) is None


@given(st.lists(st.integers(0, 8), min_size=2, max_size=40).filter(lambda sessions: len(set(sessions)) > 1))
def test_folds_are_of_whole_sessions_and_none_is_larger_than_need_be(sessions: list[int]) -> None:
    dealt = folds(sessions)
    assert len(dealt) == min(MOST_FOLDS, len(set(sessions)))
    assert sorted(one for fold in dealt for one in fold) == sorted(set(sessions))
    sizes = [sum(sessions.count(one) for one in fold) for fold in dealt]
    assert min(sizes) >= 1
    smallest = min(
        sessions.count(one) for fold in dealt if sum(map(sessions.count, fold)) == max(sizes) for one in fold
    )
    assert max(sizes) - smallest <= min(sizes)  # the largest had the least when its last session came


NAMES = st.sampled_from([*REAL, *WHOLE])


@settings(max_examples=25)
@given(NAMES, st.integers(1, 99), st.integers(1, 99), st.booleans())
def test_a_range_holds_its_ends_and_nothing_beyond_and_a_list_holds_its_values(
    name: str, low: int, width: int, stated: bool
) -> None:
    (knob,) = knobs([f"{name}={low},{low + width}" if stated else f"{name}={low}..{low + width}"], None)
    assert knob.name == name
    assert knob.holds(low)
    assert knob.holds(low + width)
    assert not knob.holds(low + width + 1)
    assert knob.holds(low + 0.5) is not stated
    assert (knob.choices == (low, low + width)) is stated
