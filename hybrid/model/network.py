"""The detector: CNN, then what the config switches on of recurrence and attention over frames, then set prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.core.config import ModelConfig
from hybrid.core.errors import ConfigError, InputError
from hybrid.core.types import Denoising, Followed, Layer, Output, Proposals, State, Targets, Tracks
from hybrid.model.attention import Between, remembered_tokens
from hybrid.model.frame.backbone import BACKBONES, STRIDES, Maps, Pyramid
from hybrid.model.frame.depth import DepthBranch
from hybrid.model.objects.decoder import Decoder
from hybrid.model.objects.heads import ClipHead
from hybrid.model.objects.queries import Noised
from hybrid.model.objects.tracks import no_tracks
from hybrid.model.time.context import RECURRENT_LEVELS, Context, silence
from hybrid.model.time.fusion import FUSIONS
from hybrid.model.time.temporal import TEMPORALS, state_shape

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's RGB in 0..1, as torchvision's weights expect
SPREAD = (0.229, 0.224, 0.225)
BETWEEN_STAGES = (1, 2)  # likewise: after which stages attention stands, where it goes back and forth


class Network(nn.Module):
    """Clips in, boxes and class scores of every frame out. A still is a clip of one frame."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: ModelConfig, pretrained: bool = True) -> None:
        """`pretrained=False` leaves `config.weights` unread, for a detector whose checkpoint is loaded next."""
        super().__init__()
        for name, table in (("backbone", BACKBONES), ("fusion", FUSIONS), ("temporal", TEMPORALS)):
            if getattr(config, name) not in table:
                raise ConfigError(f"{name}: there is no {getattr(config, name)!r}; choose from {sorted(table)}")
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
                    silence(block.get_submodule("out"))

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
            raise InputError(f"depth came; this detector's inputs are {list(self.config.inputs)}")
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
            raise ValueError(f"the state holds {count} recurrent maps; {self.config.branches!r} has {len(levels)}")
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
            raise ValueError(f"the state holds a memory of tokens; a {self.config.branches!r} detector has none")
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
