"""Box geometry on tensors, float32. Boxes are xyxy in pixels, max exclusive, unless a name says otherwise."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32
from torch import Tensor

TINY = 1e-7  # keeps quotients of areas finite


def to_centre(boxes_xyxy: Float32[Tensor, "*n 4"]) -> Float32[Tensor, "*n 4"]:
    """(x_min, y_min, x_max, y_max) as (x_centre, y_centre, width, height)."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def to_corners(boxes_cxcywh: Float32[Tensor, "*n 4"]) -> Float32[Tensor, "*n 4"]:
    """(x_centre, y_centre, width, height) as (x_min, y_min, x_max, y_max)."""
    centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def area(boxes: Float32[Tensor, "*n 4"]) -> Float32[Tensor, "*n"]:
    """Areas of xyxy boxes; 0 where max is below min."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def iou_and_giou(
    a: Float32[Tensor, "*n 4"], b: Float32[Tensor, "*m 4"]
) -> tuple[Float32[Tensor, "..."], Float32[Tensor, "..."]]:
    """IoU and generalized IoU (Rezatofighi et al., CVPR 2019) of xyxy boxes, with broadcasting.

    A box without area has an IoU of 0 and a finite GIoU; gradients are finite.
    """
    overlap = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    union = area(a) + area(b) - overlap
    iou = overlap / (union + TINY)
    return iou, iou - (hull - union) / (hull + TINY)


def pairwise_iou(a: Float32[Tensor, "n 4"], b: Float32[Tensor, "m 4"]) -> Float32[Tensor, "n m"]:
    """IoU of each box of `a` with each box of `b`; as `iou_and_giou`, in planes, which CPUs do four times as fast."""
    (a_left, a_top, a_right, a_bottom), (b_left, b_top, b_right, b_bottom) = a.unbind(-1), b.unbind(-1)
    across = (torch.minimum(a_right[:, None], b_right) - torch.maximum(a_left[:, None], b_left)).clamp(min=0)
    down = (torch.minimum(a_bottom[:, None], b_bottom) - torch.maximum(a_top[:, None], b_top)).clamp(min=0)
    overlap = across * down
    return overlap / (area(a)[:, None] + area(b) - overlap + TINY)


def pairwise_giou(a: Float32[Tensor, "n 4"], b: Float32[Tensor, "m 4"]) -> Float32[Tensor, "n m"]:
    """Generalized IoU of each box of `a` with each box of `b`."""
    return iou_and_giou(a[:, None], b[None])[1]


def refine(boxes_cxcywh: Float32[Tensor, "*n 4"], change: Float[Tensor, "*n 4"]) -> Float32[Tensor, "*n 4"]:
    """Apply box deltas as in R-CNN (Girshick et al., CVPR 2014): shift by a share of the size, scale by exp(delta).

    One call scales a side by at most 16; sides stay 0.01 px or more.
    """
    change = change.float()
    size = boxes_cxcywh[..., 2:]
    moved = boxes_cxcywh[..., :2] + change[..., :2] * size
    return torch.cat([moved, (size * change[..., 2:].clamp(-2.77, 2.77).exp()).clamp(min=1e-2)], -1)
