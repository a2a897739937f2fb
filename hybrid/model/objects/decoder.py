"""Queries, refined layer by layer, and followed from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.core.boxes import refine, to_centre, to_corners
from hybrid.core.config import ModelConfig
from hybrid.core.types import Followed, Layer, Proposals, Targets, Tracks
from hybrid.model.attention import DecoderLayer, Values, as_values, place_box
from hybrid.model.frame.backbone import Maps
from hybrid.model.objects.heads import EmbeddingHead
from hybrid.model.objects.queries import Noised, Proposer, noised, separation, undecided
from hybrid.model.objects.tracks import (
    NO_OBJECT_LOGIT,
    SEEN_MOST,
    Again,
    BeltOrder,
    ObjectRecurrence,
    carry,
    first_logits,
    seen_again,
)
from hybrid.model.time.temporal import Elapsed


class Decoder(nn.Module):
    """Queries, refined layer by layer: each layer corrects the boxes and the scores of the one before.

    All corrections start at nothing, so that the first answers are the proposals', which are learned fast.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, classes = config.width, len(config.categories)
        self.heads, self.denoising_queries = config.heads, config.denoising_queries
        self.propose = Proposer(width, classes, config.queries, config.head_convs, config.distinct_iou)
        self.label = nn.Embedding(classes, width) if config.denoising_queries else None
        self.place = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.values = nn.Conv2d(width, width, 1)
        self.layers = nn.ModuleList(
            DecoderLayer(width, config.heads, config.points) for _ in range(config.decoder_layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.layers)
        self.score = nn.ModuleList(_correction(width, classes) for _ in self.layers)
        self.box = nn.ModuleList(_correction(width, 4) for _ in self.layers)
        self.objects, self.seen_most = ObjectRecurrence(width) if config.tracks else None, SEEN_MOST[config.boxes]
        self.embed = EmbeddingHead(width, config.embedding) if config.embedding else None
        self.belt = None if config.belt_order == "off" else BeltOrder(width, config.belt_order, config.gate)

    def forward(
        self,
        maps: Maps,
        clips: int,
        targets: Targets | None,
        generator: torch.Generator | None,
        tracks: Tracks | None,
        elapsed: Elapsed | None,
        cnn_only: bool = False,
    ) -> tuple[list[Layer], Proposals, Noised | None, Followed | None, Tracks | None]:
        """Every layer's answers as [n frames, 1, queries + denoising queries, ...]; `tracks` are followed on."""
        proposals, query, logits, boxes = self.propose(maps)
        noise = None
        if targets is not None and self.label is not None:
            noise = noised(list(chain.from_iterable(targets)), self.denoising_queries, logits.shape[-1], generator)
            query = torch.cat([query, self.label(noise.labels).to(query.dtype)], 1)
            logits = torch.cat([logits, undecided(noise.labels, logits.shape[-1]).to(logits.dtype)], 1)
            boxes = torch.cat([boxes, noise.boxes_cxcywh], 1)
        start = Queries(query, logits, boxes)
        values = as_values(tuple(self.values(x) for x in maps), self.heads)
        if self.objects is None or tracks is None:
            count = query.shape[1] - (0 if noise is None else noise.labels.shape[1])
            allowed = None if noise is None else separation(count, noise.group)
            answers, _ = self._refine(start, values, allowed, count, None if cnn_only else self.belt)
            return answers, proposals, noise, None, None
        answers, followed, tracks = self._follow(start, values, clips, noise, tracks, elapsed)
        return answers, proposals, noise, followed, tracks

    def _refine(
        self, start: Queries, values: Values, allowed: Tensor | None, count: int, belt: BeltOrder | None
    ) -> tuple[list[Layer], Float[Tensor, "n q c"]]:
        """Every layer's answers, and what the last one's are made of. The first `count` queries are no noise."""
        query, logits, boxes = start.content, start.logits, start.boxes_cxcywh_px
        answers: list[Layer] = []
        for layer, norm, score, box in zip(self.layers, self.norms, self.score, self.box, strict=True):
            if belt is not None and len(answers) == len(self.layers) - 1:
                told = belt(query[:, :count], logits[:, :count], boxes[:, :count])
                query = torch.cat([told, query[:, count:]], 1)
            query = layer(query, self.place(place_box(boxes, query.shape[-1])), boxes, values, allowed)
            normed = norm(query)
            refined, logits = refine(boxes, box(normed)), logits.detach() + score(normed)
            answers.append(Layer(logits[:, None], to_corners(refined)[:, None]))
            boxes = refined.detach()
        if self.embed is not None:
            answers[-1] = replace(answers[-1], embeddings=self.embed(normed)[:, None])
        return answers, normed

    def _follow(
        self,
        start: Queries,
        values: Values,
        clips: int,
        noise: Noised | None,
        tracks: Tracks,
        elapsed: Elapsed | None,
    ) -> tuple[list[Layer], Followed, Tracks]:
        """As `_refine`, frame after frame: what the queries of one frame found are queries of the next one."""
        assert self.objects is not None
        slots, noisy = tracks.ids.shape[1], 0 if noise is None else noise.labels.shape[1]
        count = slots + start.content.shape[1] - noisy
        frames = start.content.shape[0] // clips
        group = torch.zeros(0, dtype=torch.int64, device=tracks.ids.device) if noise is None else noise.group
        apart = separation(count, group)
        answers: list[list[Layer]] = []
        ids: list[Tensor] = []
        sources: list[Tensor] = []
        alive: list[Tensor] = []
        seen: list[Tensor] = []
        source = torch.full_like(tracks.ids, -1)
        for k in range(frames):
            step = None if elapsed is None else elapsed[:, k]
            own = [_frame(value, clips * self.heads, k, self.heads) for value in values]
            queries, again = self._with_slots(start.frame(clips, k), tracks, step, noisy)
            there = torch.cat([tracks.strength > 0, again.left(count - slots)], 1)
            allowed = apart & F.pad(there, (0, noisy), value=True)[:, None, None]
            layers, normed = self._refine(queries, tuple(own), allowed, count, self.belt)
            layers = [_silenced(layer, there) for layer in layers]
            answers.append(layers)
            content, state = normed[:, :count], F.pad(tracks.content, (0, 0, 0, count - slots))
            _, state = self.objects(content, state.to(content.dtype), step)
            boxes = to_centre(layers[-1].boxes_xyxy_px[:, 0, :count])
            told, begun = layers[-1].logits[:, 0, :count], queries.logits[:, :count]
            found = carry(tracks, state, told, begun, boxes, step, again.seen)
            ids, sources = [*ids, found.ids], [*sources, source]
            alive, seen = [*alive, there[:, :slots]], [*seen, again.seen]
            tracks, source = found.tracks, found.source
        joined = [_in_order([layers[i] for layers in answers]) for i in range(len(self.layers))]
        return joined, Followed(*(torch.stack(x, 1) for x in (ids, sources, alive, seen))), tracks

    def _with_slots(self, start: Queries, tracks: Tracks, step: Tensor | None, noisy: int) -> tuple[Queries, Again]:
        """Before the frame's queries, the last `noisy` of them for denoising, the slots.

        An object that is seen again goes on as the new query that it is seen by. So what is in sight is seen as well
        as in a still, and once. Memory speaks for the others.
        """
        assert self.objects is not None
        content, boxes = self.objects.queries(tracks, step)
        new = start.content.shape[1] - noisy
        again = seen_again(tracks, boxes, start.logits[:, :new], start.boxes_cxcywh_px[:, :new])
        seen, there, found = again.seen[..., None], again.there[..., None], again.of(start.content)
        content = torch.where(there, found, 0.0) + torch.where(seen, 0.0, content.to(found.dtype))
        logits = first_logits(tracks, again, start.logits[:, :new], step, self.seen_most).to(start.logits.dtype)
        boxes = torch.where(seen, again.of(start.boxes_cxcywh_px), boxes)
        rows = ((content, start.content), (logits, start.logits), (boxes, start.boxes_cxcywh_px))
        return Queries(*(torch.cat(row, 1) for row in rows)), again


@dataclass(frozen=True)
class Queries:
    """What decoder layers refine."""

    content: Float[Tensor, "n q c"]
    logits: Float[Tensor, "n q k"]
    boxes_cxcywh_px: Float32[Tensor, "n q 4"]

    def frame(self, clips: int, k: int) -> Queries:
        """Those of frame k of each clip."""
        return Queries(*(_frame(x, clips, k) for x in (self.content, self.logits, self.boxes_cxcywh_px)))


def _frame(x: Tensor, rows: int, k: int, heads: int = 1) -> Tensor:
    """Frame k of [clips * frames * heads, ...], as [clips * heads, ...]; `rows` is clips * heads."""
    return torch.unflatten(x, 0, (rows // heads, -1, heads))[:, k].flatten(0, 1)


def _in_order(frames: Sequence[Layer]) -> Layer:
    """The layer's answers frame by frame, [clips, 1, ...] each, as [clips * frames, 1, ...]."""
    known = [frame.embeddings for frame in frames if frame.embeddings is not None]
    return Layer(
        torch.stack([frame.logits for frame in frames], 1).flatten(0, 1),
        torch.stack([frame.boxes_xyxy_px for frame in frames], 1).flatten(0, 1),
        torch.stack(known, 1).flatten(0, 1) if known else None,
    )


def _silenced(layer: Layer, there: Bool[Tensor, "b q"]) -> Layer:
    """The layer's answer with empty slots, and queries that slots go on as, saying that nothing is there."""
    empty = F.pad(~there, (0, layer.logits.shape[2] - there.shape[1]), value=False)
    return replace(layer, logits=layer.logits.masked_fill(empty[:, None, :, None], NO_OBJECT_LOGIT))


def _correction(width: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), last)
