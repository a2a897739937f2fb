"""Convolutional backbones and the feature pyramid. Every backbone answers maps at the strides STRIDES.

Frames are folded into the batch axis: nothing here knows about time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (4, 8, 16)
Maps = tuple[Float[Tensor, "n _ _ _"], ...]  # one map a level, finest first


def normalised(channels: int) -> nn.GroupNorm:
    """Group norm: the same with any batch size, and in training as in use."""
    return nn.GroupNorm(max(1, channels // 16), channels)


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al., CVPR 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = normalised(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = normalised(channels)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(inner)))


def _down(from_channels: int, to_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(from_channels, to_channels, 3, stride=2, padding=1, bias=False), normalised(to_channels), nn.ReLU()
    )


class Tiny(nn.Module):
    """A residual network for CPUs: few channels where maps are large, two thirds of its work at strides 8 and 16."""

    channels = (32, 80, 128)

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = self.channels
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 4, stride=2, padding=1, bias=False), normalised(16), nn.ReLU(), _down(16, fine)
        )
        self.fine = Residual(fine)
        self.middle = nn.Sequential(_down(fine, middle), Residual(middle), Residual(middle))
        self.coarse = nn.Sequential(_down(middle, coarse), Residual(coarse), Residual(coarse))

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Maps:
        fine = self.fine(self.stem(images))
        middle = self.middle(fine)
        return fine, middle, self.coarse(middle)


class ResNet18(nn.Module):
    """torchvision's ResNet-18 up to stride 16.

    With given weights the batch norms keep the statistics they came with; from scratch they are group norms.
    """

    channels = (64, 128, 256)

    def __init__(self, frozen_norm: bool) -> None:
        super().__init__()
        from torchvision.models import resnet18  # type: ignore[import-untyped]
        from torchvision.ops import FrozenBatchNorm2d  # type: ignore[import-untyped]

        net = resnet18(weights=None, norm_layer=FrozenBatchNorm2d if frozen_norm else normalised)
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.layer1, self.layer2, self.layer3 = net.layer1, net.layer2, net.layer3

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Maps:
        fine = self.layer1(self.stem(images))
        middle = self.layer2(fine)
        return fine, middle, self.layer3(middle)

    def load_torchvision(self, weights: str) -> None:
        """Start from torchvision's ImageNet weights (`default`: its own download), or from a file of that layout."""
        from torchvision.models import ResNet18_Weights

        if weights == "default":
            state = ResNet18_Weights.DEFAULT.get_state_dict(progress=False, check_hash=True)
        else:
            state = torch.load(Path(weights), map_location="cpu", weights_only=True)
        renamed = {
            key.replace("conv1.", "stem.0.", 1) if key.startswith("conv1.") else key: v for key, v in state.items()
        }
        renamed = {
            key.replace("bn1.", "stem.1.", 1) if key.startswith("bn1.") else key: v for key, v in renamed.items()
        }
        wanted = self.state_dict()
        wrong = sorted(key for key in wanted if key not in renamed or renamed[key].shape != wanted[key].shape)
        if wrong:
            raise ValueError(
                f"weights: {weights} holds no ResNet-18: {len(wrong)} tensors missing or misshapen, {wrong[:3]}"
            )
        self.load_state_dict({key: renamed[key] for key in wanted})


Backbone = Tiny | ResNet18


def _tiny(weights: str, pretrained: bool) -> Tiny:
    if weights != "none":
        raise ValueError(f"weights: the backbone 'tiny' starts from none, got {weights!r}")
    return Tiny()


def _resnet18(weights: str, pretrained: bool) -> ResNet18:
    net = ResNet18(frozen_norm=weights != "none")
    if pretrained and weights != "none":
        net.load_torchvision(weights)
    return net


BACKBONES: dict[str, Callable[[str, bool], Backbone]] = {"tiny": _tiny, "resnet18": _resnet18}


class Pyramid(nn.Module):
    """Top-down feature pyramid (Lin et al., CVPR 2017) of one width, in two steps.

    `lateral` prepares the levels, before the branches over time join; `forward` then carries the coarse levels'
    content down to the fine ones. Between the two the finest level is no wider than the backbone's: it holds most of
    the pixels, and so most of the cost.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        inner = [min(channels[0], width), *[width] * (len(channels) - 1)]
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, i, 1, bias=False), normalised(i)) for c, i in zip(channels, inner, strict=True)
        )
        self.carry = nn.ModuleList(nn.Conv2d(i, j, 1) for i, j in zip(inner[1:], inner, strict=False))
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, width, 3, padding=1, bias=False), normalised(width), nn.ReLU()) for i in inner
        )

    def lateral(self, maps: Maps) -> Maps:
        return tuple(layer(x) for layer, x in zip(self.laterals, maps, strict=True))

    def forward(self, maps: Maps) -> Maps:
        merged = [maps[-1]]
        for finer, carry in zip(reversed(maps[:-1]), reversed(self.carry), strict=True):
            merged.insert(0, finer + F.interpolate(carry(merged[0]), size=finer.shape[-2:], mode="nearest"))
        return tuple(layer(x) for layer, x in zip(self.smooth, merged, strict=True))
