"""An image model as a feature extractor: from pictures to its last map, for classifiers and searches of one's own."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hybrid.core.errors import ConfigError
from hybrid.model.frame.timm_net import BUNDLED_MEAN, BUNDLED_SPREAD, PREFIX, check_model, load_weights

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")  # torchvision's; timm's have the same layout of tensors


class FeatureExtractor(nn.Module):
    """The last map of an image model, without pooling and classifier.

    ResNet-50 ends with layer4: 2048 channels at stride 32. `channels` and `stride` say it of any model.

    >>> import torch
    >>> extractor = FeatureExtractor("resnet50", weights="none")
    >>> extractor(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 2048, 7, 7])
    >>> extractor.channels, extractor.stride
    (2048, 32)
    """

    def __init__(self, name: str, weights: str = "default") -> None:
        """Build a model in evaluation mode.

        Args:
            name: resnet18, resnet34, resnet50 or resnet101 of torchvision; or timm:NAME, any model of
                `timm.list_models()` that gives maps.
            weights: default, the library's download; bundled, from a pip package; none, random; or a file.

        Raises:
            ConfigError: there is no such model, or its weights cannot be had or do not fit.
        """
        super().__init__()
        import timm

        plain = name.removeprefix(PREFIX)
        if plain == name and name not in RESNETS:
            raise ConfigError(f"features: there is no {name!r}; choose from {list(RESNETS)} or {PREFIX}NAME")
        check_model(plain)
        net: Any = timm.create_model(plain, pretrained=False, features_only=True, out_indices=(-1,))
        if weights == "default" and plain == name:
            _load_torchvision(net, name)
        elif weights != "none":
            load_weights(net, plain, weights)
        self.net: nn.Module = net
        self.channels, self.stride = int(net.feature_info.channels()[-1]), int(net.feature_info.reduction()[-1])
        mean, spread = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
        if weights == "bundled":
            mean, spread = (BUNDLED_MEAN,) * 3, (BUNDLED_SPREAD,) * 3
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(spread).view(3, 1, 1), persistent=False)
        self.eval()

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c _ _"]:
        """The last map, [n, channels, h / stride, w / stride], of RGB images in 0..1. It standardises them itself."""
        last: Tensor = self.net((images - self.mean) / self.spread)[-1]
        return last


def _load_torchvision(net: nn.Module, name: str) -> None:
    from torchvision.models import get_model_weights  # type: ignore[import-untyped]

    try:
        state = get_model_weights(name).DEFAULT.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise ConfigError(f"weights: torchvision's of {name} cannot be downloaded: {error}. Give a file") from None
    net.load_state_dict({key: state[key] for key in net.state_dict()})
