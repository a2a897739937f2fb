"""Networks from clips to classes: the detector's CNN with its branches over time, or attention alone.

They give a logit for each class after each frame, and carry a state as the detector does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn

from hybrid.core.config import ModelConfig
from hybrid.core.types import State
from hybrid.model.frame.backbone import Pyramid, make_backbone
from hybrid.model.frame.stages import STRIDES, Maps
from hybrid.model.network import frames_in_batch, standardisation
from hybrid.model.objects.heads import ClipHead
from hybrid.model.time.context import Context

Kind = Literal["cnn", "cnn+rnn", "cnn+transformer", "transformer", "cnn+rnn+transformer"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PATCH_PX = 16
PATCH_LAYERS, FRAME_LAYERS = 3, 2  # of attention within a frame, and over the frames


class MeanHead(nn.Module):
    """The class of a clip from the mean of its frames so far: without their order. As ClipHead, less its recurrence."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Linear(2 * len(STRIDES) * width, width), nn.LayerNorm(width), nn.ReLU())
        self.out = nn.Linear(width, classes)

    def forward(
        self, maps: Maps, clips: int, total: Float[Tensor, "b c"] | None
    ) -> tuple[Float32[Tensor, "b t k"], Float32[Tensor, "b c"]]:
        """The logits after each frame; and the sum of the features so far, with their count in the last column."""
        pooled = torch.cat([x.float().mean((2, 3)) for x in maps] + [x.float().amax((2, 3)) for x in maps], 1)
        features = torch.unflatten(self.squeeze(pooled), 0, (clips, -1))
        counted = torch.cat([features, torch.ones_like(features[..., :1])], -1).cumsum(1)
        if total is not None:
            counted = counted + total[:, None]
        return self.out(counted[..., :-1] / counted[..., -1:]), counted[:, -1]


class ClipNet(nn.Module):
    """The detector's CNN, its branches over time, and a head for the whole clip."""

    def __init__(self, config: ModelConfig, recurrent_head: bool = True, pretrained: bool = True) -> None:
        super().__init__()
        self.backbone = make_backbone(config.backbone, config.weights, config.norm, pretrained)
        self.mean, self.spread = standardisation(self.backbone)
        self.pyramid = Pyramid(self.backbone.channels, config.width, config.neck_norm)
        self.context = Context(config)
        head = ClipHead if recurrent_head else MeanHead
        self.clip_head = head(config.width, len(config.clip_classes))

    def forward(self, images: Tensor, state: State | None = None) -> tuple[Float32[Tensor, "b t k"], State]:
        """(logits, state after the clips) for RGB images in 0..1, [b, t, 3, h, w]."""
        clips, state = images.shape[0], state or State()
        maps = self.pyramid.lateral(self.backbone(frames_in_batch(images, self.mean, self.spread), None))
        maps, after = self.context(maps, clips, state, None)
        logits, clip_state = self.clip_head(self.pyramid(maps), clips, state.clip)
        return logits, replace(after, clip=clip_state)


class PatchNet(nn.Module):
    """Attention alone: over the patches of each frame, then over the frames so far.

    The factorised encoder of ViViT (Arnab et al., ICCV 2021, model 2), with a causal mask over the frames. It has no
    state: it sees whole clips only.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.patches = nn.Conv2d(3, width, PATCH_PX, stride=PATCH_PX)
        self.within, self.over = (
            nn.TransformerEncoder(
                nn.TransformerEncoderLayer(
                    width, config.heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
                ),
                layers,
                enable_nested_tensor=False,
            )
            for layers in (PATCH_LAYERS, FRAME_LAYERS)
        )
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, len(config.clip_classes))

    def forward(self, images: Tensor, state: State | None = None) -> tuple[Float32[Tensor, "b t k"], State]:
        """The logits after each frame for RGB images in 0..1, [b, t, 3, h, w], and an empty state."""
        clips, frames = images.shape[:2]
        maps = self.patches((images.flatten(0, 1) - 0.5) / 0.25)
        height, width = maps.shape[-2:]
        places = torch.cartesian_prod(torch.arange(height), torch.arange(width)).to(maps)
        tokens = maps.flatten(2).transpose(1, 2) + _waves(places, maps.shape[1])
        features = torch.unflatten(self.within(tokens).mean(1), 0, (clips, frames))
        times = torch.arange(frames).to(maps)[:, None]
        later: Bool[Tensor, "t t"] = torch.ones(frames, frames, dtype=torch.bool, device=maps.device).triu(1)
        logits: Tensor = self.out(self.norm(self.over(features + _waves(times, maps.shape[1]), mask=later)))
        return logits, State()


def _waves(places: Float[Tensor, "n d"], width: int) -> Float[Tensor, "n c"]:
    """Sines and cosines of positions (Vaswani et al., NeurIPS 2017), d coordinates side by side; padded with zeros."""
    count = width // (2 * places.shape[1])
    frequencies = 100.0 ** -(torch.arange(count).to(places) / max(1, count))
    angles = (places[..., None] * frequencies).flatten(1)
    waves = torch.cat([angles.sin(), angles.cos()], 1)
    return nn.functional.pad(waves, (0, width - waves.shape[1]))


def make_clip_net(config: ModelConfig, kind: Kind | None, pretrained: bool = True) -> nn.Module:
    """The network of a kind; None: that of `config.branches` with a recurrent head, as in files of earlier versions."""
    if kind == "transformer":
        return PatchNet(config)
    return ClipNet(config, kind is None or "rnn" in kind, pretrained)
