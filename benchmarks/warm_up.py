"""What the warm start on unlabelled pictures brings: the same few photos with and without it, measured on others.

python benchmarks/warm_up.py --photos POOL.json --measure-on OTHER.json --out out/warm-up [--seeds 2] [--most 12]

Both arms start from the backbone's ImageNet weights and learn from the same photos with the same seed. One of them
warms up first, on all pictures of --photos, whose labels it does not read. --measure-on must be photos of other
sessions, and none that anything is chosen on. A run that was stopped goes on. --print prints what is finished, and
trains nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import evaluate
from hybrid.predict.tiles import view_of
from hybrid.weights.checkpoint import load
from pipelines.common.data import read

ARMS = ("base", "warm")


def train(options: argparse.Namespace, arm: str, seed: int) -> Path:
    """The finished run of an arm."""
    folder: Path = options.out / f"{arm}-{seed}"
    command = [
        sys.executable, "-m", "pipelines.finetune_real", "--checkpoint", "none", "--data", options.photos,
        "--shots", options.shots, "--shuffle-seed", seed, "--seed", seed, "--steps", options.steps,
        "--batch", options.batch, "--clip-length", 1, "--tile", options.tile, "--lr", options.lr,
        "--threads", 1, "--workers", 0, "--device", "cpu", "--out", folder,
    ]  # fmt: skip
    if arm == "warm":
        command += ["--warm-up", options.photos, "--warm-up-steps", options.warm_up_steps]
    subprocess.run([str(word) for word in command], check=True)
    return folder


def measured(run: Path, source: ClipSource, tile: int) -> dict[str, Any]:
    """AP50, AP and AP75 of a run's averaged weights, and what its warm-up says of itself."""
    detector = load(run, "ema")
    overall = evaluate(detector, source, view_of(tile)).metrics.overall
    record = json.loads((run / "run.json").read_text())
    return {"ap50": overall.ap50, "ap": overall.ap, "ap75": overall.ap75, "warm_up": record.get("warm_up")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--measure-on", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--most", type=int, default=12, help="photos to measure on")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--warm-up-steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--tile", type=int, default=192)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--print", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| seed | arm | AP50 | AP | AP75 | loss of the warm-up, first to last tenth |")
    print("|---|---|---|---|---|---|")
    for seed in range(options.seeds):
        for arm in ARMS:
            run = options.out / f"{arm}-{seed}" if options.print else train(options, arm, seed)
            if not (run / "run.json").is_file():
                continue
            everything = read(options.measure_on, load(run, "ema").config.categories)
            names = sorted(clip.name for clip in everything.clips)
            chosen = everything.only(names[:: max(1, len(names) // options.most)][: options.most])
            found = measured(run, chosen, options.tile)
            warm = found["warm_up"]
            loss = f"{warm['first_loss']:.2f} to {warm['last_loss']:.2f}" if warm else ""
            figures = " | ".join(f"{found[key]:.3f}" for key in ("ap50", "ap", "ap75"))
            print(f"| {seed} | {arm} | {figures} | {loss} |", flush=True)


if __name__ == "__main__":
    main()
