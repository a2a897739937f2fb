"""The loss of simulated scenes regressed on what was drawn for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from pipelines.gap.effects import drawn as module
from pipelines.gap.effects.drawn import LEAST_SCENES, MOST_ROWS, drawn, drawn_values, losses, slope
from pipelines.gap.effects.scene_values import NO_VALUES, SceneValues
from pipelines.gap.schema.effects import Drawn
from tests.pipelines.gap.sections.measured import invented

SCENES = 100


def values_of(columns: dict[str, np.ndarray], **more: object) -> SceneValues:
    count = len(next(iter(columns.values())))
    return SceneValues(columns, np.zeros(count, np.int64), **more)  # type: ignore[arg-type]


def world(seed: int = 0, keys: int = 20, scenes: int = SCENES) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"knob.{k}": rng.uniform(0, 10, scenes) for k in range(keys)}


def rows(found: Drawn) -> dict[str, float]:
    """The values whose effect is beyond chance."""
    return {one.key: one.effect.value or 0.0 for one in found.rows if (one.effect.p_holm or 0.0) < 0.05}


def test_the_one_value_that_the_loss_depends_on_is_named_with_what_it_costs() -> None:
    columns = world()
    loss = 20 + 3 * columns["knob.7"] + np.random.default_rng(1).normal(0, 4, SCENES)
    found = drawn(loss, values_of(columns), 0.5)
    assert list(rows(found)) == ["knob.7"]
    row = found.rows[0]
    assert (row.low, row.high) == pytest.approx(np.quantile(columns["knob.7"], [0.05, 0.95]))
    assert row.effect.value == pytest.approx(3 * (row.high - row.low), abs=3)
    assert row.effect.low is not None
    assert row.effect.high is not None
    assert row.effect.low < 3 * (row.high - row.low) < row.effect.high
    assert found.tested == 20
    assert len(found.rows) == MOST_ROWS
    assert found.loss.value == pytest.approx(loss.mean())
    assert found.loss.low == pytest.approx(loss.mean() - 1.984 * loss.std(ddof=1) / 10, abs=0.01)
    assert row.effect.p_holm == pytest.approx(20 * (row.effect.p or 0.0))


def test_a_value_that_wins_has_a_negative_effect() -> None:
    columns = world()
    loss = 60 - 3 * columns["knob.2"] + np.random.default_rng(1).normal(0, 4, SCENES)
    assert rows(drawn(loss, values_of(columns), 0.5))["knob.2"] < -20


def test_permuted_values_find_nothing() -> None:
    columns, rng = world(), np.random.default_rng(2)
    loss = 20 + 3 * columns["knob.7"] + rng.normal(0, 4, SCENES)
    found = [drawn(rng.permutation(loss), values_of(columns), 0.5) for _ in range(40)]
    assert sum(bool(rows(one)) for one in found) <= 5  # 5 % of 40 are 2
    assert all(len(one.rows) == MOST_ROWS for one in found)


def test_without_the_correction_permuted_values_would_find_something() -> None:
    columns, rng = world(keys=100), np.random.default_rng(3)
    found = drawn(rng.normal(20, 4, SCENES), values_of(columns), 0.5)
    assert (found.rows[0].effect.p or 1.0) < 0.05
    assert rows(found) == {}


def test_a_value_drawn_on_a_logarithmic_scale_is_regressed_on_it() -> None:
    rng = np.random.default_rng(4)
    columns = {"light": np.exp(rng.uniform(np.log(0.01), np.log(100), SCENES)), "other": rng.uniform(0, 1, SCENES)}
    loss = 30 + 2 * np.log(columns["light"]) + rng.normal(0, 1, SCENES)
    found = drawn(loss, values_of(columns, logarithmic=frozenset({"light"})), 0.5)
    row = next(one for one in found.rows if one.key == "light")
    assert row.effect.value == pytest.approx(2 * np.log(row.high / row.low), rel=0.05)
    assert 0.005 < row.low < 0.05
    plain = drawn(loss, values_of(columns), 0.5)
    assert next(one for one in plain.rows if one.key == "light").effect.value != pytest.approx(
        row.effect.value, rel=0.2
    )


@pytest.mark.parametrize(("scenes", "status"), [(LEAST_SCENES - 1, "too_few"), (LEAST_SCENES, "measured")])
def test_sixty_scenes_are_needed(scenes: int, status: str) -> None:
    columns = world(scenes=scenes)
    loss = np.random.default_rng(0).normal(20, 4, scenes)
    found = drawn(loss, values_of(columns), 0.5)
    assert found.loss.status == status
    if status == "too_few":
        assert found.rows == ()
        assert found.loss.note.startswith("1 more simulated scenes are needed that no run learned from: 59 of 60")
    without = drawn(np.where(np.arange(scenes) == 0, np.nan, loss), values_of(columns), 0.5)
    assert without.loss.status == "too_few"


def test_what_is_drawn_in_few_scenes_or_hardly_varies_is_not_tested() -> None:
    columns = world(keys=2) | {"rare": np.where(np.arange(SCENES) < 59, 1.0 * np.arange(SCENES), np.nan)}
    columns |= {"same": np.where(np.arange(SCENES) < 4, 2.0, 1.0)}
    found = drawn(np.random.default_rng(0).normal(20, 4, SCENES), values_of(columns, left_out=("3 scenes",)), 0.5)
    assert {one.key for one in found.rows} == {"knob.0", "knob.1"}
    assert found.tested == 2
    assert found.left_out == ("1 values drawn in fewer than 60 scenes, such as rare", "3 scenes")


def test_two_data_sets_that_differ_in_level_and_range_are_no_effect() -> None:
    rng, sets = np.random.default_rng(5), np.repeat([0, 1], SCENES // 2)
    columns = {"knob": rng.uniform(0, 1, SCENES) + 5 * sets}
    loss = 20 + 30 * sets + rng.normal(0, 4, SCENES)
    assert rows(drawn(loss, replace(values_of(columns), sets=sets), 0.5)) == {}
    assert list(rows(drawn(loss, values_of(columns), 0.5))) == ["knob"]


def test_the_slope_and_its_error_are_those_of_ordinary_algebra() -> None:
    rng = np.random.default_rng(6)
    x, sets = rng.uniform(0, 1, 40), rng.integers(0, 3, 40)
    y = 2 * x + sets + rng.normal(0, 1, 40) * (0.2 + x)
    found = slope(x, y, sets)
    assert found is not None
    design = np.concatenate([x[:, None], np.eye(3)[sets]], 1)
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ y
    hat = np.einsum("ij,jk,ik->i", design, inverse, design)
    meat = design.T @ (design * (((y - design @ beta) / (1 - hat)) ** 2)[:, None])
    assert found.value == pytest.approx(beta[0])
    assert found.error == pytest.approx(np.sqrt((inverse @ meat @ inverse)[0, 0]))
    assert found.freedom == 36
    assert slope(np.ones(40), y, sets) is None
    assert slope(sets * 1.0, y, sets) is None


BOXES = np.array([[0, 0, 20, 20], [40, 0, 60, 20], [80, 0, 100, 20], [120, 0, 140, 20]], np.float32)


def scene(found: list[int], scores: list[float]) -> tuple[Detections, FrameRecord]:
    """Four parts; a detection of each index, those over 3 beside all parts."""
    boxes = np.concatenate([BOXES, BOXES + np.array([0, 100, 0, 100], np.float32)])[found].reshape(-1, 4)
    record = FrameRecord(
        name="f", path=Path("f.png"), width_px=200, height_px=200, boxes_xyxy_px=BOXES, labels=np.zeros(4, np.int64)
    )
    return Detections(
        torch.from_numpy(boxes), torch.tensor(scores), torch.zeros(len(found), dtype=torch.int64)
    ), record  # fmt: skip


def test_the_loss_is_one_minus_f1_at_the_score_in_use() -> None:
    cases = [
        scene([0, 1, 2, 3], [0.9, 0.9, 0.9, 0.9]),  # all right
        scene([0, 1, 2, 4], [0.9, 0.9, 0.4, 0.9]),  # 2 right, 1 false, 2 missed at 0.5
        scene([], []),
    ]
    empty = replace(cases[0][1], boxes_xyxy_px=np.zeros((0, 4), np.float32), labels=np.zeros(0, np.int64))
    clips = [Clip(f"{k}", (record,)) for k, (_, record) in enumerate(cases)]
    two = Clip("two", (cases[0][1], cases[1][1]))
    source = ClipSource("sim", ("bolt",), (*clips, Clip("no part", (empty,)), two))
    detections = [one for one, _ in cases] + [cases[2][0], cases[0][0], cases[1][0]]
    got = losses(detections, source, 0.5)
    assert got[:3] == pytest.approx([0.0, 100 * (1 - 4 / 7), 100.0])
    assert np.isnan(got[3])
    assert got[4] == pytest.approx(100 * (1 - 12 / 15))
    assert losses(detections, source, 0.3)[1] == pytest.approx(100 * (1 - 6 / 8))


def test_two_labels_of_one_object_are_no_false_alarm() -> None:
    found, record = scene([0, 1, 2, 3, 3], [0.9, 0.9, 0.9, 0.9, 0.8])
    twice = Detections(found.boxes_xyxy_px, found.scores, torch.tensor([0, 0, 0, 0, 1]))
    source = ClipSource("sim", ("bolt", "nut"), (Clip("0", (record,)),))
    assert losses([twice], source, 0.5)[0] == 0.0


def test_values_are_read_where_there_are_enough_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        module, "scene_values", lambda place, source, show: asked.append(place) or values_of(world(scenes=60))
    )
    found, record = scene([0, 1, 2, 4], [0.9, 0.9, 0.4, 0.9])
    few = ClipSource("sim", ("bolt",), tuple(Clip(f"{k}", (record,)) for k in range(59)))
    more = replace(few, clips=(*few.clips, Clip("59", (record,))))
    run = invented("sim", 0, 0, True)
    assert drawn_values(run, Path("sim"), few, [found] * 59, 0.5).loss.status == "too_few"
    assert asked == []
    whole = drawn_values(run, Path("sim"), more, [found] * 60, None)
    assert asked == [Path("sim")]
    assert whole.loss.value == pytest.approx(100 * (1 - 6 / 8))  # the run's own score is 0.3
    assert "make sure" not in whole.note
    unknown = replace(run, experiment=replace(run.experiment, trained_on=()))  # type: ignore[type-var]
    assert "make sure" in drawn_values(unknown, Path("sim"), more, [found] * 60, None).note
    assert drawn(np.full(80, 5.0), replace(NO_VALUES, missing="no simgen"), 0.5).loss.note == "no simgen"
