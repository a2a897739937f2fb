"""What a worker spends on a scene beside drawing it: the whole of it, next to bare loops over the renderer.

    LP_NUM_THREADS=1 python -m benchmarks.overhead [--scenes 6] [--out FILE.md]

For each renderer and size, scene by scene in turns and in one process: the *whole* (draw the spec, simulate, render,
sensor, labels, encoding, a shard written and synced); its *own loop*, which takes specs and trajectories that are ready
and only asks `simgen.renderers` for its frames; for `tiny` also *PyBullet's loop*, the time within one `getCameraImage`
a frame of the same scene, everything drawn by TinyRenderer with shadows at the same sampling. CPU time of this process,
all threads. Not in it: a worker's start, some two seconds in every 256 scenes; the parts' meshes, which a worker
builds once; what the first scene of a process prepares.
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
import pybullet as p

from benchmarks.render_speed import Timed, draw_plainly
from simgen.assets.parts import PARTS, part_model
from simgen.dataset.format.archive import clip_members, write_shard
from simgen.generation.clip import make_clip
from simgen.presets.read import load_config
from simgen.renderers import render
from simgen.scene.config import SceneConfig
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate
from simgen.spec.scene import FamilySize

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
        if index == 1:  # the first compiles shaders and builds tiles
            clock, frames = Clock(), 0
        spec = sample(config, 0, index)
        clock.lap("sampling")
        trajectory = simulate(spec)
        clock.lap("physics")
        frames += sum(1 for _ in render(spec, trajectory))
        clock.lap("own")
        write_shard(folder / "x.tar", clip_members(make_clip(config, 0, index)))
        clock.lap("whole")
        if config.render.renderer == "tiny":
            timed = Timed(p)
            draw_plainly(spec, trajectory, timed)
            clock.lap("unused")
            clock.cpu["pybullet"] += timed.cpu_s
            clock.wall["pybullet"] += timed.wall_s
    return clock, frames


def row(renderer: str, size: str, clock: Clock, frames: int) -> str:
    clock.cpu["rest"] = clock.cpu["whole"] - clock.cpu["own"] - clock.cpu["sampling"] - clock.cpu["physics"]
    loops = ["own", "pybullet"] if renderer == "tiny" else ["own"]
    shown = {name: f"{1e3 * clock.cpu[name] / frames:.1f}" for name in clock.cpu}
    cpu = {name: f"**{clock.cpu[name] / clock.cpu['whole']:.2f}**" for name in loops}
    wall = {name: f"{clock.wall[name] / clock.wall['whole']:.2f}" for name in loops}
    cells = [renderer, size, shown.get("pybullet", "-")]
    cells += [shown[name] for name in ("own", "whole", "sampling", "physics", "rest")]
    for ratios in (cpu, wall):
        cells += [ratios.get("pybullet", "-"), ratios["own"]]
    return "| " + " | ".join(cells) + " |"


def report(preset: str, scenes: int) -> str:
    for kind, family in PARTS.items():
        for size in family.sizes:
            part_model(FamilySize(kind, size.designation))
    lines = [
        "# What a scene costs beside its drawing",
        "",
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M UTC}, {os.cpu_count()} cores, load average "
        f"{os.getloadavg()[0]:.1f}. `benchmarks/overhead.py`, which says what the loops are: {scenes} scenes of "
        f"`{preset}`, half as many of 640 x 480; CPU ms a frame. Aim: a ratio of {AIM}.",
        "",
        "| renderer | size | PyBullet's loop | own loop | whole | of it sampling | physics | sensor, labels, encoding, "
        "writing | PyBullet's / whole, CPU | own / whole, CPU | PyBullet's / whole, clock | own / whole, clock |",
        "|" + "---|" * 12,
    ]
    with tempfile.TemporaryDirectory() as folder:
        for renderer in ("tiny", "pbr"):
            for size_name, settings in (("320 x 240", ()), ("640 x 480", LARGE)):
                config = load_config(preset, (f"render.renderer={renderer}", *settings))
                clock, frames = measure(config, scenes if not settings else -(-scenes // 2), Path(folder))
                lines.append(row(renderer, size_name, clock, frames))
                print(lines[-1], flush=True)
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="conveyor")
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--out", type=Path, help="a Markdown file; default: the terminal")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    text = report(options.preset, options.scenes)
    if options.out:
        options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
