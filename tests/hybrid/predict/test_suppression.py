"""Of several answers for one object one is left: among the candidates for queries, and among what is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.boxes import pairwise_iou
from hybrid.core.config import LABEL_IOU, NESTED_SHARE, NMS_IOU
from hybrid.core.overlap import nested
from hybrid.core.types import Detections
from hybrid.model.objects.queries import distinct
from hybrid.predict.detector import Detector
from hybrid.predict.onnx import OnnxDetector
from hybrid.predict.stream import stream
from hybrid.predict.suppression import one_label, suppress_duplicates
from hybrid.predict.tiles import View
from tests.hybrid.variants import build, clip


def crowd(seed: int, count: int, ids: bool = False) -> Detections:
    """Boxes in heaps, so that many overlap by any share."""
    rng = torch.Generator().manual_seed(seed)
    low = 40 * torch.randint(0, 3, (count, 2), generator=rng) + 12 * torch.rand(count, 2, generator=rng)
    boxes = torch.cat([low, low + 15 + 15 * torch.rand(count, 2, generator=rng)], 1)
    known = torch.where(torch.rand(count, generator=rng) < 0.5, torch.arange(count), -1) if ids else None
    return Detections(
        boxes, torch.rand(count, generator=rng), torch.randint(0, 2, (count,), generator=rng), track_ids=known
    )


def slowly(detections: Detections, iou: float, across: bool = False) -> list[int]:
    """Greedy suppression, box by box; of every category alike with `across`."""
    kept: list[int] = []
    for i in detections.scores.argsort(descending=True).tolist():
        over = pairwise_iou(detections.boxes_xyxy_px[i : i + 1], detections.boxes_xyxy_px[kept])[0] > iou
        if not bool((over & (across | (detections.labels[kept] == detections.labels[i]))).any()):
            kept.append(i)
    return kept


@given(seed=st.integers(0, 10_000), count=st.integers(0, 40), iou=st.sampled_from([0.3, 0.65, 0.9]))
@settings(deadline=None, max_examples=15)
def test_what_is_left_is_what_greedy_suppression_leaves(seed: int, count: int, iou: float) -> None:
    detections = crowd(seed, count)
    kept = slowly(detections, iou)
    left = suppress_duplicates(detections, iou, limit=100)
    assert torch.equal(left.boxes_xyxy_px, detections.boxes_xyxy_px[kept])
    assert torch.equal(left.scores, detections.scores[kept])
    assert torch.equal(suppress_duplicates(detections, iou, limit=3).scores, detections.scores[kept][:3])
    assert len(suppress_duplicates(detections, 1.0, limit=100).scores) == count, "1 switches it off"


def test_the_onnx_runner_leaves_the_same() -> None:
    detections = crowd(3, 40)
    scores = np.zeros((40, 2), np.float32)
    scores[np.arange(40), detections.labels.numpy()] = detections.scores.numpy()
    runner = OnnxDetector.__new__(OnnxDetector)
    runner.categories = ("bolt", "nut")
    runner.score = 0.2
    rows = runner.detections({"scores": scores, "boxes_xyxy_px": detections.boxes_xyxy_px.numpy()}, nested_share=1.0)
    alone = detections.take(torch.tensor(slowly(detections, NMS_IOU)))
    alone = alone.take(torch.tensor(slowly(alone, LABEL_IOU, across=True)))
    sure = alone.take(alone.scores >= 0.2)
    assert len(sure.scores) < sum(detections.scores[i] >= 0.2 for i in slowly(detections, NMS_IOU)), "labels compete"
    assert [score for _, score, _ in rows] == sure.scores.tolist()
    assert [name for name, _, _ in rows] == [runner.categories[label] for label in sure.labels]


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=15)
def test_an_id_goes_to_who_takes_its_box_s_place_and_to_no_second_one(seed: int) -> None:
    detections = crowd(seed, 30, ids=True)
    left = suppress_duplicates(detections, 0.5, limit=100)
    assert detections.track_ids is not None
    assert left.track_ids is not None
    kept = slowly(detections, 0.5)
    own, told = detections.track_ids[kept], left.track_ids
    assert torch.equal(told[own >= 0], own[own >= 0]), "who has one keeps it"
    real = told[told >= 0].tolist()
    assert len(real) == len(set(real))
    for place in (told != own).nonzero()[:, 0].tolist():
        giver = detections.take(detections.track_ids == told[place])
        assert int(giver.labels) == int(left.labels[place])
        assert float(pairwise_iou(giver.boxes_xyxy_px, left.boxes_xyxy_px[place : place + 1])) > 0.5
        assert float(giver.scores) <= float(left.scores[place])


def test_an_object_followed_on_weak_evidence_keeps_its_id_under_a_better_answer() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [40, 40, 50, 50]])
    detections = Detections(boxes, torch.tensor([0.3, 0.9, 0.5]), torch.tensor([0, 0, 0]), torch.tensor([7, -1, 2]))
    left = suppress_duplicates(detections, 0.65, 10)
    assert left.scores.tolist() == torch.tensor([0.9, 0.5]).tolist()
    assert left.track_ids is not None
    assert left.track_ids.tolist() == [7, 2]
    other = replace(detections, labels=torch.tensor([1, 0, 0]))
    assert suppress_duplicates(other, 0.65, 10).track_ids.tolist() == [-1, 2, 7], "another category is no double"


@given(seed=st.integers(0, 10_000), count=st.integers(0, 40), iou=st.sampled_from([0.3, 0.7]))
@settings(deadline=None, max_examples=15)
def test_a_thing_has_one_label_which_is_the_surest(seed: int, count: int, iou: float) -> None:
    detections = crowd(seed, count, ids=True)
    left = one_label(detections, iou)
    kept = slowly(detections, iou, across=True)
    assert torch.equal(left.scores, detections.scores[kept])
    assert torch.equal(left.labels, detections.labels[kept])
    assert len(one_label(detections, 1.0).scores) == count, "1 switches it off"


def test_an_id_stays_with_a_thing_whose_label_changes() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [40, 40, 50, 50]])
    detections = Detections(boxes, torch.tensor([0.5, 0.6, 0.9]), torch.tensor([0, 1, 0]), torch.tensor([7, -1, 2]))
    left = one_label(detections)
    assert (left.labels.tolist(), left.track_ids.tolist()) == ([0, 1], [2, 7])


def test_what_a_detector_tells_has_one_label_and_what_is_measured_may_have_more() -> None:
    torch.manual_seed(0)
    network = build("cnn").eval()
    image = np.random.default_rng(0).integers(0, 255, (32, 48, 3)).astype(np.uint8)
    view = View(tile_px=None, scales=(1.0,))
    told, every = (Detector(network, view, 0.0, label_iou=iou).predict(image) for iou in (LABEL_IOU, 1.0))
    boxes = torch.from_numpy(told.boxes_xyxy_px)
    assert (pairwise_iou(boxes, boxes).fill_diagonal_(0) <= LABEL_IOU).all()
    assert len(told) < len(every)
    (measured,) = stream(network, [image], replace(view, threshold=0.0))
    assert len(measured.scores) == len(every)


def test_candidates_that_overlap_a_better_one_are_passed_over() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [5, 0, 15, 10], [40, 40, 50, 50]])
    assert distinct(boxes[None], 0.7).tolist() == [[True, False, True, True]]
    assert distinct(torch.stack([boxes, boxes.flip(0)]), 0.3).tolist() == [
        [True, False, False, True],
        [True, True, False, False],
    ]


@torch.no_grad()
def test_queries_stand_for_different_objects_as_long_as_there_are_enough() -> None:
    images = clip(3, 64, 96)
    for iou, most in ((0.3, 0.3), (1.0, 1.0)):
        detector = build("cnn", distinct_iou=iou, queries=6)
        chosen = []
        detector.decoder.layers[0].register_forward_pre_hook(lambda _, given, chosen=chosen: chosen.append(given[2]))
        detector(images)
        centre, size = chosen[0][..., :2], chosen[0][..., 2:]
        corners = torch.cat([centre - size / 2, centre + size / 2], -1)
        overlap = torch.stack([pairwise_iou(one, one) for one in corners]).triu(1).amax()
        assert overlap <= most
        assert iou < 1 or overlap > 0.3, "else nothing was to be passed over"
    few = build("cnn", distinct_iou=0.0, queries=6)
    output, _ = few(images)
    assert output.logits.shape[2] == 6, "where too few differ, others fill up"


def test_a_box_inside_a_better_one_of_its_category_is_nested_and_no_other_is() -> None:
    boxes = np.array([[0, 0, 40, 40], [2, 2, 12, 12], [2, 2, 12, 12], [35, 0, 45, 10], [0, 0, 100, 100]], np.float32)
    labels = np.array([0, 0, 1, 0, 0])
    assert nested(boxes, labels, 0.9).tolist() == [False, True, False, False, False]
    assert nested(boxes, labels, 0.4).tolist() == [False, True, False, True, False]
    assert not nested(boxes, labels, 1.0).any()
    assert nested(boxes[:0], labels[:0], 0.9).shape == (0,)
    assert NESTED_SHARE == 0.9
