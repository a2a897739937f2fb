"""One training step: forward, backward, clipping, optimizer, moving average."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hybrid.core.errors import RunError
from hybrid.core.types import Targets
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.predict.stream import as_input
from hybrid.training.config import TrainConfig
from hybrid.training.device import TrainingDevice
from hybrid.training.methods.method import Method
from hybrid.training.samples.batch import TrainBatch
from hybrid.training.schedule import ema_decay, parameter_groups, rate
from hybrid.weights.checkpoint import fill, read_tensors


class Learner(nn.Module):
    """Network and criterion as one module, because DistributedDataParallel wraps one call."""

    def __init__(self, detector: Network, criterion: Criterion) -> None:
        super().__init__()
        self.detector, self.criterion = detector, criterion

    def forward(
        self,
        images: Tensor,
        targets: Targets,
        generator: torch.Generator,
        elapsed: Tensor | None,
        cnn_only: bool,
        depth_m: Tensor | None = None,
        clip_labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        output, _ = self.detector(images, None, targets, generator, elapsed, cnn_only, depth_m)
        return self.criterion(output, targets, clip_labels)


class Training:
    """Everything that a step changes: weights, their moving average, the optimizer, the number of steps done."""

    def __init__(
        self,
        detector: Network,
        config: TrainConfig,
        criterion: Criterion,
        device: TrainingDevice,
        methods: Sequence[Method] = (),
    ) -> None:
        self.config, self.device, self.criterion, self.methods = config, device, criterion, tuple(methods)
        self.detector = detector.to(device.torch_device).to(memory_format=torch.channels_last)
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in detector.named_parameters()}
        self.optimizer = torch.optim.AdamW(parameter_groups(detector, config), betas=(0.9, 0.999))
        self.average = AveragedModel(detector, use_buffers=True)
        self.average.update_parameters(detector)  # the first call copies, later calls average
        self.learner: nn.Module = Learner(detector, criterion)
        if device.world_size > 1:
            self.learner = nn.parallel.DistributedDataParallel(self.learner, find_unused_parameters=True)
        self.steps_done = 0
        for method in self.methods:
            method.begin(self)

    @property
    def averaged(self) -> Network:
        """The network with the moving average of the weights."""
        return cast(Network, self.average.module)

    def step(self, batch: TrainBatch) -> dict[str, Tensor]:
        """Train on one batch and return the losses, as tensors: reading their values would wait for the device.

        Raises:
            RunError: a loss or a gradient is not finite. The weights are still those of the step before.
        """
        step, device = self.steps_done, self.device.torch_device
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * group["share"] * rate(self.config, step, group["joins"])
        for method in self.methods:
            method.before_step(self)
        losses = self._all_losses(batch.to(device), step)
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        for method in self.methods:
            method.after_backward(self)
        learning = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        norm = nn.utils.clip_grad_norm_(learning, self.config.grad_clip)
        if not bool(torch.isfinite(norm)) or not bool(torch.isfinite(losses["total"])):
            values = {name: float(value.detach()) for name, value in losses.items()}
            raise RunError(
                f"step {step}: the loss or its gradient is not finite (gradient norm {float(norm)}, {values})"
            )
        self.optimizer.step()
        for method in self.methods:
            method.after_step(self)
        self.average.multi_avg_fn = get_ema_multi_avg_fn(ema_decay(self.config, step))  # type: ignore[no-untyped-call]
        self.average.update_parameters(self.detector)
        self.steps_done += 1
        return {name: value.detach() for name, value in losses.items()} | {"grad_norm": norm}

    def _all_losses(self, batch: TrainBatch, step: int) -> dict[str, Tensor]:
        """The losses of a batch, and those that the methods add."""
        losses = self._losses(batch, step)
        for method in self.methods:
            added = method.losses(self, batch)
            if added:
                losses |= added | {"total": torch.stack([losses["total"], *added.values()]).sum()}
        return losses

    def _losses(self, batch: TrainBatch, step: int) -> dict[str, Tensor]:
        """The losses of a batch. All random numbers depend on the seed, the step and the rank alone."""
        config, device = self.config, self.device.torch_device
        seed = zlib.crc32(f"{config.seed} {step} {self.device.rank}".encode())
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        precision = torch.autocast(device.type, torch.bfloat16) if config.precision == "bf16" else nullcontext()
        with precision:
            losses: dict[str, Tensor] = self.learner(
                as_input(batch.images, device),
                batch.targets(),
                generator,
                batch.elapsed,
                step < config.cnn_steps,
                batch.depth_m,
                batch.clip_labels,
            )
        return losses

    def to_bytes(self) -> bytes:
        """A checkpoint as safetensors; its header holds the number of steps done."""
        tensors = {f"raw/{name}": tensor for name, tensor in self.detector.state_dict().items()}
        tensors |= {f"ema/{name}": tensor for name, tensor in self.average.module.state_dict().items()}
        for parameter, state in self.optimizer.state.items():
            tensors |= {f"adam/{self.names[parameter]}/{key}": value for key, value in state.items()}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        return save(plain, {"step": str(self.steps_done)})

    def restore(self, file: Path) -> None:
        """Go back to the state that `to_bytes` wrote to `file`.

        Raises:
            RunError: the file is no checkpoint of a training, or of a detector with another config.
        """
        tensors, header = read_tensors(file)
        step = header.get("step", "")
        if not (step.isascii() and step.isdigit() and len(step) < 20 and int(step) <= self.config.steps):
            problem = f"has the step {step!r:.40}, needs 0 to {self.config.steps}" if step else "has no step"
            raise RunError(f"{file}: is no checkpoint of this training: its header {problem}")
        fill(self.detector, _with_prefix(tensors, "raw/"), file)
        fill(self.average.module, _with_prefix(tensors, "ema/"), file)
        for parameter, name in self.names.items():
            state = _with_prefix(tensors, f"adam/{name}/")
            if state:
                wrong = [key for key, value in state.items() if key != "step" and value.shape != parameter.shape]
                if wrong or not state.keys() >= {"step", "exp_avg", "exp_avg_sq"}:
                    raise RunError(f"{file}: the optimizer's tensors of {name} do not fit it: {wrong or sorted(state)}")
                self.optimizer.state[parameter] = {
                    key: value if key == "step" else torch.empty_like(parameter).copy_(value)
                    for key, value in state.items()
                }
        self.steps_done = int(step)


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
