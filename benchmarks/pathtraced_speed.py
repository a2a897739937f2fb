"""Seconds a frame of the renderer pathtraced, with all labels, as scenes are made: `simgen.generation.clip.make_clip`.

python benchmarks/pathtraced_speed.py [--scenes 2] [--frames 3] [--samples 32] [--out FILE]

640 x 480 pixels, 12 parts of the preset bolts_on_table. Two figures a scene: what a frame takes that follows the first
(paths, truth, sensor, labels, encoding), and what a scene takes before that (maps, meshes, compiling, physics). Wall
time and this process's CPU time, which on a machine that does other things too are far apart: on n free cores the wall
time is the CPU time over n, as far as the threads are kept busy.

Beside it stands what was measured elsewhere: BlenderProc (Cycles), 32 samples, 20 s a frame on two cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from simgen.camera.sensor import expose_clip
from simgen.generation.exposure import capture
from simgen.labels.boxes import annotate
from simgen.presets.read import load_config
from simgen.renderers import describe, render
from simgen.renderers.paths import variant
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate

BLENDERPROC_S = 20.0
SETTINGS = (
    "camera.width_px=640", "camera.height_px=480", "camera.focal_px.low=560", "camera.focal_px.high=700",
    "parts.count.low=12", "parts.count.high=12", "render.renderer=pathtraced",
)  # fmt: skip
Clock = tuple[float, float]  # wall and CPU seconds


def now() -> Clock:
    return time.perf_counter(), time.process_time()


def since(then: Clock) -> Clock:
    return tuple(b - a for a, b in zip(then, now(), strict=True))  # type: ignore[return-value]


def measured(index: int, frames: int, samples: int) -> tuple[Clock, list[Clock]]:
    """A scene up to its first frame's end less one frame; and each of the frames after it."""
    began = now()
    config = load_config("bolts_on_table", (*SETTINGS, f"timing.frames={frames}", f"render.samples={samples}"))
    spec = sample(config, 0, index)
    trajectory = simulate(spec)
    frames_made, each = [], []
    for frame in each_timed(capture(spec, trajectory, render), each):
        frames_made.append(frame)
        expose_clip([frame.linear], spec.sensor)
    ids = np.stack([frame.ids for frame in frames_made])
    labelled = now()
    annotate(spec, trajectory, ids)
    label = tuple(value / frames for value in since(labelled))
    whole = since(began)
    after = [(wall + label[0], cpu + label[1]) for wall, cpu in each[1:]]
    mean = [statistics.mean(values) for values in zip(*after, strict=True)]
    return (whole[0] - frames * mean[0], whole[1] - frames * mean[1]), after


def each_timed(frames: Iterator, each: list[Clock]) -> Iterator:
    """The frames. Notes how long each takes, with all that is done to it before the next one is rendered."""
    then = now()
    for frame in frames:
        yield frame
        each.append(since(then))
        then = now()


def report(scenes: list[tuple[Clock, list[Clock]]], samples: int, load: tuple[float, float]) -> str:
    frames = [clock for _, after in scenes for clock in after]
    wall, cpu = (statistics.median(values) for values in zip(*frames, strict=True))
    first = [statistics.median(values) for values in zip(*(before for before, _ in scenes), strict=True)]
    cores = os.cpu_count() or 1
    chosen = variant.variant()
    lines = [
        "# Speed of the renderer pathtraced",
        "",
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M UTC}, `{describe('pathtraced')}` ({chosen.why}), "
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}, {cores} cores, load average {load[0]:.1f} "
        f"before and {load[1]:.1f} after. `benchmarks/pathtraced_speed.py`, which says what is in the figures.",
        "",
        f"640 x 480, 12 parts, {samples} paths a pixel, all labels. Medians of {len(frames)} frames of "
        f"{len(scenes)} scenes.",
        "",
        "| | CPU s | wall s |",
        "|---|---|---|",
        f"| a frame | {cpu:.2f} | {wall:.2f} |",
        f"| a scene, once | {first[1]:.2f} | {first[0]:.2f} |",
        "",
        f"Published for BlenderProc (Cycles, 32 samples, two cores): {BLENDERPROC_S:.0f} s a frame, 40 s of CPU. Of "
        f"CPU time a frame takes {2 * BLENDERPROC_S / cpu:.1f} times less here, or "
        f"{2 * BLENDERPROC_S / (cpu + first[1] / 2):.1f} times with what a scene takes once over a clip of two frames.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--out", type=Path, help="a Markdown file; default: the terminal")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    scenes = [measured(k, options.frames, options.samples) for k in range(options.scenes)]
    text = report(scenes, options.samples, (before, os.getloadavg()[0]))
    if options.out:
        options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
