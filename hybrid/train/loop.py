"""Training: from a detector, data and a config to a folder that holds a trained detector, and back after a kill.

Plain torch, not Lightning Fabric: importing Fabric costs 5 s on the machines this is for, and what it would spare
(autocast, one process group) is twenty lines here.

Step s is a function of (weights and optimizer after step s - 1, config, data): its samples are those of
`hybrid.train.samples.sampler`, and its random numbers come from a generator seeded by (seed, s, rank). So a run that is
killed at any step and resumed ends with the weights of a run that was not, bit for bit on one CPU machine with one
number of threads; CUDA's kernels do not promise that.

A run's folder:
    config.json               what decides the weights: the model's and the training's config, the data's counts
    checkpoint.safetensors    weights, their moving average, optimizer; its header holds the step. Written whole or not
    metrics.jsonl             a line every `log_every` steps
    raw.safetensors           at the end: the weights, with the model's config in the header
    ema.safetensors           and their moving average, which is mostly the better detector
    run.json  curves.png      at the end: what ran, where, how long, how well
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from hybrid.core.progress import Progress, silent
from hybrid.core.types import Targets
from hybrid.data.clips import ClipSource
from hybrid.losses.criterion import Criterion
from hybrid.metrics.detection import evaluate, operating_score
from hybrid.model.network import Network
from hybrid.predict.stream import as_input
from hybrid.predict.suppression import one_label
from hybrid.predict.tiles import View
from hybrid.train.config import TrainConfig
from hybrid.train.samples.sampler import Batches, Share, TrainBatch, loader
from hybrid.weights.checkpoint import (
    RUN,
    WEIGHTS,
    RunError,
    config_of,
    fill,
    load,
    portable,
    read_tensors,
    save_detector,
    write_atomically,
)

# parts that the CNN can do without, and that join it after TrainConfig.cnn_steps
JOINING = ("context.", "between.", "decoder.objects.", "decoder.belt.")
CHECKPOINT, CONFIG, METRICS = "checkpoint.safetensors", "config.json", "metrics.jsonl"
OPERATING_FRAMES = 12  # on which the operating point is found where nothing is held out


@dataclass(frozen=True)
class Summary:
    """What a finished run left behind, as `run.json` says it."""

    folder: Path
    run: Mapping[str, Any]

    def load(self, weights: str = "ema") -> Network:
        return load(self.folder, weights)


# --- devices --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where this process trains, and as which of how many (torchrun sets RANK, WORLD_SIZE and LOCAL_RANK)."""

    device: torch.device
    rank: int
    world: int

    @property
    def first(self) -> bool:
        return self.rank == 0


def place(device: str) -> Place:
    """Join the process group under torchrun; else this process alone."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    at = torch.device(device)
    if world > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if at.type == "cuda" else "gloo")
    return Place(at, rank, world)


# --- what a step consists of ----------------------------------------------------------------------------------------


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


def rate(config: TrainConfig, step: int, joins: int = 0) -> float:
    """The learning rate of step `step` as a share of `learning_rate`: linear warm-up, then half a cosine.

    What joins the training at step `joins` is warmed up from there.
    """
    if joins:
        return rate(config, step) * min(1.0, max(0, step - joins + 1) / (config.warmup_steps + 1))
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    if config.schedule == "constant":
        return 1.0
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.last_rate + (1 - config.last_rate) * (1 + math.cos(math.pi * done)) / 2


def ema_decay(config: TrainConfig, step: int) -> float:
    """Of the moving average: it spans a ninth of the steps so far, so short runs forget their start as long ones do."""
    return min(config.ema_decay, (1 + step) / (10 + step))


def parameter_groups(detector: Network, config: TrainConfig) -> list[dict[str, Any]]:
    """AdamW's groups. Vectors (biases, norms, gates) do not decay; the backbone's stages have rates of their own."""
    groups: dict[tuple[float, float, int], list[nn.Parameter]] = {}
    of_stage = stage_rates(detector, config)
    for name, parameter in detector.named_parameters():
        share = of_stage.get(parameter, 1.0)
        parameter.requires_grad_(share > 0)
        if share > 0:
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            joins = config.cnn_steps if name.startswith(JOINING) else 0
            groups.setdefault((share, decay, joins), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": config.learning_rate * share,
            "share": share,
            "weight_decay": decay,
            "joins": joins,
        }
        for (share, decay, joins), parameters in groups.items()
    ]


def stage_rates(detector: Network, config: TrainConfig) -> dict[Tensor, float]:
    """The share of the learning rate of each of the backbone's parameters; 0: it stays as it is."""
    stages = detector.backbone.stages()
    return {
        parameter: 0.0
        if k < config.frozen_stages
        else config.backbone_rate * config.stage_decay ** (len(stages) - 1 - k)
        for k, stage in enumerate(stages)
        for parameter in stage.parameters()
    }


def keep_frozen(detector: Network, config: TrainConfig) -> None:
    """After `detector.train()`: frozen stages keep the statistics of their norms too."""
    for stage in detector.backbone.stages()[: config.frozen_stages]:
        stage.eval()


class Training:
    """All that a step changes: weights, their moving average, the optimizer, the number of steps done."""

    def __init__(self, detector: Network, config: TrainConfig, criterion: Criterion, at: Place) -> None:
        self.config, self.at = config, at
        self.detector = detector.to(at.device).to(memory_format=torch.channels_last)
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in detector.named_parameters()}
        self.optimizer = torch.optim.AdamW(parameter_groups(detector, config), betas=(0.9, 0.999))
        self.average = {name: tensor.detach().clone() for name, tensor in detector.state_dict().items()}
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
        self._follow(ema_decay(config, step))
        self.done += 1
        return {name: value.detach() for name, value in losses.items()} | {"grad_norm": norm}

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        now = self.detector.state_dict()
        floats = [name for name, tensor in now.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.average[n] for n in floats], [now[n] for n in floats], 1 - decay)
        for name in now.keys() - set(floats):
            self.average[name].copy_(now[name])

    def to_bytes(self) -> bytes:
        tensors = {f"raw/{name}": tensor for name, tensor in self.detector.state_dict().items()}
        tensors |= {f"ema/{name}": tensor for name, tensor in self.average.items()}
        for parameter, state in self.optimizer.state.items():
            tensors |= {f"adam/{self.names[parameter]}/{key}": value for key, value in state.items()}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        return save(plain, {"step": str(self.done)})

    def restore(self, file: Path) -> None:
        tensors, header = read_tensors(file)
        if "step" not in header:
            raise RunError(f"{file}: is no checkpoint of a training: its header has no step")
        fill(self.detector, _below(tensors, "raw/"), file)
        for name, tensor in _below(tensors, "ema/").items():
            self.average[name].copy_(tensor)
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


# --- a run ----------------------------------------------------------------------------------------------------------


def train(
    detector: Network,
    shares: Sequence[Share],
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    validation: ClipSource | None = None,
    view: View | None = None,
    criterion: Criterion | None = None,
    progress: Progress = silent,
    measuring: Progress = silent,
) -> Summary:
    """Train `detector` (its weights are where it starts) on samples of `shares` and leave the result in `folder`.

    Args:
        resume: go on where a run of the same config was stopped; a finished one returns at once.
        validation: measured on at the end, with the weights and with their moving average. Never trained on.
        progress: told after every step.
        measuring: told after every frame that is measured on, once the steps are done.

    Raises:
        RunError: the folder holds another run, or the loss is no longer finite.
    """
    config_json = _identity(detector, shares, config)
    finished = _claim(folder, config_json, resume)
    if finished is not None:
        return finished
    if config.threads:
        torch.set_num_threads(config.threads)
    at = place(config.device)
    training = Training(detector, config, criterion or Criterion(), at)
    if (folder / CHECKPOINT).is_file():
        training.restore(folder / CHECKPOINT)
    elif at.first:
        write_atomically(folder / CHECKPOINT, training.to_bytes())
    batches = Batches(shares, config, at.rank, at.world, "depth" in detector.config.inputs)
    clock = _steps(training, batches, folder, progress)
    if not at.first:
        return Summary(folder, {})
    save_detector(folder / "raw.safetensors", detector)
    save_detector(folder / "ema.safetensors", detector, training.average)
    run = _report(training, shares, clock)
    run |= _measured(folder, validation, shares, view, at.device, measuring)
    _curves(folder)
    write_atomically(folder / RUN, json.dumps(run, indent=1).encode())
    return Summary(folder, run)


def _identity(detector: Network, shares: Sequence[Share], config: TrainConfig) -> dict[str, Any]:
    data = [
        {"name": share.source.name, "weight": share.weight, "clips": len(share.source), "boxes": share.source.counts()}
        for share in shares
    ]
    model = portable(detector.config)
    return json.loads(json.dumps({"model": model, "train": config.identity(), "data": data}))  # type: ignore[no-any-return]


def _claim(folder: Path, identity: Mapping[str, Any], resume: bool) -> Summary | None:
    """Make the folder this run's own, or the finished run that it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    stated = folder / CONFIG
    if not stated.is_file():
        write_atomically(stated, json.dumps(identity, indent=1).encode())
        return None
    changed = sorted(_differences(_up_to_date(json.loads(stated.read_text())), identity))
    if changed:
        raise RunError(f"{folder}: holds a run of another config: {'; '.join(changed[:8])}. Choose another folder")
    if not resume:
        raise RunError(f"{folder}: holds a run of this config already; resume it, or choose another folder")
    return Summary(folder, json.loads((folder / RUN).read_text())) if (folder / RUN).is_file() else None


def _up_to_date(stated: Any) -> Any:
    """A run's config as it was stated, with the keys that have been added since at their defaults."""
    try:
        known = json.loads(json.dumps({"model": asdict(config_of(stated["model"])), "train": {}}))
        known["train"] = TrainConfig(**stated["train"]).identity()
        return {**stated, **known}
    except (KeyError, TypeError, ValueError):  # of another version, or spoiled: compared as it stands
        return stated


def _differences(before: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            yield from _differences(before.get(key), now.get(key), f"{where}.{key}" if where else key)
    elif before != now:
        yield f"{where} was {before!r:.80} and is {now!r:.80}"


@dataclass(frozen=True)
class Clock:
    """Seconds of this process's steps, and of them those spent waiting for data."""

    steps: int
    seconds: float
    waited_s: float


def _steps(training: Training, batches: Batches, folder: Path, progress: Progress) -> Clock:
    """Carry out the steps that remain."""
    config, at = training.config, training.at
    log = Log(folder / METRICS, training.done) if at.first else None
    saved_at = began = time.monotonic()
    first, waited_s = training.done, 0.0
    training.detector.train()
    keep_frozen(training.detector, config)
    stream = loader(batches, training.done, config.workers, at.device.type == "cuda") if first < config.steps else ()
    timed = _timed(iter(stream))
    for batch, wait_s in timed:
        if training.done == first:  # the loader's start is no waiting of a running training
            began, wait_s = time.monotonic(), 0.0
        waited_s += wait_s
        losses = training.step(batch)
        if log is not None:
            log.add(training, losses, wait_s)
            if time.monotonic() - saved_at >= config.checkpoint_every_s or training.done == config.steps:
                write_atomically(folder / CHECKPOINT, training.to_bytes())
                saved_at = time.monotonic()
            progress(training.done, config.steps, log.last)
    return Clock(training.done - first, time.monotonic() - began, waited_s)


def _timed(batches: Iterator[TrainBatch]) -> Iterator[tuple[TrainBatch, float]]:
    """Each batch with the seconds that it was waited for."""
    while True:
        asked = time.monotonic()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.monotonic() - asked


class Log:
    """metrics.jsonl: means over `log_every` steps. What a killed run logged past its checkpoint is taken back."""

    def __init__(self, path: Path, done: int) -> None:
        self._path, self.last = path, dict[str, float]()
        lines = path.read_text().splitlines() if path.is_file() else []
        kept = [line for line in lines if _logged_step(line) <= done]
        write_atomically(path, "".join(line + "\n" for line in kept).encode())
        self._sums: dict[str, Tensor] = {}
        self._since, self._count, self._waited_s = time.monotonic(), 0, 0.0

    def add(self, training: Training, losses: Mapping[str, Tensor], wait_s: float) -> None:
        config = training.config
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count, self._waited_s = self._count + 1, self._waited_s + wait_s
        if training.done % config.log_every and training.done != config.steps:
            return
        now = time.monotonic()
        means = {name: float(total) / self._count for name, total in self._sums.items()}
        line = {
            "step": training.done,
            "learning_rate": config.learning_rate * rate(config, training.done - 1),
            "loss": means.pop("total"),
            **means,
            "seconds_per_step": (now - self._since) / self._count,
            "data_wait_share": self._waited_s / max(1e-9, now - self._since),
        }
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.last = {"loss": line["loss"], "s/step": line["seconds_per_step"]}
        self._sums, self._since, self._count, self._waited_s = {}, now, 0, 0.0


def _logged_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # half a line, from a kill


# --- what is told at the end ----------------------------------------------------------------------------------------


def _report(training: Training, shares: Sequence[Share], clock: Clock) -> dict[str, Any]:
    import numpy

    return {
        "steps": training.done,
        "this_process": {
            "steps": clock.steps,
            "seconds": clock.seconds,
            "data_wait_share": clock.waited_s / max(1e-9, clock.seconds),
        },
        "device": str(training.at.device),
        "devices": training.at.world,
        "threads": torch.get_num_threads(),
        "machine": platform.platform(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__},
        "git": _git_revision(),
        "parameters": sum(parameter.numel() for parameter in training.detector.parameters()),
        "categories": list(training.detector.config.categories),
        "train": training.config.model_dump(mode="json"),
        "data": [
            {
                "name": share.source.name,
                "weight": share.weight,
                "clips": len(share.source),
                "frames": len(share.source.frames),
                "boxes": share.source.counts(),
                "skipped": {reason: len(what) for reason, what in share.source.skipped.items()},
            }
            for share in shares
        ],
    }


def _git_revision() -> str | None:
    here = Path(__file__).parent
    try:
        asked = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _measured(
    folder: Path,
    validation: ClipSource | None,
    shares: Sequence[Share],
    view: View | None,
    device: torch.device,
    measuring: Progress,
) -> dict[str, Any]:
    """How good both weights are on what was held out, and the score from which on the averaged ones' answers are best.

    Where nothing is held out that score is found on a few frames that were trained on: what is there scores little
    higher than elsewhere, and what is not scores alike.
    """
    source, on, told = validation, "held out", dict[str, Any]()
    if source is None:
        source, on = shares[0].source, "trained on"
        source = source.take(max(1, OPERATING_FRAMES * len(source) // max(OPERATING_FRAMES, len(source.frames))))
        if not any(len(frame.labels) for frame in source.frames):
            return {"operating_point": None}
    names = WEIGHTS if validation is not None else ("ema",)
    found = {weights: evaluate(load(folder, weights, str(device)), source, view, measuring) for weights in names}
    if validation is not None:
        told["validation"] = {weights: one.metrics.to_plain() for weights, one in found.items()}
    best = operating_score([one_label(one) for one in found["ema"].detections], source.frames)
    return told | {"operating_point": {"score": best, "frames": len(source.frames), "on": on}}


def _curves(folder: Path) -> None:
    """curves.png: the losses, and the learning rate, over the steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, rates = figure.subplots(1, 2)
    aside = {"step", "learning_rate", "grad_norm", "seconds_per_step", "data_wait_share"}
    for name in sorted({key for row in rows for key in row} - aside):
        width = 2.0 if name == "loss" else 0.8
        losses.plot([row["step"] for row in rows], [row.get(name) for row in rows], label=name, linewidth=width)
    losses.set(xlabel="step", ylabel="loss", yscale="log")
    losses.legend(fontsize=7)
    rates.plot([row["step"] for row in rows], [row["learning_rate"] for row in rows], label="learning rate")
    rates.set(xlabel="step", ylabel="learning rate")
    FigureCanvasAgg(figure)
    figure.savefig(folder / "curves.png")
