"""What a worker spends on a scene beside drawing it: the whole of it, next to a bare loop over the renderer.

    LP_NUM_THREADS=1 python benchmarks/overhead.py [--scenes 6] [--out FILE.md]

For each renderer and size, scene by scene in turns and in one process: the *whole* (draw the spec, simulate, render,
sensor, labels, encoding, a shard written and synced), and the *bare loop*, which takes specs and trajectories that are
ready and only asks the renderer for its frames. CPU time of this process, all threads. Not in it: a worker's start,
some two seconds in every 256 scenes, and what the first scene of a process prepares once.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import cv2

from simgen.clip import make_clip
from simgen.config import SceneConfig
from simgen.loading import load_config
from simgen.physics import simulate
from simgen.render import render
from simgen.sample import sample
from simgen.shards import clip_members, write_shard

LARGE = ("camera.width_px=640", "camera.height_px=480", "camera.focal_px.low=760", "camera.focal_px.high=900")
AIM = 0.85


class Clock:
    """Sums of CPU and wall seconds by name."""

    def __init__(self) -> None:
        self.cpu: Counter[str] = Counter()
        self.wall: Counter[str] = Counter()
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def lap(self, name: str) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        self.cpu[name] += cpu - self._cpu
        self.wall[name] += wall - self._wall
        self._cpu, self._wall = cpu, wall


def measure(config: SceneConfig, scenes: int, folder: Path) -> tuple[Clock, int]:
    clock, frames = Clock(), 0
    for index in range(scenes + 1):
        if index == 1:  # the first compiles shaders, builds meshes and tiles
            clock, frames = Clock(), 0
        spec = sample(config, 0, index)
        clock.lap("sample")
        trajectory = simulate(spec)
        clock.lap("physics")
        frames += sum(1 for _ in render(spec, trajectory))
        clock.lap("bare")
        write_shard(folder / "x.tar", clip_members(make_clip(config, 0, index)))
        clock.lap("whole")
    return clock, frames


def report(preset: str, scenes: int) -> str:
    lines = [
        "# What a scene costs beside its drawing",
        "",
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M UTC}, {os.cpu_count()} cores, load average "
        f"{os.getloadavg()[0]:.1f}. `benchmarks/overhead.py`: {scenes} scenes of `{preset}`, half as many of "
        "640 x 480; CPU ms a frame.",
        "",
        "| renderer | size | bare loop | whole | of it sampling | physics | sensor, labels, encoding, writing | "
        f"bare / whole, CPU (aim {AIM}) | by the clock |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for renderer in ("tiny", "pbr"):
            for size, settings in (("320 x 240", ()), ("640 x 480", LARGE)):
                config = load_config(preset, (f"render.renderer={renderer}", *settings))
                clock, frames = measure(config, scenes if not settings else -(-scenes // 2), Path(folder))
                rest = clock.cpu["whole"] - clock.cpu["bare"] - clock.cpu["sample"] - clock.cpu["physics"]
                costs = [clock.cpu[name] for name in ("bare", "whole", "sample", "physics")]
                cells = " | ".join(f"{1e3 * cost / frames:.1f}" for cost in (*costs, rest))
                ratios = (clock.cpu["bare"] / clock.cpu["whole"], clock.wall["bare"] / clock.wall["whole"])
                lines.append(f"| {renderer} | {size} | {cells} | **{ratios[0]:.2f}** | {ratios[1]:.2f} |")
                print(lines[-1], flush=True)
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="conveyor")
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--out", type=Path, help="a Markdown file; the terminal unless told")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    text = report(asked.preset, asked.scenes)
    if asked.out:
        asked.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
