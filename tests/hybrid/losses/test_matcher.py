"""Matching of queries to truth against brute force, and the one-to-many assignment's promises."""

from itertools import permutations

import pytest
import torch

from hybrid.core.boxes import pairwise_giou
from hybrid.core.types import Target
from hybrid.losses.matcher import Costs, assign, match, relative_l1
from hybrid.model.objects.queries import grid


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


def test_of_two_boxes_that_are_far_off_the_score_decides():
    """The cost of a box is at most 10 sides, so that a far query with the better score is taken."""
    truth = torch.tensor([[0.0, 0, 40, 40]])
    boxes = truth + torch.tensor([[408.0], [480.0]])  # 10.2 and 12 sides away
    logits = torch.tensor([[0.0], [0.5]])
    queries, _ = match(
        logits, boxes, Target(truth, torch.zeros(1, dtype=torch.int64)), Costs(score=1.0, box=1.0, giou=0.0)
    )
    assert queries.tolist() == [1]


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
        assign(torch.zeros(4, 2), torch.full((4,), 4.0), Target.empty()),
    ):
        assert all(len(part) == 0 for part in answer)


def test_a_pixel_weighs_more_on_a_small_part():
    small, large = torch.tensor([10.0, 10, 18, 18]), torch.tensor([10.0, 10, 90, 90])
    assert relative_l1(small + 1, small).item() == pytest.approx(10 * relative_l1(large + 1, large).item())
    assert torch.isfinite(relative_l1(small, torch.tensor([5.0, 5, 5, 5])))


def points_of(height, width):
    points, strides, _ = grid(tuple(torch.zeros(1, 1, height // s, width // s) for s in (4, 8, 16)))
    return points, strides


def test_points_near_the_middle_answer_for_a_box_by_the_slow_loop():
    """Level by the longer side, 1.5 strides around the centre, the smallest box where several want a point."""
    generator = torch.Generator().manual_seed(0)
    points, strides = points_of(192, 256)
    corner = torch.rand(40, 2, generator=generator) * 150
    sides = 3 + torch.rand(40, 2, generator=generator) ** 3 * 170
    target = Target(torch.cat([corner, corner + sides], 1), torch.zeros(40, dtype=torch.int64))
    wanted: dict[int, int] = {}
    area = sides.prod(1).tolist()
    cells = [
        (k, x, y, stride) for k, ((x, y), stride) in enumerate(zip(points.tolist(), strides.tolist(), strict=True))
    ]
    for box, (x0, y0, x1, y1) in enumerate(target.boxes_xyxy_px.tolist()):
        longest = max(x1 - x0, y1 - y0)
        own = 4 if longest <= 64 else 8 if longest <= 128 else 16
        for k, x, y, stride in cells:
            near = max(abs(x - (x0 + x1) / 2), abs(y - (y0 + y1) / 2)) < 1.5 * stride
            if stride == own and near and (k not in wanted or area[box] < area[wanted[k]]):
                wanted[k] = box
    got, boxes = assign(points, strides, target)
    assert dict(zip(got.tolist(), boxes.tolist(), strict=True)) == wanted
    assert set(strides[got].tolist()) == {4.0, 8.0, 16.0}


def test_a_box_smaller_than_a_cell_has_its_point():
    points, strides = points_of(32, 32)
    got, boxes = assign(points, strides, Target(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([0])))
    assert boxes.tolist() == [0] * len(got)
    assert points[got].tolist()[0] == [2.0, 2.0]


def test_a_box_beyond_the_levels_is_the_coarsest_ones():
    points, strides = points_of(512, 512)
    got, _ = assign(points, strides, Target(torch.tensor([[0.0, 0, 500, 400]]), torch.tensor([0])))
    assert set(strides[got].tolist()) == {16.0}
    assert len(got) == 9
