"""Objects from frame to frame and along the belt: the rules of ids, what training tells a slot, what order tells."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hybrid.matcher import Costs, Kept, follow, match, match_others
from hybrid.objects import BELT_OBJECTS, BIRTH_SCORE, FADE, SAME_IOU, BeltOrder, ObjectRecurrence, carry, no_tracks
from hybrid.types import Target


def logit(score):
    return torch.logit(torch.as_tensor(score, dtype=torch.float32))


def answers(slots, scores, centres):
    """A frame's queries of one category: their scores, and boxes of 10 px about their centres' x."""
    boxes = torch.tensor([[[x, 20.0, 10, 10] for x in centres]])
    assert len(scores) == len(centres) > slots
    return torch.zeros(1, len(scores), 4), logit(scores)[None, :, None], boxes


def after(before, scores, centres, step=None):
    return carry(before, *answers(before.ids.shape[1], scores, centres), None if step is None else torch.tensor([step]))


def start(slots=3):
    return no_tracks(1, slots, 4, 1, torch.device("cpu"))


NOTHING = [1e-6] * 3
FAR = [900.0, 930.0, 960.0]


def test_what_is_sure_gets_an_id_and_keeps_it_wherever_its_slot_goes():
    found = after(start(), [*NOTHING, 0.9, 0.1, 0.7], [*FAR, 50, 80, 120])
    assert found.ids.tolist() == [[-1, -1, -1, 0, -1, 1]]
    assert found.tracks.next_id.tolist() == [2]
    places = dict(zip(found.tracks.ids[0].tolist(), found.source[0].tolist(), strict=True))
    assert places == {0: 3, 1: 5, -1: 4}
    of_slot = found.tracks.boxes_cxcywh_px[0, :, 0].tolist()
    assert sorted(of_slot) == [50, 80, 120]
    later = after(found.tracks, [0.3, 0.8, 0.1, 0.9], [*(x + 30 for x in of_slot), 300])
    assert later.ids[0, :3].tolist() == found.tracks.ids[0].tolist()
    assert later.ids[0, 3] == 2


def test_a_second_answer_on_the_same_place_is_not_a_second_object():
    beside = 10 * (1 - SAME_IOU) / (1 + SAME_IOU)  # a shift that leaves just SAME_IOU
    found = after(start(), [*NOTHING, 0.9, 0.8, 0.8], [*FAR, 50, 50 + beside - 0.1, 50 - beside - 0.1])
    assert found.ids.tolist() == [[-1, -1, -1, 0, -1, 1]]
    slot = found.tracks.ids[0].tolist().index(0)
    scores = [1e-6] * 3
    scores[slot] = 0.2  # it is there but not sure; the new answer on its place is
    centres = list(FAR)
    centres[slot] = 50.0
    again = after(found.tracks, [*scores, 0.95], [*centres, 50])
    assert again.ids[0, slot] == 0
    assert again.ids[0, 3] == -1


def test_a_second_answer_is_not_followed_on_and_so_never_becomes_two():
    """Else doubles fill the slots: each frame's second answers are answered again in all later ones."""
    state = start(4)
    for _ in range(6):
        where = state.boxes_cxcywh_px[0, :, 0].tolist()
        scores = state.logits[0, :, 0].sigmoid().tolist()
        found = after(state, [*scores, 0.9, 0.8, 0.6], [*where, 50, 51, 120])
        state = found.tracks
        assert 5 not in found.source[0].tolist()  # the second answer, surer than the weaker object
        assert (state.strength[0] > 0.1).sum() == 2
        assert found.source[0, state.strength[0] == 0].tolist() == [-1]  # an empty slot is to find nothing
        assert sorted(state.ids[0].tolist()) == [-1, -1, 0, 1]


@pytest.mark.parametrize("step", [None, 1.0, 2.0, 0.5])
def test_an_object_that_is_not_seen_is_kept_for_a_time_and_then_given_up(step):
    tracks = after(start(), [*NOTHING, 0.8], [*FAR, 50]).tracks
    alive = 0
    while tracks.ids.max() >= 0:
        tracks = after(tracks, [*NOTHING, 1e-6], [*FAR, 50], step).tracks
        alive += 1
        assert alive < 100
    wanted = torch.log(torch.tensor(0.1 / 0.8)) / torch.log(torch.tensor(FADE)) / (step or 1.0)
    assert alive == pytest.approx(float(wanted), abs=1)
    assert after(tracks, [*NOTHING, 0.8], [*FAR, 50]).ids.max() == 1  # an id is not given twice


def test_objects_come_before_what_is_only_sure():
    tracks = after(start(2), [1e-6, 1e-6, 0.5, 0.5], [900.0, 930, 50, 80]).tracks
    crowd = after(tracks, [0.15, 0.15, 0.39, 0.39, 0.39], [50.0, 80, 300, 330, 360])
    assert sorted(crowd.tracks.ids[0].tolist()) == [0, 1]
    assert BIRTH_SCORE > 0.39


def test_gradient_goes_through_the_content_and_nothing_else():
    state = torch.randn(1, 5, 4, requires_grad=True)
    logits, boxes = torch.zeros(1, 5, 1, requires_grad=True), torch.rand(1, 5, 4).add(1).requires_grad_()
    carry(start(), state, logits, boxes, None).tracks.content.sum().backward()
    assert state.grad.abs().sum() > 0
    assert logits.grad is None
    assert boxes.grad is None


def test_the_recurrence_forgets_by_the_time_that_passed_and_moves_boxes_by_it():
    torch.manual_seed(0)
    unit = ObjectRecurrence(8)
    features, state = torch.randn(2, 3, 8), torch.rand(2, 3, 8)
    _, plain = unit(features, state)
    _, same = unit(features, state, torch.ones(2))
    torch.testing.assert_close(plain, same)
    _, hardly = unit(features, state, torch.full((2,), 1e-5))
    torch.testing.assert_close(hardly, state, rtol=0, atol=1e-3)
    with torch.no_grad():
        unit.motion.bias.copy_(torch.tensor([0.5, -1, 0, 0]))
    tracks = no_tracks(2, 3, 8, 1, torch.device("cpu"))
    _, boxes = unit.queries(tracks, torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(boxes[:, 0], torch.tensor([[0.5, -1, 1, 1], [1.5, -3, 1, 1]]))


# --- what training tells a slot -------------------------------------------------------------------------------------


def row(*centres):
    return torch.tensor([[x - 5.0, 0, x + 5, 10] for x in centres])


def target(*pairs):
    """(id, centre) of each object."""
    return Target(
        row(*(x for _, x in pairs)), torch.zeros(len(pairs), dtype=torch.int64), torch.tensor([i for i, _ in pairs])
    )


def test_a_slot_keeps_its_object_though_another_lies_nearer_and_though_it_was_hidden():
    boxes = torch.stack([row(900, 900, 50, 80), row(80, 50, 50, 300), row(50, 80, 300, 300), row(50, 80, 300, 300)])
    targets = [target((7, 50), (3, 80)), target((3, 80), (7, 50)), target((9, 300)), target((3, 50), (7, 80), (9, 300))]
    source = torch.tensor([[-1, -1], [2, 3], [0, 1], [0, 1]])  # slot 0 holds 7 from the start, slot 1 holds 3
    kept = follow(torch.zeros(4, 4, 1), boxes, source, targets, Costs())
    assert kept[0].queries.tolist() == []
    assert [one.queries.tolist() for one in kept[1:]] == [[0, 1]] * 3
    assert kept[1].boxes.tolist() == [1, 0]  # 7 and 3 by name; by place it were the other way round
    assert kept[2].boxes.tolist() == [-1, -1]  # hidden
    assert kept[3].boxes.tolist() == [1, 0]
    queries, picked = match_others(torch.zeros(4, 1), boxes[2], targets[2], Costs(), kept[2])
    assert (queries.tolist(), picked.tolist()) == ([2], [0])  # of the others; a hidden object's slot takes nothing


def test_without_ids_every_query_is_free():
    frames = [Target(row(50), torch.tensor([0]))] * 2
    kept = follow(torch.zeros(2, 3, 1), row(900, 50, 60).expand(2, 3, 4), torch.tensor([[-1], [1]]), frames, Costs())
    assert [len(one.queries) for one in kept] == [0, 0]


def test_with_nothing_kept_the_match_is_the_plain_one():
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(6, 4, generator=generator) * 40
    boxes[:, 2:] += boxes[:, :2] + 1
    logits, truth = torch.randn(6, 2, generator=generator), Target(boxes[[4, 1, 2]] + 3, torch.tensor([0, 1, 0]))
    nothing = Kept(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    for one, other in zip(
        match(logits, boxes, truth, Costs()), match_others(logits, boxes, truth, Costs(), nothing), strict=True
    ):
        assert torch.equal(one, other)


# --- the order on the belt ------------------------------------------------------------------------------------------


def objects(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.cat([torch.rand(4, count, 2, generator=generator) * 200, torch.full((4, count, 2), 12.0)], -1)
    return torch.randn(4, count, 16, generator=generator), torch.randn(4, count, 1, generator=generator), boxes


@torch.no_grad()
@pytest.mark.parametrize("axis", ["x", "y"])
def test_the_place_in_the_list_does_not_matter_and_the_place_on_the_belt_does(axis):
    torch.manual_seed(0)
    belt, (query, logits, boxes) = BeltOrder(16, axis, 0.5), objects(7)
    told = belt(query, logits, boxes)
    order = torch.randperm(7)
    torch.testing.assert_close(belt(query[:, order], logits[:, order], boxes[:, order]), told[:, order])
    squeezed = boxes.clone()
    squeezed[..., "xy".index(axis)] *= -1  # the same order, read backwards
    assert (belt(query, logits, squeezed) - told).abs().max() > 1e-3


@torch.no_grad()
def test_the_weakest_of_a_crowd_are_left_as_they_are():
    query, logits, boxes = objects(BELT_OBJECTS + 9)
    told = BeltOrder(16, "x", 0.5)(query, logits, boxes)
    same = (told == query).all(-1)
    weak = logits[..., 0].argsort(1)[:, :9]
    assert same.sum(1).tolist() == [9] * 4
    assert same.gather(1, weak).all()


def test_each_object_learns_what_lies_before_it_on_the_belt():
    """The sign of the neighbour to the left, in a list without order."""
    torch.manual_seed(0)
    belt, head = BeltOrder(16, "x", 0.5), nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*belt.parameters(), *head.parameters()], 1e-2)
    shares = []
    for step in range(120):
        query, logits, boxes = objects(5, step)
        sign = query[..., 0].sign()
        query[..., 0] = 2 * sign
        before = (boxes[..., 0][:, None] < boxes[..., 0][:, :, None]) * boxes[..., 0][:, None]  # [b, of, candidate]
        has, truth = before.amax(2) > 0, sign.gather(1, before.argmax(2))
        found = head(belt(query, logits, boxes))[..., 0]
        loss = nn.functional.binary_cross_entropy_with_logits(found[has], (truth[has] > 0).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        shares.append(((found > 0) == (truth > 0))[has].float().mean().item())
    assert sum(shares[:10]) / 10 < 0.7
    assert sum(shares[-20:]) / 20 > 0.95
