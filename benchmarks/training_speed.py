"""How fast training is beside a bare loop over the same model on random tensors, and how long it waits for its data.

python benchmarks/training_speed.py ANNOTATIONS.json [--preset lite] [--rounds 4] [--steps 6] [--batch 2] [--bf16]

The two take turns in one process, so that a busy machine disturbs both alike. The bare loop is forward, losses,
backward, AdamW: no loader, no moving average, no log, no check of the loss. Time is told twice: on the clock, and as
processor time of this process (without the workers), which other programs disturb less. Memory is the largest resident
size of this process: after the bare loop, and at the end, which has both networks and has measured on whole photos.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve their own loader on few cores

import torch

from hybrid.core.config import PRESETS, ModelConfig
from hybrid.data.coco import read_coco
from hybrid.losses.criterion import Criterion
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.device import training_device
from hybrid.training.loop import train
from hybrid.training.samples.batch import Batches, TrainBatch, loader
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.schedule import parameter_groups
from hybrid.training.step import Training
from simgen.generation.budget import peak_bytes


def network(model: ModelConfig) -> Network:
    torch.manual_seed(0)
    return Network(model).train()


def bare_loop(model: ModelConfig, config: TrainConfig, like: TrainBatch) -> Callable[[], None]:
    """A step on random tensors of the sizes of a real batch, with its boxes."""
    net, criterion = network(model).to(memory_format=torch.channels_last), Criterion()
    optimizer = torch.optim.AdamW(parameter_groups(net, config))
    images, targets = torch.rand(like.images.shape), like.targets()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            output, _ = net(images, None, targets)
            total = criterion(output, targets)["total"]
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()

    return step


def timed(step: Callable[[], None], count: int) -> tuple[float, float]:
    """Seconds a step: on the clock, and of this process's processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        step()
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def peak_mib() -> int:
    """The largest resident size of this process so far."""
    return peak_bytes() // 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--preset", default="lite")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6, help="of each of the two in a round")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    source = read_coco(options.annotations).take(options.shots)
    model = PRESETS[options.preset](source.categories)
    total = options.rounds * options.steps + 1
    config = TrainConfig(
        steps=total, warmup_steps=1, batch_clips=options.batch, tile_px=options.tile, workers=options.workers,
        precision="bf16" if options.bf16 else "fp32", backbone_rate=0.1, log_every=total, device="cpu",
    )  # fmt: skip
    print(
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {torch.get_num_threads()} threads of torch"
    )
    print(f"{options.preset}, {options.batch} tiles of {options.tile} px, {config.precision}")
    batches = Batches([WeightedSource(source)], config)
    training = Training(network(model), config, Criterion(), training_device("cpu"))
    stream = loader(batches, 0, config.workers, pin=False)
    bare = bare_loop(model, config, batches[0])
    engine = lambda: training.step(next(stream)) and None  # noqa: E731
    bare()  # the first step of each allocates
    with_bare = peak_mib()
    engine()
    rows = [(timed(bare, options.steps), timed(engine, options.steps)) for _ in range(options.rounds)]
    for k, what in enumerate(("on the clock", "of processor time")):
        one, other = (statistics.median(row[i][k] for row in rows) for i in (0, 1))
        ratio = statistics.median(row[0][k] / row[1][k] for row in rows)
        print(
            f"{what}: bare {one:.2f} s, training {other:.2f} s a step: {ratio:.3f} of the bare loop's samples a second"
        )
    with tempfile.TemporaryDirectory() as folder:
        run = train(network(model), source, config, Path(folder) / "run").run["this_process"]
    print(f"memory: {with_bare} MiB after the bare loop, {peak_mib()} MiB at the end, with the measurement")
    print(f"alone: {run['seconds'] / run['steps']:.2f} s a step, {100 * run['data_wait_share']:.2f} % waits for data")
    print(f"load average {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
