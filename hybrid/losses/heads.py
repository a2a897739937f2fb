"""Losses of the embedding head and the clip head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional as F

from hybrid.core.processes import divisor
from hybrid.core.types import Target

TEMPERATURE = 0.1  # of the contrast between embeddings (Khosla et al., NeurIPS 2020)
Match = tuple[Int64[Tensor, " _"], Int64[Tensor, " _"]]  # indices of a frame's queries, and of the boxes they match


def embedding_loss(
    embeddings: Float32[Tensor, "b t q e"], matches: Sequence[Match], targets: Sequence[Target]
) -> Float32[Tensor, ""]:
    """Supervised contrastive loss (Khosla et al., NeurIPS 2020) between the objects of a clip.

    Positives are the same object in other frames, negatives the other objects of the clip. Objects that are in one
    frame only, and boxes without a track id, add nothing. The mean over the objects' detections; 0 if there are none.

    Args:
        embeddings: of all queries, each of length 1.
        matches: of all frames, clip by clip.
        targets: of all frames, clip by clip.
    """
    frames = embeddings.shape[1]
    losses = [embeddings.sum() * 0]
    for clip, vectors in enumerate(embeddings):
        chosen, ids, frame_of = [], [], []
        for k in range(frames):
            queries, boxes = matches[clip * frames + k]
            track_ids = targets[clip * frames + k].track_ids
            if track_ids is None:
                continue
            has_id = track_ids[boxes] >= 0
            chosen.append(vectors[k, queries[has_id]])
            ids.append(track_ids[boxes[has_id]])
            frame_of.append(torch.full_like(ids[-1], k))
        if chosen:
            losses += _contrast(torch.cat(chosen), torch.cat(ids), torch.cat(frame_of))
    return torch.stack(losses).sum() / divisor(len(losses) - 1, embeddings.device)


def _contrast(
    vectors: Float32[Tensor, "k e"], ids: Int64[Tensor, " k"], frame: Int64[Tensor, " k"]
) -> list[Float32[Tensor, ""]]:
    """One loss for each vector whose object is in another frame too."""
    same = (ids[:, None] == ids) & (frame[:, None] != frame)
    similarity = vectors @ vectors.T / TEMPERATURE
    itself = torch.eye(len(ids), dtype=torch.bool, device=ids.device)
    share = similarity.masked_fill(itself, -torch.inf).log_softmax(1).masked_fill(itself, 0.0)
    each = -(share * same).sum(1) / same.sum(1).clamp(min=1)
    return [each[row] for row in same.any(1).nonzero()[:, 0]]


def clip_loss(logits: Float32[Tensor, "b t k"], labels: Int64[Tensor, " b"]) -> Float32[Tensor, ""]:
    """Cross-entropy of the clip's class. Frame t (from 1) weighs t, because later frames have more context.

    The mean over the clips whose label is known; a label of -1 is unknown. 0 if none is known.
    """
    weight = torch.arange(1, logits.shape[1] + 1, device=logits.device, dtype=torch.float32)
    known = labels >= 0
    each = F.cross_entropy(
        logits.flatten(0, 1), labels.clamp(min=0).repeat_interleave(logits.shape[1]), reduction="none"
    )
    each = torch.unflatten(each, 0, logits.shape[:2]) @ (weight / weight.sum())
    return (each * known).sum() / divisor(int(known.sum()), logits.device)
