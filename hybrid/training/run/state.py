"""What a checkpoint of unfinished steps holds beside weights: the optimizer's tensors, and how many steps are done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from hybrid.core.errors import RunError

STEP = "step"  # in a checkpoint's header


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str]) -> dict[str, Tensor]:
    """The state of AdamW by `PARAMETER/KEY`; `names` are the parameters'."""
    return {
        f"{names[parameter]}/{key}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str], tensors: Mapping[str, Tensor], file: Path
) -> None:
    """Go back to the state that `optimizer_tensors` returned. A parameter without a state had no step yet.

    Raises:
        RunError: the tensors, which are of `file`, do not fit the parameters.
    """
    for parameter, name in names.items():
        state = with_prefix(tensors, f"{name}/")
        if not state:
            continue
        wrong = [key for key, value in state.items() if key != "step" and value.shape != parameter.shape]
        if wrong or not state.keys() >= {"step", "exp_avg", "exp_avg_sq"}:
            raise RunError(f"{file}: the optimizer's tensors of {name} do not fit it: {wrong or sorted(state)}")
        optimizer.state[parameter] = {
            key: value if key == "step" else torch.empty_like(parameter).copy_(value) for key, value in state.items()
        }


def steps_in(header: Mapping[str, str], most: int, file: Path) -> int:
    """How many steps were done, as a checkpoint's header says.

    Raises:
        RunError: `file` is no checkpoint of a training of `most` steps.
    """
    step = header.get(STEP, "")
    if not (step.isascii() and step.isdigit() and len(step) < 20 and int(step) <= most):
        problem = f"has the step {step!r:.40}, needs 0 to {most}" if step else "has no step"
        raise RunError(f"{file}: is no checkpoint of this training: its header {problem}")
    return int(step)


def with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
