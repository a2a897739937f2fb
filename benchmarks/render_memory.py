"""Whether `simgen render` stays in the same memory however many scenes it makes.

    python benchmarks/render_memory.py --scenes 10000 --out benchmarks/2026-11-21-render-memory.md

Runs the command, and reads the resident memory of it and of its workers from /proc (Linux) until it ends. Workers
are replaced now and then, so their curve is a saw; the command's own says whether anything piles up over the run.
What is compared is the median of the second tenth of the run with that of its last tenth: the first holds the start.
A run that is there already is gone on with, so `--set` and `--scenes` make smaller trials.
"""

from __future__ import annotations

import argparse
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

FIRST, LAST = (0.1, 0.2), (0.9, 1.0)  # shares of the run's scenes that are compared
MIB = 2**20


@dataclass(frozen=True)
class Sample:
    seconds: float
    scenes: int
    command_mib: float
    workers_mib: tuple[float, ...]


def resident_mib(pid: int) -> float | None:
    """Of one process; None once it is gone."""
    try:
        match = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(match[1]) * 1024 / MIB if match else None


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_worker(pid: int) -> bool:
    """Not the resource tracker, which Python starts beside them."""
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def watched(command: list[str], folder: Path, per_shard: int, every_s: float) -> list[Sample]:
    """Samples of a run until it ends; scenes are counted by the shards that it has finished."""
    began, samples = time.monotonic(), []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        own = resident_mib(process.pid)
        workers = tuple(mib for pid in children(process.pid) if is_worker(pid) if (mib := resident_mib(pid)))
        shards = sum(1 for _ in folder.glob("*.tar"))
        if own is not None:
            samples.append(Sample(time.monotonic() - began, shards * per_shard, own, workers))
        time.sleep(every_s)
    if process.returncode:
        sys.exit(f"error: the command ended with status {process.returncode}: {' '.join(command)}")
    return samples


def median_in(samples: list[Sample], scenes: int, share: tuple[float, float], of_workers: bool) -> float:
    low, high = (part * scenes for part in share)
    within = [one for one in samples if low <= one.scenes <= high]
    values = [mib for one in within for mib in (one.workers_mib if of_workers else (one.command_mib,))]
    return statistics.median(values) if values else float("nan")


def chart(samples: list[Sample], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 2.8), layout="constrained")
    scenes = [one.scenes for one in samples]
    axes.plot(scenes, [max(one.workers_mib, default=float("nan")) for one in samples], lw=0.6, label="largest worker")
    axes.plot(scenes, [one.command_mib for one in samples], lw=1.2, label="the command")
    axes.set(xlabel="scenes", ylabel="resident MiB", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def summary(samples: list[Sample], scenes: int, line: str) -> str:
    rows = []
    for name, of_workers in (("the command", False), ("a worker", True)):
        early, late = (median_in(samples, scenes, share, of_workers) for share in (FIRST, LAST))
        rows.append(f"| {name} | {early:.0f} | {late:.0f} | {100 * (late / early - 1):+.1f} % |")
    highest = max(one.command_mib + sum(one.workers_mib) for one in samples)
    return "\n".join([
        "# Memory of a long run", "",
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, Python {platform.python_version()}.",
        "", "```", line, "```", "",
        "| resident MiB, median | second tenth | last tenth | change |", "|---|---|---|---|", *rows, "",
        f"Command and workers together never took more than {highest:.0f} MiB; {samples[-1].seconds / 60:.0f} minutes.",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--preset", default="tiny")
    add("--scenes", type=int, default=10000)
    add("--shard-scenes", type=int, default=20)
    add("--workers", type=int, default=2)
    add("--every", type=float, default=0.5, help="seconds between readings")
    add("--out", type=Path, required=True, help="Markdown; the curve is drawn beside it as SVG")
    add("--data", type=Path, help="keep the data set here (default: thrown away)")
    options = parser.parse_args()
    if not Path("/proc/self/status").is_file():
        sys.exit("error: this reads /proc, which Linux alone has")
    line = [
        "render",
        "--preset",
        options.preset,
        "--scenes",
        str(options.scenes),
        "--shard-scenes",
        str(options.shard_scenes),
    ]
    line += ["--workers", str(options.workers)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.data or Path(scratch) / "set"
        command = [sys.executable, "-c", "from simgen.cli import main; main()", *line, "--out", str(folder), "--resume"]
        samples = watched(command, folder, options.shard_scenes, options.every)
    if not samples:
        sys.exit(f"error: nothing was rendered: {folder} was finished before")
    options.out.write_text(summary(samples, options.scenes, f"simgen {' '.join(line)} --out DIR") + "\n")
    chart(samples, options.out.with_suffix(".svg"))
    sys.stdout.write(options.out.read_text())


if __name__ == "__main__":
    main()
