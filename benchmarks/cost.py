"""What a frame costs: milliseconds and memory against resolution, objects and clip length; and what a process needs.

python benchmarks/cost.py [--out FOLDER] [--quick]

One thread, batch 1, random weights (which change nothing about the cost). Time is the core's, the median of several
calls; memory the process's peak over what it held before the first call, as Linux tells it. A power law is fitted to
each row of points: its exponent is 1 where cost grows linearly, and below 1 where a part of the cost does not grow.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hybrid.core.config import BRANCHES, PRESETS, ModelConfig, tiny
from hybrid.core.types import Detections, State
from hybrid.model.network import Network
from hybrid.predict.linking import link
from simgen.generation.budget import peak_bytes

PEAK = Path("/proc/self/clear_refs")
PROCESSES = (("tiny", 240, 320), ("tiny", 480, 640), ("base", 480, 640))  # preset, height, width
PROCESS_LIMIT_MB = 1500  # at batch 1 on a CPU
CATEGORIES = ("bolt", "nut", "washer")


@dataclass(frozen=True)
class Point:
    x: float
    ms: float
    mb: float | None  # None where the system does not tell


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))


def measured(x: float, call: Callable[[], object], repeats: int) -> Point:
    held: float | None = None
    if PEAK.exists():
        ctypes.CDLL(None).malloc_trim(0)  # what earlier calls left behind would be used again, and not be counted
        PEAK.write_text("5")  # the peak counts from now
        held = _status("VmRSS")
    call()
    more = None if held is None else max(0.0, _status("VmHWM") - held)
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return Point(x, 1e3 * statistics.median(times), more)


def exponent(points: Sequence[Point]) -> float:
    """Of the power law through the latencies, by least squares of the logarithms."""
    xs, ys = [math.log(p.x) for p in points], [math.log(p.ms) for p in points]
    mean_x, mean_y = statistics.mean(xs), statistics.mean(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)


def detector_of(config: ModelConfig) -> Network:
    torch.manual_seed(0)
    return Network(config).eval()


def streamed(detector: Network, height: int, width: int) -> Callable[[], None]:
    """One frame more of a stream that has filled its memory."""
    image, state = torch.rand(1, 1, 3, height, width), State()
    for _ in range(detector.config.memory_frames):
        _, state = detector(image, state)
    return lambda: detector(image, state) and None


def by_resolution(config: ModelConfig, sides: Sequence[int], repeats: int) -> list[Point]:
    detector = detector_of(config)
    return [measured(side * side * 0.75 / 1e3, streamed(detector, side * 3 // 4, side), repeats) for side in sides]


def by_objects(config: ModelConfig, counts: Sequence[int], repeats: int) -> list[Point]:
    """Objects that a frame has room for: queries, and with `tracks` as many that are followed."""
    rows = []
    for count in counts:
        slots = count if config.tracks else 0
        detector = detector_of(replace(config, queries=count, tracks=slots))
        rows.append(measured(count, streamed(detector, 192, 256), repeats))
    return rows


def by_clip_length(config: ModelConfig, lengths: Sequence[int], repeats: int) -> list[Point]:
    """A whole clip in one call."""
    detector = detector_of(config)
    images = torch.rand(1, max(lengths), 3, 96, 128)
    return [measured(n, lambda n=n: detector(images[:, :n]), repeats) for n in lengths]  # type: ignore[misc]


def by_linked(counts: Sequence[int], repeats: int) -> list[Point]:
    """Linking so many objects by place."""
    rows = []
    for count in counts:
        corner = torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * 1000
        detections = Detections(
            torch.cat([corner, corner + 20], 1), torch.full((count,), 0.9), torch.zeros(count, dtype=torch.int64)
        )
        _, linked = link(detections, None)
        rows.append(measured(count, lambda f=detections, s=linked: link(f, s), repeats))  # type: ignore[misc]
    return rows


def process_mb(preset: str, height: int, width: int) -> float:
    """The peak of a process of its own that loads torch, builds the detector with 50 tracks and streams 6 frames."""
    line = [sys.executable, __file__, "--process", f"{preset},{height},{width}"]
    return float(subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()[-1])


def be_that_process(preset: str, height: int, width: int) -> float:
    with torch.inference_mode():
        streamed(
            detector_of(replace(PRESETS[preset](CATEGORIES), branches="cnn+rnn+transformer", tracks=50)), height, width
        )()
    return peak_bytes() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    parser.add_argument("--quick", action="store_true", help="two points a row, one call each: whether it runs")
    parser.add_argument("--process", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.process:
        preset, *size = options.process.split(",")
        print(be_that_process(preset, *map(int, size)))
        return
    sides, counts, lengths = (128, 192, 256, 384, 512, 640), (25, 50, 100, 200, 300), (1, 2, 4, 8, 16)
    repeats = 5
    if options.quick:
        sides, counts, lengths, repeats = sides[:2], counts[:2], lengths[:2], 1
    small = tiny(CATEGORIES)
    configs = {branches: replace(small, branches=branches) for branches in BRANCHES}
    configs["cnn+objects"] = replace(small, tracks=32)
    configs["cnn+rnn+transformer+objects"] = replace(small, branches="cnn+rnn+transformer", tracks=32)
    with torch.inference_mode():
        tables: dict[str, dict[str, list[Point]]] = {
            "thousand pixels of a frame": {name: by_resolution(c, sides, repeats) for name, c in configs.items()},
            "objects that there is room for": {name: by_objects(c, counts, repeats) for name, c in configs.items()},
            "frames of a clip in one call": {name: by_clip_length(c, lengths, repeats) for name, c in configs.items()},
        }
        tables["objects that are linked"] = {"linking": by_linked(counts, repeats)}
    stem = options.out / f"{datetime.date.today()}-cost"
    options.out.mkdir(parents=True, exist_ok=True)
    peaks = {f"{p}, {h}x{w}": process_mb(p, h, w) for p, h, w in PROCESSES[: 1 if options.quick else None]}
    stem.with_suffix(".md").write_text(page(tables, peaks, options.quick))
    picture(tables, stem.with_suffix(".svg"))
    print(stem.with_suffix(".md").read_text())


def ratios(tables: dict[str, dict[str, list[Point]]]) -> list[str]:
    """The whole detector's latency over its own CNN's."""
    lines = []
    for title, rows in tables.items():
        if "cnn" in rows:
            pairs = zip(rows["cnn+rnn+transformer"], rows["cnn"], strict=True)
            shown = ", ".join(f"{whole.ms / cnn.ms:.2f} at {cnn.x:.0f}" for whole, cnn in pairs)
            lines += ["", f"Latency of `cnn+rnn+transformer` over `cnn`'s, against {title}: {shown}."]
    return lines


def page(tables: dict[str, dict[str, list[Point]]], peaks: dict[str, float], quick: bool) -> str:
    lines = [
        "# What a frame costs",
        "",
        f"Measured {datetime.date.today()} by `python benchmarks/cost.py{' --quick' if quick else ''}`, one thread on "
        f"{platform.machine()}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores. "
        "The small preset, batch 1, streaming with a full "
        "memory except where a whole clip goes in. In each cell milliseconds of the core and, in brackets, "
        "MB over what was held before. The exponent is of a power law through the milliseconds: 1 is linear, less than "
        "that has a part that does not grow.",
    ]
    for title, rows in tables.items():
        xs = [point.x for point in next(iter(rows.values()))]
        lines += ["", f"Against {title}:", "", "| | " + " | ".join(f"{x:.0f}" for x in xs) + " | exponent |"]
        lines.append("|---|" + "---|" * (len(xs) + 1))
        for name, points in rows.items():
            cells = [f"{p.ms:.1f} ({'-' if p.mb is None else f'{p.mb:.0f}'})" for p in points]
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {exponent(points):.2f} |")
    lines += [*ratios(tables), "", "The peak of a whole process, torch in it, streaming frames with 50 tracks (limit: "]
    lines[-1] += f"{PROCESS_LIMIT_MB} MB): " + ", ".join(f"{mb:.0f} MB for {what}" for what, mb in peaks.items()) + "."
    return "\n".join([*lines, ""])


def picture(tables: dict[str, dict[str, list[Point]]], path: Path) -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(4 * len(tables), 6.5), layout="constrained")
    FigureCanvasSVG(canvas)
    panels = canvas.subplots(2, len(tables))
    for column, (title, rows) in enumerate(tables.items()):
        for name, points in rows.items():
            xs = [p.x for p in points]
            panels[0][column].plot(xs, [p.ms for p in points], marker="o", markersize=3, label=name)
            panels[1][column].plot(xs, [p.mb or math.nan for p in points], marker="o", markersize=3)
        panels[0][column].set(ylabel="ms of a core", ylim=(0, None))
        panels[1][column].set(ylabel="MB", xlabel=title)
    panels[0][0].legend(fontsize=7)
    canvas.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
