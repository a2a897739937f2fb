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
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from hybrid.core.progress import Progress, silent
from hybrid.data.clips import ClipSource
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.predict.tiles import View
from hybrid.training.config import TrainConfig
from hybrid.training.device import place
from hybrid.training.run.folder import CHECKPOINT, METRICS, Log, Summary, claim, run_identity
from hybrid.training.run.summary import Clock, curves, measured, report
from hybrid.training.samples.batch import Batches, TrainBatch, loader
from hybrid.training.samples.sampler import Share
from hybrid.training.schedule import keep_frozen
from hybrid.training.step import Training
from hybrid.weights.checkpoint import RUN, save_detector
from simgen.dataset.store.files import write_atomically


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
    config_json = run_identity(detector, shares, config)
    finished = claim(folder, config_json, resume)
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
    save_detector(folder / "ema.safetensors", detector, training.average.module.state_dict())
    run = report(training, shares, clock)
    run |= measured(folder, validation, shares, view, at.device, measuring)
    curves(folder)
    write_atomically(folder / RUN, json.dumps(run, indent=1).encode())
    return Summary(folder, run)


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
