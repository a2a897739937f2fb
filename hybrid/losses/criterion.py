"""Set-prediction losses, each a tensor with a gradient. Sums are divided by the number of boxes in the whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.nn import functional as F

from hybrid.core.boxes import iou_and_giou
from hybrid.core.processes import divisor
from hybrid.core.types import LayerOutput, Output, Target, Targets
from hybrid.losses.heads import Match, clip_loss, embedding_loss
from hybrid.losses.matcher import Costs, SlotMatches, assign, follow, match, match_others, relative_l1

Loss = Float32[Tensor, ""]
IGNORED_SIDE_PX = 8.0  # the least side of a region to ignore, in pixels of the tile: the stride of the finest level


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the losses."""

    score: float = 1.0
    box: float = 2.0
    giou: float = 2.0
    proposals: float = 1.0  # of all losses of the dense predictions
    denoising: float = 1.0  # of all losses of the denoising queries
    embedding: float = 0.5
    clip: float = 1.0
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True)
class Criterion:
    """`criterion(output, targets)` returns the weighted losses by name, and their sum as `total`."""

    config: LossConfig = field(default_factory=LossConfig)

    def __call__(
        self, output: Output, targets: Targets, clip_labels: Int64[Tensor, " b"] | None = None
    ) -> dict[str, Loss]:
        """Losses of a batch of clips.

        Args:
            output: of the network.
            targets: [clip][frame].
            clip_labels: the class of each clip; -1 or None: unknown.

        Raises:
            ValueError: the numbers of frames and targets differ.
        """
        flat = [t.to(output.logits.device) for t in chain.from_iterable(targets)]
        frames = output.logits.shape[0] * output.logits.shape[1]
        if len(flat) != frames:
            raise ValueError(f"the output is of {frames} frames, the targets of {len(flat)}")
        layers = [*output.auxiliary, LayerOutput(output.logits, output.boxes_xyxy_px)]
        slots = self._slots(output, flat)
        losses = _sum([self._matched(layer, flat, slots) for layer in layers], "")
        losses |= _sum([self._proposed(output, flat)], "proposals/", self.config.proposals)
        if output.denoising is not None:
            denoised = [self._denoised(output, layer, flat) for layer in output.denoising.layers]
            losses |= _sum(denoised, "denoising/", self.config.denoising)
        losses |= self._heads(output, layers[-1], flat, slots, clip_labels)
        losses["total"] = torch.stack(list(losses.values())).sum()
        return losses

    def _heads(
        self,
        output: Output,
        last: LayerOutput,
        targets: Sequence[Target],
        slots: list[SlotMatches] | None,
        clip_labels: Int64[Tensor, " b"] | None,
    ) -> dict[str, Loss]:
        """The losses of the embedding head and the clip head, where the network has them."""
        losses = {}
        if output.embeddings is not None:
            matches = self._matches(last, targets, slots)
            losses["embedding"] = self.config.embedding * embedding_loss(output.embeddings, matches, targets)
        if output.clip_logits is not None:
            unknown = torch.full((len(output.logits),), -1, device=output.logits.device)
            labels = unknown if clip_labels is None else clip_labels.to(output.logits.device)
            losses["clip"] = self.config.clip * clip_loss(output.clip_logits, labels)
        return losses

    def _slots(self, output: Output, targets: Sequence[Target]) -> list[SlotMatches] | None:
        """The objects of each frame's slots, by the last layer's output; None: the network does not track."""
        if output.tracks is None:
            return None
        tracks = output.tracks
        clips = zip(
            output.logits.detach(), output.boxes_xyxy_px.detach(), tracks.source, tracks.redetected, strict=True
        )
        frames, slots = output.logits.shape[1], list[SlotMatches]()
        for i, (logits, boxes, source, redetected) in enumerate(clips):
            own = targets[i * frames : (i + 1) * frames]
            slots += follow(logits, boxes, source, redetected, own, self.config.costs)
        return slots

    def _matches(self, layer: LayerOutput, targets: Sequence[Target], slots: list[SlotMatches] | None) -> list[Match]:
        """The queries of each frame and the boxes that they must predict."""
        logits, boxes = layer.logits.detach().flatten(0, 1), layer.boxes_xyxy_px.detach().flatten(0, 1)
        frames = list(zip(logits, boxes, targets, strict=True))
        if slots is None:
            return [match(*one, self.config.costs) for one in frames]
        return [match_others(*one, self.config.costs, own) for one, own in zip(frames, slots, strict=True)]

    def _matched(
        self, layer: LayerOutput, targets: Sequence[Target], slots: list[SlotMatches] | None
    ) -> dict[str, Loss]:
        logits, boxes = layer.logits.flatten(0, 1), layer.boxes_xyxy_px.flatten(0, 1)
        matches = self._matches(layer, targets, slots)
        return self._set_losses(logits, boxes, targets, matches, sum(len(t.labels) for t in targets))

    def _proposed(self, output: Output, targets: Sequence[Target]) -> dict[str, Loss]:
        """The losses of the dense predictions: points near an object's centre must predict a score of 1 and its box."""
        dense = output.proposals
        matches = [assign(dense.points_xy_px, dense.strides_px, target) for target in targets]
        logits, boxes = dense.logits.flatten(0, 1), dense.boxes_xyxy_px.flatten(0, 1)
        return self._set_losses(logits, boxes, targets, matches, sum(len(m[0]) for m in matches), certain=True)

    def _denoised(self, output: Output, layer: LayerOutput, targets: Sequence[Target]) -> dict[str, Loss]:
        noise = output.denoising
        assert noise is not None
        positive, truth = noise.positive.flatten(0, 1), noise.truth.flatten(0, 1)
        queries = [row.nonzero()[:, 0] for row in positive]
        matches = [(q, row[q]) for q, row in zip(queries, truth, strict=True)]
        logits, boxes = layer.logits.flatten(0, 1), layer.boxes_xyxy_px.flatten(0, 1)
        return self._set_losses(logits, boxes, targets, matches, sum(len(q) for q in queries), noise.real.flatten(0, 1))

    def _set_losses(
        self,
        logits: Float[Tensor, "n q c"],
        boxes: Float32[Tensor, "n q 4"],
        targets: Sequence[Target],
        matches: Sequence[Match],
        count: int,
        real: Tensor | None = None,
        certain: bool = False,
    ) -> dict[str, Loss]:
        """The losses of all scores, and of the boxes of matched queries, divided by `count`.

        The target score of a match is its IoU, or 1 if `certain`. `real`: False for queries that do not count. A query
        without a match that lies in a region to ignore has no score loss.
        """
        frame = torch.cat([torch.full_like(q, k) for k, (q, _) in enumerate(matches)])
        query = torch.cat([q for q, _ in matches])
        truth = torch.cat([t.boxes_xyxy_px[b] for t, (_, b) in zip(targets, matches, strict=True)]).float()
        label = torch.cat([t.labels[b] for t, (_, b) in zip(targets, matches, strict=True)])
        predicted = boxes[frame, query]
        iou, giou = iou_and_giou(predicted, truth)
        target = torch.zeros_like(logits, dtype=torch.float32)
        target[frame, query, label] = torch.ones_like(iou) if certain else iou.detach().clamp(min=0)
        weight = 1.0 / divisor(count, logits.device)
        score = varifocal(logits.float(), target, frame, query, label)
        if real is not None:
            score = score * real[..., None]
        ignored = in_ignored_region(boxes.detach(), targets, logits.shape[-1])
        if ignored is not None:
            ignored[frame, query, label] = False
            score = score.masked_fill(ignored, 0.0)
        return {
            "score": score.sum() * weight * self.config.score,
            "box": relative_l1(predicted, truth).sum() * weight * self.config.box,
            "giou": (1 - giou).sum() * weight * self.config.giou,
        }


def in_ignored_region(
    boxes_xyxy_px: Float32[Tensor, "n q 4"], targets: Sequence[Target], categories: int
) -> Bool[Tensor, "n q c"] | None:
    """Which boxes have their centre in a region to ignore, by category; None: there is no such region.

    A region is at least IGNORED_SIDE_PX wide and high, about its centre, since the boxes that are too small to learn
    from are such regions.
    """
    if all(target.ignore_boxes_xyxy_px is None for target in targets):
        return None
    ignored = torch.zeros(*boxes_xyxy_px.shape[:2], categories, dtype=torch.bool, device=boxes_xyxy_px.device)
    centres = (boxes_xyxy_px[..., :2] + boxes_xyxy_px[..., 2:]) / 2
    for k, target in enumerate(targets):
        if target.ignore_boxes_xyxy_px is None or target.ignore_labels is None:
            continue
        for region, label in zip(target.ignore_boxes_xyxy_px, target.ignore_labels.tolist(), strict=True):
            middle, reach = (region[:2] + region[2:]) / 2, (region[2:] - region[:2]).clamp(min=IGNORED_SIDE_PX) / 2
            inside = ((centres[k] - middle).abs() <= reach).all(-1)
            ignored[k, :, slice(None) if label < 0 else label] |= inside[:, None] if label < 0 else inside
    return ignored


def varifocal(
    logits: Float32[Tensor, "n q c"],
    target: Float32[Tensor, "n q c"],
    frame: Int64[Tensor, " k"],
    query: Int64[Tensor, " k"],
    label: Int64[Tensor, " k"],
) -> Float32[Tensor, "n q c"]:
    """Cross-entropy to the IoU as target, with low weights for easy negatives (Zhang et al., VarifocalNet, CVPR 2021).

    The weight of a positive, at (frame, query, label), is its target, but 0.5 or more, so that objects with poor boxes
    are learned too.
    """
    weight = 0.75 * logits.detach().sigmoid() ** 2
    weight[frame, query, label] = target[frame, query, label].clamp(min=0.5)
    return F.binary_cross_entropy_with_logits(logits, target, weight, reduction="none")


def _sum(layers: Sequence[dict[str, Loss]], prefix: str, weight: float = 1.0) -> dict[str, Loss]:
    """The weighted sums over layers, by name."""
    return {prefix + name: weight * torch.stack([losses[name] for losses in layers]).sum() for name in layers[0]}
