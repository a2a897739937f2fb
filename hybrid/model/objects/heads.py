"""Heads beside the boxes: an embedding that identifies the object within its clip, and the class of a whole clip."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.model.frame.stages import STRIDES, Maps


class EmbeddingHead(nn.Module):
    """A vector of length 1 for each query, similar for the same object in all frames of its clip."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size))

    def forward(self, content: Float[Tensor, "*n c"]) -> Float32[Tensor, "*n e"]:
        return F.normalize(self.inner(content).float(), dim=-1)


class ClipHead(nn.Module):
    """The class of a clip: mean and maximum of each level, a recurrence over the frames, one logit per class.

    The logits of frame k classify the clip up to frame k, so those of the last frame classify the whole clip. The
    maximum lets a scratch of a few pixels count.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Linear(2 * len(STRIDES) * width, width), nn.LayerNorm(width), nn.ReLU())
        self.unit = nn.GRUCell(width, width)
        self.out = nn.Linear(2 * width, classes)

    def forward(
        self, maps: Maps, clips: int, hidden: Float[Tensor, "b c"] | None
    ) -> tuple[Float32[Tensor, "b t k"], Float32[Tensor, "b c"]]:
        """The logits after each frame, and the hidden vector after the clips. `hidden` None: the clips begin here."""
        pooled = torch.cat([x.float().mean((2, 3)) for x in maps] + [x.float().amax((2, 3)) for x in maps], 1)
        with torch.autocast(pooled.device.type, enabled=False):  # few numbers per frame: float32 costs nothing
            features = torch.unflatten(self.squeeze(pooled), 0, (clips, -1))
            hidden = torch.zeros_like(features[:, 0]) if hidden is None else hidden
            logits = []
            for frame in features.unbind(1):
                hidden = self.unit(frame, hidden)
                logits.append(self.out(torch.cat([hidden, frame], 1)))
        return torch.stack(logits, 1), hidden
