"""Convolutional backbones and the feature pyramid. Every backbone returns maps at the strides STRIDES.

Frames are folded into the batch axis; nothing here depends on time. A backbone has three stages, one per stride; the
stem belongs to the first. Backbones of torchvision can start from its ImageNet weights, or from a file of that layout.
Then their batch norms keep the statistics of the weights by default (`norm: frozen`). From scratch they use group norm.
`timm:NAME` is any model of timm (`timm_net`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.core.errors import ConfigError
from hybrid.model.frame.stages import (
    NECK_NORMS,
    Backbone,
    Maps,
    StageBlocks,
    Stages,
    misfits,
    normalised,
    read_weights,
    run,
)
from hybrid.model.frame.timm_net import PREFIX, timm_net


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., CVPR 2016)."""

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
    """A residual network for CPUs: few channels on large maps, two thirds of the work at strides 8 and 16."""

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

    def stages(self) -> Stages:
        return (nn.Sequential(self.stem, self.fine), self.middle, self.coarse)

    def forward(self, images: Float[Tensor, "n _ h w"], between: StageBlocks = None) -> Maps:
        return run(self.stages(), images, between)


class ResNet(nn.Module):
    """torchvision's ResNet (He et al., CVPR 2016) up to stride 16. Only the stem has other tensor names."""

    UNUSED = ("layer4.", "fc.")  # prefixes of torchvision's tensors

    def __init__(self, net: Any, channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.channels = channels
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.layer1, self.layer2, self.layer3 = net.layer1, net.layer2, net.layer3

    def stages(self) -> Stages:
        return (nn.Sequential(self.stem, self.layer1), self.layer2, self.layer3)

    def forward(self, images: Float[Tensor, "n _ h w"], between: StageBlocks = None) -> Maps:
        return run(self.stages(), images, between)

    def torchvision_name(self, name: str) -> str:
        return name.replace("stem.0.", "conv1.").replace("stem.1.", "bn1.")


class MobileNetV3(nn.Module):
    """torchvision's MobileNetV3-Large (Howard et al., ICCV 2019) up to stride 16, without its last widening."""

    channels = (24, 40, 112)
    ENDS = (4, 7, 13)  # the ends of the stages in torchvision's list of blocks
    UNUSED = ("features.13.", "features.14.", "features.15.", "features.16.", "classifier.")

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.features = net.features[: self.ENDS[-1]]

    def stages(self) -> Stages:
        first, second, last = self.ENDS
        return (self.features[:first], self.features[first:second], self.features[second:last])

    def forward(self, images: Float[Tensor, "n _ h w"], between: StageBlocks = None) -> Maps:
        return run(self.stages(), images, between)

    def torchvision_name(self, name: str) -> str:
        return name


# --- weights --------------------------------------------------------------------------------------------------------


def _start_from(net: ResNet | MobileNetV3, name: str, weights: str) -> None:
    """Load torchvision's ImageNet weights (`default`: its download), or those of a file of that layout."""
    from torchvision.models import get_model_weights  # type: ignore[import-untyped]

    if weights == "default":
        state = get_model_weights(_TORCHVISION[name]).DEFAULT.get_state_dict(progress=False, check_hash=True)
    else:
        state = read_weights(Path(weights))
    wanted = net.state_dict()
    theirs = {own: net.torchvision_name(own) for own in wanted}
    wrong = misfits(wanted, theirs, state)
    used = set(theirs.values())
    wrong += [
        f"{their} belongs to another net"  # such as a deeper network of the same family
        for their in state
        if not (their in used or their.startswith(net.UNUSED) or their.endswith("num_batches_tracked"))
    ]
    if wrong:
        raise ConfigError(
            f"weights: {weights} holds no {_TITLES[name]}: {len(wrong)} of {len(wanted)} tensors differ; {wrong[0]}"
        )
    net.load_state_dict({own: state[their] for own, their in theirs.items()})


def _norm(norm: str, weights: str, eps: float) -> Callable[[int], nn.Module]:
    from torchvision.ops import FrozenBatchNorm2d  # type: ignore[import-untyped]

    if norm == "auto":
        norm = "group" if weights == "none" else "frozen"
    if norm == "group" and weights != "none":
        raise ConfigError("norm: the weights have batch norms; choose 'frozen' or 'batch', not 'group'")
    if norm == "frozen" and weights == "none":
        raise ConfigError("norm: 'frozen' keeps the statistics of pretrained weights; weights: none has none")
    rows: dict[str, Callable[[int], nn.Module]] = {
        "group": normalised,
        "frozen": partial(FrozenBatchNorm2d, eps=eps),
        "batch": partial(nn.BatchNorm2d, eps=eps),
    }
    return rows[norm]


# --- the table ------------------------------------------------------------------------------------------------------

_TORCHVISION = {
    "resnet18": "resnet18", "resnet34": "resnet34", "resnet50": "resnet50", "mobilenet_v3": "mobilenet_v3_large",
}  # fmt: skip
_TITLES = {
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "mobilenet_v3": "MobileNetV3-Large",
}


def _tiny(weights: str, norm: str, pretrained: bool) -> Tiny:
    if weights != "none":
        raise ConfigError(f"weights: the backbone 'tiny' starts from none, got {weights!r}")
    if norm not in ("auto", "group"):
        raise ConfigError(f"norm: the backbone 'tiny' has group norms, got {norm!r}")
    return Tiny()


def _resnet(name: str, channels: tuple[int, int, int], weights: str, norm: str, pretrained: bool) -> ResNet:
    from torchvision.models import get_model

    net = ResNet(get_model(_TORCHVISION[name], weights=None, norm_layer=_norm(norm, weights, 1e-5)), channels)
    if pretrained and weights != "none":
        _start_from(net, name, weights)
    return net


def _mobilenet(weights: str, norm: str, pretrained: bool) -> MobileNetV3:
    from torchvision.models import get_model

    net = MobileNetV3(get_model("mobilenet_v3_large", weights=None, norm_layer=_norm(norm, weights, 1e-3)))
    if pretrained and weights != "none":
        _start_from(net, "mobilenet_v3", weights)
    return net


# (weights, norm, whether to read the weights) -> backbone
BACKBONES: dict[str, Callable[[str, str, bool], Backbone]] = {
    "tiny": _tiny,
    "resnet18": partial(_resnet, "resnet18", (64, 128, 256)),
    "resnet34": partial(_resnet, "resnet34", (64, 128, 256)),
    "resnet50": partial(_resnet, "resnet50", (256, 512, 1024)),
    "mobilenet_v3": _mobilenet,
}


def make_backbone(name: str, weights: str, norm: str, pretrained: bool) -> Backbone:
    """A row of BACKBONES, or a model of timm for a name such as "timm:tf_efficientnet_lite0".

    Args:
        weights: none, default (the library's download), bundled (from a pip package), or a file.
        norm: one of hybrid.core.config.NORMS.
        pretrained: whether to read the weights.

    Raises:
        ConfigError: there is no such backbone, or the weights cannot be had or do not fit.
    """
    if name.startswith(PREFIX):
        return timm_net(name.removeprefix(PREFIX), weights, norm, pretrained)
    if name not in BACKBONES:
        raise ConfigError(f"backbone: there is no {name!r}; choose from {sorted(BACKBONES)} or {PREFIX}NAME")
    if weights == "bundled":
        raise ConfigError(f"weights: 'bundled' goes with backbones of timm, not with {name!r}")
    return BACKBONES[name](weights, norm, pretrained)


class Pyramid(nn.Module):
    """Top-down feature pyramid of one width (Lin et al., CVPR 2017), in two steps.

    `lateral` makes the levels; then the branches over time are added; `forward` adds the coarse levels to the finer
    ones. Between the two steps the finest level is not wider than the backbone's, because it has most of the pixels
    and so most of the cost.
    """

    def __init__(self, channels: Sequence[int], width: int, norm: str = "group") -> None:
        super().__init__()
        norm_of = NECK_NORMS[norm]
        inner = [min(channels[0], width), *[width] * (len(channels) - 1)]
        self.inner = tuple(inner)  # channels of the lateral maps
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, i, 1, bias=False), norm_of(i)) for c, i in zip(channels, inner, strict=True)
        )
        self.carry = nn.ModuleList(nn.Conv2d(i, j, 1) for i, j in zip(inner[1:], inner, strict=False))
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, width, 3, padding=1, bias=False), norm_of(width), nn.ReLU()) for i in inner
        )

    def lateral(self, maps: Maps) -> Maps:
        """The backbone's maps with `inner` channels."""
        return tuple(layer(x) for layer, x in zip(self.laterals, maps, strict=True))

    def forward(self, maps: Maps) -> Maps:
        merged = [maps[-1]]
        for finer, carry in zip(reversed(maps[:-1]), reversed(self.carry), strict=True):
            merged.insert(0, finer + F.interpolate(carry(merged[0]), size=finer.shape[-2:], mode="nearest"))
        return tuple(layer(x) for layer, x in zip(self.smooth, merged, strict=True))
