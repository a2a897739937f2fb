"""Weights of one network loaded into another: with other branches, or for other categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class CategoryHead(Protocol):
    """A module with tensors that have one row per category. It states which; their names do not matter."""

    def category_rows(self) -> Sequence[Tensor]:
        """The module's own parameters whose rows (axis 0) are the categories, in the config's order."""
        ...


def category_tensors(network: nn.Module) -> frozenset[str]:
    """The names, as in the state dict, of all tensors with one row per category."""
    heads = [module for module in network.modules() if isinstance(module, CategoryHead)]
    rows = {id(tensor) for head in heads for tensor in head.category_rows()}
    return frozenset(name for name, tensor in network.state_dict(keep_vars=True).items() if id(tensor) in rows)


@torch.no_grad()
def load_compatible(
    network: nn.Module, weights: Mapping[str, Tensor], own: Sequence[str], trained: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Load what fits from another network's weights. Returns the names that are (missing, unexpected).

    A category that both networks know keeps its row in the heads; a new one keeps its initial values. A tensor of
    another shape is not loaded and is both missing and unexpected.

    Args:
        network: the network that is changed.
        weights: the state dict of the other network.
        own: the categories of `network`.
        trained: the categories that `weights` were trained on.

    Raises:
        ValueError: the number of `trained` categories is not that of the weights.
    """
    tensors, by_category = network.state_dict(), category_tensors(network)
    missing = {name for name in tensors if name not in weights}
    unexpected = {name for name in weights if name not in tensors}
    rows = [(new, trained.index(name)) for new, name in enumerate(own) if name in trained]
    for name in tensors.keys() & weights.keys():
        target, given, has_rows = tensors[name], weights[name], name in by_category
        if has_rows and len(given) != len(trained):
            count = len(trained)
            raise ValueError(f"the weights are for {count} categories, {list(trained)}; {name} has {len(given)} rows")
        if given.shape[has_rows:] != target.shape[has_rows:]:
            missing.add(name)
            unexpected.add(name)
        elif has_rows:
            for new, old in rows:
                target[new].copy_(given[old])
        else:
            target.copy_(given)
    return sorted(missing), sorted(unexpected)
