"""Boxes: laws of IoU and GIoU, an independent computation, and the refinement that heads and anchors share."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import generalized_box_iou

from hybrid.core.boxes import iou_and_giou, pairwise_giou, pairwise_iou, refine, to_centre, to_corners

whole = st.integers(-40, 40)


@st.composite
def boxes(draw, least_side=1):
    x, y = draw(whole), draw(whole)
    return torch.tensor(
        [x, y, x + draw(st.integers(least_side, 60)), y + draw(st.integers(least_side, 60))], dtype=torch.float32
    )


def slow_giou(a, b):
    """By counting whole pixels."""
    pixels = [{(x, y) for x in range(int(q[0]), int(q[2])) for y in range(int(q[1]), int(q[3]))} for q in (a, b)]
    low, high = torch.minimum(a, b)[:2], torch.maximum(a, b)[2:]
    hull = float((high - low).prod())
    union = len(pixels[0] | pixels[1])
    return len(pixels[0] & pixels[1]) / union - (hull - union) / hull


@given(boxes(), boxes())
def test_giou_is_what_counting_pixels_gives(a, b):
    assert iou_and_giou(a, b)[1].item() == pytest.approx(slow_giou(a, b), abs=1e-5)


@given(boxes(), boxes(), whole, st.integers(1, 8))
def test_laws_of_giou(a, b, shift, scale):
    iou, giou = iou_and_giou(a, b)
    assert -1 <= giou <= iou + 1e-6 <= 1 + 2e-6
    assert iou_and_giou(b, a)[1].item() == pytest.approx(giou.item(), abs=1e-6)
    assert iou_and_giou(a, a)[1].item() == pytest.approx(1, abs=1e-6)
    assert iou_and_giou(scale * a + shift, scale * b + shift)[1].item() == pytest.approx(giou.item(), abs=1e-5)


def test_pairwise_agrees_with_torchvision():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(n, 4, generator=generator) * 50 for n in (7, 5))
    a, b = (torch.cat([x[:, :2], x[:, :2] + x[:, 2:] + 1], 1) for x in (a, b))
    torch.testing.assert_close(pairwise_giou(a, b), generalized_box_iou(a, b))
    assert pairwise_iou(a, b).shape == (7, 5)
    assert pairwise_giou(a[:0], b).shape == (0, 5)


@pytest.mark.parametrize("other", [[0.0, 0, 0, 0], [5.0, 5, 5, 9], [3.0, 3, 9, 9], [100.0, 100, 101, 101]])
def test_boxes_without_area_have_finite_gradients(other):
    a = torch.tensor([3.0, 3, 3, 3], requires_grad=True)
    iou, giou = iou_and_giou(a, torch.tensor(other))
    (iou + giou).backward()
    assert torch.isfinite(giou)
    assert torch.isfinite(a.grad).all()


@given(boxes(), st.lists(st.floats(-2, 2), min_size=4, max_size=4))
def test_refinement_moves_by_shares_and_scales_by_powers(box, change):
    dx, dy, dw, dh = change
    x, y, w, h = to_centre(box).tolist()
    got = refine(to_centre(box), torch.tensor(change))
    wanted = torch.tensor([x + dx * w, y + dy * h, w * 2.718281828**dw, h * 2.718281828**dh])
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(to_centre(to_corners(got)), got, rtol=1e-4, atol=1e-3)


def test_refinement_of_wild_numbers_stays_a_box():
    got = refine(torch.tensor([[5.0, 5, 10, 10]] * 2), torch.tensor([[0.0, 0, 1e9, 1e9], [0, 0, -1e9, -1e9]]))
    assert (got[:, 2:] > 0).all()
    assert (got[:, 2:] <= 161).all()
