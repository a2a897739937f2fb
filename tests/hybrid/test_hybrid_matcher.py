"""Matching of queries to truth against brute force, and the one-to-many assignment's promises."""

from itertools import permutations

import pytest
import torch

from hybrid.boxes import pairwise_giou, to_corners
from hybrid.matcher import Costs, assign_many, match, relative_l1
from hybrid.queries import anchors
from hybrid.types import Target


def random_boxes(count, generator, side=100.0):
    low = torch.rand(count, 2, generator=generator) * side
    return torch.cat([low, low + 4 + torch.rand(count, 2, generator=generator) * 30], 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_match_is_the_cheapest_of_all(seed):
    generator = torch.Generator().manual_seed(seed)
    boxes, truth = random_boxes(5, generator), random_boxes(3, generator)
    logits = torch.randn(5, 2, generator=generator)
    labels = torch.randint(0, 2, (3,), generator=generator)
    costs = Costs(score=1.5, box=0.5, giou=2.0)
    queries, picked = match(logits, boxes, Target(truth, labels), costs)
    share = logits.sigmoid()[:, labels]
    score = 0.25 * (1 - share) ** 2 * -share.log() - 0.75 * share**2 * -(1 - share).log()
    box = relative_l1(boxes[:, None], truth[None]).clamp(max=10)
    cost = 1.5 * score + 0.5 * box - 2 * pairwise_giou(boxes, truth)
    best = min(permutations(range(5), 3), key=lambda rows: sum(cost[r, k].item() for k, r in enumerate(rows)))
    assert picked.tolist() == [0, 1, 2]
    assert tuple(queries.tolist()) == best


def test_a_known_optimum_is_found_whatever_the_order():
    truth = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 90, 90]])
    boxes = truth[[2, 0, 1]] + 1
    queries, picked = match(torch.zeros(3, 1), boxes, Target(truth, torch.zeros(3, dtype=torch.int64)), Costs())
    assert queries[picked.argsort()].tolist() == [1, 2, 0]


@pytest.mark.parametrize("spoiled", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_still_match(spoiled):
    truth = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    boxes = torch.cat([torch.full((1, 4), spoiled), truth])
    logits = torch.tensor([[spoiled], [0.0], [0.0]])
    queries, _ = match(logits, boxes, Target(truth, torch.zeros(2, dtype=torch.int64)), Costs())
    assert queries.tolist() == [1, 2]


def test_more_boxes_than_queries_match_as_many_as_there_are():
    generator = torch.Generator().manual_seed(0)
    target = Target(random_boxes(6, generator), torch.zeros(6, dtype=torch.int64))
    queries, picked = match(torch.zeros(4, 1), random_boxes(4, generator), target, Costs())
    assert sorted(queries.tolist()) == [0, 1, 2, 3]
    assert len(set(picked.tolist())) == 4


def test_no_boxes_match_nothing():
    for answer in (
        match(torch.zeros(4, 1), torch.zeros(4, 4), Target.empty(), Costs()),
        assign_many(torch.zeros(4, 1), torch.zeros(4, 4), torch.zeros(4, 4), Target.empty(), 2),
    ):
        assert all(len(part) == 0 for part in answer)


def test_a_pixel_weighs_more_on_a_small_part():
    small, large = torch.tensor([10.0, 10, 18, 18]), torch.tensor([10.0, 10, 90, 90])
    assert relative_l1(small + 1, small).item() == pytest.approx(10 * relative_l1(large + 1, large).item())
    assert torch.isfinite(relative_l1(small, torch.tensor([5.0, 5, 5, 5])))


@pytest.mark.parametrize("most", [1, 4, 9])
def test_each_box_gets_points_of_its_own_near_it(most):
    maps = tuple(torch.zeros(1, 1, 96 // s, 160 // s) for s in (4, 8, 16))
    start = to_corners(anchors(maps))
    truth = torch.tensor([[8.0, 8, 20, 18], [60, 30, 100, 76], [120, 10, 159, 90]])
    target = Target(truth, torch.tensor([0, 1, 0]))
    points, boxes, reach = assign_many(torch.zeros(len(start), 2), start, start, target, most)
    assert len(points) == len(set(points.tolist()))
    assert set(boxes.tolist()) == {0, 1, 2}
    assert torch.bincount(boxes).max() <= most
    assert ((reach > 0) & (reach <= 1)).all()
    centre = (start[points, :2] + start[points, 2:]) / 2
    side = (truth[boxes, 2:] - truth[boxes, :2]).amax(-1, keepdim=True)
    assert ((centre - (truth[boxes, :2] + truth[boxes, 2:]) / 2).abs() <= side).all()


def test_a_point_between_two_boxes_serves_one():
    start = torch.tensor([[0.0, 0, 16, 16]])
    target = Target(torch.tensor([[0.0, 0, 14, 14], [2.0, 2, 16, 16]]), torch.tensor([0, 0]))
    points, boxes, _ = assign_many(torch.zeros(1, 1), start, start, target, 4)
    assert points.tolist() == [0]
    assert len(boxes) == 1
