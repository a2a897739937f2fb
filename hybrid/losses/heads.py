"""Losses of the heads for embeddings and for whole clips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional as F

from hybrid.core.types import Target

TEMPERATURE = 0.1  # of embeddings' likeness (Khosla et al., NeurIPS 2020)
Pick = tuple[Int64[Tensor, " _"], Int64[Tensor, " _"]]  # queries of a frame, and the boxes that they are to find


def embedding_loss(
    embeddings: Float32[Tensor, "b t q e"], picks: Sequence[Pick], targets: Sequence[Target]
) -> Float32[Tensor, ""]:
    """Supervised contrast (Khosla et al., NeurIPS 2020): one object's frames against the other objects of its clip.

    Objects that are in one frame only, and boxes of which nobody tells whose they are, teach nothing.
    """
    frames = embeddings.shape[1]
    losses = [embeddings.sum() * 0]
    for clip, vectors in enumerate(embeddings):
        chosen, ids, at = [], [], []
        for k in range(frames):
            queries, boxes = picks[clip * frames + k]
            told = targets[clip * frames + k].track_ids
            if told is None:
                continue
            known = told[boxes] >= 0
            chosen.append(vectors[k, queries[known]])
            ids.append(told[boxes[known]])
            at.append(torch.full_like(ids[-1], k))
        if chosen:
            losses += _contrast(torch.cat(chosen), torch.cat(ids), torch.cat(at))
    return torch.stack(losses).sum() / max(1, len(losses) - 1)


def _contrast(
    vectors: Float32[Tensor, "k e"], ids: Int64[Tensor, " k"], frame: Int64[Tensor, " k"]
) -> list[Float32[Tensor, ""]]:
    """One loss for each object that is in several frames."""
    same = (ids[:, None] == ids) & (frame[:, None] != frame)
    likeness = vectors @ vectors.T / TEMPERATURE
    own = torch.eye(len(ids), dtype=torch.bool, device=ids.device)
    share = likeness.masked_fill(own, -torch.inf).log_softmax(1).masked_fill(own, 0.0)
    each = -(share * same).sum(1) / same.sum(1).clamp(min=1)
    return [each[row] for row in same.any(1).nonzero()[:, 0]]


def clip_loss(logits: Float32[Tensor, "b t k"], labels: Int64[Tensor, " b"]) -> Float32[Tensor, ""]:
    """Cross-entropy, later frames weighing more: they have seen more. A label of -1 teaches nothing."""
    weight = torch.arange(1, logits.shape[1] + 1, device=logits.device, dtype=torch.float32)
    known = labels >= 0
    each = F.cross_entropy(
        logits.flatten(0, 1), labels.clamp(min=0).repeat_interleave(logits.shape[1]), reduction="none"
    )
    each = torch.unflatten(each, 0, logits.shape[:2]) @ (weight / weight.sum())
    return (each * known).sum() / known.sum().clamp(min=1)
