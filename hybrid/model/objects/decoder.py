"""The decoder: queries refined layer by layer, tracked from frame to frame if the config has slots for it."""

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
from hybrid.core.processes import Draws
from hybrid.core.types import LayerOutput, Proposals, Targets, TrackedQueries, Tracks
from hybrid.model.attention import DecoderLayer, Values, as_values, encode_boxes
from hybrid.model.frame.stages import Maps
from hybrid.model.objects.belt import BeltOrder
from hybrid.model.objects.heads import EmbeddingHead
from hybrid.model.objects.queries import (
    DenoisingQueries,
    Proposer,
    attention_mask,
    denoising_logits,
    denoising_queries,
)
from hybrid.model.objects.tracks import (
    DETECTION_RATE,
    NO_OBJECT_LOGIT,
    ObjectRecurrence,
    SlotMatch,
    initial_logits,
    match_slots,
    update_tracks,
)
from hybrid.model.time.temporal import Elapsed


@dataclass(frozen=True)
class Queries:
    """The input of the decoder layers."""

    content: Float[Tensor, "n q c"]
    logits: Float[Tensor, "n q k"]
    boxes_cxcywh_px: Float32[Tensor, "n q 4"]

    def frame(self, clips: int, k: int) -> Queries:
        """The queries of frame k of each clip."""
        return Queries(*(_frame(x, clips, k) for x in (self.content, self.logits, self.boxes_cxcywh_px)))


@dataclass(frozen=True)
class Decoded:
    """The decoder's output: each layer's as [n frames, 1, queries + denoising queries, ...], and the slots after it."""

    layers: list[LayerOutput]
    proposals: Proposals
    noise: DenoisingQueries | None
    tracked: TrackedQueries | None = None
    tracks: Tracks | None = None


class Correction(nn.Sequential):
    """What a decoder layer adds to the logits or the boxes of the layer before. It starts at zero."""

    def __init__(self, width: int, outputs: int) -> None:
        last = nn.Linear(width, outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        super().__init__(nn.Linear(width, width), nn.ReLU(), last)


class ScoreCorrection(Correction):
    """The correction of the logits, one output per category."""

    def category_rows(self) -> tuple[Tensor, ...]:
        """See hybrid.model.transfer."""
        return tuple(self[-1].parameters())


class LabelEmbedding(nn.Embedding):
    """The content of a denoising query, one row per category."""

    def category_rows(self) -> tuple[Tensor, ...]:
        """See hybrid.model.transfer."""
        return (self.weight,)


class Decoder(nn.Module):
    """Queries refined layer by layer: each layer corrects the boxes and the logits of the one before.

    All corrections start at zero, so that the first outputs are the proposals, which are learned fast.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, classes = config.width, len(config.categories)
        self.heads, self.denoising_queries = config.heads, config.denoising_queries
        head = (config.queries, config.head_convs, config.distinct_iou, config.towers, config.neck_norm)
        self.propose = Proposer(width, classes, *head)
        self.label = LabelEmbedding(classes, width) if config.denoising_queries else None
        self.place = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.values = nn.Conv2d(width, width, 1)
        self.layers = nn.ModuleList(
            DecoderLayer(width, config.heads, config.points) for _ in range(config.decoder_layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.layers)
        self.score = nn.ModuleList(ScoreCorrection(width, classes) for _ in self.layers)
        self.box = nn.ModuleList(Correction(width, 4) for _ in self.layers)
        self.objects = ObjectRecurrence(width) if config.tracks else None
        self.detection_rate = DETECTION_RATE[config.boxes]
        self.embed = EmbeddingHead(width, config.embedding) if config.embedding else None
        self.belt = None if config.belt_order == "off" else BeltOrder(width, config.belt_order, config.gate)

    def forward(
        self,
        maps: Maps,
        clips: int,
        targets: Targets | None,
        generator: torch.Generator | Draws | None,
        tracks: Tracks | None,
        elapsed: Elapsed | None,
        cnn_only: bool = False,
    ) -> Decoded:
        """Decode the maps of the clips. `targets` add denoising queries; `tracks` are the slots before the clips."""
        proposals, *start = self.propose(maps)
        queries, noise = self._with_denoising(Queries(*start), targets, generator)
        values = as_values(tuple(self.values(x) for x in maps), self.heads)
        if self.objects is not None and tracks is not None:
            layers, tracked, tracks = self._track(queries, values, clips, noise, tracks, elapsed)
            return Decoded(layers, proposals, noise, tracked, tracks)
        count = start[0].shape[1]
        allowed = None if noise is None else attention_mask(count, noise.group)
        layers, _ = self._refine(queries, values, allowed, count, None if cnn_only else self.belt)
        return Decoded(layers, proposals, noise)

    def _with_denoising(
        self, queries: Queries, targets: Targets | None, generator: torch.Generator | Draws | None
    ) -> tuple[Queries, DenoisingQueries | None]:
        """The queries, followed by denoising queries if there are targets."""
        if targets is None or self.label is None:
            return queries, None
        classes = queries.logits.shape[-1]
        noise = denoising_queries(list(chain.from_iterable(targets)), self.denoising_queries, classes, generator)
        content = self.label(noise.labels).to(queries.content.dtype)
        logits = denoising_logits(noise.labels, classes).to(queries.logits.dtype)
        return _joined(queries, Queries(content, logits, noise.boxes_cxcywh)), noise

    def _refine(
        self, start: Queries, values: Values, allowed: Tensor | None, count: int, belt: BeltOrder | None
    ) -> tuple[list[LayerOutput], Float[Tensor, "n q c"]]:
        """All layers' outputs, and the final content of the queries. The first `count` are no denoising queries."""
        query, logits, boxes = start.content, start.logits, start.boxes_cxcywh_px
        outputs: list[LayerOutput] = []
        for layer, norm, score, box in zip(self.layers, self.norms, self.score, self.box, strict=True):
            if belt is not None and len(outputs) == len(self.layers) - 1:
                ordered = belt(query[:, :count], logits[:, :count], boxes[:, :count])
                query = torch.cat([ordered, query[:, count:]], 1)
            query = layer(query, self.place(encode_boxes(boxes, query.shape[-1])), boxes, values, allowed)
            normed = norm(query)
            refined, logits = refine(boxes, box(normed)), logits.detach() + score(normed)
            outputs.append(LayerOutput(logits[:, None], to_corners(refined)[:, None]))
            boxes = refined.detach()
        if self.embed is not None:
            outputs[-1] = replace(outputs[-1], embeddings=self.embed(normed)[:, None])
        return outputs, normed

    def _track(
        self,
        start: Queries,
        values: Values,
        clips: int,
        noise: DenoisingQueries | None,
        tracks: Tracks,
        elapsed: Elapsed | None,
    ) -> tuple[list[LayerOutput], TrackedQueries, Tracks]:
        """As `_refine`, frame by frame: the slots after a frame are queries of the next one."""
        noisy = 0 if noise is None else noise.labels.shape[1]
        group = tracks.ids.new_zeros(0) if noise is None else noise.group
        mask = attention_mask(tracks.ids.shape[1] + start.content.shape[1] - noisy, group)
        source = torch.full_like(tracks.ids, -1)
        outputs: list[list[LayerOutput]] = []
        rows: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for k in range(start.content.shape[0] // clips):
            step = None if elapsed is None else elapsed[:, k]
            own = tuple(_frame(value, clips * self.heads, k, self.heads) for value in values)
            alive = tracks.strength > 0
            layers, ids, redetected, tracks, next_source = self._track_frame(
                start.frame(clips, k), own, mask, noisy, tracks, step
            )
            outputs.append(layers)
            rows.append((ids, source, alive, redetected))
            source = next_source
        joined = [_over_frames([layers[i] for layers in outputs]) for i in range(len(self.layers))]
        return joined, TrackedQueries(*(torch.stack(column, 1) for column in zip(*rows, strict=True))), tracks

    def _track_frame(
        self, new: Queries, values: Values, mask: Bool[Tensor, "q q"], noisy: int, tracks: Tracks, step: Tensor | None
    ) -> tuple[list[LayerOutput], Tensor, Tensor, Tracks, Tensor]:
        """One frame: layers' outputs, ids, redetected slots, the slots after the frame, and their source queries."""
        assert self.objects is not None
        queries, match = self._with_slots(new, tracks, step, noisy)
        slots, count = tracks.ids.shape[1], queries.content.shape[1] - noisy
        active = torch.cat([tracks.strength > 0, match.unmatched(count - slots)], 1)
        allowed = mask & F.pad(active, (0, noisy), value=True)[:, None, None]
        layers, normed = self._refine(queries, values, allowed, count, self.belt)
        layers = [_without_inactive(layer, active) for layer in layers]
        content, state = normed[:, :count], F.pad(tracks.content, (0, 0, 0, count - slots))
        _, state = self.objects(content, state.to(content.dtype), step)
        boxes = to_centre(layers[-1].boxes_xyxy_px[:, 0, :count])
        final, first = layers[-1].logits[:, 0, :count], queries.logits[:, :count]
        update = update_tracks(tracks, state, final, first, boxes, step, match.redetected)
        return layers, update.ids, match.redetected, update.tracks, update.source

    def _with_slots(self, new: Queries, tracks: Tracks, step: Tensor | None, noisy: int) -> tuple[Queries, SlotMatch]:
        """The slots as queries, followed by the queries of the frame, of which the last `noisy` are for denoising.

        A slot whose object is redetected takes over the new query. So visible objects are detected as well as in a
        still image, and only once. Only the other slots depend on the state.
        """
        assert self.objects is not None
        content, boxes = self.objects.queries(tracks, step)
        count = new.content.shape[1] - noisy
        match = match_slots(tracks, boxes, new.logits[:, :count], new.boxes_cxcywh_px[:, :count])
        redetected, matched, own = match.redetected[..., None], match.matched[..., None], match.gather(new.content)
        content = torch.where(matched, own, 0.0) + torch.where(redetected, 0.0, content.to(own.dtype))
        logits = initial_logits(tracks, match, new.logits[:, :count], step, self.detection_rate).to(new.logits.dtype)
        boxes = torch.where(redetected, match.gather(new.boxes_cxcywh_px), boxes)
        return _joined(Queries(content, logits, boxes), new), match


def _joined(first: Queries, second: Queries) -> Queries:
    """The queries of both, per frame."""
    return Queries(*(torch.cat([a, b], 1) for a, b in zip(vars(first).values(), vars(second).values(), strict=True)))


def _frame(x: Tensor, rows: int, k: int, heads: int = 1) -> Tensor:
    """Frame k of [clips * frames * heads, ...], as [clips * heads, ...]; `rows` is clips * heads."""
    return torch.unflatten(x, 0, (rows // heads, -1, heads))[:, k].flatten(0, 1)


def _over_frames(frames: Sequence[LayerOutput]) -> LayerOutput:
    """The outputs of a layer for each frame, [clips, 1, ...] each, as one of [clips * frames, 1, ...]."""
    embeddings = [frame.embeddings for frame in frames if frame.embeddings is not None]
    return LayerOutput(
        torch.stack([frame.logits for frame in frames], 1).flatten(0, 1),
        torch.stack([frame.boxes_xyxy_px for frame in frames], 1).flatten(0, 1),
        torch.stack(embeddings, 1).flatten(0, 1) if embeddings else None,
    )


def _without_inactive(layer: LayerOutput, active: Bool[Tensor, "b q"]) -> LayerOutput:
    """The output with "no object" for empty slots and for new queries that a slot took over."""
    inactive = F.pad(~active, (0, layer.logits.shape[2] - active.shape[1]), value=False)
    return replace(layer, logits=layer.logits.masked_fill(inactive[:, None, :, None], NO_OBJECT_LOGIT))
