"""The figures are COCO's."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.boxes import pairwise_iou
from hybrid.core.types import Detections
from hybrid.data.clips import FrameRecord
from hybrid.metrics.detection import SIZE_BINS_PX, coco_documents, matched_frames, operating_score, score
from hybrid.metrics.video import average_precision

NAMES = ("bolt", "washer", "nut")


def frame(boxes: np.ndarray, labels: np.ndarray) -> FrameRecord:
    return FrameRecord(
        name="f",
        path=Path("f"),
        width_px=640,
        height_px=480,
        boxes_xyxy_px=boxes.astype(np.float32),
        labels=labels.astype(np.int64),
    )


def scene(seed: int, frames: int = 12) -> list[FrameRecord]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(frames):
        count = int(rng.integers(1, 9))
        corner, side = rng.uniform(0, 300, (count, 2)), np.exp(rng.uniform(np.log(5), np.log(170), (count, 1)))
        boxes = np.concatenate([corner, corner + side * rng.uniform(0.7, 1.4, (count, 2))], 1)
        made.append(frame(boxes, rng.integers(0, 2, count)))  # no nut anywhere
    return made


def noisy(frames: list[FrameRecord], seed: int) -> list[Detections]:
    rng = np.random.default_rng(seed)
    detections = []
    for one in frames:
        kept = rng.random(len(one.labels)) < 0.8
        boxes = one.boxes_xyxy_px[kept]
        moved = boxes + rng.normal(0, 0.06, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        labels = np.where(rng.random(kept.sum()) < 0.85, one.labels[kept], 1 - one.labels[kept])
        extra = rng.uniform(0, 300, (3, 2))
        boxes = np.concatenate([moved, np.concatenate([extra, extra + rng.uniform(5, 90, (3, 2))], 1)])
        labels = np.concatenate([labels, rng.integers(0, 3, 3)])
        scores = rng.random(len(labels))
        detections.append(
            Detections(
                torch.from_numpy(boxes.astype(np.float32)),
                torch.from_numpy(scores.astype(np.float32)),
                torch.from_numpy(labels.astype(np.int64)),
            )
        )
    return detections


def perfect(frames: list[FrameRecord]) -> list[Detections]:
    return [
        Detections(torch.from_numpy(f.boxes_xyxy_px), torch.full((len(f.labels),), 0.5), torch.from_numpy(f.labels))
        for f in frames
    ]


def nothing(frames: list[FrameRecord]) -> list[Detections]:
    return [Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64)) for _ in frames]


def test_the_truth_as_detections_scores_one_everywhere() -> None:
    frames = scene(0)
    metrics = score(perfect(frames), frames, NAMES)
    rows = [metrics.overall, *metrics.by_category.values(), *metrics.by_size.values()]
    assert len(rows) == 1 + 3 + len(SIZE_BINS_PX)
    for row in rows:
        wanted = 1.0 if row.boxes else None
        assert row.ap == row.ap50 == row.ap75 == row.ar == (pytest.approx(wanted) if wanted else None)
    assert metrics.by_category["nut"].boxes == 0
    assert (
        sum(row.boxes for row in metrics.by_size.values())
        == metrics.overall.boxes
        == sum(len(f.labels) for f in frames)
    )
    assert metrics.frames == 12


@pytest.mark.parametrize(
    ("overlap", "ap50", "ap75", "ap"), [(0.48, 0, 0, 0), (0.52, 1, 0, 0.1), (0.72, 1, 0, 0.5), (0.77, 1, 1, 0.6)]
)
def test_ap50_and_ap75_ask_for_an_iou_of_0_50_and_of_0_75(overlap: float, ap50: float, ap75: float, ap: float) -> None:
    frames = [frame(np.array([[0.0, 0, 100, 100]]), np.array([0]))]
    detections = perfect([frame(np.array([[0.0, 0, 100, 100 * overlap]]), np.array([0]))])
    row = score(detections, frames, NAMES).overall
    assert (row.ap50, row.ap75, row.ap) == pytest.approx((ap50, ap75, ap))


def test_no_detections_score_zero() -> None:
    frames = scene(0)
    assert score(nothing(frames), frames, NAMES).overall.ap == 0.0
    assert score(nothing(frames), frames, NAMES).overall.ar == 0.0


def test_the_order_of_frames_boxes_and_detections_does_not_matter() -> None:
    frames = scene(1)
    detections = noisy(frames, 2)
    rng = np.random.default_rng(3)
    order = rng.permutation(len(frames))
    turned_frames, turned_found = [], []
    for i in order:
        one, two = rng.permutation(len(frames[i].labels)), torch.from_numpy(rng.permutation(len(detections[i].labels)))
        turned_frames.append(frame(frames[i].boxes_xyxy_px[one], frames[i].labels[one]))
        turned_found.append(
            Detections(detections[i].boxes_xyxy_px[two], detections[i].scores[two], detections[i].labels[two])
        )
    one, other = score(detections, frames, NAMES), score(turned_found, turned_frames, NAMES)
    assert 0.05 < one.overall.ap < 0.95
    assert other.overall.ap == pytest.approx(one.overall.ap, abs=1e-9)
    assert [row.ap for row in other.by_size.values()] == pytest.approx(
        [row.ap for row in one.by_size.values()], abs=1e-9
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_figures_are_those_of_pycocotools(seed: int) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    frames = scene(seed)
    detections = noisy(frames, seed + 10)
    ours = score(detections, frames, NAMES)
    truth, rows = coco_documents(detections, frames, len(NAMES))
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = truth
        known.createIndex()
        judge = COCOeval(known, known.loadRes(rows), "bbox")
        judge.params.areaRng = [[0, 1e12], *([low**2, min(1e12, high**2)] for low, high in SIZE_BINS_PX.values())]
        judge.params.areaRngLbl = ["all", *SIZE_BINS_PX]
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"][..., -1], judge.eval["recall"][..., -1]

    def mean(values: np.ndarray) -> float | None:
        return float(values[values > -1].mean()) if (values > -1).any() else None

    assert ours.overall.ap == pytest.approx(mean(precision[..., 0]), abs=1e-6)
    assert ours.overall.ap50 == pytest.approx(mean(precision[0, ..., 0]), abs=1e-6)
    assert ours.overall.ar == pytest.approx(mean(recall[..., 0]), abs=1e-6)
    for k, name in enumerate(NAMES):
        assert ours.by_category[name].ap == (pytest.approx(mean(precision[:, :, k, 0]), abs=1e-6) if k < 2 else None)
    for k, name in enumerate(SIZE_BINS_PX):
        wanted = mean(precision[..., 1 + k])
        assert ours.by_size[name].ap == (None if wanted is None else pytest.approx(wanted, abs=1e-6))


def test_a_truth_without_boxes_is_refused() -> None:
    empty = [frame(np.zeros((0, 4)), np.zeros(0))]
    with pytest.raises(ValueError, match="none of the 1 frames holds a box"):
        score(nothing(empty), empty, NAMES)
    with pytest.raises(ValueError, match="12 frames, but detections of 1"):
        score(nothing(empty), scene(0), NAMES)


def decided(detections: list[Detections], frames: list[FrameRecord]) -> tuple[np.ndarray, np.ndarray]:
    """Each detection's score, and whether it is right: an object goes to the best detection at an IoU of 0.5."""
    scores, right = [], []
    for seen, truth in zip(detections, frames, strict=True):
        free = np.ones(len(truth.labels), bool)
        overlap = pairwise_iou(seen.boxes_xyxy_px, torch.from_numpy(truth.boxes_xyxy_px)).numpy()
        for i in seen.scores.argsort(descending=True).tolist():
            iou = np.where(free & (truth.labels == int(seen.labels[i])), overlap[i], 0.0)
            scores.append(float(seen.scores[i]))
            right.append(iou.max(initial=0.0) >= 0.5)
            if right[-1]:
                free[iou.argmax()] = False
    return np.array(scores), np.array(right)


def f1(detections: list[Detections], frames: list[FrameRecord], least: float) -> float:
    """Of what scores `least` or more."""
    scores, right = decided(detections, frames)
    counted = scores >= least
    return float(2 * (right & counted).sum() / (counted.sum() + sum(len(one.labels) for one in frames)))


def with_clutter(detections: Detections, seed: int) -> Detections:
    """Six that are wrong beside it, less sure on the whole than what is there."""
    rng = torch.Generator().manual_seed(seed)
    low = 300 * torch.rand(6, 2, generator=rng)
    boxes, scores = torch.cat([low, low + 20], 1), 0.6 * torch.rand(6, generator=rng)
    labels = torch.randint(0, 2, (6,), generator=rng)
    return Detections(
        torch.cat([detections.boxes_xyxy_px, boxes]),
        torch.cat([detections.scores**0.4, scores]),
        torch.cat([detections.labels, labels]),
    )


@pytest.mark.parametrize("seed", range(4))
def test_from_the_operating_score_on_the_f1_is_as_good_as_it_gets(seed: int) -> None:
    frames = scene(seed)
    detections = [with_clutter(one, seed) for one in noisy(frames, seed + 100)]
    least = operating_score(detections, frames)
    assert least is not None
    scores, right = decided(detections, frames)
    objects = sum(len(one.labels) for one in frames)
    best = max(2 * right[scores >= s].sum() / ((scores >= s).sum() + objects) for s in scores)
    assert f1(detections, frames, least) == pytest.approx(best)
    assert f1(detections, frames, 0.0) < best - 0.05, "else any score would do"


def test_without_a_right_detection_there_is_no_operating_score() -> None:
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert operating_score([nothing] * 12, scene(0)) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_draw_of_photos_weighs_as_if_they_were_scored_anew(seed: int) -> None:
    """Also where a frame has more detections of a category than COCO counts."""
    frames = scene(seed)
    detections = [with_clutter(one, seed) for one in noisy(frames, seed + 100)]
    rng = torch.Generator().manual_seed(seed)
    low = 90 * torch.rand(150, 2, generator=rng)
    many = Detections(torch.cat([low, low + 9], 1), torch.rand(150, generator=rng), torch.zeros(150, dtype=torch.int64))
    detections[0] = Detections(*(torch.cat([a, b]) for a, b in zip(columns(detections[0]), columns(many), strict=True)))
    judged = matched_frames(detections, frames)
    assert average_precision(judged) == pytest.approx(score(detections, frames, NAMES).overall.ap50, abs=1e-9)
    picked = np.random.default_rng(seed).integers(0, len(frames), len(frames))
    weights = np.bincount(picked, minlength=len(frames)).astype(float)
    anew = score([detections[i] for i in picked], [frames[i] for i in picked], NAMES).overall.ap50
    assert average_precision(judged, weights) == pytest.approx(anew, abs=1e-9)


def columns(detections: Detections) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return detections.boxes_xyxy_px, detections.scores, detections.labels
