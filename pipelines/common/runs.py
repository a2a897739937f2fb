"""What the training scripts share: data by what it is, a start, a run's record. The loops themselves are hybrid's.

Data are photographs, as a COCO JSON or a YOLO folder with its data.yaml, or the folder of a simulated data set. In the
place of photographs, a simulated one is a stand-in, and the record of every run says so. A YOLO folder names its splits
itself: training takes `train`, measuring `test`, or `val` where there is no `test`.
hybrid.training.loop describes a run's folder. These scripts add `experiment.json` at the start and, once the run has
finished, the same under "experiment" in `run.json`.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeGuard

from pydantic import TypeAdapter, ValidationError

from hybrid.core.config import BRANCHES, PRESETS, BoxesOf, ModelConfig
from hybrid.core.errors import DataError, RunError
from hybrid.core.progress import bars
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.data.shards import read_shards
from hybrid.data.yolo import measuring_split, read_yolo, yolo_layout
from hybrid.model.network import Network
from hybrid.predict.tiles import view_of
from hybrid.training.config import TrainConfig
from hybrid.training.loop import train
from hybrid.training.samples.sampler import WeightedSource
from hybrid.weights.checkpoint import RUN, load, load_config
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import Location

EXPERIMENT = "experiment.json"
REAL, STAND_IN = "real", "stand-in"


@dataclass(frozen=True)
class Start:
    """What a run's weights are before its first step."""

    detector: Network
    record: Mapping[str, Any]


def is_yolo(path: Location) -> TypeGuard[Path]:
    return isinstance(path, Path) and (path.suffix in (".yaml", ".yml") or (path / "data.yaml").is_file())


def is_data_set(path: Location) -> bool:
    """A folder of one, its manifest, or any URL: photographs are read from folders alone."""
    return not isinstance(path, Path) or path.name == "manifest.json" or (path.is_dir() and not is_yolo(path))


def split_to_measure(path: Location) -> str:
    """Of a YOLO folder; other data have no splits, and the word means nothing for them."""
    return measuring_split(path) if is_yolo(path) and path.exists() else "train"


def target_kind(path: Location) -> str:
    """Whether measured data are photographs ("real") or a simulated data set in their place ("stand-in")."""
    return STAND_IN if is_data_set(path) else REAL


def architecture(
    init: Path | None, categories: tuple[str, ...], preset: str, branches: str | None, model: Sequence[str] = ()
) -> ModelConfig:
    """What a detector is made of that starts so; see `start`.

    Raises:
        DataError: there is no such preset or branches, or `model` is not understood.
    """
    if init is not None:
        return changed(replace(load_config(init), categories=categories), model)
    if preset not in PRESETS or (branches is not None and branches not in BRANCHES):
        raise DataError(f"choose --preset from {sorted(PRESETS)} and --branches from {list(BRANCHES)}")
    config = PRESETS[preset](categories)
    return changed(config if branches is None else replace(config, branches=branches), model)


def read(
    path: Location, categories: tuple[str, ...] | None = None, split: str = "train", boxes: BoxesOf = "visible"
) -> ClipSource:
    """The clips at `path`, and a line on the error stream for what was left out. `split` is of a YOLO folder.

    A YOLO folder does not tell whole from visible boxes: what it has is taken.

    Raises:
        DataError: nothing usable is there, or none of its boxes bears one of `categories`.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if is_yolo(path):
        source = read_yolo(path, split, categories)
    elif is_data_set(path):
        source = read_shards(path.parent if path.name == "manifest.json" else path, categories, boxes=boxes)
    else:
        assert isinstance(path, Path), "a URL is a data set"
        source = read_coco(path, categories, boxes)
    for reason, what in source.skipped.items():
        sys.stderr.write(f"note: {path}: {reason}: {len(what)}, such as {what[0]}\n")
    if not sum(source.counts().values()):
        unknown = sorted({reason for reason in source.skipped if "not known" in reason})
        raise DataError(f"{path}: no box of {list(source.categories)}. {'; '.join(unknown)}")
    return source


def hold_out(source: ClipSource, share: float, seed: int) -> tuple[ClipSource, ClipSource | None]:
    """The source without the last `share` of one fixed shuffle, and that share; whole clips, so whole scenes."""
    if not 0.0 <= share < 1.0:
        raise DataError(f"holdout: needs 0 <= share < 1, got {share}")
    held = math.ceil(share * len(source))
    if held == len(source):
        raise DataError(f"{source.name}: {len(source)} clips cannot give a training and a held-out part")
    if not held:
        return source, None
    rest = len(source) - held
    return source.take(rest, seed), source.take(held, seed, rest)


def start(
    init: Path | None,
    categories: tuple[str, ...],
    preset: str,
    branches: str | None,
    seed: int,
    model: Sequence[str] = (),
) -> Start:
    """A detector for `categories`: new, or with the weights of a finished run, whose architecture it then has.

    `model` changes the architecture, as KEY=VALUE; of a run's weights, those that still fit are taken over.

    Raises:
        DataError: the run's detector knows none of the categories, or `model` is not understood.
    """
    import torch

    torch.manual_seed(seed)
    if init is None:
        return Start(Network(architecture(None, categories, preset, branches, model)), {"init": None})
    earlier = load(init)
    known = earlier.config.categories
    if not set(known) & set(categories):
        raise DataError(f"{init}: its detector knows {list(known)}, the data have {list(categories)}: none in common")
    new = [name for name in categories if name not in known]
    if new:
        sys.stderr.write(f"note: {init} does not know {new}: they start anew\n")
    detector = Network(architecture(init, categories, preset, branches, model), pretrained=False)
    missing, _ = detector.load_compatible(earlier.state_dict(), known)
    if missing:
        sys.stderr.write(
            f"note: {init} holds nothing for {len(missing)} tensors, which start anew: {missing[0]}, ...\n"
        )
    return Start(detector, {"init": {"run": str(init), "sha256": fingerprint(init)}})


def changed(config: ModelConfig, model: Sequence[str]) -> ModelConfig:
    """The config with each KEY=VALUE of `model`."""
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


def fingerprint(run: Path) -> str:
    """The hash of a run's weights."""
    return hashlib.sha256((run / "ema.safetensors").read_bytes()).hexdigest()


def data_hash(path: Location, split: str = "train") -> str:
    """Of what lists the data: a data set is the same one wherever it is called from or copied to."""
    if is_yolo(path):
        images, _ = yolo_layout(path, split, None)
        digest = hashlib.sha256()
        for file in sorted(images.rglob("*")):
            digest.update(f"{file.relative_to(images).as_posix()} {file.stat().st_size}\n".encode())
        return digest.hexdigest()
    listing = path if isinstance(path, Path) and path.is_file() else path / "manifest.json"
    return hashlib.sha256(listing.read_bytes()).hexdigest()


def claim(out: Path, record: Mapping[str, Any]) -> None:
    """State what the run is before it begins.

    Raises:
        RunError: the folder belongs to another experiment.
    """
    path = out / EXPERIMENT
    out.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        before = json.loads(path.read_text())
        changed = sorted(key for key in before if before[key] != record.get(key))
        if changed:
            raise RunError(f"{out}: holds a run that differs in {', '.join(changed)}. Choose another folder")
        return
    if any(out.iterdir()):
        raise RunError(f"{out}: is not empty and holds no run of these scripts. Choose another folder")
    write_atomically(path, json.dumps(record, indent=1).encode())


def carry_out(
    begin: Callable[[], Start],
    shares: list[WeightedSource],
    held: ClipSource | None,
    config: TrainConfig,
    out: Path,
    record: Mapping[str, Any],
) -> dict[str, Any]:
    """Train, or go on, or return what a finished run says."""
    from_start = begin()
    whole = json.loads(json.dumps({**record, **from_start.record, "held_out": names(held)}))
    claim(out, whole)
    with bars(out.name, "measuring") as (progress, measuring):
        summary = train(
            from_start.detector,
            shares,
            config,
            out,
            resume=True,
            validation=held,
            view=view_of(config.tile_px),
            progress=progress,
            measuring=measuring,
        )
    run = {**summary.run, "experiment": whole, "seconds": seconds(out)}
    write_atomically(out / RUN, json.dumps(run, indent=1).encode())
    return run


def names(source: ClipSource | None) -> list[str]:
    return [] if source is None else [clip.name for clip in source.clips]


def seconds(run: Path) -> float:
    """Of all the steps of a run, over as many processes as it took."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [0, *(int(row["step"]) for row in rows)]
    return float(sum((b - a) * row["seconds_per_step"] for a, b, row in zip(steps, steps[1:], rows, strict=False)))
