"""Training the rivals, and measuring their precision, latency and memory."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from benchmarks.against.rivals import RIVALS, SIZES, Rival, Size
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import score
from hybrid.training.config import AugmentConfig, TrainConfig
from hybrid.training.samples.batch import Batches
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.schedule import rate
from simgen.dataset.store.files import write_atomically
from simgen.generation.budget import peak_bytes

REPEATS = 15  # of a latency; the median counts


def training(size: Size, rival: Rival, seed: int) -> TrainConfig:
    return TrainConfig(
        steps=size.steps, batch_clips=size.frames // rival.clip_length, clip_length=rival.clip_length,
        tile_px=size.tile_px, learning_rate=size.learning_rate * rival.slower, seed=seed,
        warmup_steps=min(50, size.steps - 1),
        augment=AugmentConfig(scale=(0.8, 1.25), strength=0.5, object_share=0.5), blank_probability=0.0,
    )  # fmt: skip


def learn(rival: Rival, source: ClipSource, test: ClipSource, size: Size, seed: int) -> Iterator[dict[str, float]]:
    """Train. Yields some times the step, the AP, and the CPU seconds of training so far."""
    config = training(size, rival, seed)
    batches = Batches([WeightedSource(source)], config)
    optimizer = torch.optim.AdamW(rival.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    spent = 0.0
    for step in range(size.steps):
        began = time.process_time()
        rival.train()
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * rate(config, step)
        loss = rival.loss(batches[step], step / size.steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(rival.parameters(), config.grad_clip)
        optimizer.step()
        spent += time.process_time() - began
        if not (step + 1) % max(1, size.steps // size.measures):
            yield {"step": step + 1, "seconds": spent, **average_precision(rival, test)}


@torch.no_grad()
def average_precision(rival: Rival, test: ClipSource) -> dict[str, float]:
    from benchmarks.ablation.measure import pixels

    rival.eval()
    detections = []
    for clip in test.clips:
        detections += rival.detect(torch.from_numpy(pixels(clip)).permute(0, 3, 1, 2)[None])
    overall = score(detections, test.frames, test.categories).overall
    return {"ap": 100 * (overall.ap or 0.0), "ap50": 100 * (overall.ap50 or 0.0)}


def cost(name: str, categories: tuple[str, ...], size: Size, height: int, width: int) -> dict[str, float]:
    """CPU milliseconds of one frame, and the peak memory of this process, which should do nothing else."""
    torch.set_num_threads(1)
    (ms,) = latencies_ms([name], categories, size, height, width)
    return {"ms": ms, "mb": peak_bytes() / 2**20}


def cost_apart(name: str, options: argparse.Namespace, categories: Sequence[str], height: int, width: int) -> Any:
    line = [sys.executable, "-m", "benchmarks.against", "--cost", name, "--size", options.size, "--shape"]
    line += [f"{height}x{width}", "--categories", ",".join(categories)]
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(f"{name}: its cost could not be measured: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run(name: str, seed: int, options: argparse.Namespace, source: ClipSource, test: ClipSource) -> dict[str, Any]:
    file = options.out / f"{name.replace(' ', '-').replace(',', '')}-{seed}.json"
    if not file.is_file():
        torch.manual_seed(seed)
        size = SIZES[options.size]
        rival = RIVALS[name](source.categories, size)
        rows = []
        for row in learn(rival, source, test, size, seed):
            rows.append(row)
            print(f"{time.strftime('%H:%M:%S')} {name} {seed}: {row}", flush=True)
        parameters = sum(p.numel() for p in rival.parameters())
        result: dict[str, Any] = {"name": name, "seed": seed, "rows": rows, "parameters": parameters}
        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(result, indent=1).encode())
    return json.loads(file.read_text())  # type: ignore[no-any-return]


def with_costs(result: dict[str, Any], options: argparse.Namespace, categories: Sequence[str]) -> dict[str, Any]:
    """The result with latency and memory, for the first seed. Measured after all have been trained."""
    if result["seed"]:
        return result
    costs = {
        shape: cost_apart(result["name"], options, categories, *map(int, shape.split("x")))
        for shape in SIZES[options.size].shapes
    }
    return result | {"costs": costs}


@torch.no_grad()
def latencies_ms(names: Sequence[str], categories: tuple[str, ...], size: Size, height: int, width: int) -> list[float]:
    """CPU milliseconds of a frame for each. They take turns, so that other load on the machine affects all alike."""
    rivals = [RIVALS[name](categories, replace(size, tile_px=min(height, width))).eval() for name in names]
    image, times = torch.rand(3, height, width), list[list[float]]()
    for _ in range(REPEATS + 2):
        times.append([])
        for rival in rivals:
            began = time.process_time()
            rival.frame(image)
            times[-1].append(time.process_time() - began)
    return [1e3 * statistics.median(column) for column in zip(*times[2:], strict=True)]
