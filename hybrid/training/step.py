"""One training step: forward, backward, clipping, optimizer, moving average."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

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
from hybrid.training.device import Place
from hybrid.training.samples.batch import TrainBatch
from hybrid.training.schedule import ema_decay, parameter_groups, rate
from hybrid.weights.checkpoint import fill, read_tensors


class Learner(nn.Module):
    """Network and criterion as one module, so that DistributedDataParallel sees one call."""

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
    """All that a step changes: weights, their moving average, the optimizer, the number of steps done."""

    def __init__(self, detector: Network, config: TrainConfig, criterion: Criterion, at: Place) -> None:
        self.config, self.at = config, at
        self.detector = detector.to(at.device).to(memory_format=torch.channels_last)
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in detector.named_parameters()}
        self.optimizer = torch.optim.AdamW(parameter_groups(detector, config), betas=(0.9, 0.999))
        self.average = AveragedModel(detector, use_buffers=True)
        self.average.update_parameters(detector)  # the first call copies, later calls average
        self.learner: nn.Module = Learner(detector, criterion)
        if at.world > 1:
            self.learner = nn.parallel.DistributedDataParallel(self.learner, find_unused_parameters=True)
        self.done = 0

    def step(self, batch: TrainBatch) -> dict[str, Tensor]:
        """One step. The losses, as tensors, so that nothing waits for the device.

        Raises:
            RunError: a loss or gradient is not finite; the weights are still those of the step before.
        """
        config, step = self.config, self.done
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * group["share"] * rate(config, step, group["joins"])
        seed = zlib.crc32(f"{config.seed} {step} {self.at.rank}".encode())
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        batch = batch.to(self.at.device)
        half = torch.autocast(self.at.device.type, torch.bfloat16) if config.precision == "bf16" else nullcontext()
        with half:
            images, alone = as_input(batch.images, self.at.device), step < config.cnn_steps
            more = (batch.elapsed, alone, batch.depth_m, batch.clip_labels)
            losses = self.learner(images, batch.targets(), generator, *more)
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        norm = nn.utils.clip_grad_norm_(trained, config.grad_clip)
        if not bool(torch.isfinite(norm)) or not bool(torch.isfinite(losses["total"])):
            told = {name: float(value.detach()) for name, value in losses.items()}
            raise RunError(f"step {step}: the loss or its gradient is not finite (gradient norm {float(norm)}, {told})")
        self.optimizer.step()
        self.average.multi_avg_fn = get_ema_multi_avg_fn(ema_decay(config, step))  # type: ignore[no-untyped-call]
        self.average.update_parameters(self.detector)
        self.done += 1
        return {name: value.detach() for name, value in losses.items()} | {"grad_norm": norm}

    def to_bytes(self) -> bytes:
        tensors = {f"raw/{name}": tensor for name, tensor in self.detector.state_dict().items()}
        tensors |= {f"ema/{name}": tensor for name, tensor in self.average.module.state_dict().items()}
        for parameter, state in self.optimizer.state.items():
            tensors |= {f"adam/{self.names[parameter]}/{key}": value for key, value in state.items()}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        return save(plain, {"step": str(self.done)})

    def restore(self, file: Path) -> None:
        tensors, header = read_tensors(file)
        if "step" not in header:
            raise RunError(f"{file}: is no checkpoint of a training: its header has no step")
        fill(self.detector, _below(tensors, "raw/"), file)
        fill(self.average.module, _below(tensors, "ema/"), file)
        for parameter, name in self.names.items():
            state = _below(tensors, f"adam/{name}/")
            if state:
                self.optimizer.state[parameter] = {
                    key: value if key == "step" else torch.empty_like(parameter).copy_(value)
                    for key, value in state.items()
                }
        self.done = int(header["step"])


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
