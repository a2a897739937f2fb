"""How far the whole picture moved since the frame before: one shift for a frame, in pixels. Nothing here learns.

On a belt nearly everything moves together, by many pixels a frame. So what a map remembers of a part lies where the
part was, and it is moved before it is used (`moved`).

The shift is the peak of the correlation of two frames (Lucas & Kanade's least squares over whole shifts), on pictures
of a quarter of the size without their slow changes of brightness. The correlations of earlier frames count too, less
and less, since under strong noise one pair of frames may not tell. Parabolas through the peak give fractions.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional as F

from hybrid.core.types import Motion

Shifts = Float32[Tensor, "b t 2"]

POOL = 4  # image pixels of a pixel of the small picture
REACH = 8  # its pixels: shifts of up to 32 px of the image
AROUND = 17  # side of the square whose mean is taken from each of its pixels
KEPT = 0.7  # of the agreement of the frames before


def small(images: Float[Tensor, "b t 3 h w"]) -> Float32[Tensor, "b t _ _"]:
    """Grey pictures of a quarter of the size, without slow changes of brightness, each of mean 0 and spread 1."""
    grey = F.avg_pool2d(images.float().mean(2), POOL)
    grey = grey - F.avg_pool2d(grey, AROUND, 1, AROUND // 2, count_include_pad=False)
    grey = grey - grey.mean((-2, -1), keepdim=True)
    return grey / (grey.square().mean((-2, -1), keepdim=True) + 1e-8).sqrt()


@torch.no_grad()
def estimate(images: Float[Tensor, "b t 3 h w"], before: Motion | None) -> tuple[Shifts, Motion]:
    """The shift (x, y) of each frame from the frame before in pixels; 0 for the first one of a clip."""
    seen = small(images)
    if before is None:
        side = 2 * REACH + 1
        before = Motion(torch.zeros_like(seen[:, 0]), seen.new_zeros(len(seen), side, side))
    earlier = torch.cat([before.seen[:, None], seen[:, :-1]], 1)
    agreement, shifts = before.agreement, []
    for now in _correlation(earlier, seen).unbind(1):
        agreement = KEPT * agreement + now
        shifts.append(_peak(agreement))
    return POOL * torch.stack(shifts, 1), Motion(seen[:, -1], agreement)


def _correlation(
    earlier: Float32[Tensor, "b t h w"], now: Float32[Tensor, "b t h w"]
) -> Float32[Tensor, "b t side side"]:
    """How well each shift (row, column) carries one frame onto the other, in units of what chance gives."""
    h, w = earlier.shape[-2:]
    around, side = F.pad(now, [REACH] * 4), 2 * REACH + 1
    beside = torch.stack([around[..., k : k + w] for k in range(side)], 2)
    columns = earlier.flatten(2)[..., None]
    sums = torch.cat([beside[..., k : k + h, :].flatten(3) @ columns for k in range(side)], 3).transpose(2, 3)
    apart = torch.arange(-REACH, REACH + 1, device=now.device).abs()
    overlap = (h - apart).clamp(min=1)[:, None] * (w - apart).clamp(min=1)
    return sums / overlap.sqrt()


def _peak(agreement: Float32[Tensor, "b side side"]) -> Float32[Tensor, "b 2"]:
    """(x, y) of the highest point from the middle, with a fraction by a parabola in each direction."""
    side = agreement.shape[-1]
    flat = F.pad(agreement, [1] * 4, mode="replicate").flatten(1)
    best = agreement.flatten(1).argmax(1, keepdim=True)
    row, column = best // side, best % side
    at = (row + 1) * (side + 2) + column + 1
    top = flat.gather(1, at)
    shifts = []
    for place, step in ((column, 1), (row, side + 2)):
        less, more = flat.gather(1, at - step), flat.gather(1, at + step)
        bend = (2 * top - less - more).clamp(min=1e-6)
        inside = (less < top) & (more < top) & (place > 0) & (place < side - 1)
        shifts.append(place - REACH + torch.where(inside, (more - less) / (2 * bend), torch.zeros_like(top)))
    known = top > 0  # else nothing was seen before
    return torch.where(known, torch.cat(shifts, 1), top.new_zeros(()))


def steps_of(shifts_cells: Shifts | None, frames: int) -> list[Tensor | None]:
    """The shift of each frame; None: what is remembered stays."""
    return [None] * frames if shifts_cells is None else list(shifts_cells.unbind(1))


def carried(maps: Float[Tensor, "b c h w"], shift_cells: Tensor | None) -> Float[Tensor, "b c h w"]:
    """`moved`, where there is a shift."""
    return maps if shift_cells is None else moved(maps, shift_cells)


def moved(maps: Float[Tensor, "b c h w"], shift_cells: Float32[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
    """Maps whose content lies (x, y) cells further right and below; 0 where it came from beyond the border."""
    h, w = maps.shape[-2:]
    y, x = torch.meshgrid(torch.arange(h, device=maps.device), torch.arange(w, device=maps.device), indexing="ij")
    from_xy = torch.stack([x, y], -1) - shift_cells[:, None, None]
    grid = (2 * from_xy + 1) / torch.tensor([w, h], device=maps.device) - 1
    return F.grid_sample(maps, grid.to(maps.dtype), align_corners=False)
