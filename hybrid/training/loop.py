"""Training: from a detector, data and a config to a folder with a trained detector. A killed run can be resumed.

Step s is a function of (weights and optimizer after step s - 1, config, data): `hybrid.training.samples.sampler` draws
its samples, and its random numbers come from a generator seeded by (seed, s). So a run that is killed at any step
and resumed ends with the same weights as a run that was not killed, bit for bit on one CPU machine with the same number
of threads. CUDA's kernels do not guarantee this. Several processes (torchrun) train as one process does with the whole
batch, up to rounding.

A run's folder:
    config.json               what decides the weights: the model's and the training's config, the counts of the data
    warm-up.safetensors       the stage before the steps, where there is one: `hybrid.training.methods.warm_up`
    checkpoint.safetensors    weights, their moving average, optimizer; the header holds the step. Written atomically
    metrics.jsonl             one line every `log_every` steps; metrics.csv is the same as a table
    samples.jpg               detections on a few held-out or training images, every ten minutes and at the end
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

from hybrid.core.config import SCORE, ModelConfig
from hybrid.core.errors import ConfigError
from hybrid.core.progress import Progress, silent
from hybrid.data.clips import ClipSource
from hybrid.losses.criterion import Criterion
from hybrid.metrics.detection import evaluate
from hybrid.model.network import Network
from hybrid.predict.tiles import View
from hybrid.training.config import TrainConfig
from hybrid.training.device import TrainingDevice, training_device
from hybrid.training.methods.method import Method
from hybrid.training.methods.warm_up import WarmUp, warm_up
from hybrid.training.run.best import BestWeights
from hybrid.training.run.folder import (
    CHECKPOINT,
    CSV,
    METRICS,
    Summary,
    claim_folder,
    record_of,
    run_identity,
    write_csv,
)
from hybrid.training.run.notes import Notes
from hybrid.training.run.pictures import write_samples
from hybrid.training.run.stopped import culprits
from hybrid.training.run.summary import StepTimes, measure_run, plot_curves, run_record
from hybrid.training.samples.batch import Batches, TrainBatch, loader
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.step import Diverged, Training
from hybrid.weights.checkpoint import load, save_detector
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
    warming: WarmUp | None = None,
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
        warming: the stage before the steps, in which the backbone learns from pictures without labels.
        progress: is called after every step.
        measuring: is called after every frame of the evaluation at the end.

    Returns:
        The run. Where several processes train together, its record is empty in all but the first.

    Raises:
        ConfigError: the config needs held-out clips, and there are none.
        RunError: the folder holds another run, the loss is no longer finite, or another process of the training ended.

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
    if config.validate_every and not (validation and any(len(frame.labels) for frame in validation.frames)):
        raise ConfigError(f"validate_every: {config.validate_every} needs held-out clips with boxes to measure on")
    settings = [method.settings() for method in methods]
    identity = run_identity(detector, sources, config, settings, warming.settings() if warming else None)
    device = training_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    with device.losses_of_processes_told():
        if device.first_decides(lambda: claim_folder(folder, identity, resume)):
            return Summary(folder, record_of(folder) if device.is_first else {})
        warmed = warming and warm_up(detector, warming, config, device, folder)
        training = _training(detector, config, criterion or Criterion(), device, folder, methods)
        batches = Batches(sources, config, device.rank, device.world_size, "depth" in detector.config.inputs)
        best = BestWeights(folder, config, lambda net: _ap(net, validation, view), training.kept)
        notes = Notes(training, folder, validation or sources[0].source, view)
        times = _do_steps(training, batches, best, notes, progress)
    if not device.is_first:
        return Summary(folder, {})
    save_detector(folder / "raw.safetensors", detector)
    weights: Mapping[str, Tensor] = best.weights() or training.averaged.state_dict()
    for method in methods:
        weights = method.end(detector, weights)
    save_detector(folder / "ema.safetensors", detector, weights)
    record = run_record(detector, sources, config, device, times) | best.record(training.steps_done)
    if warmed:
        record["warm_up"] = warmed
    if methods:
        record["methods"] = [method.settings() | method.results() for method in methods]
    record |= measure_run(folder, validation, sources, view, device.torch_device, measuring)
    plot_curves(folder / METRICS, folder / "curves.png")
    write_csv(folder / METRICS, folder / CSV)
    point = record["operating_point"] or {}
    write_samples(folder, load(folder, "ema", str(device.torch_device)), validation or sources[0].source, view,
                  point.get("score") or SCORE)  # fmt: skip
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


def _ap(network: Network, validation: ClipSource | None, view: View | None) -> float:
    """The AP on held-out clips."""
    assert validation is not None
    return evaluate(network, validation, view).metrics.overall.ap or 0.0


def _do_steps(training: Training, batches: Batches, best: BestWeights, notes: Notes, progress: Progress) -> StepTimes:
    """Do the steps that remain, with checkpoints and the log."""
    config, device = training.config, training.device
    first, waited_s, began = training.steps_done, 0.0, time.monotonic()
    over = first == config.steps or device.first_decides(lambda: best.is_over)
    pin = device.torch_device.type == "cuda"
    stream = iter(()) if over else loader(batches, first, config.workers, pin)
    for batch, wait_s in _with_wait(stream):
        if training.steps_done == first:  # the time to start the loader is not counted
            began, wait_s = time.monotonic(), 0.0
        waited_s += wait_s
        try:
            losses = training.step(batch)
        except Diverged as error:
            clips = culprits(training.losses_of_clips(batch), batch.names)
            raise notes.stop(batch, f"{error}; {clips}") from None
        done, measured = training.steps_done, dict[str, float]()
        if best.is_due(done):
            if device.is_first:
                measured["validation_ap"] = best.measured(done, training.averaged)
            over = device.first_decides(lambda: best.is_over)
        over = over or done == config.steps
        if device.is_first:
            notes.add(losses, wait_s, measured, over, best.state)
            progress(done, config.steps, notes.last | measured)
        if over:
            break
    notes.close()
    return StepTimes(training.steps_done - first, time.monotonic() - began, waited_s)


def _with_wait(batches: Iterator[TrainBatch]) -> Iterator[tuple[TrainBatch, float]]:
    """Each batch, and the seconds spent waiting for it."""
    while True:
        began = time.monotonic()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.monotonic() - began
