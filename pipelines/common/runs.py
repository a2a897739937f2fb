"""Starting and carrying out a training: the detector's architecture, its first weights, its record.

The training loop and the run's folder are those of `hybrid.training.loop`. The pipelines add `experiment.json` before
the first step, and repeat it in `run.json` under "experiment" at the end; see `pipelines.common.record`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hybrid.core.config import BRANCHES, PRESETS, ModelConfig
from hybrid.core.environment import is_first_process
from hybrid.core.errors import DataError, RunError
from hybrid.core.progress import Progress, bars, silent
from hybrid.data.clips import ClipSource
from hybrid.model.network import Network
from hybrid.predict.tiles import view_of
from hybrid.training.config import TrainConfig
from hybrid.training.loop import train
from hybrid.training.methods.method import Method
from hybrid.training.methods.warm_up import WarmUp
from hybrid.training.methods.weights import Fresh
from hybrid.training.run.folder import CONFIG, METRICS, read_metrics
from hybrid.training.samples.sampler import WeightedSource
from hybrid.weights.checkpoint import load, load_config
from hybrid.weights.record import RUN
from pipelines.common.data import note
from pipelines.common.kept import measure_kept
from pipelines.common.record import (
    EXPERIMENT,
    Experiment,
    StartingRun,
    changed_fields,
    read_experiment,
    weights_hash,
    write_experiment,
)
from simgen.dataset.store.files import remove_left, write_atomically
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json

PRETRAINED_RATE = 0.1  # of a backbone with pretrained weights, as a share of the learning rate


@dataclass(frozen=True)
class Start:
    """A detector before its first step, and the run that its weights came from; None: from scratch."""

    detector: Network
    init: StartingRun | None
    fresh: Fresh = field(default_factory=Fresh)  # what did not come from that run


def architecture(
    init: Path | None, categories: tuple[str, ...], preset: str, branches: str | None, model: Sequence[str] = ()
) -> ModelConfig:
    """The config of the detector that `start` builds from the same arguments.

    Raises:
        DataError: `preset` or `branches` is not known, or an entry of `model` is not KEY=VALUE of a known key.
    """
    if init is not None:
        return changed(replace(load_config(init), categories=categories), model)
    if preset not in PRESETS or (branches is not None and branches not in BRANCHES):
        raise DataError(f"choose --preset from {sorted(PRESETS)} and --branches from {list(BRANCHES)}")
    config = PRESETS[preset](categories)
    return changed(config if branches is None else replace(config, branches=branches), model)


def changed(config: ModelConfig, model: Sequence[str]) -> ModelConfig:
    """`config` with each KEY=VALUE of `model` set. A list is given as VALUE,VALUE.

    Raises:
        DataError: an entry is not KEY=VALUE, the key is not known, or the value has the wrong type.
    """
    known = [field.name for field in fields(ModelConfig) if field.name != "categories"]
    plain = asdict(config)
    for change in model:
        key, equals, value = change.partition("=")
        if not equals or key not in known:
            raise DataError(f"--model {change}: needs KEY=VALUE with one of the keys {known}")
        plain[key] = value.split(",") if isinstance(plain[key], (tuple, list)) else value
    try:
        return TypeAdapter(ModelConfig).validate_python(plain)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"--model {'.'.join(map(str, first['loc']))}: {first['msg']}".replace(" :", ":")) from None


def backbone_rate(model: ModelConfig, given: float | None, out: Path) -> float:
    """The backbone's share of the learning rate: what was `given`, or what suits the weights that it began with.

    Pretrained weights learn slowly, so that a small data set does not wipe out what they know. A run that was begun in
    `out` keeps its own rate: runs of earlier versions had 1.0 in any case.
    """
    if given is not None:
        return given
    begun = _begun_with(out, "backbone_rate")
    return (1.0 if model.weights == "none" else PRETRAINED_RATE) if begun is None else begun


def clip_length(model: ModelConfig, given: int | None, out: Path | None = None, clips: int = 2) -> int:
    """Frames of a training clip: what was `given`; else 1 for a detector that looks at each frame alone, or `clips`.

    A run that was begun in `out` keeps its own: runs of earlier versions had 2 in any case.
    """
    if given is not None:
        return given
    begun = None if out is None else _begun_with(out, "clip_length")
    return (clips if model.needs_clips else 1) if begun is None else int(begun)


def _begun_with(out: Path, key: str) -> float | None:
    """A number of the training config of the run that was begun in `out`; None: there is none."""
    stored = out / CONFIG
    try:
        begun = read_json(stored) if stored.is_file() else {}
        return float(begun["train"][key])
    except (TextFileError, KeyError, TypeError, ValueError):  # none, or damaged: the training will say so
        return None


def start(
    init: Path | None,
    categories: tuple[str, ...],
    preset: str,
    branches: str | None,
    seed: int,
    model: Sequence[str] = (),
) -> Start:
    """A new detector for `categories`, or one with the architecture and the weights of the finished run `init`.

    `model` changes the architecture, as KEY=VALUE. Weights that `init` lacks, or that do not fit the new architecture,
    are initialized at random; a note on the error stream says so.

    Raises:
        DataError: `model` is not understood.
    """
    import torch

    torch.manual_seed(seed)
    if init is None:
        return Start(Network(architecture(None, categories, preset, branches, model)), None)
    earlier = load(init)
    known = earlier.config.categories
    new = [name for name in categories if name not in known]
    if new:
        note(
            f"the data label {new}, which {init} was not trained on (it knows {list(known)}): the weights that tell "
            "them apart start at random, the others are kept. Names are compared letter by letter"
        )
    detector = Network(architecture(init, categories, preset, branches, model), pretrained=False)
    missing, _ = detector.load_compatible(earlier.state_dict(), known)
    if missing:
        note(f"{init} has no weights for {len(missing)} tensors, which start at random: {missing[0]}, ...")
    rows = tuple(k for k, name in enumerate(categories) if name not in known)
    return Start(detector, StartingRun(run=str(init), sha256=weights_hash(init)), Fresh(frozenset(missing), rows))


def claim(out: Path, experiment: Experiment) -> None:
    """Write the record before the run begins, or check that the folder's record is the same.

    What a killed process left is removed. So is a record that was cut (by a full disk) before the run began.

    Raises:
        RunError: the folder belongs to another experiment, or holds other files.
    """
    out.mkdir(parents=True, exist_ok=True)
    remove_left(out)
    before = None if _is_cut(out) else read_experiment(out)
    if before is not None:
        if differing := changed_fields(before, experiment):
            raise RunError(f"{out}: holds a run that differs in {', '.join(differing)}. Choose another folder")
        return
    if others := sorted(path.name for path in out.iterdir() if path.name != EXPERIMENT):
        there = ", ".join(others[:3])
        raise RunError(f"{out}: is not empty and holds no run of these scripts: {there}. Choose another folder")
    write_experiment(out, experiment)


def _is_cut(out: Path) -> bool:
    """Whether the record is the only file of the folder and no JSON: nothing was trained yet, so nothing is lost."""
    record = out / EXPERIMENT
    if not record.is_file() or len(list(out.iterdir())) > 1:
        return False
    try:
        read_json(record)
    except TextFileError:
        return True
    return False


def carry_out(
    begin: Callable[[], Start],
    shares: list[WeightedSource],
    validation: ClipSource | None,
    config: TrainConfig,
    out: Path,
    experiment: Experiment,
    scenes: ClipSource | None = None,
    methods: Callable[[Start], Sequence[Method]] = lambda begun: (),
    warming: WarmUp | None = None,
) -> dict[str, Any]:
    """Train in the folder `out`, resume a stopped run there, or return what a finished one wrote: its `run.json`.

    `experiment` is completed with the run that the weights came from. `scenes` are simulated ones that neither run
    trained on: what this run keeps of what that one knew is measured on them. `methods` take part in the training;
    `warming` comes before it.
    Of several processes that train together, the first one writes and returns the record; the others an empty one.
    """
    begun = begin()
    whole = replace(experiment, init=begun.init)
    if is_first_process():
        claim(out, whole)
    with _bars(out.name, "measuring", "warm-up") as (progress, measuring, warmed):
        summary = train(
            begun.detector,
            shares,
            config,
            out,
            resume=True,
            validation=validation,
            view=view_of(config.tile_px),
            methods=methods(begun),
            warming=warming and replace(warming, progress=warmed),
            progress=progress,
            measuring=measuring,
        )
        if not is_first_process():
            return {}
        run = {**summary.run, "experiment": whole.to_json(), "seconds": seconds(out)}
        if whole.init is not None and scenes is not None and "kept" not in run:
            run["kept"] = measure_kept(whole.init.folder, out, scenes, run["device"], measuring)
    write_atomically(out / RUN, json.dumps(run, indent=1).encode())
    return run


def _bars(*titles: str) -> AbstractContextManager[tuple[Progress, ...]]:
    """Progress bars in the first process; the others are silent."""
    return bars(*titles) if is_first_process() else nullcontext((silent,) * len(titles))


def seconds(run: Path) -> float:
    """How long all steps of a run took, over all the processes that it was resumed in."""
    rows = read_metrics(run / METRICS)
    steps = [0, *(int(row["step"]) for row in rows)]
    times = [row.get("seconds_per_step", 0.0) for row in rows]
    return float(sum((b - a) * time_s for a, b, time_s in zip(steps, steps[1:], times, strict=False)))
