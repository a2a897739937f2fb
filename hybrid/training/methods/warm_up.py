"""Warm start: before a run's own steps, the backbone learns from pictures without labels to fill in covered squares.

SimMIM of Xie et al., "A Simple Framework for Masked Image Modeling", CVPR 2022, with the values of its section 4.1:
0.6 of the squares of 32 px are covered, one linear layer guesses all pixels from the coarsest map, and the loss is the
mean absolute difference (L1) on the covered pixels. Covered squares have the mean colour that the backbone expects; the
paper learns that colour. The linear layer is thrown away. Of the detector the backbone alone changes.

The stage has a file of its own in the run's folder. So a killed run goes on in it exactly, as it does in its own steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.core.errors import ConfigError, RunError
from hybrid.core.progress import Progress, silent
from hybrid.data.clips import ClipSource
from hybrid.model.frame.stages import STRIDES
from hybrid.model.network import Network, frames_in_batch
from hybrid.predict.runtime.engine import as_input
from hybrid.training.config import TrainConfig
from hybrid.training.device import TrainingDevice
from hybrid.training.methods.mean_teacher import CHANGES
from hybrid.training.run.state import STEP, optimizer_tensors, restore_optimizer, steps_in, with_prefix
from hybrid.training.samples.batch import Batches, TrainBatch, loader
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.samples.unlabelled import without_labels
from hybrid.training.schedule import keep_frozen, rate, stage_shares
from hybrid.weights.checkpoint import fill, read_tensors
from simgen.dataset.store.files import write_atomically

WARM_UP = "warm-up.safetensors"  # in the run's folder
STEPS = 200
SQUARE_PX, COVERED = 32, 0.6  # of SimMIM, section 4.1
OWN_SEED = 2_000_003  # its draws are apart from those of the steps that follow
TENTH = 10  # the loss is told as the mean over the first tenth of the steps and over the last


@dataclass(frozen=True)
class WarmUp:
    """The stage before a run's own steps: `steps` steps on the pictures of `source`, whose labels are not read."""

    source: Callable[[], ClipSource]
    steps: int = STEPS
    progress: Progress = silent

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"a warm-up needs 1 step or more, got {self.steps}")

    def settings(self) -> dict[str, Any]:
        """What decides the weights, as JSON values. It becomes a part of the run's identity."""
        return {"name": "masked-pictures", "steps": self.steps}

    def config(self, config: TrainConfig) -> TrainConfig:
        """The settings of its steps, for a run of `config`: single frames without any change of colours."""
        calm = config.augment.model_copy(update=dict.fromkeys(CHANGES, 0.0))
        changes: dict[str, Any] = {
            "steps": self.steps, "warmup_steps": min(config.warmup_steps, self.steps // 10), "stages": (),
            "cnn_steps": 0, "accumulate": 1, "truncate": 0, "clip_length": 1, "longest_step": 1,
            "blank_probability": 0.0, "augment": calm, "seed": config.seed + OWN_SEED,
        }  # fmt: skip
        return config.model_copy(update=changes)


class Filling(nn.Module):
    """A backbone, and the layer that guesses pixels. One module, because DistributedDataParallel wraps one call."""

    def __init__(self, detector: Network) -> None:
        super().__init__()
        self.backbone: nn.Module = detector.backbone  # type: ignore[assignment]
        self.guess = nn.Conv2d(detector.backbone.channels[-1], 3 * STRIDES[-1] ** 2, 1)

    def forward(self, images: Float[Tensor, "n 3 h w"], covered: Bool[Tensor, "n 1 h w"]) -> Tensor:
        """The loss for standardised pictures, of which the backbone sees what is not covered."""
        maps = self.backbone(images.masked_fill(covered, 0.0), None)
        guessed = F.pixel_shuffle(self.guess(maps[-1]).float(), STRIDES[-1])
        return (guessed - images).abs()[covered.expand_as(images)].mean()


def draw_covers(side_px: int, count: int, first: int, seed: int) -> Bool[Tensor, "n 1 h w"]:
    """Which pixels of `count` square pictures are covered. Picture k of a run has its own draw, `first` + its place."""
    squares = side_px // SQUARE_PX
    chosen = max(1, round(COVERED * squares**2))
    covers = np.zeros((count, squares**2), bool)
    for place, row in enumerate(covers):
        row[np.random.default_rng([seed, first + place]).permutation(squares**2)[:chosen]] = True
    grid = torch.from_numpy(covers.reshape(count, 1, squares, squares))
    return grid.repeat_interleave(SQUARE_PX, 2).repeat_interleave(SQUARE_PX, 3)


def warm_up(
    detector: Network, how: WarmUp, config: TrainConfig, device: TrainingDevice, folder: Path
) -> dict[str, Any]:
    """Do the stage, go on with it, or take up what it ended with. `detector.backbone` then has its weights.

    Returns:
        The stage's part of the run's record.

    Raises:
        ConfigError: no part of the backbone learns.
        DataError: there is no picture.
        RunError: the loss is no longer finite, or the file of the stage is damaged.
    """
    steps, file = _Steps(detector, how.config(config), device), folder / WARM_UP
    if device.first_decides(file.is_file):
        steps.restore(file)
    if steps.done < how.steps:
        source = without_labels(how.source())
        steps.frames = len(source.frames)
        saved = time.monotonic()
        for loss in steps.of(source):
            over = steps.done == how.steps
            if device.is_first and (over or time.monotonic() - saved >= config.checkpoint_every_s):
                write_atomically(file, steps.to_bytes())
                saved = time.monotonic()
            if device.is_first:
                how.progress(steps.done, how.steps, {"loss": loss})
    return how.settings() | steps.found()


class _Steps:
    """The steps of the stage, and everything that they change."""

    def __init__(self, detector: Network, config: TrainConfig, device: TrainingDevice) -> None:
        self._detector = detector.to(device.torch_device).to(memory_format=torch.channels_last)
        self._config, self._device = config, device
        torch.manual_seed(config.seed)
        self._filling = Filling(detector).to(device.torch_device)
        self._names: dict[Tensor, str] = {tensor: name for name, tensor in self._filling.named_parameters()}
        self._optimizer = torch.optim.AdamW(self._groups(), betas=(0.9, 0.999))
        self._losses: list[float] = []
        self.frames = 0

    @property
    def done(self) -> int:
        return len(self._losses)

    def found(self) -> dict[str, Any]:
        """How many pictures, and how the loss fell."""
        few = max(1, self.done // TENTH)
        first, last = (float(np.mean(part)) for part in (self._losses[:few], self._losses[-few:]))
        return {"frames": self.frames, "first_loss": first, "last_loss": last}

    def of(self, source: ClipSource) -> Iterator[float]:
        """Do the steps that remain; the loss of each."""
        config, device = self._config, self._device
        batches = Batches([WeightedSource(source)], config, device.rank, device.world_size)
        self._detector.train()
        keep_frozen(self._detector, config)
        distributed = nn.parallel.DistributedDataParallel
        learner = self._filling if device.world_size == 1 else distributed(self._filling)
        for batch in loader(batches, self.done, config.workers, device.torch_device.type == "cuda"):
            yield self._step(learner, batch)

    def _step(self, learner: nn.Module, batch: TrainBatch) -> float:
        config, kind, count = self._config, self._device.torch_device, len(batch.images)
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * group["share"] * rate(config, self.done)
        first = self.done * config.batch_clips + self._device.rank * count
        covered = draw_covers(config.tile_px, count, first, config.seed).to(kind)
        images = frames_in_batch(as_input(batch.images, kind), self._detector.mean, self._detector.spread)
        torch.manual_seed(config.seed + self.done)  # of backbones that drop something at random
        self._optimizer.zero_grad(set_to_none=True)
        with torch.autocast(kind.type, torch.bfloat16, enabled=config.precision == "bf16"):
            loss = learner(images, covered)
        loss.backward()
        learning = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        norm = nn.utils.clip_grad_norm_(learning, config.grad_clip)
        told = float(self._device.means({"loss": loss.detach()})["loss"])
        if not np.isfinite(told) or not bool(torch.isfinite(norm)):
            raise RunError(f"warm-up step {self.done}: the loss or its gradient is not finite; a lower rate may help")
        self._optimizer.step()
        self._losses.append(told)
        return told

    def _groups(self) -> list[dict[str, Any]]:
        """The backbone's parameters with their rates in the run, and those of the layer that guesses."""
        config, groups = self._config, dict[tuple[float, float], list[nn.Parameter]]()
        shares = stage_shares(self._detector, config, config.plan()[0])
        for parameter in self._filling.backbone.parameters():
            share = shares[parameter]
            parameter.requires_grad_(share > 0)
            if share:
                groups.setdefault((share, config.weight_decay if parameter.ndim > 1 else 0.0), []).append(parameter)
        if not groups:
            raise ConfigError("the warm-up has nothing to learn: the backbone is frozen (its rate, or all its stages)")
        rows = [{"params": own, "share": share, "weight_decay": decay} for (share, decay), own in groups.items()]
        return [*rows, {"params": list(self._filling.guess.parameters()), "share": 1.0, "weight_decay": 0.0}]

    def to_bytes(self) -> bytes:
        """The stage as safetensors: at its end without the optimizer's state, which nothing needs any more."""
        tensors = {f"net/{name}": tensor for name, tensor in self._filling.state_dict().items()}
        if self.done < self._config.steps:
            adam = optimizer_tensors(self._optimizer, self._names)
            tensors |= {f"adam/{name}": tensor for name, tensor in adam.items()}
        tensors |= {"losses": torch.tensor(self._losses, dtype=torch.float64), "frames": torch.tensor(self.frames)}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        return save(plain, {STEP: str(self.done)})

    def restore(self, file: Path) -> None:
        """Go back to what `to_bytes` wrote to `file`."""
        tensors, header = read_tensors(file)
        step = steps_in(header, self._config.steps, file)
        losses, frames = tensors.get("losses"), tensors.get("frames")
        if losses is None or frames is None or losses.shape != (step,) or frames.dtype != torch.int64:
            raise RunError(f"{file}: is no checkpoint of a warm-up: it lacks the losses of its {step} steps")
        fill(self._filling, with_prefix(tensors, "net/"), file)
        restore_optimizer(self._optimizer, self._names, with_prefix(tensors, "adam/"), file)
        self._losses, self.frames = losses.tolist(), int(frames)
