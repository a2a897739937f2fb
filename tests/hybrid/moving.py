"""Eight clips of a bright and a dark part that move, each on its way and at its pace; frames may be blank."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hybrid.types import Target

CLIPS, FRAMES, HEIGHT, WIDTH = 8, 3, 32, 48
GREY = 0.45  # of blank frames
Clips = Float[Tensor, "b t 3 h w"]


def moving_parts() -> tuple[Clips, list[list[Target]]]:
    """The clips, and in each frame the dark part (label 1) and the bright one (label 0), in an order that changes."""
    generator = torch.Generator().manual_seed(0)
    images = 0.5 + 0.02 * torch.randn(CLIPS, FRAMES, 3, HEIGHT, WIDTH, generator=generator)
    targets = []
    for c in range(CLIPS):
        size = torch.randint(9, 14, (2, 2), generator=generator)
        start = torch.stack(
            [torch.randint(0, 8, (2,), generator=generator) + torch.tensor([0, 24]),
             torch.randint(0, 12, (2,), generator=generator)], 1,
        )  # fmt: skip
        pace = torch.randint(-2, 4, (2, 2), generator=generator)
        row = []
        for t in range(FRAMES):
            corner = (start + pace * t).clamp(min=0).minimum(torch.tensor([WIDTH, HEIGHT]) - size)
            boxes = torch.cat([corner, corner + size], 1)
            for (x0, y0, x1, y1), level in zip(boxes.tolist(), (0.95, 0.1), strict=True):
                images[c, t, :, y0:y1, x0:x1] = level
            order = torch.tensor([t % 2, 1 - t % 2])
            row.append(Target(boxes.float()[order], order, 5 + order))
        targets.append(row)
    return images, targets


def blanked(images: Clips, share: float, generator: torch.Generator) -> Clips:
    """The clips with frames blanked, never the first."""
    blank = torch.rand(images.shape[:2], generator=generator) < share
    blank[:, 0] = False
    return torch.where(blank[..., None, None, None], torch.full_like(images, GREY), images)
