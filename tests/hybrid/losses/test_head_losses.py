"""The losses of the heads against slow loops over the formulas of their papers."""

from __future__ import annotations

import math

import pytest
import torch

from hybrid.core.types import Target
from hybrid.losses.heads import TEMPERATURE, clip_loss, embedding_loss


def target(ids, first_box=0):
    boxes = torch.tensor([[0.0, 0, 10, 10]]) + torch.arange(len(ids))[:, None] + first_box
    return Target(boxes, torch.zeros(len(ids), dtype=torch.int64), None if None in ids else torch.tensor(ids))


def picked(*pairs):
    """Queries and boxes of one frame, from (query, box) pairs."""
    queries, boxes = zip(*pairs, strict=True) if pairs else ((), ())
    return torch.tensor(queries, dtype=torch.int64), torch.tensor(boxes, dtype=torch.int64)


def unit(*shape, seed=0):
    vectors = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return vectors / vectors.norm(dim=-1, keepdim=True)


def slow_contrast(rows):
    """Khosla et al., NeurIPS 2020, equation 2, for (vector, object, frame) rows: a loss for each anchor."""
    losses = []
    for i, (anchor, who, frame) in enumerate(rows):
        others = [(float(anchor @ v) / TEMPERATURE, w, f) for j, (v, w, f) in enumerate(rows) if j != i]
        positives = [s for s, w, f in others if w == who and f != frame]
        if positives:
            whole = math.log(sum(math.exp(s) for s, _, _ in others))
            losses.append(sum(whole - s for s in positives) / len(positives))
    return losses


def test_the_embedding_loss_is_the_slow_loop_over_clips_frames_and_objects():
    """Two clips of three frames; queries in another order than boxes, objects that come and go, one unknown."""
    vectors = unit(2, 3, 4, 5)
    ids = [[[7, 3], [3, 7, 8], [7]], [[1, -1], [5, 1], [1, 5]]]
    pairs = [
        [[(2, 0), (0, 1)], [(1, 1), (3, 0), (0, 2)], [(3, 0)]],
        [[(0, 0), (1, 1)], [(2, 0), (3, 1)], [(1, 1), (0, 0)]],
    ]
    losses = []
    for clip in range(2):
        rows = []
        for k in range(3):
            who = ids[clip][k]
            rows += [(vectors[clip, k, q], who[b], k) for q, b in pairs[clip][k] if who[b] >= 0]
        losses += slow_contrast(rows)
    targets = [target(frame) for clip in ids for frame in clip]
    picks = [picked(*frame) for clip in pairs for frame in clip]
    assert len(losses) == 10
    assert TEMPERATURE == 0.1
    assert embedding_loss(vectors, picks, targets).item() == pytest.approx(sum(losses) / 10, rel=1e-5)


def test_frames_without_ids_are_left_out_and_the_others_still_teach():
    vectors = unit(1, 3, 2, 4)
    picks = [picked((0, 0), (1, 1))] * 3
    rows = [(vectors[0, k, q], q, k) for k in (0, 2) for q in range(2)]
    got = embedding_loss(vectors, picks, [target([0, 1]), target([None, None]), target([0, 1])])
    assert got.item() == pytest.approx(sum(slow_contrast(rows)) / 4, rel=1e-5)


def test_where_nothing_teaches_the_embedding_loss_is_zero_with_a_gradient():
    for ids in ([None, None], [-1, -1], [0, 1]):
        vectors = unit(1, 1, 2, 4).requires_grad_()
        loss = embedding_loss(vectors, [picked((0, 0), (1, 1))], [target(ids)])
        loss.backward()
        assert loss.item() == 0
        assert torch.equal(vectors.grad, torch.zeros_like(vectors))


def test_of_one_object_embeddings_are_pulled_together_and_objects_apart():
    vectors = unit(1, 2, 2, 4).requires_grad_()
    embedding_loss(vectors, [picked((0, 0), (1, 1))] * 2, [target([0, 1])] * 2).backward()
    step = (vectors - 0.01 * vectors.grad).detach()
    before, after = (x[0, 0] @ x[0, 1].T for x in (vectors.detach(), step))
    assert (after.diagonal() > before.diagonal()).all()


@pytest.mark.parametrize("labels", [(2, -1, 0), (-1, -1, 1), (0, 1, 2)])
def test_the_clip_loss_weighs_frames_by_how_many_were_seen_and_clips_alike(labels):
    logits = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(1))
    known = [b for b in range(3) if labels[b] >= 0]
    wanted = 0.0
    for b in known:
        for t in range(4):
            wanted -= (t + 1) / 10 * logits[b, t].log_softmax(0)[labels[b]].item()
    assert clip_loss(logits, torch.tensor(labels)).item() == pytest.approx(wanted / len(known), rel=1e-5)


def test_a_clip_without_a_label_gets_no_gradient():
    logits = torch.zeros(2, 3, 2, requires_grad=True)
    clip_loss(logits, torch.tensor([-1, 1])).backward()
    assert torch.equal(logits.grad[0], torch.zeros(3, 2))
    assert (logits.grad[1, :, 1] < 0).all()
    none = torch.zeros(2, 3, 2, requires_grad=True)
    clip_loss(none, torch.tensor([-1, -1])).backward()
    assert torch.equal(none.grad, torch.zeros(2, 3, 2))
