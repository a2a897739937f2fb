"""Set-prediction losses. Every sum is divided by the number of boxes, and every answer is a tensor with a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.nn import functional as F

from hybrid.core.boxes import iou_and_giou
from hybrid.core.types import Layer, Output, Target, Targets
from hybrid.losses.heads import Pick, clip_loss, embedding_loss
from hybrid.losses.matcher import Costs, Kept, assign, follow, match, match_others, relative_l1

Loss = Float32[Tensor, ""]


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    score: float = 1.0
    box: float = 2.0
    giou: float = 2.0
    proposals: float = 1.0  # weight of the dense answer's losses
    denoising: float = 1.0
    embedding: float = 0.5
    clip: float = 1.0
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True)
class Criterion:
    """`criterion(output, targets)` -> the losses by name, with their weighted sum as `total`."""

    config: LossConfig = field(default_factory=LossConfig)

    def __call__(
        self, output: Output, targets: Targets, clip_labels: Int64[Tensor, " b"] | None = None
    ) -> dict[str, Loss]:
        flat = [t.to(output.logits.device) for t in chain.from_iterable(targets)]
        frames = output.logits.shape[0] * output.logits.shape[1]
        if len(flat) != frames:
            raise ValueError(f"{frames} frames were detected in, {len(flat)} targets came")
        layers = [*output.auxiliary, Layer(output.logits, output.boxes_xyxy_px)]
        kept = self._kept(output, flat)
        losses = _add([self._matched(layer, flat, kept) for layer in layers], "")
        losses |= _add([self._proposed(output, flat)], "proposals/", self.config.proposals)
        if output.denoising is not None:
            losses |= _add(
                [self._denoised(output, layer, flat) for layer in output.denoising.layers],
                "denoising/",
                self.config.denoising,
            )
        if output.embeddings is not None:
            picks = self._picks(layers[-1], flat, kept)
            losses["embedding"] = self.config.embedding * embedding_loss(output.embeddings, picks, flat)
        if output.clip_logits is not None:
            unknown = torch.full((len(output.logits),), -1, device=output.logits.device)
            labels = unknown if clip_labels is None else clip_labels.to(output.logits.device)
            losses["clip"] = self.config.clip * clip_loss(output.clip_logits, labels)
        losses["total"] = torch.stack(list(losses.values())).sum()
        return losses

    def _kept(self, output: Output, targets: Sequence[Target]) -> list[Kept] | None:
        """Of each frame, the slots that know what to find, by the last layer's answers; None: nothing is followed."""
        if output.tracks is None:
            return None
        tracks = output.tracks
        clips = zip(output.logits.detach(), output.boxes_xyxy_px.detach(), tracks.source, tracks.seen, strict=True)
        frames, kept = output.logits.shape[1], list[Kept]()
        for i, (logits, boxes, source, seen) in enumerate(clips):
            kept += follow(logits, boxes, source, seen, targets[i * frames : (i + 1) * frames], self.config.costs)
        return kept

    def _picks(self, layer: Layer, targets: Sequence[Target], kept: list[Kept] | None) -> list[Pick]:
        """The queries of each frame, and the boxes that they are to find."""
        logits, boxes = layer.logits.detach().flatten(0, 1), layer.boxes_xyxy_px.detach().flatten(0, 1)
        frames = list(zip(logits, boxes, targets, strict=True))
        if kept is None:
            return [match(*one, self.config.costs) for one in frames]
        return [match_others(*one, self.config.costs, known) for one, known in zip(frames, kept, strict=True)]

    def _matched(self, layer: Layer, targets: Sequence[Target], kept: list[Kept] | None) -> dict[str, Loss]:
        logits, boxes = layer.logits.flatten(0, 1), layer.boxes_xyxy_px.flatten(0, 1)
        pairs = self._picks(layer, targets, kept)
        return self._set_losses(logits, boxes, targets, pairs, sum(len(t.labels) for t in targets))

    def _proposed(self, output: Output, targets: Sequence[Target]) -> dict[str, Loss]:
        """Of the points near the middle of each object: a score of 1, and its box."""
        dense = output.proposals
        picks = [assign(dense.points_xy_px, dense.strides_px, target) for target in targets]
        logits, boxes = dense.logits.flatten(0, 1), dense.boxes_xyxy_px.flatten(0, 1)
        return self._set_losses(logits, boxes, targets, picks, sum(len(pick[0]) for pick in picks), certain=True)

    def _denoised(self, output: Output, layer: Layer, targets: Sequence[Target]) -> dict[str, Loss]:
        noise = output.denoising
        assert noise is not None
        positive, truth = noise.positive.flatten(0, 1), noise.truth.flatten(0, 1)
        queries = [row.nonzero()[:, 0] for row in positive]
        picks = [(q, row[q]) for q, row in zip(queries, truth, strict=True)]
        logits, boxes = layer.logits.flatten(0, 1), layer.boxes_xyxy_px.flatten(0, 1)
        return self._set_losses(logits, boxes, targets, picks, sum(len(q) for q in queries), noise.real.flatten(0, 1))

    def _set_losses(
        self,
        logits: Float[Tensor, "n q c"],
        boxes: Float32[Tensor, "n q 4"],
        targets: Sequence[Target],
        picks: Sequence[Pick],
        count: int,
        real: Tensor | None = None,
        certain: bool = False,
    ) -> dict[str, Loss]:
        """Scores of all queries, and boxes of the picked of each frame. `certain`: they are to score 1, not the IoU."""
        frame = torch.cat([torch.full_like(q, k) for k, (q, _) in enumerate(picks)])
        query = torch.cat([q for q, _ in picks])
        truth = torch.cat([t.boxes_xyxy_px[b] for t, (_, b) in zip(targets, picks, strict=True)]).float()
        label = torch.cat([t.labels[b] for t, (_, b) in zip(targets, picks, strict=True)])
        found = boxes[frame, query]
        iou, giou = iou_and_giou(found, truth)
        wanted = torch.zeros_like(logits, dtype=torch.float32)
        wanted[frame, query, label] = torch.ones_like(iou) if certain else iou.detach().clamp(min=0)
        weight = 1.0 / max(1, count)
        score = varifocal(logits.float(), wanted, frame, query, label)
        if real is not None:
            score = score * real[..., None]
        return {
            "score": score.sum() * weight * self.config.score,
            "box": relative_l1(found, truth).sum() * weight * self.config.box,
            "giou": (1 - giou).sum() * weight * self.config.giou,
        }


def varifocal(
    logits: Float32[Tensor, "n q c"],
    wanted: Float32[Tensor, "n q c"],
    frame: Int64[Tensor, " k"],
    query: Int64[Tensor, " k"],
    label: Int64[Tensor, " k"],
) -> Float32[Tensor, "n q c"]:
    """Cross-entropy towards the IoU, easy negatives weighed down (Zhang et al., VarifocalNet, CVPR 2021).

    Positives, at (frame, query, label), weigh what they are to reach, at least a half, so that objects whose boxes
    are still poor are learned too.
    """
    weight = 0.75 * logits.detach().sigmoid() ** 2
    weight[frame, query, label] = wanted[frame, query, label].clamp(min=0.5)
    return F.binary_cross_entropy_with_logits(logits, wanted, weight, reduction="none")


def _add(parts: Sequence[dict[str, Loss]], prefix: str, weight: float = 1.0) -> dict[str, Loss]:
    """The sums over layers, by name."""
    return {prefix + name: weight * torch.stack([part[name] for part in parts]).sum() for name in parts[0]}
