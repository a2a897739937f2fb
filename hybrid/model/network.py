"""The network: CNN, then recurrence and attention over frames as the config says, then set prediction of boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.core.config import ModelConfig
from hybrid.core.errors import ConfigError, InputError
from hybrid.core.processes import Draws, as_draws
from hybrid.core.types import Denoising, LayerOutput, Output, State, Targets, Tracks
from hybrid.model import transfer
from hybrid.model.attention import StageAttention
from hybrid.model.frame.backbone import Pyramid, make_backbone
from hybrid.model.frame.depth import DepthBranch
from hybrid.model.frame.stages import STRIDES, Backbone, Maps
from hybrid.model.objects.decoder import Decoded, Decoder
from hybrid.model.objects.heads import ClipHead
from hybrid.model.objects.queries import DenoisingQueries
from hybrid.model.objects.tracks import empty_tracks
from hybrid.model.states import check_state
from hybrid.model.time.context import Context, zero_init
from hybrid.model.time.fusion import FUSIONS
from hybrid.model.time.temporal import TEMPORALS

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's RGB in 0..1, as torchvision's weights expect
SPREAD = (0.229, 0.224, 0.225)  # their standard deviations
BETWEEN_STAGES = (1, 2)  # the stages of the backbone that attention follows, for `attention: back_and_forth`


class Network(nn.Module):
    """Clips in, boxes and class scores of every frame out. A still image is a clip of one frame."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: ModelConfig, pretrained: bool = True) -> None:
        """`pretrained=False` does not read `config.weights`: for a network that gets the weights of a checkpoint.

        Raises:
            ConfigError: the config names a backbone, fusion or recurrence that does not exist.
        """
        super().__init__()
        for name, table in (("fusion", FUSIONS), ("temporal", TEMPORALS)):
            if getattr(config, name) not in table:
                raise ConfigError(f"{name}: there is no {getattr(config, name)!r}; choose from {sorted(table)}")
        self.config = config
        self.backbone = make_backbone(config.backbone, config.weights, config.norm, pretrained)
        mean, spread = standardisation(self.backbone)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("spread", spread, persistent=False)
        self.pyramid = Pyramid(self.backbone.channels, config.width, config.neck_norm)
        self.context = Context(config)
        self.decoder = Decoder(config)
        self.clip_head = ClipHead(config.width, len(config.clip_classes)) if config.clip_classes else None
        self.depth = DepthBranch(self.pyramid.inner, config.gate) if "depth" in config.inputs else None
        self.between = nn.ModuleDict()
        if config.transformer and config.attention == "back_and_forth":
            self.between.update(
                {str(k): _stage_attention(config, self.backbone.channels[k], k) for k in BETWEEN_STAGES}
            )

    def forward(
        self,
        images: Float[Tensor, "b t c h w"],
        state: State | None = None,
        targets: Targets | None = None,
        generator: torch.Generator | Draws | None = None,
        elapsed: Float[Tensor, "_ _"] | None = None,
        cnn_only: bool = False,
        depth_m: Float32[Tensor, "_ _ _ _"] | None = None,
    ) -> tuple[Output, State]:
        """Detect in RGB images of 0..1.

        Args:
            images: clips of frames.
            state: of the frames before; None: the clips begin here.
            targets: for training: denoising queries are made from them.
            generator: for the noise of denoising, or the draws of a part of a batch; None: torch's global one.
            elapsed: [b, t], the time since the frame before, in frame intervals of the training clips; None: 1 each.
            cnn_only: skip everything that depends on other frames or other objects, as in the first stage of training.
            depth_m: [b, t, h, w], along the optical axis in metres, for a config with depth as an input. A missing
                value is 0 or infinite; None: no depth.

        Returns:
            The output, and the state after the clips.

        Raises:
            ValueError: the images do not have three channels, `elapsed` has another shape or a value that is not above
                0, the depth has another size, or the state is of another network or of other clips.
            InputError: depth is given and the config has no depth input.
        """
        self._check_images(images, elapsed)
        self._check_depth(images, depth_m)
        clips, size_hw_px = images.shape[0], (images.shape[-2], images.shape[-1])
        maps = self._lateral_maps(images, depth_m, generator, cnn_only)
        if cnn_only:
            decoded = self.decoder(self.pyramid(maps), clips, targets, generator, None, None, True)
            return _output(decoded, clips, size_hw_px), State()
        state = state or State()
        check_state(self.config, state, maps, clips)
        tracks, hidden = state.tracks or self._empty_tracks(clips, images.device), state.clip
        maps, state = self.context(maps, clips, state, elapsed)
        maps = self.pyramid(maps)
        decoded = self.decoder(maps, clips, targets, generator, tracks, elapsed)
        output = _output(decoded, clips, size_hw_px)
        if self.clip_head is not None:
            logits, hidden = self.clip_head(maps, clips, hidden)
            output = replace(output, clip_logits=logits)
        return output, replace(state, tracks=decoded.tracks, clip=hidden)

    def _lateral_maps(
        self, images: Tensor, depth_m: Tensor | None, generator: torch.Generator | Draws | None, cnn_only: bool
    ) -> Maps:
        """The lateral maps of the pyramid, [clips * frames, ...] each, with the depth added."""
        between = None if cnn_only else {int(k): block for k, block in self.between.items()}
        maps: Maps = self.pyramid.lateral(self.backbone(self._prepared(images), between))
        if self.depth is None or depth_m is None:
            return maps
        clips, frames = depth_m.shape[:2]
        present = torch.ones(clips, device=depth_m.device)
        if self.training:
            draw = as_draws(generator).rand(clips)
            present = (draw >= self.config.depth_dropout).float().to(depth_m.device)
        flat = depth_m.flatten(0, 1)
        has_depth = (torch.isfinite(flat) & (flat > 0)).flatten(1).any(1)  # a frame without valid pixels has no depth
        down, right = (-side % STRIDES[-1] for side in depth_m.shape[-2:])
        added = self.depth(F.pad(flat, (0, right, 0, down)), present.repeat_interleave(frames) * has_depth)
        return tuple(x + more.to(x.dtype) for x, more in zip(maps, added, strict=True))

    def _prepared(self, images: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "n 3 ph pw"]:
        return frames_in_batch(images, self.mean, self.spread)

    def _empty_tracks(self, clips: int, device: torch.device) -> Tracks | None:
        config = self.config
        if not config.tracks:
            return None
        return empty_tracks(clips, config.tracks, config.width, len(config.categories), device)

    def _check_depth(self, images: Tensor, depth_m: Tensor | None) -> None:
        if depth_m is None:
            return
        if self.depth is None:
            raise InputError(f"depth is given; this detector's inputs are {list(self.config.inputs)}")
        needed = (*images.shape[:2], *images.shape[3:])
        if depth_m.shape != needed:
            raise ValueError(f"the depth (clips, frames, height, width) is {tuple(depth_m.shape)}; the images {needed}")

    def _check_images(self, images: Tensor, elapsed: Tensor | None) -> None:
        if images.shape[2] != 3:
            raise ValueError(f"the images have {images.shape[2]} channels; this detector takes 3, red, green and blue")
        if elapsed is None:
            return
        if elapsed.shape != images.shape[:2]:
            raise ValueError(f"elapsed is {tuple(elapsed.shape)}; these clips and frames are {tuple(images.shape[:2])}")
        if not bool((elapsed > 0).all()):
            raise ValueError(f"elapsed: needs times above 0, got {float(elapsed.min())}")

    def load_compatible(
        self, weights: Mapping[str, Tensor], categories: tuple[str, ...] | None = None
    ) -> tuple[list[str], list[str]]:
        """Load what fits from another network, such as one with fewer branches. Returns (missing, unexpected) names.

        `categories` are those that the weights were trained on; None: the same as this network's. See
        hybrid.model.transfer.load_compatible.
        """
        own = self.config.categories
        return transfer.load_compatible(self, weights, own, categories or own)


def _stage_attention(config: ModelConfig, channels: int, stage: int) -> StageAttention:
    block = StageAttention(channels, config.width, config.heads, STRIDES[stage], config.gate)
    if config.quiet_start:
        zero_init(block.out)
    return block


def standardisation(backbone: Backbone) -> tuple[Float32[Tensor, "3 1 1"], Float32[Tensor, "3 1 1"]]:
    """The mean and the spread that a backbone expects images to be standardised with: its own, or ImageNet's."""
    mean, spread = getattr(backbone, "mean", MEAN), getattr(backbone, "spread", SPREAD)
    return torch.tensor(mean)[:, None, None], torch.tensor(spread)[:, None, None]


def frames_in_batch(images: Float[Tensor, "b t 3 h w"], mean: Tensor, spread: Tensor) -> Float[Tensor, "n 3 ph pw"]:
    """Fold frames into the batch axis, standardise, and pad right and below to multiples of the coarsest stride."""
    flat = (images.flatten(0, 1) - mean) / spread
    down, right = (-side % STRIDES[-1] for side in images.shape[-2:])
    return F.pad(flat, (0, right, 0, down)).contiguous(memory_format=torch.channels_last)


def _output(decoded: Decoded, clips: int, size_hw_px: tuple[int, int]) -> Output:
    """The decoder's output by clip and frame, with the denoising queries apart."""
    noisy = 0 if decoded.noise is None else decoded.noise.labels.shape[1]
    count = decoded.layers[0].logits.shape[2] - noisy
    layers = [LayerOutput(_clips(x.logits, clips), _clips(x.boxes_xyxy_px, clips)) for x in decoded.layers]
    own = [LayerOutput(x.logits[:, :, :count], x.boxes_xyxy_px[:, :, :count]) for x in layers]
    embeddings = decoded.layers[-1].embeddings
    dense = decoded.proposals
    return Output(
        logits=own[-1].logits,
        boxes_xyxy_px=own[-1].boxes_xyxy_px,
        size_hw_px=size_hw_px,
        auxiliary=tuple(own[:-1]),
        proposals=replace(dense, logits=_clips(dense.logits, clips), boxes_xyxy_px=_clips(dense.boxes_xyxy_px, clips)),
        denoising=None if decoded.noise is None else _denoising(layers, decoded.noise, count, clips),
        tracks=decoded.tracked,
        embeddings=None if embeddings is None else _clips(embeddings, clips)[:, :, :count],
    )


def _denoising(layers: Sequence[LayerOutput], noise: DenoisingQueries, count: int, clips: int) -> Denoising:
    rest = tuple(LayerOutput(x.logits[:, :, count:], x.boxes_xyxy_px[:, :, count:]) for x in layers)
    return Denoising(rest, *(_clips(x[:, None], clips) for x in (noise.truth, noise.positive, noise.real)))


def _clips(x: Tensor, clips: int) -> Tensor:
    """[clips * frames, 1, ...] as [clips, frames, ...]."""
    return torch.unflatten(x.flatten(0, 1), 0, (clips, -1))
