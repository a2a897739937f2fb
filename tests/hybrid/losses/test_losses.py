"""Losses: never without a gradient, divided by the boxes, least at the truth."""

import math
from dataclasses import replace

import pytest
import torch
from torchvision.ops import generalized_box_iou_loss

from hybrid.core.boxes import to_centre
from hybrid.core.config import BRANCHES
from hybrid.core.types import Denoising, LayerOutput, Output, Proposals, Target
from hybrid.losses.criterion import Criterion, LossConfig, varifocal
from hybrid.model.network import Network
from tests.hybrid.variants import full

SMALL = full(("bolt", "nut"), width=16, queries=12, decoder_layers=2, denoising_queries=12)
TARGET = Target(torch.tensor([[10.0, 12, 30, 28], [40, 8, 60, 50]]), torch.tensor([0, 1]))


def answer(logits, boxes, auxiliary=0):
    """An output whose layers and proposals all say the same, each at one point in the middle of its box."""
    layer, middle = LayerOutput(logits, boxes), to_centre(boxes[0, 0].detach())[:, :2].round()
    proposals = Proposals(logits, boxes, middle, torch.full((len(middle),), 4.0))
    return Output(logits, boxes, (64, 64), (layer,) * auxiliary, proposals)


def perfect(confidence):
    labels = torch.tensor([[1.0, 0], [0, 1], [0, 0]])
    boxes = torch.cat([TARGET.boxes_xyxy_px, torch.tensor([[1.0, 1, 5, 5]])])
    return answer(((labels * 2 - 1) * confidence)[None, None], boxes[None, None])


@pytest.mark.parametrize("branches", BRANCHES)
@pytest.mark.parametrize("frames", [1, 2])
def test_frames_without_boxes_give_a_finite_loss_and_every_gradient(branches, frames):
    detector = Network(replace(SMALL, branches=branches))
    targets = [[Target.empty()] * frames]
    output, _ = detector(torch.rand(1, frames, 3, 48, 64), None, targets)
    losses = Criterion()(output, targets)
    losses["total"].backward()
    assert torch.isfinite(losses["total"])
    assert losses["box"] == losses["giou"] == losses["denoising/box"] == 0
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in detector.parameters())


def test_the_truth_costs_next_to_nothing_and_anything_else_more():
    criterion = Criterion()
    assert criterion(perfect(12.0), [[TARGET]])["total"] < 1e-3
    moved = perfect(12.0)
    moved = answer(moved.logits, moved.boxes_xyxy_px + 3)
    assert criterion(moved, [[TARGET]])["total"] > 0.3
    assert criterion(perfect(0.0), [[TARGET]])["total"] > 0.3
    swapped = perfect(12.0)
    assert criterion(answer(swapped.logits.flip(-1), swapped.boxes_xyxy_px), [[TARGET]])["total"] > 5


def test_points_near_the_middle_are_to_score_one_however_poor_their_boxes_still_are():
    output = perfect(1.0)
    poor = replace(output.proposals, boxes_xyxy_px=output.proposals.boxes_xyxy_px + 9)
    exact, rough = (Criterion()(replace(output, proposals=one), [[TARGET]]) for one in (output.proposals, poor))
    assert rough["proposals/score"] == exact["proposals/score"]
    assert rough["proposals/giou"] > exact["proposals/giou"]
    assert Criterion()(perfect(12.0), [[TARGET]])["proposals/score"] < 1e-3


def test_the_dense_losses_do_not_depend_on_how_many_points_answer_for_an_object():
    output = perfect(1.0)
    dense = replace(output.proposals, boxes_xyxy_px=output.proposals.boxes_xyxy_px + 2)
    twice = Proposals(
        dense.logits.repeat(1, 1, 2, 1),
        dense.boxes_xyxy_px.repeat(1, 1, 2, 1),
        dense.points_xy_px.repeat(2, 1),
        dense.strides_px.repeat(2),
    )
    one, other = (Criterion()(replace(output, proposals=points), [[TARGET]]) for points in (dense, twice))
    names = [name for name in one if name.startswith("proposals/")]
    assert len(names) == 3
    for name in names:
        assert other[name].item() == pytest.approx(one[name].item(), rel=1e-5) != 0, name


def test_the_loss_of_a_frame_does_not_depend_on_how_often_it_comes():
    one = answer(torch.zeros(1, 1, 3, 2), perfect(1.0).boxes_xyxy_px + 2)
    two = answer(torch.zeros(2, 1, 3, 2), (perfect(1.0).boxes_xyxy_px + 2).repeat(2, 1, 1, 1))
    once, twice = Criterion()(one, [[TARGET]]), Criterion()(two, [[TARGET], [TARGET]])
    for name, value in once.items():
        assert twice[name].item() == pytest.approx(value.item(), rel=1e-5), name


def test_the_score_loss_is_the_slow_loop():
    """Zhang et al., VarifocalNet, equation 2, with alpha 0.75 and gamma 2; positives weigh a half or more."""
    generator = torch.Generator().manual_seed(0)
    logits, wanted = torch.randn(2, 4, 3, generator=generator), torch.zeros(2, 4, 3)
    frame, query, label = torch.tensor([0, 1]), torch.tensor([2, 0]), torch.tensor([1, 2])
    wanted[frame, query, label] = torch.tensor([0.9, 0.2])
    got = varifocal(logits, wanted, frame, query, label)
    for place in [(n, q, c) for n in range(2) for q in range(4) for c in range(3)]:
        p, to = 1 / (1 + math.exp(-logits[place])), wanted[place].item()
        weight = {(0, 2, 1): 0.9, (1, 0, 2): 0.5}.get(place, 0.75 * p**2)
        loss = -weight * (to * math.log(p) + (1 - to) * math.log(1 - p))
        assert got[place].item() == pytest.approx(loss, rel=1e-4)


def test_the_boxes_losses_are_torchvisions_and_shares_of_the_true_sides():
    """Matched one to one by brute force; one layer, so nothing else adds to these two sums."""
    boxes = torch.cat([TARGET.boxes_xyxy_px + torch.tensor([1.0, -2, 3, 1]), torch.tensor([[1.0, 1, 5, 5]])])
    output = answer(torch.zeros(1, 1, 3, 2), boxes[None, None])
    losses = Criterion(LossConfig(box=1.0, giou=1.0))(output, [[TARGET]])
    truth = TARGET.boxes_xyxy_px
    giou = generalized_box_iou_loss(boxes[:2], truth, reduction="sum").item() / 2
    assert losses["giou"].item() == pytest.approx(giou, rel=1e-4)
    sides = [(20, 16), (20, 42)]
    relative = [(1 / w + 2 / h + 3 / w + 1 / h) / 4 for w, h in sides]
    assert losses["box"].item() == pytest.approx(sum(relative) / 2, rel=1e-4)


def test_each_layer_counts():
    logits, boxes = torch.zeros(1, 1, 3, 2), perfect(1.0).boxes_xyxy_px + 2
    alone, three = (Criterion()(answer(logits, boxes, more), [[TARGET]]) for more in (0, 2))
    assert three["giou"].item() == pytest.approx(3 * alone["giou"].item(), rel=1e-5)
    assert three["proposals/giou"].item() == pytest.approx(alone["proposals/giou"].item())


def test_total_is_the_sum_and_weights_weigh():
    output = answer(torch.zeros(1, 1, 3, 2), perfect(1.0).boxes_xyxy_px + 2)
    losses = Criterion()(output, [[TARGET]])
    assert losses["total"].item() == pytest.approx(sum(v.item() for k, v in losses.items() if k != "total"), rel=1e-5)
    doubled = Criterion(LossConfig(giou=4.0, proposals=0.0))(output, [[TARGET]])
    assert doubled["giou"].item() == pytest.approx(2 * losses["giou"].item())
    assert doubled["proposals/giou"] == 0


def test_negative_denoising_queries_learn_silence_and_padding_nothing():
    boxes = TARGET.boxes_xyxy_px[None, None, :1].repeat(1, 1, 3, 1)
    logits = torch.zeros(1, 1, 3, 2, requires_grad=True)
    flags = torch.tensor([[[True, False, False]]]), torch.tensor([[[True, True, False]]])
    noise = Denoising((LayerOutput(logits, boxes),), torch.zeros(1, 1, 3, dtype=torch.int64), *flags)
    Criterion()(replace(perfect(1.0), denoising=noise), [[TARGET]])["total"].backward()
    gradient = logits.grad[0, 0]
    assert gradient[0, 0] < 0 < gradient[0, 1]
    assert (gradient[1] > 0).all()
    assert (gradient[2] == 0).all()


def test_a_diverged_step_is_reported_not_hidden():
    output = answer(torch.full((1, 1, 3, 2), float("nan")), perfect(1.0).boxes_xyxy_px)
    assert torch.isnan(Criterion()(output, [[TARGET]])["total"])


def test_targets_must_be_as_many_as_frames():
    with pytest.raises(ValueError, match=r"output is of 1 frames, the targets of 2"):
        Criterion()(perfect(1.0), [[TARGET, TARGET]])


@pytest.mark.parametrize("count", [1, 300])
def test_crowds_and_one_pixel_boxes_under_bfloat16(count):
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(count, 2, generator=generator) * 60
    target = Target(torch.cat([corner, corner + 1], 1), torch.zeros(count, dtype=torch.int64))
    detector = Network(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = detector(torch.rand(1, 1, 3, 64, 64), None, [[target]])
        loss = Criterion()(output, [[target]])["total"]
    loss.backward()
    assert output.boxes_xyxy_px.dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in detector.parameters())
