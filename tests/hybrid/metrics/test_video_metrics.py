"""Video's figures against COCO's API, CLEAR MOT's own program, and cases that can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import motmetrics
import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster

from hybrid.data.clips import FrameRecord
from hybrid.metrics.video import (
    FrameDetections,
    average_precision,
    false_per_frame,
    iou,
    match_detections,
    recall_at,
    score_at_false,
    score_at_recall,
    steadiness,
)


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 80, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(8, 30, (count, 2))], 1).astype(np.float32)


def record(xyxy: np.ndarray, labels: np.ndarray, track_ids: np.ndarray | None = None) -> FrameRecord:
    return FrameRecord(
        name="f", path=Path("f"), width_px=120, height_px=120, boxes_xyxy_px=xyxy, labels=labels, track_ids=track_ids
    )


def found(xyxy: np.ndarray, scores: np.ndarray, labels: np.ndarray, ids: np.ndarray | None = None) -> FrameDetections:
    none = np.full(len(scores), -1, np.int64)
    return FrameDetections(xyxy.astype(np.float32), scores.astype(np.float32), labels, none if ids is None else ids)


def scenes(rng: np.random.Generator, frames: int = 12) -> tuple[list[FrameRecord], list[FrameDetections]]:
    """Truth, and detections near it, doubled, of the wrong category and in the wrong place."""
    truth, detections = [], []
    for _ in range(frames):
        xyxy, labels = boxes(rng, 5), rng.integers(0, 2, 5)
        near = np.concatenate([xyxy + rng.normal(0, 2.5, xyxy.shape), xyxy[:2] + 1, boxes(rng, 3)])
        guesses = np.concatenate(
            [np.where(rng.random(5) < 0.15, 1 - labels, labels), labels[:2], rng.integers(0, 2, 3)]
        )
        truth.append(record(xyxy, labels))
        detections.append(found(near, rng.permutation(len(near)) / 10 + rng.random() / 100, guesses))
    return truth, detections


def coco_ap50(truth: list[FrameRecord], detections: list[FrameDetections], asked: list[np.ndarray]) -> float:
    """By the API, boxes that are not asked for being ignored as it ignores sizes that are not asked for."""
    images = [{"id": k + 1, "width": 120, "height": 120} for k in range(len(truth))]
    annotations, results = [], []
    for k, (frame, one, counted) in enumerate(zip(truth, detections, asked, strict=True)):
        for box, label, counts in zip(frame.boxes_xyxy_px.tolist(), frame.labels.tolist(), counted, strict=True):
            xywh = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            row = {"id": len(annotations) + 1, "image_id": k + 1, "category_id": label + 1, "bbox": xywh, "iscrowd": 0}
            annotations.append(row | {"area": 100.0 if counts else 1e6})
        for box, score, label in zip(one.boxes_xyxy_px.tolist(), one.scores.tolist(), one.labels.tolist(), strict=True):
            xywh = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            results.append({"image_id": k + 1, "category_id": label + 1, "bbox": xywh, "score": score})
    names = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    known = COCO({"info": {}, "images": images, "annotations": annotations, "categories": names})
    judged = COCOeval_faster(known, known.loadRes(results), iouType="bbox")
    judged.params.areaRng, judged.params.areaRngLbl = [[0.0, 1e5]], ["asked"]
    judged.params.iouThrs = np.array([0.5])
    judged.evaluate()
    judged.accumulate()
    precision = judged.eval["precision"][0, :, :, 0, -1]
    return float(precision[precision > -1].mean())


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_average_precision_is_that_of_cocos_api_with_and_without_ignored_boxes(share: float) -> None:
    rng = np.random.default_rng(3)
    truth, detections = scenes(rng)
    asked = [rng.random(len(frame.labels)) < share for frame in truth]
    ours = average_precision(match_detections(detections, truth, list(range(len(truth))), asked))
    assert ours == pytest.approx(coco_ap50(truth, detections, asked), abs=1e-6)
    assert 0.2 < ours < 0.95


def test_weights_are_repetitions() -> None:
    truth, detections = scenes(np.random.default_rng(5), 6)
    clips = [0, 0, 1, 1, 2, 2]
    weighted = average_precision(match_detections(detections, truth, clips), np.array([2.0, 0.0, 1.0]))
    order = [0, 1, 0, 1, 4, 5]
    repeated = match_detections([detections[k] for k in order], [truth[k] for k in order], [0] * 6)
    assert weighted == pytest.approx(average_precision(repeated), abs=1e-9)
    both = match_detections(detections, truth, clips)
    score = float(np.median(both.scores))
    assert false_per_frame(both, 6, score, np.array([2.0, 0.0, 1.0])) == pytest.approx(
        false_per_frame(repeated, 6, score)
    )
    assert recall_at(both, score, np.array([2.0, 0.0, 1.0])) == pytest.approx(recall_at(repeated, score))
    assert recall_at(both, score, np.array([2.0, 0.0, 1.0])) != pytest.approx(recall_at(both, score))


def test_false_detections_are_counted_at_the_score_that_reaches_a_recall() -> None:
    box = np.array([[0, 0, 10, 10], [40, 40, 60, 60]], np.float32)
    labels = np.array([0, 0])
    away = np.array([[80, 80, 90, 90]], np.float32)
    one = found(np.concatenate([box, away]), np.array([0.9, 0.5, 0.7]), np.array([0, 0, 0]))
    judged = match_detections([one], [record(box, labels)], [0])
    assert recall_at(judged, 0.6) == 0.5
    assert score_at_recall(judged, 0.5) == pytest.approx(0.9)
    assert score_at_recall(judged, 1.0) == pytest.approx(0.5)
    assert false_per_frame(judged, 1, 0.9) == 0
    assert false_per_frame(judged, 1, 0.5) == 1
    assert score_at_false(judged, 1, 0.0) == pytest.approx(0.9)
    assert score_at_false(judged, 1, 1.0) == pytest.approx(0.5)
    assert score_at_false(judged, 2, 0.49) == pytest.approx(0.9)
    assert (
        score_at_false(
            match_detections([found(away, np.array([0.9]), np.array([0]))], [record(box, labels)], [0]), 1, 0.5
        )
        > 1
    )
    assert (
        score_at_recall(match_detections([one], [record(np.concatenate([box, box + 30]), np.zeros(4, int))], [0]), 1.0)
        is None
    )


def test_nothing_to_find_has_no_precision() -> None:
    none = found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    empty = record(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    assert average_precision(match_detections([none], [empty], [0])) is None
    with pytest.raises(ValueError, match="1 frames, but detections of 2"):
        match_detections([none, none], [empty], [0])


def test_flicker_and_switches_are_counted_by_hand() -> None:
    box, label, who = np.array([[10, 10, 30, 30]], np.float32), np.array([0]), np.array([7])
    frames = [record(box, label, who)] * 5
    ids = [[1], [1], None, [2], [2]]  # found, found, missed, found as another, found
    detections = [
        found(box, np.array([0.9]), label, np.array(one))
        if one is not None
        else found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
        for one in ids
    ]
    counted = steadiness(detections, frames, 0.5)
    assert (counted.pairs, counted.flickers, counted.switches, counted.matched) == (4, 2, 1, 4)
    assert counted.flicker == 0.5
    assert counted.switch_rate == 25
    assert steadiness(detections, frames, 0.95).matched == 0
    with pytest.raises(ValueError, match="have no track ids"):
        steadiness(detections, [record(box, label)] * 5, 0.5)


def test_switches_are_those_of_motmetrics() -> None:
    rng = np.random.default_rng(11)
    start, speed = boxes(rng, 6), rng.normal(0, 3, (6, 2)).astype(np.float32)
    frames, detections = [], []
    judge_of_tracks = motmetrics.MOTAccumulator(auto_id=True)
    names = np.arange(6)
    for t in range(30):
        xyxy = start + np.tile(speed, 2) * (t % 10)
        if rng.random() < 0.4:  # two tracks change places
            a, b = rng.permutation(6)[:2]
            names[[a, b]] = names[[b, a]]
        kept = rng.random(6) < 0.8
        one = xyxy[kept] + rng.normal(0, 1, (int(kept.sum()), 4))
        frames.append(record(xyxy.astype(np.float32), np.zeros(6, np.int64), np.arange(6)))
        detections.append(found(one, np.ones(len(one)), np.zeros(len(one), np.int64), names[kept].copy()))
        distance = 1 - iou(xyxy.astype(np.float32), one.astype(np.float32))
        judge_of_tracks.update(np.arange(6), names[kept], np.where(distance <= 0.5, distance, np.nan))
    theirs = motmetrics.metrics.create().compute(judge_of_tracks, metrics=["num_switches"], name="t")
    ours = steadiness(detections, frames, 0.5)
    assert ours.switches == int(theirs["num_switches"].iloc[0])
    assert ours.switches > 5
