"""What all backbones share: their interface, their strides, and how weights are read from files."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hybrid.core.errors import ConfigError

STRIDES = (4, 8, 16)
Maps = tuple[Float[Tensor, "n _ _ _"], ...]  # one map per level, finest first
Stages = Sequence[nn.Module]  # one per stride, finest first
StageBlocks = Mapping[int, nn.Module] | None  # by index of a stage: a module that is applied to its map


def normalised(channels: int) -> nn.GroupNorm:
    """Group norm with about 16 channels per group: independent of batch size and mode."""
    groups = next(count for count in range(max(1, channels // 16), 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)


class PixelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel alone (as in ConvNeXt, Liu et al., CVPR 2022)."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


# Of the pyramid and the towers. Group norm divides by the spread over the whole picture, so that a part's score depends
# on what else is in the picture, and on how large it is. Batch norm, once trained, and pixel norm do not.
NECK_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "group": normalised,
    "batch": nn.BatchNorm2d,
    "pixel": PixelNorm,
}


def misfits(wanted: Mapping[str, Tensor], theirs: Mapping[str, str], state: Mapping[str, Tensor]) -> list[str]:
    """Which tensors of a network a state dict lacks or has in another shape, in words.

    Args:
        wanted: the network's own state dict.
        theirs: the name in `state` of each of the network's tensors, by its own name.
        state: what was read.
    """
    return [
        f"{their} is {tuple(state[their].shape) if their in state else 'missing'}, not {tuple(wanted[own].shape)}"
        for own, their in theirs.items()
        if their not in state or state[their].shape != wanted[own].shape
    ]


def run(stages: Stages, images: Float[Tensor, "n _ h w"], between: StageBlocks) -> Maps:
    """The map after each stage."""
    maps: list[Tensor] = []
    for index, stage in enumerate(stages):
        x = stage(maps[-1] if maps else images)
        maps.append(between[index](x) if between and index in between else x)
    return tuple(maps)


@runtime_checkable
class Backbone(Protocol):
    """The interface of a backbone; all are `nn.Module`s too."""

    channels: tuple[int, int, int]

    def stages(self) -> Stages: ...

    def __call__(self, images: Tensor, between: StageBlocks = None) -> Maps: ...


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Read a state dict from safetensors, or from a torch file without running pickled code.

    Raises:
        ConfigError: the file is damaged, holds more than tensors, or a tensor that is not finite.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(f"weights: {path} holds code, not only tensors, and is not loaded: {error}"[:300]) from None
    except Exception as error:  # a damaged file makes torch and safetensors raise many kinds of errors
        raise ConfigError(f"weights: {path} cannot be read as safetensors or a state dict: {error}"[:300]) from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ConfigError(f"weights: {path} holds a {type(state).__name__}, not a state dict: names and tensors")
    spoiled = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if spoiled:
        raise ConfigError(f"weights: {path} holds {len(spoiled)} tensors that are not finite, such as {spoiled[0]!r}")
    return state
