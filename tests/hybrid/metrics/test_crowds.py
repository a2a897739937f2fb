"""What a COCO JSON states, crowds included, is measured as pycocotools measures it."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from hybrid.data.coco import read_coco
from hybrid.metrics.detection import SIZE_BINS_PX, matched_frames, operating_score, score
from hybrid.metrics.video import average_precision

WIDTH, HEIGHT = 96, 64
IDS = {7: "bolt", 11: "washer"}
NAMES = tuple(IDS.values())
Row = tuple[list[int], int, bool]  # xywh, category id, crowd


@st.composite
def boxes(draw: st.DrawFn) -> list[int]:
    x, y = draw(st.integers(0, WIDTH - 5)), draw(st.integers(0, HEIGHT - 5))
    return [x, y, draw(st.integers(4, WIDTH - x)), draw(st.integers(4, HEIGHT - y))]


rows = st.tuples(boxes(), st.sampled_from([*IDS]), st.booleans())
frames_of_rows = st.lists(st.lists(rows, max_size=5), min_size=1, max_size=3)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[list[Row]], list[list[tuple[list[int], int, float]]]]:
    """Annotations, and detections: those that are near one, and others."""
    truth = draw(frames_of_rows)
    detections = []
    for frame in truth:
        near = [box for box, _, _ in frame]
        some = st.one_of(boxes(), st.sampled_from(near)) if near else boxes()
        scores = st.sampled_from([0.125, 0.25, 0.5, 0.5, 0.75, 0.875])
        detections.append(draw(st.lists(st.tuples(some, st.sampled_from([*IDS]), scores), max_size=8)))
    return truth, detections


def _document(truth: list[list[Row]]) -> dict[str, Any]:
    flat = [(k + 1, *row) for k, frame in enumerate(truth) for row in frame]
    return {
        "images": [{"id": k + 1, "file_name": f"{k}.png", "width": WIDTH, "height": HEIGHT} for k in range(len(truth))],
        "annotations": [
            {"id": n, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3],
             "iscrowd": int(crowd)}
            for n, (image, box, category, crowd) in enumerate(flat, 1)
        ],
        "categories": [{"id": key, "name": name} for key, name in IDS.items()],
    }  # fmt: skip


def _by_pycocotools(document: dict[str, Any], detections: list[list[Any]]) -> tuple[np.ndarray, np.ndarray]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    results = [
        {"image_id": image, "category_id": category, "bbox": box, "score": confidence}
        for image, frame in enumerate(detections, 1)
        for box, category, confidence in frame
    ]
    none = {"image_id": 1, "category_id": 7, "bbox": [0, 0, 0, 0], "score": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = document
        known.createIndex()
        judge = COCOeval(known, known.loadRes(results or [none]), "bbox")
        judge.params.areaRng = [[0, 1e12], *([low**2, min(1e12, high**2)] for low, high in SIZE_BINS_PX.values())]
        judge.params.areaRngLbl = ["all", *SIZE_BINS_PX]
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][..., -1], judge.eval["recall"][..., -1]


def _mean(values: np.ndarray) -> float | None:
    return float(values[values > -1].mean()) if (values > -1).any() else None


def _detections(detections: list[Any]) -> Detections:
    xywh = torch.tensor([box for box, _, _ in detections], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([[*IDS].index(category) for _, category, _ in detections], dtype=torch.int64)
    scores = torch.tensor([confidence for _, _, confidence in detections], dtype=torch.float32)
    return Detections(torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1), scores, labels)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for k in range(3):
        cv2.imwrite(str(folder / f"{k}.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    return folder


def _read(folder: Path, document: dict[str, Any]) -> tuple[FrameRecord, ...]:
    (folder / "a.json").write_text(json.dumps(document))
    return read_coco(folder / "a.json", NAMES).frames


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scene=scenes())
def test_what_is_read_is_measured_as_pycocotools_measures_the_file(scene: Any, photos: Path) -> None:
    truth, found = scene
    truth = [list({(tuple(row[0]), *row[1:]): row for row in frame}.values()) for frame in truth]
    if not any(not crowd for frame in truth for _, _, crowd in frame):
        return
    document = _document(truth)
    frames, detections = _read(photos, document), [_detections(frame) for frame in found]
    ours = score(detections, frames, NAMES)
    precision, recall = _by_pycocotools(document, found)
    assert ours.overall.ap == pytest.approx(_mean(precision[..., 0]), abs=1e-6)
    assert ours.overall.ar == pytest.approx(_mean(recall[..., 0]), abs=1e-6)
    assert average_precision(matched_frames(detections, frames)) == pytest.approx(_mean(precision[0, ..., 0]), abs=1e-6)
    for k, name in enumerate(NAMES):
        wanted = _mean(precision[:, :, k, 0])
        assert ours.by_category[name].ap == (None if wanted is None else pytest.approx(wanted, abs=1e-6))
    for k, name in enumerate(SIZE_BINS_PX):
        wanted = _mean(precision[..., 1 + k])
        assert ours.by_size[name].ap == (None if wanted is None else pytest.approx(wanted, abs=1e-6))


CROWD: list[list[Row]] = [[([0, 0, 20, 20], 7, False), ([40, 20, 50, 40], 7, True)]]
IN_CROWD = [([41 + 9 * k, 30, 8, 9], 7, 0.75) for k in range(4)]


def test_detections_in_a_crowd_are_neither_right_nor_wrong(photos: Path) -> None:
    frames = _read(photos, _document(CROWD))
    detections = [_detections([([0, 0, 20, 20], 7, 0.5), *IN_CROWD])]
    assert score(detections, frames, NAMES).overall.ap == pytest.approx(1.0)
    assert matched_frames(detections, frames).correct.tolist() == [True]
    assert operating_score(detections, frames) == pytest.approx(0.5)
    others = [_detections([([0, 0, 20, 20], 7, 0.5), *[(box, 11, s) for box, _, s in IN_CROWD]])]
    assert matched_frames(others, frames).correct.tolist() == [False] * 4 + [
        True
    ]  # a crowd of bolts is none of washers


def test_a_region_of_every_category_ignores_all(photos: Path) -> None:
    (frame,) = _read(photos, _document(CROWD))
    frames = [replace(frame, ignore_labels=np.array([-1]))]
    detections = [_detections([([0, 0, 20, 20], 7, 0.5), *IN_CROWD, *[(box, 11, s) for box, _, s in IN_CROWD]])]
    assert matched_frames(detections, frames).correct.tolist() == [True]
    assert score(detections, frames, NAMES).overall.ap == pytest.approx(1.0)
