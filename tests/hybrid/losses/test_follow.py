"""Which object each slot of a clip keeps, followed by hand."""

from __future__ import annotations

import pytest
import torch

from hybrid.core.types import Target
from hybrid.losses.matcher import Costs, SlotMatches, assign, follow, match, match_others, relative_l1

GONE = 900.0  # where no object is


def row(*lefts):
    """Boxes of 10 by 10 px at these places, a hundred apart at least for different objects."""
    return torch.tensor([[x, 0.0, x + 10, 10.0] for x in lefts])


def frame(ids, *lefts):
    labels = torch.zeros(len(lefts), dtype=torch.int64)
    return Target(row(*lefts), labels, None if ids is None else torch.tensor(ids, dtype=torch.int64))


def followed(boxes, sources, targets, seen=None):
    """`follow` for queries at these places; scores say nothing."""
    source = torch.tensor(sources)
    now_new = torch.zeros_like(source, dtype=torch.bool) if seen is None else torch.tensor(seen)
    every = follow(torch.zeros(*boxes.shape[:2], 1), boxes, source, now_new, targets, Costs())
    return [dict(zip(kept.queries.tolist(), kept.boxes.tolist(), strict=True)) for kept in every]


def test_a_slot_takes_the_object_of_its_query_whatever_its_place_in_the_list_and_waits_while_it_is_hidden():
    """Object 5 is found by query 2, then carried by slot 0, hidden once, and listed second when it is back."""
    carried = row(100, 300, GONE, GONE)
    boxes = torch.stack([row(GONE, GONE, 100, 300), row(100, GONE, 300, GONE), carried, carried])
    sources = [[-1, -1], [2, -1], [0, 2], [0, 1]]
    targets = [frame([5, 6], 100, 300), frame([6], 300), frame([6, 5], 300, 100), frame([8, 6, 5], 500, 300, 100)]
    assert followed(boxes, sources, targets) == [{}, {0: -1}, {0: 1, 1: 0}, {0: 2, 1: 1}]


def test_a_slot_keeps_its_object_though_it_answers_at_another_ones_place():
    boxes = torch.stack([row(GONE, 100, 300), row(300, 100, GONE)])
    assert followed(boxes, [[-1], [1]], [frame([1, 2], 100, 300)] * 2) == [{}, {0: 0}]


def test_a_slot_that_went_on_as_a_new_query_is_free_in_that_frame_and_that_query_owns_the_object():
    boxes = torch.stack([row(GONE, 100, GONE), row(GONE, GONE, 100), row(100, GONE, GONE)])
    targets = [frame([4], 100)] * 3
    assert followed(boxes, [[-1], [1], [2]], targets, [[False], [True], [False]]) == [{}, {}, {0: 0}]
    assert followed(boxes, [[-1], [1], [0]], targets) == [{}, {0: 0}, {0: 0}]


def test_what_has_no_id_is_not_followed():
    boxes = torch.stack([row(GONE, 100, 300), row(100, 300, GONE)])
    assert followed(boxes, [[-1, -1], [1, 2]], [frame([-1, 3], 100, 300)] * 2) == [{}, {1: 1}]
    assert followed(boxes, [[-1, -1], [1, 2]], [frame(None, 100, 300)] * 2) == [{}, {}]


def test_the_id_zero_and_the_box_zero_are_followed_as_any_other():
    boxes = torch.stack([row(100, GONE), row(100, GONE)])
    assert followed(boxes, [[-1], [0]], [frame([0], 100)] * 2) == [{}, {0: 0}]


def pairs(result):
    return list(zip(*(part.tolist() for part in result), strict=True))


def test_kept_slots_take_their_own_boxes_and_the_rest_is_matched_in_the_boxes_order():
    boxes = row(500, 300, 100, GONE)  # query 0 lies at box 2, and so on; query 3 at none
    target = frame([0, 1, 2], 100, 300, 500)
    kept = SlotMatches(torch.tensor([3, 1]), torch.tensor([2, -1]))  # 3 keeps box 2, though 0 lies there; 1 waits
    assert pairs(match_others(torch.zeros(4, 1), boxes, target, Costs(), kept)) == [(2, 0), (0, 1), (3, 2)]


def test_labels_go_with_their_boxes_where_some_are_taken():
    """Of two equal queries the one that says box 1's category gets box 1."""
    target = Target(row(100, 300), torch.tensor([0, 1]))
    boxes = row(300, 300, 100)
    kept = SlotMatches(torch.tensor([2]), torch.tensor([0]))
    for sure in (0, 1):
        logits = torch.full((3, 2), -3.0)
        logits[sure, 1] = 3.0
        logits[1 - sure, 0] = 3.0
        assert pairs(match_others(logits, boxes, target, Costs(), kept)) == [(2, 0), (sure, 1)]


def test_each_cost_alone_decides_where_the_others_are_equal():
    target = Target(row(100), torch.tensor([1]))
    logits = torch.tensor([[2.0, -2.0], [-2.0, 2.0]])
    assert pairs(match(logits, row(104, 104), target, Costs())) == [(1, 0)]  # by score
    assert pairs(match(logits, row(104, 150), target, Costs(score=0.0))) == [(0, 0)]  # by place
    near, wide = row(104), torch.tensor([[96.0, -4, 114, 14]])  # 2 edges of 4 off by 4, and all four by 4
    both = torch.cat([wide, near])
    assert pairs(match(logits * 0, both, target, Costs(score=0.0, giou=0.0))) == [(1, 0)]
    assert pairs(match(logits * 0, both, target, Costs(score=0.0, box=0.0))) == [(1, 0)]
    assert pairs(match(logits, both, target, Costs(box=0.0, giou=0.0))) == [(1, 0)]
    assert pairs(match(-logits, both, target, Costs(box=0.0, giou=0.0))) == [(0, 0)]


@pytest.mark.parametrize(("off_px", "cheaper"), [(9.6, 0), (10.2, 1)])
def test_the_scores_cost_is_the_focal_one_to_a_fiftieth(off_px, cheaper):
    """Scores of 0.5 and 0.119 cost -0.0866 and 0.4112, with squares: 0.498 apart, and 20 px of a box's shift cost 1."""
    target = Target(row(100), torch.tensor([0]))
    logits = torch.tensor([[0.0], [-2.0]])
    costs = Costs(score=1.0, box=1.0, giou=0.0)
    assert pairs(match(logits, row(100 + off_px, 100), target, costs)) == [(cheaper, 0)]


def test_a_box_far_off_costs_no_more_than_ten_of_its_sides():
    """Then the score decides between two that are both hopeless."""
    target = Target(row(0), torch.tensor([0]))
    logits = torch.tensor([[4.0], [0.0]])
    far = row(4000, 400)
    assert relative_l1(far, row(0, 0)).tolist() == [200.0, 20.0]
    assert pairs(match(logits, far, target, Costs(giou=0.0))) == [(0, 0)]


def test_relative_l1_is_the_mean_of_four_edges_by_the_true_sides_of_four_pixels_or_more():
    truth = torch.tensor([[10.0, 20, 30, 60], [0, 0, 1, 1]])
    stated = truth + torch.tensor([[2.0, -4, 6, 8], [1, 1, -1, 2]])
    wanted = [(2 / 20 + 4 / 40 + 6 / 20 + 8 / 40) / 4, (1 + 1 + 1 + 2) / 4 / 4]
    assert relative_l1(stated, truth).tolist() == pytest.approx(wanted)


def test_a_point_answers_within_a_stride_and_a_half_of_the_centre_and_not_on_the_rim():
    """Strides of 4: the box's centre is (20, 20), so that 6 px away is out and 5.9 px is in, in x as in y."""
    target = Target(torch.tensor([[10.0, 10, 30, 30]]), torch.tensor([0]))
    off = [(0, 0), (5.9, 5.9), (6.0, 0), (0, -6.0), (-5.9, 0), (6.1, 0)]
    points = torch.tensor([[20.0 + x, 20 + y] for x, y in off])
    assert pairs(assign(points, torch.full((6,), 4.0), target)) == [(0, 0), (1, 0), (4, 0)]


def test_the_level_is_by_the_longer_side_up_to_sixteen_strides():
    points, strides = torch.tensor([[50.0, 50]]).repeat(3, 1), torch.tensor([4.0, 8.0, 16.0])
    for sides, level in [((64, 2), 0), ((2, 65), 1), ((128, 128), 1), ((129, 1), 2), ((999, 1), 2)]:
        half = torch.tensor([sides]) / 2.0
        target = Target(torch.cat([50 - half, 50 + half], 1), torch.tensor([0]))
        assert assign(points, strides, target)[0].tolist() == [level], sides
