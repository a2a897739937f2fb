"""One training step: forward, backward, clipping, optimizer, moving average."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hybrid.core.console import note
from hybrid.core.errors import RunError
from hybrid.core.processes import Draws
from hybrid.core.types import State
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.predict.runtime.engine import as_input
from hybrid.training.config import TrainConfig
from hybrid.training.device import TrainingDevice
from hybrid.training.methods.method import Method
from hybrid.training.run.state import STEP, optimizer_tensors, restore_optimizer, steps_in, with_prefix
from hybrid.training.samples.batch import TrainBatch
from hybrid.training.schedule import ema_decay, group_rate, keep_frozen, parameter_groups
from hybrid.training.watch import STEPS, LossWatch
from hybrid.weights.checkpoint import fill, read_tensors

PROCESSES = "processes"  # in a checkpoint's header


class Diverged(RunError):
    """The loss is no longer finite, or far above what it was for many steps."""


class Learner(nn.Module):
    """Network and criterion as one module, because DistributedDataParallel wraps one call."""

    def __init__(self, detector: Network, criterion: Criterion) -> None:
        super().__init__()
        self.detector, self.criterion = detector, criterion

    def forward(
        self, images: Tensor, batch: TrainBatch, state: State | None, draws: Draws, cnn_only: bool
    ) -> tuple[dict[str, Tensor], State]:
        """The losses of a batch that begins with `state`, and the state after it."""
        targets = batch.targets()
        output, state = self.detector(images, state, targets, draws, batch.elapsed, cnn_only, batch.depth_m)
        return self.criterion(output, targets, batch.clip_labels), state


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
        self.own = Learner(detector, criterion)  # without what joins the processes
        self.learner: nn.Module = self._distributed()
        self.average = AveragedModel(detector, use_buffers=True)
        self.average.update_parameters(detector)  # the first call copies, later calls average
        self.steps_done, self.watch = 0, LossWatch()
        self.kept: dict[str, Tensor] = {}  # what else the checkpoint holds that the training was restored from
        self._stage: int | None = None
        for method in self.methods:
            method.begin(self)

    @property
    def averaged(self) -> Network:
        """The network with the moving average of the weights."""
        return cast(Network, self.average.module)

    def step(self, batch: TrainBatch) -> dict[str, Tensor]:
        """Train on one batch and return the losses, as tensors: reading their values would wait for the device.

        Raises:
            Diverged: a loss or a gradient is not finite, or the loss is far too high for many steps. The weights are
                still those of the step before.
        """
        step = self.steps_done
        self._enter_stage(self.config.stage_of(step))
        for group in self.optimizer.param_groups:
            group["lr"] = group_rate(self.config, group["shares"], step)
        for method in self.methods:
            method.before_step(self)
        self.optimizer.zero_grad(set_to_none=True)
        shown = self.device.means(self._add_gradients(batch.to(self.device.torch_device)))
        for method in self.methods:
            method.after_backward(self)
        learning = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        norm = nn.utils.clip_grad_norm_(learning, self.config.grad_clip)
        self._check(shown, norm)
        self.optimizer.step()
        for method in self.methods:
            method.after_step(self)
        self.average.multi_avg_fn = get_ema_multi_avg_fn(ema_decay(self.config, step))  # type: ignore[no-untyped-call]
        self.average.update_parameters(self.detector)
        self.steps_done += 1
        return {name: value.detach() for name, value in shown.items()} | {"grad_norm": norm}

    def losses_of_clips(self, batch: TrainBatch) -> list[dict[str, float]]:
        """The losses of each clip of the batch alone, with the present weights and the random numbers of the step."""
        batch, count = batch.to(self.device.torch_device), len(batch.images)
        with torch.no_grad():
            alone = [self._losses(self.own, batch.part(slice(k, k + 1)), None, k, count, _most(batch))[0]
                     for k in range(count)]  # fmt: skip
        return [{name: float(value) for name, value in losses.items()} for losses in alone]

    def _distributed(self) -> nn.Module:
        """The learner, whose gradients are the mean over all processes. All get the first one's weights."""
        if self.device.world_size == 1:
            return self.own
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")  # speed alone
        return nn.parallel.DistributedDataParallel(self.own, find_unused_parameters=True)

    def _enter_stage(self, index: int) -> None:
        """Let the parameters of a stage learn, and keep the others still."""
        if index == self._stage:
            return
        self._stage = index
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.requires_grad_(group["shares"][index] > 0)
        self.detector.train()
        keep_frozen(self.detector, self.config, self.config.plan()[index])
        self.learner = self._distributed()  # it notes which parameters learn

    def _check(self, losses: Mapping[str, Tensor], norm: Tensor) -> None:
        total = losses["total"]
        if not bool(torch.isfinite(norm)) or not bool(torch.isfinite(total)):
            broken = [name for name, value in losses.items() if not bool(torch.isfinite(value)) and name != "total"]
            what = f"the losses {', '.join(broken)} are {float(total)}" if broken else f"its norm is {float(norm)}"
            raise Diverged(f"step {self.steps_done}: the loss or its gradient is not finite: {what}")
        self.watch.add(float(total))
        if self.watch.has_diverged:
            raise Diverged(
                f"step {self.steps_done}: the training has diverged: for {STEPS} steps the loss was above "
                f"{self.watch.limit:.3g}, many times its lowest running median; now it is {float(total):.3g}"
            )

    def _add_gradients(self, batch: TrainBatch) -> dict[str, Tensor]:
        """Add the gradients of a batch to the parameters, piece by piece, and return the losses of the whole.

        A piece is a part of the clips (`accumulate`) and of their frames (`truncate`). It counts by its share of the
        boxes, so that pieces add up to the batch; the losses of the dense predictions do so nearly. The state goes on
        from piece to piece of a clip, without its gradients.
        """
        pieces = batch.pieces(self.config.accumulate, self.config.truncate)
        shares = self._shares([piece for _, piece in pieces])
        sums: dict[str, Tensor] = {}
        state: State | None = None
        for k, ((part, piece), share) in enumerate(zip(pieces, shares, strict=True)):
            state = None if state is None or part != pieces[k - 1][0] else state.detach()
            last = k == len(pieces) - 1
            with self._without_telling() if not last else nullcontext():
                losses, state = self._losses(self.learner, piece, state, part, self.config.accumulate, _most(batch))
                losses = {name: share * value for name, value in losses.items()}
                if last:
                    losses = self._with_methods(losses, batch)
                losses["total"].backward()  # type: ignore[no-untyped-call]
            for name, value in losses.items():
                sums[name] = sums[name] + value.detach() if name in sums else value.detach()
        return sums

    def _without_telling(self) -> AbstractContextManager[None]:
        """Gradients in this context stay in this process; those of the next piece are told with them."""
        learner = self.learner
        return learner.no_sync() if isinstance(learner, nn.parallel.DistributedDataParallel) else nullcontext()

    def _shares(self, pieces: Sequence[TrainBatch]) -> list[float]:
        """The share of the batch's boxes that are in each piece, over all processes."""
        if len(pieces) == 1:
            return [1.0]
        counts = torch.tensor([float(piece.counts.sum()) for piece in pieces], device=self.device.torch_device)
        boxes = self.device.sums(counts)
        return (boxes.clamp(min=1) / boxes.sum().clamp(min=1)).tolist()

    def _with_methods(self, losses: dict[str, Tensor], batch: TrainBatch) -> dict[str, Tensor]:
        """The losses of a batch, and those that the methods add."""
        for method in self.methods:
            added = method.losses(self, batch)
            if added:
                losses = losses | added | {"total": torch.stack([losses["total"], *added.values()]).sum()}
        return losses

    def _losses(
        self, learner: nn.Module, batch: TrainBatch, state: State | None, part: int, parts: int, most: int
    ) -> tuple[dict[str, Tensor], State]:
        """The losses of part `part` of `parts` of this process's clips, and the state after it.

        All random numbers depend on the seed, the step and the place in the batch alone. `most`: the largest number of
        boxes of a frame of the whole.
        """
        config, device, step = self.config, self.device, self.steps_done
        torch.manual_seed(zlib.crc32(f"{config.seed} {step} {device.rank}".encode()))
        generator = torch.Generator().manual_seed(zlib.crc32(f"{config.seed} {step} 0".encode()))
        draws = Draws(generator, device.rank * parts + part, device.world_size * parts, most)
        kind = device.torch_device
        precision = torch.autocast(kind.type, torch.bfloat16) if config.precision == "bf16" else nullcontext()
        cnn_only = config.plan()[config.stage_of(step)].branches == "cnn"
        with precision:
            return learner(as_input(batch.images, kind), batch, state, draws, cnn_only)  # type: ignore[no-any-return]

    def to_bytes(self, more: Mapping[str, Tensor] | None = None) -> bytes:
        """A checkpoint as safetensors, with `more` tensors; its header holds the number of steps done."""
        tensors = {f"raw/{name}": tensor for name, tensor in self.detector.state_dict().items()}
        tensors |= {f"ema/{name}": tensor for name, tensor in self.average.module.state_dict().items()}
        adam = optimizer_tensors(self.optimizer, self.names)
        tensors |= {f"adam/{name}": tensor for name, tensor in adam.items()}
        kept = {"watch": self.watch.state()} | dict(more or {})
        tensors |= {f"run/{name}": tensor for name, tensor in kept.items()}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        return save(plain, {STEP: str(self.steps_done), PROCESSES: str(self.device.world_size)})

    def restore(self, file: Path) -> None:
        """Go back to the state that `to_bytes` wrote to `file`.

        Raises:
            RunError: the file is no checkpoint of a training, or of a detector with another config.
        """
        tensors, header = read_tensors(file)
        step = steps_in(header, self.config.steps, file)
        fill(self.detector, with_prefix(tensors, "raw/"), file)
        fill(self.average.module, with_prefix(tensors, "ema/"), file)
        restore_optimizer(self.optimizer, self.names, with_prefix(tensors, "adam/"), file)
        self.kept = with_prefix(tensors, "run/")
        self.watch.restore(self.kept.get("watch", torch.zeros(1)))
        self.steps_done = step
        self._note_processes(header.get(PROCESSES, ""))

    def _note_processes(self, before: str) -> None:
        """Say it where a run goes on in another number of processes than before. Older checkpoints do not know it."""
        now = self.device.world_size
        if self.device.is_first and before.isascii() and before.isdigit() and int(before[:9]) != now:
            note(
                f"processes: {int(before[:9])} until step {self.steps_done}, {now} from here on. The batches "
                "stay the same, and the losses up to rounding"
            )


def _most(batch: TrainBatch) -> int:
    """The largest number of boxes of a frame."""
    return int(batch.counts.max())
