"""Objects from frame to frame and along the belt: the rules of ids, what training tells a slot, what order tells."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from hybrid.core.types import Target
from hybrid.losses.matcher import Costs, SlotMatches, follow, match, match_others
from hybrid.model.network import Network
from hybrid.model.objects.belt import BELT_OBJECTS, BeltOrder
from hybrid.model.objects.tracks import (
    BIRTH_SCORE,
    FADE,
    MATCH_SCORE,
    MATCH_SHARE,
    MEMORY,
    SAME_IOU,
    ObjectRecurrence,
    empty_tracks,
    initial_logits,
    match_slots,
    update_tracks,
)
from tests.hybrid.variants import build, clip


def logit(score):
    return torch.logit(torch.as_tensor(score, dtype=torch.float32))


def answers(slots, scores, centres):
    """A frame's queries of one category: their scores, and boxes of 10 px about their centres' x."""
    boxes = torch.tensor([[[x, 20.0, 10, 10] for x in centres]])
    assert len(scores) == len(centres) > slots
    return torch.zeros(1, len(scores), 4), logit(scores)[None, :, None], boxes


def after(before, scores, centres, step=None, seen=(), begun=None):
    """`seen`: the slots that went on as new queries; `begun`: the scores that the decoder started from."""
    slots = before.ids.shape[1]
    again = torch.tensor([[k in seen for k in range(slots)]])
    state, logits, boxes = answers(slots, scores, centres)
    start_logits = logits if begun is None else logit(begun)[None, :, None]
    return update_tracks(
        before, state, logits, start_logits, boxes, None if step is None else torch.tensor([step]), again
    )


def start(slots=3):
    return empty_tracks(1, slots, 4, 1, torch.device("cpu"))


NOTHING = [1e-6] * 3
FAR = [900.0, 930.0, 960.0]


def test_what_is_sure_gets_an_id_and_keeps_it_wherever_its_slot_goes():
    result = after(start(), [*NOTHING, 0.9, 0.1, 0.7], [*FAR, 50, 80, 120])
    assert result.ids.tolist() == [[-1, -1, -1, 0, -1, 1]]
    assert result.tracks.next_id.tolist() == [2]
    places = dict(zip(result.tracks.ids[0].tolist(), result.source[0].tolist(), strict=True))
    assert places == {0: 3, 1: 5, -1: -1}
    of_slot = result.tracks.boxes_cxcywh_px[0, :, 0].tolist()
    assert {50, 120} <= set(of_slot)
    later = after(result.tracks, [0.3, 0.8, 0.1, 0.9], [*(x + 30 for x in of_slot), 300])
    assert later.ids[0, :3].tolist() == result.tracks.ids[0].tolist()
    assert later.ids[0, 3] == 2


def test_who_is_followed_is_decided_in_the_end_and_remembered_as_it_began():
    result = after(start(), [*NOTHING, 0.9, 0.1, 0.1], [*FAR, 50, 80, 120], begun=[*NOTHING, 0.3, 0.9, 0.8])
    slot = result.tracks.ids[0].tolist().index(0)
    assert result.ids.tolist() == [[-1, -1, -1, 0, -1, -1]]
    assert result.tracks.strength[0, slot].item() == pytest.approx(0.9)
    assert result.tracks.logits[0, slot].sigmoid().item() == pytest.approx(0.3)


def test_a_second_answer_on_the_same_place_is_not_a_second_object():
    beside = 10 * (1 - SAME_IOU) / (1 + SAME_IOU)  # a shift that leaves just SAME_IOU
    result = after(start(), [*NOTHING, 0.9, 0.8, 0.8], [*FAR, 50, 50 + beside - 0.1, 50 - beside - 0.1])
    assert result.ids.tolist() == [[-1, -1, -1, 0, -1, 1]]
    slot = result.tracks.ids[0].tolist().index(0)
    scores = [1e-6] * 3
    scores[slot] = 0.2  # it is there but not sure; the new answer on its place is
    centres = list(FAR)
    centres[slot] = 50.0
    again = after(result.tracks, [*scores, 0.95], [*centres, 50])
    assert again.ids[0, slot] == 0
    assert again.ids[0, 3] == -1


def test_a_second_answer_is_not_followed_on_and_so_never_becomes_two():
    """Else doubles fill the slots: each frame's second answers are answered again in all later ones."""
    state = start(4)
    for _ in range(6):
        where = state.boxes_cxcywh_px[0, :, 0].tolist()
        scores = state.logits[0, :, 0].sigmoid().tolist()
        result = after(state, [*scores, 0.9, 0.8, 0.6], [*where, 50, 51, 120])
        state = result.tracks
        assert 5 not in result.source[0].tolist()  # the second answer, surer than the weaker object
        assert (state.strength[0] > 0.1).sum() == 2
        assert result.source[0, state.strength[0] == 0].tolist() == [-1, -1]  # an empty slot is to find nothing
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
    unseen = torch.zeros(1, 3, dtype=torch.bool)
    update_tracks(start(), state, logits, logits, boxes, None, unseen).tracks.content.sum().backward()
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
    tracks = empty_tracks(2, 3, 8, 1, torch.device("cpu"))
    _, boxes = unit.queries(tracks, torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(boxes[:, 0], torch.tensor([[0.5, -1, 1, 1], [1.5, -3, 1, 1]]))


# --- objects that are seen again -------------------------------------------------------------------------------------


def expected(*centres, strength=0.8):
    """Slots that expect their objects, boxes of 10 px, at these centres' x."""
    boxes = torch.tensor([[[x, 20.0, 10, 10] for x in centres]])
    return replace(start(len(centres)), boxes_cxcywh_px=boxes, strength=torch.full((1, len(centres)), strength))


def told(tracks, scores, centres, step=None):
    """The scores that the slots start from."""
    _, logits, boxes = answers(0, scores, centres)
    result = match_slots(tracks, tracks.boxes_cxcywh_px, logits, boxes)
    return initial_logits(tracks, result, logits, None if step is None else torch.tensor([step])).sigmoid()[0, :, 0]


def sure(tracks, *scores):
    return replace(tracks, logits=logit(scores)[None, :, None], strength=torch.tensor([scores]))


@pytest.mark.parametrize(("step", "kept"), [(None, MEMORY), (1.0, MEMORY), (2.0, MEMORY**2)])
def test_the_score_of_what_is_seen_again_is_a_running_mean_of_what_was_told(step, kept):
    result = told(sure(expected(50), 0.5), [0.8], [50.0], step)
    torch.testing.assert_close(torch.logit(result), (1 - kept) * logit([0.8]) + kept * logit([0.5]))


def test_a_blank_frame_says_little_against_an_object_and_one_in_which_all_others_are_seen_says_much():
    tracks = sure(expected(50, 100, 150, 200), 0.8, 0.8, 0.8, 0.8)
    blank = told(tracks, [0.01], [900.0])
    clear = told(tracks, [0.8, 0.8, 0.8, 0.01], [50.0, 100, 150, 900])
    half = told(tracks, [0.8, 0.01], [50.0, 900])
    assert (blank > 0.75).all()
    assert clear[3] < 0.6
    assert clear[3] < half[3] < blank[3]
    assert told(sure(expected(50), 0.8), [0.01], [900.0])[0] < 0.8  # alone: nothing else tells how well one sees


def test_weak_evidence_does_not_overrule_memory_and_is_not_told_beside_it():
    tracks = sure(expected(50), 0.8)
    weak = again(tracks, [MATCH_SHARE * 0.8 - 0.01], [50.0])
    assert (weak.matched.tolist(), weak.redetected.tolist()) == ([[True]], [[False]])
    assert not weak.unmatched(1).any()
    enough = again(tracks, [MATCH_SHARE * 0.8 + 0.01], [50.0])
    assert enough.redetected.all()


def again(tracks, scores, centres):
    _, logits, boxes = answers(0, scores, centres)
    return match_slots(tracks, tracks.boxes_cxcywh_px, logits, boxes)


def test_an_object_is_seen_again_by_the_new_query_that_is_its_best_and_whose_best_it_is():
    result = again(expected(50, 56, 100, 300), [0.6, 0.5, 0.9, MATCH_SCORE - 0.01], [108.0, 52, 700, 300])
    assert result.redetected.tolist() == [
        [True, False, True, False]
    ]  # the second is nearer to nobody; the last is too weak
    assert result.query[0, [0, 2]].tolist() == [1, 0]
    assert result.unmatched(4).tolist() == [[False, False, True, True]]
    values = torch.arange(4.0)[None, :, None]
    assert result.gather(values)[0, [0, 2], 0].tolist() == [1, 0]


def test_of_two_new_queries_the_surer_one_is_taken_and_an_empty_slot_takes_none():
    assert again(expected(50), [0.2, 0.6], [50.0, 51]).query.tolist() == [[1]]
    assert not again(expected(50, strength=0.0), [0.9], [50.0]).redetected.any()


@pytest.mark.parametrize("step", [None, 1.0, 2.0])
def test_what_moves_by_its_own_size_a_frame_is_followed_and_expected_where_it_goes_while_hidden(step):
    unit, time = ObjectRecurrence(4).requires_grad_(False), 1.0 if step is None else step
    given = None if step is None else torch.tensor([step])
    tracks, x = after(start(1), [1e-6, 0.8], [900.0, 50], step).tracks, 50.0
    for _ in range(6):
        x += 10
        _, boxes = unit.queries(tracks, given)
        _, logits, new = answers(0, [0.7], [x])
        assert match_slots(tracks, boxes, logits, new).redetected.all()
        tracks = after(tracks, [0.7, 1e-6], [x, 900], step, seen=[0]).tracks
    torch.testing.assert_close(tracks.speed_px, torch.tensor([[[10 / time, 0.0]]]), rtol=0.02, atol=0.02)
    for _ in range(3):
        x += 10
        _, boxes = unit.queries(tracks, given)
        torch.testing.assert_close(boxes[0, 0, 0], torch.tensor(x), rtol=0, atol=0.5)
        tracks = after(tracks, [0.3, 1e-6], [boxes[0, 0, 0].item(), 900], step).tracks
    assert tracks.ids.tolist() == [[0]]


def test_what_is_new_is_expected_to_move_as_the_objects_do():
    tracks = after(start(2), [1e-6, 1e-6, 0.8], [900.0, 930, 50]).tracks
    slot = tracks.ids[0].tolist().index(0)
    where = [57.0 if k == slot else 900.0 for k in range(2)]
    tracks = after(tracks, [*(0.8 if k == slot else 1e-6 for k in range(2)), 0.8], [*where, 200], seen=[slot]).tracks
    assert sorted(tracks.speed_px[0, :, 0].tolist()) == pytest.approx([4.9, 7.0])


def test_only_what_is_sure_enough_for_an_id_is_followed():
    tracks = after(start(2), [1e-6, 1e-6, BIRTH_SCORE + 0.01, BIRTH_SCORE - 0.01], [900.0, 930, 50, 80]).tracks
    assert sorted((tracks.strength > 0)[0].tolist()) == [False, True]
    assert tracks.boxes_cxcywh_px[0, tracks.strength[0] > 0, 0].tolist() == [50]


def test_what_is_followed_to_where_a_better_object_is_has_become_that_one_unless_it_is_seen_there():
    tracks = after(start(2), [1e-6, 1e-6, 0.8, 0.7], [900.0, 930, 50, 80]).tracks
    where = {0: 80.0, 1: 80.0}
    centres = [*(where[one] for one in tracks.ids[0].tolist()), 900]
    weak, strong = tracks.ids[0].tolist().index(0), tracks.ids[0].tolist().index(1)
    scores = [0.3 if k == weak else 0.8 for k in range(2)] + [1e-6]
    assert sorted(after(tracks, scores, centres, seen=[strong]).tracks.ids[0].tolist()) == [-1, 1]
    assert sorted(after(tracks, scores, centres, seen=[0, 1]).tracks.ids[0].tolist()) == [0, 1]


@torch.no_grad()
@pytest.mark.parametrize("boxes", ["visible", "whole"])
@pytest.mark.parametrize("branches", ["cnn", "cnn+rnn+transformer"])
def test_what_is_in_sight_is_answered_as_without_slots_but_for_its_mean_score(branches, boxes, monkeypatch):
    """Following costs nothing: the slots are the new queries themselves, each is asked once, with the same content."""
    monkeypatch.setattr("hybrid.model.objects.tracks.MEMORY", 0.0)
    detector = build("tracks", branches=branches, tracks=3, boxes=boxes)
    detector.decoder.objects.motion.weight.zero_()
    detector.decoder.objects.motion.bias.zero_()
    images = clip(1).expand(-1, 3, -1, -1, -1)
    output, _ = detector(images)
    plain = Network(replace(detector.config, tracks=0)).eval()
    plain.load_compatible(detector.state_dict())
    alone, _ = plain(images)
    assert output.tracks.redetected[:, 1:].sum() >= 4
    for k in range(3):
        there = output.logits[0, k].amax(-1) > -19
        unseen = output.tracks.alive[0, k] & ~output.tracks.redetected[0, k]
        assert not unseen.any()
        assert there.sum() == alone.logits.shape[2]
        for mine, other in ((output.logits, alone.logits), (output.boxes_xyxy_px, alone.boxes_xyxy_px)):
            rows, wanted = mine[0, k][there], other[0, k]
            torch.testing.assert_close(rows[rows[:, 0].argsort()], wanted[wanted[:, 0].argsort()], rtol=0, atol=1e-4)


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
    kept = follow(torch.zeros(4, 4, 1), boxes, source, source.ne(source), targets, Costs())
    assert kept[0].queries.tolist() == []
    assert [one.queries.tolist() for one in kept[1:]] == [[0, 1]] * 3
    assert kept[1].boxes.tolist() == [1, 0]  # 7 and 3 by name; by place it were the other way round
    assert kept[2].boxes.tolist() == [-1, -1]  # hidden
    assert kept[3].boxes.tolist() == [1, 0]
    queries, picked = match_others(torch.zeros(4, 1), boxes[2], targets[2], Costs(), kept[2])
    assert (queries.tolist(), picked.tolist()) == ([2], [0])  # of the others; a hidden object's slot takes nothing


def test_a_slot_that_went_on_as_a_new_query_is_matched_as_those_are_and_keeps_what_it_finds():
    boxes = torch.stack([row(900, 50, 80), row(80, 50, 300), row(300, 50, 80)])
    targets = [target((7, 50)), target((7, 50), (3, 80)), target((7, 50), (3, 80))]
    source, seen = torch.tensor([[-1], [1], [0]]), torch.tensor([[False], [True], [False]])
    kept = follow(torch.zeros(3, 3, 1), boxes, source, seen, targets, Costs())
    assert kept[1].queries.tolist() == []  # it held 7, and went on as the query on 3
    assert (kept[2].queries.tolist(), kept[2].boxes.tolist()) == ([0], [1])  # so it holds 3, though it lies elsewhere
    known = follow(torch.zeros(3, 3, 1), boxes, source, seen & False, targets, Costs())
    assert [one.boxes.tolist() for one in known] == [[], [0], [0]]  # without that it is to go back to 7


def test_without_ids_every_query_is_free():
    frames, source = [Target(row(50), torch.tensor([0]))] * 2, torch.tensor([[-1], [1]])
    kept = follow(torch.zeros(2, 3, 1), row(900, 50, 60).expand(2, 3, 4), source, source.ne(source), frames, Costs())
    assert [len(one.queries) for one in kept] == [0, 0]


def test_with_nothing_kept_the_match_is_the_plain_one():
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(6, 4, generator=generator) * 40
    boxes[:, 2:] += boxes[:, :2] + 1
    logits, truth = torch.randn(6, 2, generator=generator), Target(boxes[[4, 1, 2]] + 3, torch.tensor([0, 1, 0]))
    nothing = SlotMatches(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
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
        result = head(belt(query, logits, boxes))[..., 0]
        loss = nn.functional.binary_cross_entropy_with_logits(result[has], (truth[has] > 0).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        shares.append(((result > 0) == (truth > 0))[has].float().mean().item())
    assert sum(shares[:10]) / 10 < 0.7
    assert sum(shares[-20:]) / 20 > 0.95
