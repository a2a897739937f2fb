"""The detector: CNN, then what the config switches on of recurrence and attention over frames, then set prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.core.boxes import refine, to_centre, to_corners
from hybrid.core.config import NMS_IOU, ModelConfig
from hybrid.core.types import Denoising, Detections, Followed, Layer, Output, Proposals, State, Targets, Tracks
from hybrid.model.attention import Between, DecoderLayer, Encoder, Values, as_values, place_box, remembered_tokens
from hybrid.model.frame.backbone import BACKBONES, STRIDES, Maps, Pyramid
from hybrid.model.frame.depth import DepthBranch
from hybrid.model.objects.heads import ClipHead, EmbeddingHead
from hybrid.model.objects.queries import Noised, Proposer, noised, separation, undecided
from hybrid.model.objects.tracks import (
    NO_OBJECT_LOGIT,
    SEEN_MOST,
    Again,
    BeltOrder,
    ObjectRecurrence,
    carry,
    first_logits,
    no_tracks,
    seen_again,
)
from hybrid.model.time.fusion import FUSIONS
from hybrid.model.time.temporal import TEMPORALS, Elapsed, state_shape
from hybrid.predict.suppression import without_doubles

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's RGB in 0..1, as torchvision's weights expect
SPREAD = (0.229, 0.224, 0.225)
RECURRENT_LEVELS = (1, 2)  # places in STRIDES: 8 and 16
BETWEEN_STAGES = (1, 2)  # likewise: after which stages attention stands, where it goes back and forth


def _silence(last: nn.Module) -> None:
    """A branch's last layer at nothing: unlike a gate at nothing it lets the branch learn from the first step on.

    As the zero convolutions of ControlNet (Zhang et al., ICCV 2023).
    """
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


class Context(nn.Module):
    """The branches over time, each behind its gate: the same maps, having seen earlier frames. Any may be missing."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        join = FUSIONS[config.fusion]
        coarsest = len(STRIDES) - 1
        self.encoded = tuple(range(coarsest - config.encoder_levels + 1, coarsest + 1)) if config.transformer else ()
        branches = {k: int(config.recurrence) for k in RECURRENT_LEVELS}
        branches |= {k: branches[k] + 1 for k in self.encoded}
        self.recurrences = nn.ModuleDict()
        if config.recurrence:
            self.recurrences.update({str(k): TEMPORALS[config.temporal](config.width) for k in RECURRENT_LEVELS})
        self.encoder = None
        if config.transformer:
            self.encoder = Encoder(
                config.width, config.heads, config.encoder_layers, config.memory_frames, config.encoder_levels,
                config.memory_tokens,
            )  # fmt: skip
        self.fusions = nn.ModuleDict(
            {str(k): join(config.width, count, config.gate) for k, count in branches.items() if count}
        )
        self.heard = nn.ModuleDict()  # the encoder's answers, as they join
        if config.quiet_start:
            self.heard.update({str(k): nn.Conv2d(config.width, config.width, 1) for k in self.encoded})
            if config.fusion == "cross_attention":
                last = [one.get_submodule("out") for one in self.fusions.values()]
            else:
                last = [*self.heard.values(), *(one.get_submodule("out") for one in self.recurrences.values())]
            for one in last:
                _silence(one)

    def forward(self, maps: Maps, clips: int, state: State, elapsed: Elapsed | None) -> tuple[Maps, State]:
        joined: dict[int, list[Tensor]] = {k: [] for k in range(len(maps))}
        hidden = []
        for slot, (name, recurrence) in enumerate(self.recurrences.items()):
            before = state.hidden[slot] if state.hidden else None
            answer, after = recurrence(torch.unflatten(maps[int(name)], 0, (clips, -1)), before, elapsed)
            joined[int(name)].append(answer.flatten(0, 1))
            hidden.append(after)
        memory = None
        if self.encoder is not None:
            levels = [torch.unflatten(maps[k], 0, (clips, -1)) for k in self.encoded]
            answers, memory = self.encoder(levels, state.memory, state.remembered)
            for k, answer in zip(self.encoded, answers, strict=True):
                flat = answer.flatten(0, 1)
                joined[k].append(self.heard[str(k)](flat) if self.heard else flat)
        fused = tuple(self.fusions[str(k)](x, joined[k]) if joined[k] else x for k, x in enumerate(maps))
        remembered = state.remembered
        if remembered is not None and self.encoder is not None:
            frames = maps[0].shape[0] // clips
            remembered = (remembered + frames).clamp(max=self.encoder.memory_frames)
        return fused, State(tuple(hidden), memory, remembered=remembered)


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


class Network(nn.Module):
    """Clips in, boxes and class scores of every frame out. A still is a clip of one frame."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: ModelConfig, pretrained: bool = True) -> None:
        """`pretrained=False` leaves `config.weights` unread, for a detector whose checkpoint is loaded next."""
        super().__init__()
        for name, table in (("backbone", BACKBONES), ("fusion", FUSIONS), ("temporal", TEMPORALS)):
            if getattr(config, name) not in table:
                raise ValueError(f"{name}: there is no {getattr(config, name)!r}; choose from {sorted(table)}")
        self.config = config
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD)[:, None, None], persistent=False)
        self.backbone = BACKBONES[config.backbone](config.weights, config.norm, pretrained)
        self.pyramid = Pyramid(self.backbone.channels, config.width)
        self.context = Context(config)
        self.decoder = Decoder(config)
        self.clip_head = ClipHead(config.width, len(config.clip_classes)) if config.clip_classes else None
        self.depth = DepthBranch(self.pyramid.inner, config.gate) if "depth" in config.inputs else None
        self.between = nn.ModuleDict()
        if config.transformer and config.attention == "back_and_forth":
            self.between.update(
                {
                    str(k): Between(self.backbone.channels[k], config.width, config.heads, STRIDES[k], config.gate)
                    for k in BETWEEN_STAGES
                }
            )
            for block in self.between.values():
                if config.quiet_start:
                    _silence(block.get_submodule("out"))

    def forward(
        self,
        images: Float[Tensor, "b t c h w"],
        state: State | None = None,
        targets: Targets | None = None,
        generator: torch.Generator | None = None,
        elapsed: Float[Tensor, "_ _"] | None = None,
        cnn_only: bool = False,
        depth_m: Float32[Tensor, "_ _ _ _"] | None = None,
    ) -> tuple[Output, State]:
        """Detect in RGB images of 0..1.

        Args:
            images: clips of frames.
            state: of the frames before; without one the clips begin here.
            targets: for training: denoising queries are made from them.
            generator: of the denoising's noise; torch's global one where None.
            elapsed: the time since each frame's predecessor, in intervals of the training clips; None: 1 each.
            depth_m: along the optical axis, in metres, [b, t, h, w], for a detector whose inputs have depth; it may be
                missing there, as a whole or (0, infinite) in places.
            cnn_only: leave out whatever knows of other frames or of other objects, as before the other parts join.

        Raises:
            ValueError: the images have not three channels, `elapsed` is not above 0, depth came where none is known
                or of another size, or the state is another detector's or of other clips.
        """
        self._check_images(images, elapsed)
        self._check_depth(images, depth_m)
        clips, _, _, height, width = images.shape
        between = None if cnn_only else {int(k): block for k, block in self.between.items()}
        maps = self.pyramid.lateral(self.backbone(self._prepared(images), between))
        maps = self._with_depth(maps, depth_m, generator)
        if cnn_only:
            answers, proposals, noise, _, _ = self.decoder(
                self.pyramid(maps), clips, targets, generator, None, None, True
            )
            return _output(answers, proposals, noise, None, clips, (height, width)), State()
        state = state or State()
        self._check_state(state, maps, clips)
        tracks = state.tracks or self._no_tracks(clips, images.device)
        heard = state.clip
        maps, state = self.context(maps, clips, state, elapsed)
        maps = self.pyramid(maps)
        answers, proposals, noise, followed, tracks = self.decoder(maps, clips, targets, generator, tracks, elapsed)
        output = _output(answers, proposals, noise, followed, clips, (height, width))
        if self.clip_head is not None:
            logits, heard = self.clip_head(maps, clips, heard)
            output = replace(output, clip_logits=logits)
        return output, replace(state, tracks=tracks, clip=heard)

    def _with_depth(self, maps: Maps, depth_m: Tensor | None, generator: torch.Generator | None) -> Maps:
        if self.depth is None or depth_m is None:
            return maps
        clips, frames = depth_m.shape[:2]
        there = torch.ones(clips, device=depth_m.device)
        if self.training:
            draw = torch.rand(clips, generator=generator)
            there = (draw >= self.config.depth_dropout).float().to(depth_m.device)
        flat = depth_m.flatten(0, 1)
        known = (torch.isfinite(flat) & (flat > 0)).flatten(1).any(1)  # a frame without any is as one without depth
        there = there.repeat_interleave(frames) * known
        down, right = (-side % STRIDES[-1] for side in depth_m.shape[-2:])
        added = self.depth(F.pad(flat, (0, right, 0, down)), there)
        return tuple(x + more.to(x.dtype) for x, more in zip(maps, added, strict=True))

    def _check_depth(self, images: Tensor, depth_m: Tensor | None) -> None:
        if depth_m is None:
            return
        if self.depth is None:
            raise ValueError(f"depth came; this detector's inputs are {list(self.config.inputs)}")
        wanted = (*images.shape[:2], *images.shape[3:])
        if depth_m.shape != wanted:
            raise ValueError(f"the depth (clips, frames, height, width) is {tuple(depth_m.shape)}; the images {wanted}")

    def _no_tracks(self, clips: int, device: torch.device) -> Tracks | None:
        config = self.config
        if not config.tracks:
            return None
        return no_tracks(clips, config.tracks, config.width, len(config.categories), device)

    def _check_images(self, images: Tensor, elapsed: Tensor | None) -> None:
        if images.shape[2] != 3:
            raise ValueError(f"the images have {images.shape[2]} channels; this detector takes 3, red, green and blue")
        if elapsed is None:
            return
        if elapsed.shape != images.shape[:2]:
            raise ValueError(f"elapsed is {tuple(elapsed.shape)}; these clips and frames are {tuple(images.shape[:2])}")
        if not bool((elapsed > 0).all()):
            raise ValueError(f"elapsed: needs times above 0, got {float(elapsed.min())}")

    def _prepared(self, images: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "n 3 ph pw"]:
        """Frames in the batch axis, standardised, padded on the right and below to whole coarsest cells."""
        return frames_in_batch(images, self.mean, self.spread)

    def _check_state(self, state: State, maps: Maps, clips: int) -> None:
        levels = RECURRENT_LEVELS if self.config.recurrence else ()
        if state.hidden and len(state.hidden) != len(levels):
            count = len(state.hidden)
            raise ValueError(f"the state holds {count} recurrent maps; {self.config.parts!r} has {len(levels)}")
        for hidden, level in zip(state.hidden, levels, strict=False):
            wanted = (clips, *state_shape(self.config.temporal, *maps[level].shape[1:]))
            if tuple(hidden.shape) != wanted:
                raise ValueError(f"the state's map is {tuple(hidden.shape)}; these clips need {wanted}")
        self._check_memory(state, maps, clips)
        self._check_tracks(state, clips)
        if state.clip is not None and (self.clip_head is None or state.clip.shape != (clips, self.config.width)):
            classes, came = list(self.config.clip_classes), tuple(state.clip.shape)
            needed = (clips, self.config.width)
            raise ValueError(f"the state's clip is {came}; this detector, of clip classes {classes}, needs {needed}")

    def _check_memory(self, state: State, maps: Maps, clips: int) -> None:
        if state.memory is None:
            return
        if not self.config.transformer:
            raise ValueError(f"the state holds a memory of tokens; a {self.config.parts!r} detector has none")
        tokens = remembered_tokens(maps[-1].shape[-2], maps[-1].shape[-1], self.config.memory_tokens)
        came, needed = (state.memory.shape[0], *state.memory.shape[2:]), (clips, tokens, self.config.width)
        if came != needed:
            raise ValueError(f"the state's memory (clips, tokens, width) is {came}; these clips need {needed}")
        if state.memory.shape[1] > self.config.memory_frames:
            frames = self.config.memory_frames
            raise ValueError(f"the state's memory is of {state.memory.shape[1]} frames; this detector keeps {frames}")

    def _check_tracks(self, state: State, clips: int) -> None:
        if state.tracks is None:
            return
        config = self.config
        came = (*state.tracks.content.shape, state.tracks.logits.shape[-1])
        needed = (clips, config.tracks, config.width, len(config.categories))
        if came != needed:
            raise ValueError(f"the state's tracks (clips, slots, width, categories) are {came}; here: {needed}")

    def load_compatible(
        self, weights: Mapping[str, Tensor], categories: tuple[str, ...] | None = None
    ) -> tuple[list[str], list[str]]:
        """Take over what fits from another detector, such as one of fewer parts; answer (missing, unexpected) names.

        `categories` are those that the weights were trained on, this detector's own where None: a category that both
        know keeps its row in the heads, another starts anew. What is missing keeps its start; a tensor of another shape
        counts on both sides.
        """
        known = categories or self.config.categories
        own = self.state_dict()
        missing = {name for name in own if name not in weights}
        unexpected = {name for name in weights if name not in own}
        rows = [(new, known.index(name)) for new, name in enumerate(self.config.categories) if name in known]
        for name in own.keys() & weights.keys():
            start, given, by_row = own[name], weights[name], _has_row_a_category(name)
            if by_row and len(given) != len(known):
                raise ValueError(f"{len(known)} categories came, {list(known)}; {name} has {len(given)} rows")
            if given.shape[by_row:] != start.shape[by_row:]:
                missing.add(name)
                unexpected.add(name)
            elif by_row:
                for new, old in rows:
                    start[new].copy_(given[old])
            else:
                start.copy_(given)
        return sorted(missing), sorted(unexpected)


def frames_in_batch(
    images: Float[Tensor, "b t 3 h w"], mean: Tensor | None = None, spread: Tensor | None = None
) -> Float[Tensor, "n 3 ph pw"]:
    """Frames in the batch axis, standardised, padded on the right and below to whole coarsest cells."""
    mean = images.new_tensor(MEAN)[:, None, None] if mean is None else mean
    spread = images.new_tensor(SPREAD)[:, None, None] if spread is None else spread
    flat = (images.flatten(0, 1) - mean) / spread
    down, right = (-side % STRIDES[-1] for side in images.shape[-2:])
    return F.pad(flat, (0, right, 0, down)).contiguous(memory_format=torch.channels_last)


def _output(
    answers: Sequence[Layer],
    proposals: Proposals,
    noise: Noised | None,
    followed: Followed | None,
    clips: int,
    size_hw_px: tuple[int, int],
) -> Output:
    """The decoder's answers by clip and frame, those for denoising queries apart."""
    noisy = 0 if noise is None else noise.labels.shape[1]
    count = answers[0].logits.shape[2] - noisy
    layers = [Layer(_clips(a.logits, clips), _clips(a.boxes_xyxy_px, clips)) for a in answers]
    found = [Layer(a.logits[:, :, :count], a.boxes_xyxy_px[:, :, :count]) for a in layers]
    embeddings = answers[-1].embeddings
    if embeddings is not None:
        embeddings = _clips(embeddings, clips)[:, :, :count]
    dense = Proposals(
        _clips(proposals.logits, clips),
        _clips(proposals.boxes_xyxy_px, clips),
        proposals.points_xy_px,
        proposals.strides_px,
    )
    denoising = None
    if noise is not None:
        rest = tuple(Layer(a.logits[:, :, count:], a.boxes_xyxy_px[:, :, count:]) for a in layers)
        denoising = Denoising(rest, *(_clips(x[:, None], clips) for x in (noise.truth, noise.positive, noise.real)))
    last = found[-1]
    return Output(
        last.logits,
        last.boxes_xyxy_px,
        size_hw_px,
        tuple(found[:-1]),
        dense,
        denoising,
        tracks=followed,
        embeddings=embeddings,
    )


def _has_row_a_category(name: str) -> bool:
    """The label embedding, the proposals' score layer, and the last layer of each decoder layer's score."""
    parts = name.split(".")
    return "label" in parts or ("score" in parts and parts[-2] in ("score", "2"))


def _clips(x: Tensor, clips: int) -> Tensor:
    """[clips * frames, 1, ...] as [clips, frames, ...]."""
    return torch.unflatten(x.flatten(0, 1), 0, (clips, -1))


def postprocess(
    output: Output, limit: int = 100, threshold: float = 0.0, nms_iou: float = NMS_IOU
) -> list[list[Detections]]:
    """The `limit` best (query, category) pairs of each frame [clip][frame], those that score `threshold` or more.

    Boxes are clipped to the image; those that vanish are left out, and doubles (see `without_doubles`).
    """
    height, width = output.size_hw_px
    categories = output.logits.shape[-1]
    scores = output.logits.detach().float().sigmoid().flatten(2)
    best, place = scores.topk(min(4 * limit, scores.shape[-1]), -1)  # more than needed, as some are doubles
    corner = output.boxes_xyxy_px.new_tensor([width, height, width, height])
    boxes = output.boxes_xyxy_px.detach().clamp(min=0).minimum(corner)
    boxes = boxes.gather(2, (place // categories)[..., None].expand(-1, -1, -1, 4))
    keep = (best >= threshold) & (boxes[..., 2:] > boxes[..., :2]).all(-1)
    labels = place % categories
    ids = unseen = None
    if output.tracks is not None:
        ids, unseen = (told.gather(2, place // categories) for told in (output.tracks.ids, output.tracks.unseen))

    def frame(i: int, k: int) -> Detections:
        known = None if ids is None else ids[i, k]
        vectors = None if output.embeddings is None else output.embeddings.detach()[i, k][place[i, k] // categories]
        memory = None if unseen is None else unseen[i, k]
        every = Detections(boxes[i, k], best[i, k], labels[i, k], known, vectors, memory).take(keep[i, k])
        return without_doubles(every, nms_iou, limit)

    return [[frame(i, k) for k in range(best.shape[1])] for i in range(best.shape[0])]
