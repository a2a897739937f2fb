"""The detector: CNN, then what the config switches on of recurrence and attention over frames, then set prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.backbone import BACKBONES, STRIDES, Maps, Pyramid
from hybrid.boxes import refine, to_corners
from hybrid.config import ModelConfig
from hybrid.fusion import FUSIONS
from hybrid.queries import Noised, Proposer, noised, separation, undecided
from hybrid.temporal import ConvGRU
from hybrid.transformer import DecoderLayer, Encoder, as_values, place_box
from hybrid.types import Denoising, Detections, Layer, Output, Proposals, State, Targets

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's RGB in 0..1, as torchvision's weights expect
SPREAD = (0.229, 0.224, 0.225)
RECURRENT_LEVELS = (1, 2)  # places in STRIDES: 8 and 16


class Context(nn.Module):
    """The branches over time, each behind its gate: the same maps, having seen earlier frames. Any may be missing."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        join = FUSIONS[config.fusion]
        coarsest = len(STRIDES) - 1
        branches = {k: int(config.recurrence) for k in RECURRENT_LEVELS}
        branches[coarsest] += int(config.transformer)
        self.recurrences = nn.ModuleDict()
        if config.recurrence:
            self.recurrences.update({str(k): ConvGRU(config.width) for k in RECURRENT_LEVELS})
        self.encoder = None
        if config.transformer:
            self.encoder = Encoder(config.width, config.heads, config.encoder_layers, config.memory_frames)
        self.fusions = nn.ModuleDict(
            {str(k): join(config.width, count, config.gate) for k, count in branches.items() if count}
        )

    def forward(self, maps: Maps, clips: int, state: State) -> tuple[Maps, State]:
        joined: dict[int, list[Tensor]] = {k: [] for k in range(len(maps))}
        hidden = []
        for slot, (name, recurrence) in enumerate(self.recurrences.items()):
            before = state.hidden[slot] if state.hidden else None
            answer, after = recurrence(torch.unflatten(maps[int(name)], 0, (clips, -1)), before)
            joined[int(name)].append(answer.flatten(0, 1))
            hidden.append(after)
        memory = None
        if self.encoder is not None:
            answer, memory = self.encoder(torch.unflatten(maps[-1], 0, (clips, -1)), state.memory)
            joined[len(maps) - 1].append(answer.flatten(0, 1))
        fused = tuple(self.fusions[str(k)](x, joined[k]) if joined[k] else x for k, x in enumerate(maps))
        return fused, State(tuple(hidden), memory)


class Decoder(nn.Module):
    """Queries, refined layer by layer: each layer corrects the boxes and the scores of the one before.

    All corrections start at nothing, so that the first answers are the proposals', which are learned fast.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, classes = config.width, len(config.categories)
        self.heads, self.denoising_queries = config.heads, config.denoising_queries
        self.propose = Proposer(width, classes, config.queries)
        self.label = nn.Embedding(classes, width) if config.denoising_queries else None
        self.place = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.values = nn.Conv2d(width, width, 1)
        self.layers = nn.ModuleList(
            DecoderLayer(width, config.heads, config.points) for _ in range(config.decoder_layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.layers)
        self.score = nn.ModuleList(_correction(width, classes) for _ in self.layers)
        self.box = nn.ModuleList(_correction(width, 4) for _ in self.layers)

    def forward(
        self, maps: Maps, targets: Targets | None, generator: torch.Generator | None
    ) -> tuple[list[Layer], Proposals, Noised | None]:
        """Every layer's answers as [n frames, 1, queries + denoising queries, ...]."""
        proposals, query, logits, boxes = self.propose(maps)
        noise, allowed = None, None
        if targets is not None and self.label is not None:
            noise = noised(list(chain.from_iterable(targets)), self.denoising_queries, logits.shape[-1], generator)
            allowed = separation(query.shape[1], noise.group)
            query = torch.cat([query, self.label(noise.labels).to(query.dtype)], 1)
            logits = torch.cat([logits, undecided(noise.labels, logits.shape[-1]).to(logits.dtype)], 1)
            boxes = torch.cat([boxes, noise.boxes_cxcywh], 1)
        answers, values = [], as_values(tuple(self.values(x) for x in maps), self.heads)
        for layer, norm, score, box in zip(self.layers, self.norms, self.score, self.box, strict=True):
            query = layer(query, self.place(place_box(boxes, query.shape[-1])), boxes, values, allowed)
            normed = norm(query)
            refined, logits = refine(boxes, box(normed)), logits.detach() + score(normed)
            answers.append(Layer(logits[:, None], to_corners(refined)[:, None]))
            boxes = refined.detach()
        return answers, proposals, noise


def _correction(width: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), last)


class Detector(nn.Module):
    """Clips in, boxes and class scores of every frame out. A still is a clip of one frame."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: ModelConfig, pretrained: bool = True) -> None:
        """`pretrained=False` leaves `config.weights` unread, for a detector whose checkpoint is loaded next."""
        super().__init__()
        for name, table in (("backbone", BACKBONES), ("fusion", FUSIONS)):
            if getattr(config, name) not in table:
                raise ValueError(f"{name}: there is no {getattr(config, name)!r}; choose from {sorted(table)}")
        self.config = config
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD)[:, None, None], persistent=False)
        self.backbone = BACKBONES[config.backbone](config.weights, pretrained)
        self.pyramid = Pyramid(self.backbone.channels, config.width)
        self.context = Context(config)
        self.decoder = Decoder(config)

    def forward(
        self,
        images: Float[Tensor, "b t 3 h w"],
        state: State | None = None,
        targets: Targets | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Output, State]:
        """Detect in RGB images of 0..1.

        Without a state the clips begin here. `targets` are for training: denoising queries are made from them, with
        noise from `generator` (torch's global one where None).
        """
        clips, _, _, height, width = images.shape
        maps = self.pyramid.lateral(self.backbone(self._prepared(images)))
        state = state or State()
        self._check_state(state, maps, clips)
        maps, state = self.context(maps, clips, state)
        answers, proposals, noise = self.decoder(self.pyramid(maps), targets, generator)
        return _output(answers, proposals, noise, clips, (height, width)), state

    def _prepared(self, images: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "n 3 ph pw"]:
        """Frames in the batch axis, standardised, padded on the right and below to whole coarsest cells."""
        flat = (images.flatten(0, 1) - self.mean) / self.spread
        down, right = (-side % STRIDES[-1] for side in images.shape[-2:])
        return F.pad(flat, (0, right, 0, down)).contiguous(memory_format=torch.channels_last)

    def _check_state(self, state: State, maps: Maps, clips: int) -> None:
        levels = RECURRENT_LEVELS if self.config.recurrence else ()
        if state.hidden and len(state.hidden) != len(levels):
            count = len(state.hidden)
            raise ValueError(f"the state holds {count} recurrent maps; {self.config.parts!r} has {len(levels)}")
        for hidden, level in zip(state.hidden, levels, strict=False):
            wanted = (clips, *maps[level].shape[1:])
            if tuple(hidden.shape) != wanted:
                raise ValueError(f"the state's map is {tuple(hidden.shape)}; these clips need {wanted}")
        if state.memory is None:
            return
        if not self.config.transformer:
            raise ValueError(f"the state holds a memory of tokens; a {self.config.parts!r} detector has none")
        height, width = (-(-side // 2) for side in maps[-1].shape[-2:])
        came, needed = (state.memory.shape[0], *state.memory.shape[2:]), (clips, height * width, self.config.width)
        if came != needed:
            raise ValueError(f"the state's memory (clips, tokens, width) is {came}; these clips need {needed}")

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


def _output(
    answers: Sequence[Layer], proposals: Proposals, noise: Noised | None, clips: int, size_hw_px: tuple[int, int]
) -> Output:
    """The decoder's answers by clip and frame, those for denoising queries apart."""
    noisy = 0 if noise is None else noise.labels.shape[1]
    count = answers[0].logits.shape[2] - noisy
    layers = [Layer(_clips(a.logits, clips), _clips(a.boxes_xyxy_px, clips)) for a in answers]
    found = [Layer(a.logits[:, :, :count], a.boxes_xyxy_px[:, :, :count]) for a in layers]
    dense = Proposals(
        _clips(proposals.logits, clips),
        _clips(proposals.dense_logits, clips),
        _clips(proposals.boxes_xyxy_px, clips),
        proposals.anchors_xyxy_px,
    )
    denoising = None
    if noise is not None:
        rest = tuple(Layer(a.logits[:, :, count:], a.boxes_xyxy_px[:, :, count:]) for a in layers)
        denoising = Denoising(rest, *(_clips(x[:, None], clips) for x in (noise.truth, noise.positive, noise.real)))
    return Output(found[-1].logits, found[-1].boxes_xyxy_px, size_hw_px, tuple(found[:-1]), dense, denoising)


def _has_row_a_category(name: str) -> bool:
    """The label embedding, the proposals' score layers, and the last layer of each decoder layer's score."""
    parts = name.split(".")
    return "label" in parts or "dense_score" in parts or ("score" in parts and parts[-2] in ("score", "2"))


def _clips(x: Tensor, clips: int) -> Tensor:
    """[clips * frames, 1, ...] as [clips, frames, ...]."""
    return torch.unflatten(x.flatten(0, 1), 0, (clips, -1))


def postprocess(output: Output, limit: int = 100, threshold: float = 0.0) -> list[list[Detections]]:
    """The `limit` best (query, category) pairs of each frame [clip][frame], those that score `threshold` or more.

    Boxes are clipped to the image; those that vanish are left out.
    """
    height, width = output.size_hw_px
    categories = output.logits.shape[-1]
    scores = output.logits.detach().float().sigmoid().flatten(2)
    best, place = scores.topk(min(limit, scores.shape[-1]), -1)
    corner = output.boxes_xyxy_px.new_tensor([width, height, width, height])
    boxes = output.boxes_xyxy_px.detach().clamp(min=0).minimum(corner)
    boxes = boxes.gather(2, (place // categories)[..., None].expand(-1, -1, -1, 4))
    keep = (best >= threshold) & (boxes[..., 2:] > boxes[..., :2]).all(-1)
    labels = place % categories
    return [
        [
            Detections(boxes[i, k][keep[i, k]], best[i, k][keep[i, k]], labels[i, k][keep[i, k]])
            for k in range(best.shape[1])
        ]
        for i in range(best.shape[0])
    ]
