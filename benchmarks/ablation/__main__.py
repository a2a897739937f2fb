"""What each part of the detector earns: equal steps, paired seeds, intervals. Can be killed and started again.

python -m benchmarks.ablation --out DIR [--size full|long|medium|small|toy] [--seeds 3] [--variants NAME ...]
    [--dolly ANNOTATIONS.json] [--page FOLDER]

DIR/data               the simulated clips
DIR/seed0/base         stage one, the CNN; seed0/VARIANT: stage two; seed0/VARIANT-real: stage three, with --dolly
DIR/ablation.md .svg   the figures; --page writes them under today's date into a folder as well
Every run is a folder of `hybrid.training.loop.train`; what is finished is neither trained nor measured again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.ablation import plan
from benchmarks.ablation.figures import SHARES, Scene, figures, statistics
from benchmarks.ablation.measure import CONDITIONS, CROWD, frames_of, measure, measure_real, segments
from benchmarks.ablation.report import page, picture
from hybrid.core.config import ModelConfig
from hybrid.data.clips import ClipSource
from hybrid.data.coco import read_coco
from hybrid.metrics.video import average_precision, match_detections
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.loop import train
from hybrid.training.run.folder import METRICS
from hybrid.training.samples.sampler import WeightedSource
from hybrid.weights.checkpoint import load
from hybrid.weights.record import RUN

REAL_SCALE = 1 / 3


def learn(run: Path, config: ModelConfig, source: ClipSource, training: TrainConfig, start: Path | None) -> float:
    """Train one run to its end, from the raw weights of `start`; its seconds in this process."""
    torch.manual_seed(training.seed)
    detector = Network(config)
    if start is not None and not (run / RUN).is_file():
        earlier = load(start, "raw")
        detector.load_compatible(earlier.state_dict(), earlier.config.categories)
    began = time.monotonic()
    train(detector, [WeightedSource(source)], training, run, resume=True)
    return time.monotonic() - began


def learn_all(out: Path, size: plan.Size, seeds: Sequence[int], variants: Sequence[str], source: ClipSource) -> None:
    for seed in seeds:
        base = out / f"seed{seed}" / "base"
        config = plan.model(size, source.categories, "cnn")
        tell(base, learn(base, config, source, plan.base_training(size, seed), None))
        for variant in variants:
            run = out / f"seed{seed}" / variant
            config = plan.model(size, source.categories, variant)
            tell(run, learn(run, config, source, plan.clip_training(size, seed), base))


def tell(run: Path, seconds: float) -> None:
    print(f"{time.strftime('%H:%M:%S')} {run.parent.name}/{run.name}: {seconds:.0f} s", flush=True)


def detections_by(
    out: Path, seed: int, variants: Sequence[str], test: ClipSource, crowd: ClipSource
) -> dict[str, dict[str, list]]:
    """Detections by variant and condition."""
    detections: dict[str, dict[str, list]] = {}
    for variant in variants:
        began = time.monotonic()
        run = out / f"seed{seed}" / variant
        detections[variant] = {name: measure(run, crowd if name == CROWD else test, name) for name in CONDITIONS}
        tell(out / f"seed{seed}" / f"{variant}, measured", time.monotonic() - began)
    return detections


def real_stage(
    out: Path, size: plan.Size, seeds: Sequence[int], variants: Sequence[str], annotations: Path
) -> list[str]:
    """Fine-tune every variant on the first segment of the photographed sequence, and measure on the others."""
    whole = read_coco(annotations)
    names = [clip.name for clip in whole.clips]
    first, rest = whole.only(names[:1]), whole.only(names[1:])
    frames, blocks = segments(rest)
    lines = [
        "",
        f"On photographs: {size.real_steps} steps on the first of {len(names)} segments, AP50 on the others:",
        "",
    ]
    for variant in variants:
        values = []
        for seed in seeds:
            start, run = out / f"seed{seed}" / variant, out / f"seed{seed}" / f"{variant}-real"
            config = plan.model(size, whole.categories, variant)
            tell(run, learn(run, config, first, plan.real_training(size, seed), start))
            values.append(
                100 * (average_precision(match_detections(measure_real(run, rest, REAL_SCALE), frames, blocks)) or 0.0)
            )
        lines.append(f"- {variant}: {', '.join(f'{v:.1f}' for v in values)}")
    return [*lines, "", "One short sequence of one truck: no interval is given, and little should be read into it."]


def costs(out: Path, seeds: Sequence[int], variants: Sequence[str]) -> list[str]:
    """Parameters, and seconds a step: the quickest stretch of the log, since others may have used the cores too."""
    lines = ["", "| | parameters | s a step, at best |", "|---|---|---|"]
    for variant in variants:
        runs = [json.loads((out / f"seed{seed}" / variant / RUN).read_text()) for seed in seeds]
        logs = [(out / f"seed{seed}" / variant / METRICS).read_text().splitlines() for seed in seeds]
        each = [min(json.loads(line)["seconds_per_step"] for line in log) for log in logs]
        lines.append(f"| {variant} | {runs[0]['parameters']:,} | {', '.join(f'{s:.2f}' for s in each)} |")
    return lines


def objects(counted: Callable[[float, float], list[np.ndarray]]) -> str:
    """How many objects there are of each visible share."""
    counts = {name: sum(int(b.sum()) for b in counted(*limits)) for name, limits in SHARES.items()}
    return ", ".join(f"{n} objects {name}" for name, n in counts.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=sorted(plan.SIZES), default="full")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=list(plan.VARIANTS), default=list(plan.VARIANTS))
    parser.add_argument("--dolly", type=Path, help="the photographed sequence's COCO JSON")
    parser.add_argument("--page", type=Path, help="a folder for a dated copy of the page")
    parser.add_argument("--draws", type=int, default=500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    size, seeds, out = plan.SIZES[options.size], range(options.seeds), options.out
    variants = [name for name in plan.VARIANTS if name == "cnn" or name in options.variants]
    source, test, crowd = plan.data(size, out / "data")
    learn_all(out, size, seeds, variants, source)
    scene, crowded = Scene(*frames_of(test)), Scene(*frames_of(crowd))
    every = [statistics(scene, crowded, detections_by(out, seed, variants, test, crowd)) for seed in seeds]
    table = figures(every, scene.clip_count, options.draws)
    notes = costs(out, seeds, variants)
    if options.dolly:
        notes += real_stage(out, size, seeds, variants, options.dolly)
    notes += ["", f"Measured on {len(scene.frames)} frames with {objects(scene.share)}."]
    notes += ["", f"The crowd: {len(crowded.frames)} frames with {objects(crowded.inside)} off the edge."]
    command = f"python -m benchmarks.ablation --size {options.size} --seeds {options.seeds} --draws {options.draws}"
    if len(variants) < len(plan.VARIANTS):
        command += f" --variants {' '.join(variants)}"
    (out / "ablation.md").write_text(page(table, size, list(seeds), notes, command))
    plain = {name: {v: asdict(one) for v, one in row.items()} for name, row in table.items()}
    (out / "ablation.json").write_text(json.dumps(plain, indent=1))
    picture(table, out / "ablation.svg")
    if options.page:
        for suffix in ("md", "svg"):
            shutil.copy(out / f"ablation.{suffix}", options.page / f"{datetime.date.today()}-ablation.{suffix}")
    print(out / "ablation.md")


if __name__ == "__main__":
    main()
