"""How fast `simgen render` is, beside a bare loop over getCameraImage on the same scenes.

    python -m benchmarks.render_speed --preset conveyor --scenes 16 --out benchmarks/2026-11-22-render-speed.md

Two bare loops, both the time inside `getCameraImage` alone. The *plain* one draws the whole scene as PyBullet would
show it, with its floor and shadows, in one call a frame at the renderer's sampling. The *own* one is the very calls
that the renderer makes: it leaves stage and floor out, which it works out itself, and takes shadows from a picture
along the light, so its calls are cheaper and the ratio to it harder to reach.

`simgen render` is the whole command: start of the interpreter, physics, rendering, sensor, labels, compression,
shards, manifest. Each is run several times in turns and the best is taken. CPU seconds are those of the command and
its workers; on a machine that does other things at the same time they say more than the clock.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import cv2
import pybullet as p

from simgen.presets.read import load_config
from simgen.renderers import render
from simgen.renderers.camera_view import CameraView
from simgen.renderers.tiny import renderer as tiny
from simgen.scene.bullet import world
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate
from simgen.spec.frames import Trajectory
from simgen.spec.scene import SceneSpec, StageSpec

QUIET_LOAD = 0.5
BUSY = "**The machine was busy with other things: the clock's figures, and two workers to one with them, say little.**"


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float


class Timed:
    """Stands in for pybullet in the renderer, and times getCameraImage."""

    def __init__(self, pybullet: Any) -> None:
        self.pybullet, self.wall_s, self.cpu_s, self.calls = pybullet, 0.0, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pybullet, name)

    def getCameraImage(self, *positional: Any, **named: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        image = self.pybullet.getCameraImage(*positional, **named)
        self.wall_s, self.cpu_s = self.wall_s + time.perf_counter() - wall, self.cpu_s + time.process_time() - cpu
        self.calls += 1
        return image


def bare(preset: str, seed: int, scenes: int) -> tuple[Cost, int, int]:
    """What getCameraImage costs for these scenes, in how many frames and calls."""
    config, timed, frames = load_config(preset), Timed(tiny.p), 0
    tiny.p, kept = timed, tiny.p
    try:
        for index in range(scenes):
            spec = sample(config, seed, index)
            frames += sum(1 for _ in render(spec, simulate(spec)))
    finally:
        tiny.p = kept
    return Cost(timed.wall_s, timed.cpu_s), frames, timed.calls


def plain(preset: str, seed: int, scenes: int) -> Cost:
    """What getCameraImage costs with floor and shadows drawn by TinyRenderer, one call a frame."""
    config, timed = load_config(preset), Timed(tiny.p)
    for index in range(scenes):
        spec = sample(config, seed, index)
        draw_plainly(spec, simulate(spec), timed)
    return Cost(timed.wall_s, timed.cpu_s)


def draw_plainly(spec: SceneSpec, trajectory: Trajectory, timed: Timed) -> None:
    """A scene's frames as PyBullet draws them: everything in one call, with shadows."""
    lights = {**tiny.light(spec.light.direction), "shadow": 1, "lightDistance": 3.0}
    with world(spec, collide=False) as bodies:
        _draw_planes(bodies.client, spec.stage)
        for frame, pose in enumerate(spec.camera.world_from_camera):
            tiny.place(bodies, trajectory, frame)
            view = CameraView.of(spec, pose)
            matrices = tiny.view_matrix(pose), tiny.projection_matrix(view)
            timed.getCameraImage(view.width, view.height, *matrices, **lights, physicsClientId=bodies.client)


def _draw_planes(client: int, stage: StageSpec) -> None:
    half = [stage.size_m[0] / 2, stage.size_m[1] / 2, stage.thickness_m / 2]
    slab = p.createVisualShape(p.GEOM_BOX, halfExtents=half, physicsClientId=client)
    p.createMultiBody(0, -1, slab, [0, 0, -half[2]], physicsClientId=client)
    corners = [[-20.0, -20.0, 0.0], [20.0, -20.0, 0.0], [20.0, 20.0, 0.0], [-20.0, 20.0, 0.0]]
    shape = p.createVisualShape(
        p.GEOM_MESH, vertices=corners, indices=[0, 1, 2, 0, 2, 3], normals=[[0, 0, 1]] * 4, physicsClientId=client
    )
    p.createMultiBody(0, -1, shape, [0, 0, -stage.floor_below_m], physicsClientId=client)


def command(preset: str, seed: int, scenes: int, workers: int) -> Cost:
    """What the whole of `simgen render` costs."""
    with tempfile.TemporaryDirectory() as folder:
        line = ["--preset", preset, "--scenes", str(scenes), "--seed", str(seed), "--workers", str(workers)]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "simgen", "render", *line, "--shard-scenes", "2", "--out", f"{folder}/x"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def best(costs: list[Cost]) -> Cost:
    return Cost(min(c.wall_s for c in costs), min(c.cpu_s for c in costs))


def in_turns(repeats: int, *measures: Callable[[], Cost]) -> list[Cost]:
    """The best of each, run in turns so that a busy minute does not fall on one of them."""
    rounds = [[measure() for measure in measures] for _ in range(repeats)]
    return [best([one[i] for one in rounds]) for i in range(len(measures))]


def report(preset: str, seed: int, scenes: int, repeats: int) -> str:
    config, load = load_config(preset), os.getloadavg()[0]
    _, first, calls = bare(preset, seed, 1)  # warms the tables of parts and textures, too
    frames, camera = config.timing.frames * scenes, config.camera
    whole, loop, one, two = in_turns(
        repeats,
        lambda: plain(preset, seed, scenes),
        lambda: bare(preset, seed, scenes)[0],
        lambda: command(preset, seed, scenes, 1),
        lambda: command(preset, seed, scenes, 2),
    )
    rows = [
        ("bare loop, plain", whole),
        ("bare loop, own calls", loop),
        ("simgen render, 1 worker", one),
        ("simgen render, 2 workers", two),
    ]
    lines = [
        f"## {preset}: {scenes} scenes, {frames} frames of {camera.width_px} x {camera.height_px}, seed {seed}",
        "",
        f"Supersampling {config.render.supersample}, {calls / first:.0f} getCameraImage calls a frame; "
        f"best of {repeats}; load average {load:.1f} before, {os.getloadavg()[0]:.1f} after.",
        "",
        *([BUSY, ""] if load > QUIET_LOAD else []),
        "| | wall s | CPU s | frames/s by the clock | frames/s by CPU time |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {c.wall_s:.1f} | {c.cpu_s:.1f} | {frames / c.wall_s:.2f} | {frames / c.cpu_s:.2f} |"
            for name, c in rows
        ),
        "",
        f"- `simgen render` to the plain loop: **{whole.cpu_s / one.cpu_s:.2f}** by CPU time, "
        f"{whole.wall_s / one.wall_s:.2f} by the clock (target 0.7)",
        f"- `simgen render` to the loop of its own calls: **{loop.cpu_s / one.cpu_s:.2f}** by CPU time, "
        f"{loop.wall_s / one.wall_s:.2f} by the clock",
        f"- two workers to one: **{one.wall_s / two.wall_s:.2f}** by the clock (target 1.8); "
        f"CPU time {two.cpu_s / one.cpu_s:.2f} of one's",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", action="append", help="may be repeated; default: conveyor")
    parser.add_argument("--scenes", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a Markdown file; default: the terminal")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    text = f"# Speed of `simgen render`\n\n{when}, commit {commit}, {os.cpu_count()} cores, {platform.machine()}. "
    text += "`benchmarks/render_speed.py`, which says what the two bare loops are.\n\n"
    text += "\n".join(
        report(name, options.seed, options.scenes, options.repeats) for name in options.preset or ["conveyor"]
    )
    if options.out:
        options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
