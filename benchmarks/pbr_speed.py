"""How long a frame takes the pbr renderer, beside tiny and beside a bare getCameraImage, on the same scenes.

    LP_NUM_THREADS=1 python -m benchmarks.pbr_speed --out benchmarks/2026-11-21-pbr-speed.md

Scenes of `bolts_on_table` with 12 parts at 640 x 480, whose first frame is drawn again and again. *Bare* is one
getCameraImage of TinyRenderer with its shadows and the floor, without labels or shading. Each renderer is timed in
turns and the median taken; CPU time is this process's, all threads, which on a busy machine says more than the clock.
Reading back colour, depth and ids is in the figures; physics, labels and encoding are not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import cv2
import pybullet as p

from benchmarks.render_speed import Timed, draw_plainly
from simgen.presets.read import load_config
from simgen.renderers import RENDERERS, describe
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate
from simgen.spec.frames import Trajectory
from simgen.spec.scene import RenderSpec, SceneSpec

SETTINGS = (
    "camera.width_px=640",
    "camera.height_px=480",
    "parts.count.low=12",
    "parts.count.high=12",
    "timing.frames=1",
)
Cost = tuple[float, float]  # seconds by the clock, CPU seconds


def timed(draw: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    draw()
    return time.perf_counter() - wall, time.process_time() - cpu


def bare(spec: SceneSpec, trajectory: Trajectory) -> Cost:
    clock = Timed(p)
    draw_plainly(replace(spec, render=RenderSpec(renderer="tiny", supersample=1)), trajectory, clock)
    return clock.wall_s, clock.cpu_s


def drawn(renderer: str, supersample: int, spec: SceneSpec, trajectory: Trajectory, frames: int) -> Cost:
    """One of several frames of a scene, without what is done once a scene."""
    camera = replace(spec.camera, world_from_camera=spec.camera.world_from_camera[:1] * (frames + 1))
    spec = replace(spec, camera=camera, render=RenderSpec(renderer=renderer, supersample=supersample))
    again = [0] * (frames + 1)
    trajectory = Trajectory(
        trajectory.positions_m[again], trajectory.rotations_xyzw[again], trajectory.occluder_positions_m[again]
    )
    images = RENDERERS[renderer](spec, trajectory)
    next(images)  # the scene's own preparations
    wall, cpu = timed(lambda: list(images))
    return wall / frames, cpu / frames


def measure(scenes: int, rounds: int, frames: int) -> dict[str, list[Cost]]:
    config = load_config("bolts_on_table", SETTINGS)
    ways: dict[str, Callable[[SceneSpec, Trajectory], Cost]] = {
        "bare getCameraImage with shadows": bare,
        "tiny, one sample a pixel": lambda s, t: drawn("tiny", 1, s, t, frames),
        "pbr, one sample a pixel": lambda s, t: drawn("pbr", 1, s, t, frames),
        "tiny, 2 x 2 samples": lambda s, t: drawn("tiny", 2, s, t, frames),
        "pbr, 4 x multisampled": lambda s, t: drawn("pbr", 2, s, t, frames),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for k in range(scenes):
        spec = sample(config, 0, k)
        trajectory = simulate(spec)
        for i in range(rounds + (k == 0)):
            for name, way in ways.items():
                cost = way(spec, trajectory)
                if k or i:  # the first time of all compiles shaders
                    costs[name].append(cost)
    return costs


def report(costs: dict[str, list[Cost]], load: float) -> str:
    medians = {name: tuple(statistics.median(c) for c in zip(*each, strict=True)) for name, each in costs.items()}
    whole = medians["bare getCameraImage with shadows"][1]
    lines = [
        "# Speed of the pbr renderer",
        "",
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M UTC}, `{describe('pbr')}`, LP_NUM_THREADS="
        f"{os.environ.get('LP_NUM_THREADS', 'unset')}, {os.cpu_count()} cores, load average {load:.1f}. "
        "`benchmarks/pbr_speed.py`, which says what is in the figures.",
        "",
        f"640 x 480, 12 parts. Medians of {len(next(iter(costs.values())))}, all in one run and in turns.",
        "",
        "| | ms a frame, CPU | ms a frame, clock | bare loop's CPU time / this |",
        "|---|---|---|---|",
        *(
            f"| {name} | {cpu * 1e3:.0f} | {wall * 1e3:.0f} | {whole / cpu:.2f} |"
            for name, (wall, cpu) in medians.items()
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--frames", type=int, default=3, help="that a renderer draws each time")
    parser.add_argument("--out", type=Path, help="a Markdown file; default: the terminal")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    load = os.getloadavg()[0]
    text = report(measure(options.scenes, options.rounds, options.frames), load)
    if options.out:
        options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
