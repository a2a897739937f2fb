"""Recurrence over the objects of one frame, in their order along the belt."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from hybrid.model.attention import encode_boxes

BELT_OBJECTS = 64  # so many of the best queries of a frame are taken as its objects


class BeltOrder(nn.Module):
    """The objects of a frame as a sequence along one image axis: each gets context from its neighbours on the belt.

    A bidirectional gated recurrent unit runs over the best BELT_OBJECTS queries in the order of their centres; its
    output is added to them behind a gate. Neighbours help where parts touch, and in rows with regular gaps.
    """

    def __init__(self, width: int, axis: str, gate: float) -> None:
        super().__init__()
        self.axis = "xy".index(axis)
        self.unit = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(width, width)
        self.gate = nn.Parameter(torch.full((width,), gate))

    def forward(
        self,
        query: Float[Tensor, "n q c"],
        logits: Float[Tensor, "n q k"],
        boxes_cxcywh_px: Float32[Tensor, "n q 4"],
    ) -> Float[Tensor, "n q c"]:
        """The queries with context; those that are not among the best stay unchanged."""
        best = logits.detach().float().amax(-1).topk(min(BELT_OBJECTS, query.shape[1]), 1).indices
        along = boxes_cxcywh_px.detach()[..., self.axis].gather(1, best)
        order = best.gather(1, along.sort(dim=1).indices)[..., None]  # ONNX has no stable sort
        positions = encode_boxes(boxes_cxcywh_px.detach(), query.shape[-1])
        wide = order.expand(-1, -1, query.shape[-1])
        with torch.autocast(query.device.type, enabled=False):  # torch's fused GRU needs one precision
            context, _ = self.unit(query.gather(1, wide).float() + positions.gather(1, wide))
        return query.scatter_add(1, wide, (self.gate * self.out(context)).to(query.dtype))
