"""Laws of matching and losses: order, scale, copies and the direction of gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.types import Output, Proposals, Target
from hybrid.losses.criterion import Criterion, varifocal
from hybrid.losses.matcher import Costs, assign, match, relative_l1
from hybrid.model.objects.queries import grid

SEEDS = st.integers(0, 10_000)
MAPS = tuple(torch.zeros(1, 1, 96 // s, 128 // s) for s in (4, 8, 16))


def boxes(count: int, generator: torch.Generator, least: float = 8.0) -> torch.Tensor:
    low = 60 * torch.rand(count, 2, generator=generator)
    return torch.cat([low, low + least + 30 * torch.rand(count, 2, generator=generator)], 1)


def drawn(seed: int, queries: int = 6, objects: int = 3) -> tuple[Output, Target]:
    generator = torch.Generator().manual_seed(seed)
    logits, predicted = torch.randn(1, 1, queries, 2, generator=generator), boxes(queries, generator)[None, None]
    points, strides, _ = grid(MAPS)
    dense = Proposals(
        torch.randn(1, 1, len(points), 2, generator=generator),
        boxes(len(points), generator)[None, None],
        points,
        strides,
    )
    labels = torch.randint(0, 2, (objects,), generator=generator)
    return Output(logits, predicted, (96, 128), (), dense), Target(boxes(objects, generator), labels)


def losses(output: Output, target: Target) -> dict[str, float]:
    return {name: float(value) for name, value in Criterion()(output, [[target]]).items()}


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_the_order_of_objects_and_of_queries_changes_no_loss(seed: int) -> None:
    output, target = drawn(seed)
    generator = torch.Generator().manual_seed(seed)
    objects, queries = torch.randperm(3, generator=generator), torch.randperm(6, generator=generator)
    turned = Target(target.boxes_xyxy_px[objects], target.labels[objects])
    moved = replace(output, logits=output.logits[:, :, queries], boxes_xyxy_px=output.boxes_xyxy_px[:, :, queries])
    assert losses(moved, turned) == pytest.approx(losses(output, target), rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from([2.0, 3.5]))
def test_a_larger_picture_of_the_same_thing_matches_alike_and_costs_the_same(seed: int, scale: float) -> None:
    output, target = drawn(seed)
    larger = replace(output, boxes_xyxy_px=scale * output.boxes_xyxy_px)
    truth = Target(scale * target.boxes_xyxy_px, target.labels)
    before, after = losses(output, target), losses(larger, truth)
    for name in ("score", "box", "giou"):
        assert after[name] == pytest.approx(before[name], rel=1e-3), name


def test_below_the_least_side_a_pixel_weighs_no_more() -> None:
    tiny, small = torch.tensor([0.0, 0, 1, 1]), torch.tensor([0.0, 0, 4, 4])
    assert relative_l1(tiny + 1, tiny) == relative_l1(small + 1, small) == 0.25


def test_gradients_move_a_matched_box_to_its_object_and_its_score_up() -> None:
    """Step along the gradient: a wrong sign, or a detached box, moves away or not at all."""
    output, target = drawn(3, queries=1, objects=1)
    logits, predicted = output.logits.clone().requires_grad_(), output.boxes_xyxy_px.clone().requires_grad_()
    Criterion()(replace(output, logits=logits, boxes_xyxy_px=predicted), [[target]])["total"].backward()
    stepped = predicted.detach() - 0.1 * predicted.grad / predicted.grad.abs().max()
    truth = target.boxes_xyxy_px
    assert (stepped - truth).abs().sum() < (predicted.detach() - truth).abs().sum()
    right = int(target.labels)
    assert logits.grad[0, 0, 0, 1 - right] > 0


@pytest.mark.parametrize(("score", "target", "sign"), [(0.3, 0.8, -1), (0.9, 0.8, 1), (0.8, 0.8, 0)])
def test_a_positive_score_is_drawn_to_its_iou_from_both_sides(score: float, target: float, sign: int) -> None:
    logits = torch.logit(torch.tensor([[[score]]])).requires_grad_()
    at = torch.tensor([0])
    varifocal(logits, torch.tensor([[[target]]]), at, at, at).sum().backward()
    gradient = float(logits.grad)
    assert gradient == pytest.approx(0, abs=1e-6) if sign == 0 else gradient * sign > 1e-3


def test_a_sure_false_alarm_costs_far_more_than_an_unsure_one() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    sure, unsure = (
        float(varifocal(torch.full((1, 1, 1), x), torch.zeros(1, 1, 1), none, none, none)) for x in (3.0, -3.0)
    )
    assert sure > 1000 * unsure > 0


def test_equal_costs_still_match_one_to_one() -> None:
    truth = torch.tensor([[10.0, 10, 20, 20]]).repeat(3, 1)
    target = Target(truth, torch.zeros(3, dtype=torch.int64))
    queries, matched = match(torch.zeros(5, 1), truth[:1].repeat(5, 1), target, Costs())
    assert len(set(queries.tolist())) == 3
    assert matched.tolist() == [0, 1, 2]


def test_with_more_objects_than_queries_the_nearest_ones_match() -> None:
    truth = torch.tensor([[0.0, 0, 10, 10], [40, 40, 50, 50], [80, 80, 90, 90]])
    queries, matched = match(
        torch.zeros(1, 1), truth[1:2] + 1, Target(truth, torch.zeros(3, dtype=torch.int64)), Costs()
    )
    assert (queries.tolist(), matched.tolist()) == ([0], [1])


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_the_assignment_moves_with_the_objects_and_not_with_their_order(seed: int) -> None:
    points, strides, _ = grid(MAPS)
    generator = torch.Generator().manual_seed(seed)
    target = Target(boxes(4, generator), torch.zeros(4, dtype=torch.int64))
    order = torch.randperm(4, generator=generator)
    here, box = assign(points, strides, target)
    same, turned = assign(points, strides, Target(target.boxes_xyxy_px[order], target.labels))
    assert here.tolist() == same.tolist()
    assert torch.equal(order[turned], box)
    there, _ = assign(points + 16, strides, Target(target.boxes_xyxy_px + 16, target.labels))
    assert there.tolist() == here.tolist()
