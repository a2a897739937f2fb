"""How long training waits for its data: the share of waiting in real steps, and what a tile costs to make.

python benchmarks/loading.py ANNOTATIONS.json [--steps 12] [--shots 8] [--clip-length 1] [--workers 1]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve their own loader on few cores

import torch

from hybrid.core.config import tiny
from hybrid.data.coco import read_coco
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.loop import train
from hybrid.training.samples.sampler import Sampler, WeightedSource


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--shots", type=int, default=8)
    parser.add_argument("--clip-length", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    source = read_coco(options.annotations).take(options.shots)
    config = TrainConfig(
        steps=options.steps,
        warmup_steps=1,
        clip_length=options.clip_length,
        workers=options.workers,
        log_every=options.steps,
    )
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before, {torch.get_num_threads()} threads")
    sampler = Sampler([WeightedSource(source)], config)
    for k in range(100):  # fills the cache, and imports what is imported late
        sampler.sample(k)
    wall, cpu = time.perf_counter(), time.process_time()
    for k in range(100, 300):
        sampler.sample(k)
    wall, cpu = (time.perf_counter() - wall) / 200, (time.process_time() - cpu) / 200
    print(f"a sample of {options.clip_length} frames: {1e3 * wall:.1f} ms wall, {1e3 * cpu:.1f} ms of one core")
    with tempfile.TemporaryDirectory() as folder:
        run = train(Network(tiny(source.categories)), source, config, Path(folder) / "run").run["this_process"]
    print(f"{run['steps']} steps of {config.batch_clips} tiles: {run['seconds'] / run['steps']:.2f} s a step")
    print(f"waited for data: {100 * run['data_wait_share']:.2f} % of the time")
    print(f"load average {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
