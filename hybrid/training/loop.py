"""Training: from a detector, data and a config to a folder with a trained detector. A killed run can be resumed.

This is plain torch, not Lightning Fabric: importing Fabric takes 5 s on a laptop, and it would replace twenty lines
(autocast and one process group).

Step s is a function of (weights and optimizer after step s - 1, config, data): `hybrid.training.samples.sampler` draws
its samples, and its random numbers come from a generator seeded by (seed, s, rank). So a run that is killed at any step
and resumed ends with the same weights as a run that was not killed, bit for bit on one CPU machine with the same number
of threads. CUDA's kernels do not guarantee this.

A run's folder:
    config.json               what decides the weights: the model's and the training's config, the counts of the data
    checkpoint.safetensors    weights, their moving average, optimizer; the header holds the step. Written atomically
    metrics.jsonl             one line every `log_every` steps
    raw.safetensors           at the end: the weights, with the model's config in the header
    ema.safetensors           at the end: their moving average, which is usually the better detector
    run.json  curves.png      at the end: the settings, the machine, the duration, the accuracy
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from hybrid.core.config import ModelConfig
from hybrid.core.progress import Progress, silent
from hybrid.data.clips import ClipSource
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.predict.tiles import View
from hybrid.training.config import TrainConfig
from hybrid.training.device import TrainingDevice, training_device
from hybrid.training.methods.method import Method
from hybrid.training.run.folder import CHECKPOINT, METRICS, MetricsLog, Summary, claim_folder, run_identity
from hybrid.training.run.summary import StepTimes, measure_run, plot_curves, run_record
from hybrid.training.samples.batch import Batches, TrainBatch, loader
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.schedule import keep_frozen
from hybrid.training.step import Training
from hybrid.weights.checkpoint import save_detector
from hybrid.weights.record import RUN
from simgen.dataset.store.files import write_atomically


def train(
    detector: Network | ModelConfig,
    data: ClipSource | Sequence[WeightedSource],
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    validation: ClipSource | None = None,
    view: View | None = None,
    criterion: Criterion | None = None,
    methods: Sequence[Method] = (),
    progress: Progress = silent,
    measuring: Progress = silent,
) -> Summary:
    """Train a detector and write the run into `folder`; see `hybrid.training.loop` for its files.

    Args:
        detector: a network, whose weights are the start, or the config of a new one, initialised from `config.seed`.
        data: the clips to train on, or several sources with weights.
        config: the settings.
        folder: of the run; it is made if it is missing.
        resume: continue a run of the same config that was stopped. A finished run returns at once.
        validation: held-out clips. Both weights are evaluated on them at the end; they are never trained on.
        view: how the validation images are tiled; see `hybrid.predict.tiles.View`.
        criterion: the losses, by default those of `hybrid.losses.criterion`.
        methods: what takes part in the steps beside the engine; see `hybrid.training.methods`.
        progress: is called after every step.
        measuring: is called after every frame of the evaluation at the end.

    Raises:
        RunError: the folder holds another run, or the loss is no longer finite.

    >>> photos = read_coco(Path("photos/photos.json"))
    >>> model = ModelConfig(categories=photos.categories, branches="cnn", width=16)
    >>> config = TrainConfig(steps=2, warmup_steps=0, batch_clips=1, tile_px=64, workers=0)
    >>> summary = train(model, photos, config, Path("out/new"))
    >>> summary.run["steps"]
    2
    >>> detector = Detector.load("out/new")
    """
    if isinstance(detector, ModelConfig):
        torch.manual_seed(config.seed)
        detector = Network(detector)
    sources = [WeightedSource(data)] if isinstance(data, ClipSource) else data
    identity = run_identity(detector, sources, config, [method.settings() for method in methods])
    finished = claim_folder(folder, identity, resume)
    if finished is not None:
        return finished
    if config.threads:
        torch.set_num_threads(config.threads)
    device = training_device(config.device)
    training = _training(detector, config, criterion or Criterion(), device, folder, methods)
    batches = Batches(sources, config, device.rank, device.world_size, "depth" in detector.config.inputs)
    times = _do_steps(training, batches, folder, progress)
    if not device.is_first:
        return Summary(folder, {})
    save_detector(folder / "raw.safetensors", detector)
    weights: Mapping[str, Tensor] = training.averaged.state_dict()
    for method in methods:
        weights = method.end(detector, weights)
    save_detector(folder / "ema.safetensors", detector, weights)
    record = run_record(detector, sources, config, device, times)
    if methods:
        record["methods"] = [method.settings() | method.results() for method in methods]
    record |= measure_run(folder, validation, sources, view, device.torch_device, measuring)
    plot_curves(folder / METRICS, folder / "curves.png")
    write_atomically(folder / RUN, json.dumps(record, indent=1).encode())
    return Summary(folder, record)


def _training(
    detector: Network,
    config: TrainConfig,
    criterion: Criterion,
    device: TrainingDevice,
    folder: Path,
    methods: Sequence[Method],
) -> Training:
    """The training at its checkpoint, or at its start, which is then the first checkpoint."""
    training = Training(detector, config, criterion, device, methods)
    if (folder / CHECKPOINT).is_file():
        training.restore(folder / CHECKPOINT)
    elif device.is_first:
        write_atomically(folder / CHECKPOINT, training.to_bytes())
    return training


def _do_steps(training: Training, batches: Batches, folder: Path, progress: Progress) -> StepTimes:
    """Do the steps that remain, with checkpoints and the log."""
    config, device = training.config, training.device
    log = MetricsLog(folder / METRICS, config, training.steps_done) if device.is_first else None
    saved_at = began = time.monotonic()
    first, waited_s = training.steps_done, 0.0
    training.detector.train()
    keep_frozen(training.detector, config)
    pin = device.torch_device.type == "cuda"
    stream = loader(batches, first, config.workers, pin) if first < config.steps else iter(())
    for batch, wait_s in _with_wait(stream):
        if training.steps_done == first:  # the time to start the loader is not counted
            began, wait_s = time.monotonic(), 0.0
        waited_s += wait_s
        losses = training.step(batch)
        if log is not None:
            log.add(training.steps_done, losses, wait_s)
            if time.monotonic() - saved_at >= config.checkpoint_every_s or training.steps_done == config.steps:
                write_atomically(folder / CHECKPOINT, training.to_bytes())
                saved_at = time.monotonic()
            progress(training.steps_done, config.steps, log.last)
    return StepTimes(training.steps_done - first, time.monotonic() - began, waited_s)


def _with_wait(batches: Iterator[TrainBatch]) -> Iterator[tuple[TrainBatch, float]]:
    """Each batch, and the seconds spent waiting for it."""
    while True:
        began = time.monotonic()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.monotonic() - began
