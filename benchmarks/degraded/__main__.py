"""Recurrence, attention and averaging on degraded frames. Can be killed and started again.

python -m benchmarks.degraded render --out DIR
python -m benchmarks.degraded train --out DIR [--seeds 0 1] [--variants NAME ...] [--base-steps 400] [--steps 250]
python -m benchmarks.degraded measure --out DIR --clips val [--seeds 0 1]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from benchmarks.ablation.measure import pixels
from benchmarks.degraded import measure, plan
from benchmarks.degraded.averaged import averaged_source
from hybrid.core.config import ModelConfig
from hybrid.data.clips import Clip, ClipSource
from hybrid.data.shards import read_shards
from hybrid.metrics.detection import operating_score
from hybrid.model.network import Network
from hybrid.predict.stream import predict
from hybrid.training.config import TrainConfig
from hybrid.training.loop import train
from hybrid.training.samples.sampler import WeightedSource
from hybrid.weights.checkpoint import load, load_config
from hybrid.weights.record import RUN
from hybrid.weights.released import run_at


def learn(run: Path, config: ModelConfig, source: ClipSource, training: TrainConfig, start: Path) -> None:
    """Train one run to its end, from the averaged weights of `start`."""
    if (run / RUN).is_file():
        return
    torch.manual_seed(training.seed)
    detector, earlier, began = Network(config, pretrained=False), load(start), time.monotonic()
    detector.load_compatible(earlier.state_dict(), earlier.config.categories)
    train(detector, [WeightedSource(source)], training, run, resume=True)
    print(f"{time.strftime('%H:%M:%S')} {run.parent.name}/{run.name}: {time.monotonic() - began:.0f} s", flush=True)


def learn_all(options: argparse.Namespace) -> None:
    """Every variant of every seed, all from one base."""
    start = run_at(plan.START)
    config = load_config(start)
    source = read_shards(options.out / "train", config.categories)
    base = options.out / "seed0" / plan.BASE
    learn(base, config, source, plan.base_training(0, options.base_steps), start)
    for seed in options.seeds:
        for variant in options.variants:
            run, training = options.out / f"seed{seed}" / variant, plan.clip_training(seed, options.steps)
            shown = averaged_source(source, options.out / "averaged") if variant == plan.AVERAGED else source
            learn(run, plan.model(config, variant), shown, training, base)


def measure_all(options: argparse.Namespace) -> None:
    """The tables of one data set. The operating point is the CNN's best F1 on the validation clips."""
    run = options.out / f"seed{options.seeds[0]}" / "cnn"
    categories = load_config(run).categories
    val = read_shards(options.out / "val", categories)
    found = [one for clip in val.clips for one in predict(load(run), pixels_of(clip), measure.LIMIT)[0]]
    score = operating_score(found, val.frames)
    assert score is not None
    source = read_shards(options.out / options.clips, categories)
    measured = measure.measure(options.out, source, options.clips, options.seeds, score, options.draws)
    lines = [
        f"{options.clips}, seeds {options.seeds}, the CNN's operating point {score:.2f}",
        "",
        *measure.table(measured),
    ]
    lines += [
        "",
        "AP50 by seed:",
        *(f"- {way}: {', '.join(f'{x:.1f}' for x in one.by_seed)}" for way, one in measured["AP50"].items()),
    ]
    print("\n".join(lines))


def pixels_of(clip: Clip) -> torch.Tensor:
    """[1, t, 3, h, w]"""
    return torch.from_numpy(pixels(clip)).permute(0, 3, 1, 2)[None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["render", "train", "measure"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--variants", nargs="*", choices=list(plan.VARIANTS), default=list(plan.VARIANTS))
    parser.add_argument("--base-steps", type=int, default=400)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--clips", choices=list(plan.SETS), default="val", help="what is measured on")
    parser.add_argument("--draws", type=int, default=500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.task == "render":
        for name in plan.SETS:
            plan.render(name, options.out)
    elif options.task == "measure":
        measure_all(options)
    else:
        learn_all(options)


if __name__ == "__main__":
    main()
