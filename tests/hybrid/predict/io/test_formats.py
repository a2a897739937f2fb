"""Result files are read back as they were written, for any results, and damaged ones are refused by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid.core.errors import DataError
from hybrid.predict.io.formats import read_coco_results, read_mot, write_coco_results, write_mot
from hybrid.predict.result import Result

CATEGORIES = ("bolt", "nut", "washer")
ROUND_TRIP = settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # each example writes the same file anew


def results(seed: int, frames: int) -> list[Result]:
    rng, made = np.random.default_rng(seed), []
    for frame in range(frames):
        count = int(rng.integers(6))
        corners = rng.uniform(0, 900, (count, 2)).round(1)
        boxes = np.concatenate([corners, corners + rng.uniform(0.5, 90, (count, 2)).round(1)], 1).astype(np.float32)
        tracks = np.where(rng.random(count) < 0.7, rng.permutation(count), -1)
        scores = rng.random(count).round(4).astype(np.float32)
        labels = rng.integers(0, 3, count)
        made.append(Result(f"frame {frame + 1}", None, boxes, scores, labels, CATEGORIES, tracks))
    return made


@given(seed=st.integers(0, 10_000), frames=st.integers(0, 4))
@ROUND_TRIP
def test_a_coco_list_is_read_back_as_it_was_written(tmp_path: Path, seed: int, frames: int) -> None:
    made = results(seed, frames)
    path = write_coco_results(made, tmp_path / "results.json")
    read = read_coco_results(path, [one.name for one in made], CATEGORIES)
    for one, other in zip(made, read, strict=True):
        np.testing.assert_allclose(one.boxes_xyxy_px, other.boxes_xyxy_px, atol=1e-3)
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.track_ids, other.track_ids)


@given(seed=st.integers(0, 10_000), frames=st.integers(0, 4))
@ROUND_TRIP
def test_mot_lines_keep_every_track_and_nothing_else(tmp_path: Path, seed: int, frames: int) -> None:
    made = results(seed, frames)
    path = write_mot(made, tmp_path / "tracks.txt")
    for one, other in zip(made, read_mot(path, len(made)), strict=True):
        tracked = one.track_ids >= 0
        np.testing.assert_array_equal(one.track_ids[tracked], other.track_ids)
        np.testing.assert_allclose(one.boxes_xyxy_px[tracked], other.boxes_xyxy_px, atol=0.02)
        np.testing.assert_allclose(one.scores[tracked], other.scores, atol=1e-4)
        assert set(other.names) <= {"object"}


ROW = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("{", "no JSON: line 1"),
        ([ROW | {"bbox": [0, 0, 5]}], "a box of 3 numbers"),
        ([ROW | {"image_id": 2}], "image 2 .* there are 1 images"),
        ([ROW | {"image_id": 0}], "image 0"),
        ([ROW | {"category_id": 0}], "a label outside the 3 categories"),
        ([ROW | {"category_id": 4}], "a label outside the 3 categories"),
        ([ROW | {"score": 1.01}], r"a score outside 0\.\.1"),
        ([ROW | {"bbox": [0, 0, 0, 5]}], "has no area"),
        ([ROW | {"track_id": 3}, ROW | {"track_id": 3}], "given twice"),
        ([{"image_id": 1}], "no COCO result list"),
    ],
)
def test_a_damaged_coco_list_is_refused(rows: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    with pytest.raises(DataError, match=message):
        read_coco_results(path, ["a"], CATEGORIES)
    path.write_text(json.dumps([ROW]))
    assert read_coco_results(path, ["a"], CATEGORIES)[0].track_ids.tolist() == [-1]


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.floats(), max_size=5)
)
KEYS = ["image_id", "bbox", "score", "category_id", "track_id"]
ROWS = st.lists(VALUES | st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=3)
LIKELY = st.fixed_dictionaries({
    "image_id": st.integers(0, 3), "category_id": st.integers(0, 3) | VALUES, "track_id": st.integers() | VALUES,
    "bbox": st.lists(st.floats() | st.integers(), min_size=4, max_size=4), "score": st.floats(0, 1) | VALUES,
})  # fmt: skip


def answer(call: Callable[[], list[Result]]) -> list[Result] | str:
    try:
        return call()
    except DataError as error:
        return str(error)


@given(rows=ROWS | st.lists(LIKELY, max_size=3) | VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_list_of_results_is_read_or_refused_by_name(rows: object, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(rows))
    read = answer(lambda: read_coco_results(tmp_path / "r.json", ["a", "b"], ("bolt", "nut")))
    assert "r.json" in read if isinstance(read, str) else [one.name for one in read] == ["a", "b"]


@given(st.lists(st.lists(st.floats().map(str) | st.integers().map(str) | st.text(max_size=3), max_size=8), max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lines_of_tracks_are_read_or_refused_by_name(tmp_path: Path, rows: list[list[str]]) -> None:
    (tmp_path / "r.txt").write_bytes("\n".join(map(",".join, rows)).encode("utf-8", "surrogatepass"))
    read = answer(lambda: read_mot(tmp_path / "r.txt", 3))
    assert "r.txt" in read if isinstance(read, str) else len(read) == 3
