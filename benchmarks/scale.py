"""What a manifest of 10^8 frames costs to write, read, validate, list and shuffle: measured on a synthetic one.

    python benchmarks/scale.py [--frames 100000000] [--clip-frames 8] [--shard-clips 16] [--files]

Nothing is rendered: shards are lines of a manifest and places of an index. Reading runs in a process of its own, whose
peak memory is its own. `--files` also makes that many empty files in one folder and lists them. The folder is
temporary and removed.

`--rates FPS BYTES` prints hours and bytes from the frames a second of one core and the bytes of a frame.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simgen.dataset.format import clip_index as index
from simgen.dataset.format.manifest import (
    DATA_SET_FORMAT,
    MANIFEST,
    Manifest,
    Request,
    ShardEntry,
    ShardTable,
    shard_name,
    write_manifest,
)
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.files import file_sha256, write_atomically
from simgen.generation.budget import peak_bytes

CORES = {"this machine: 2 cores": 2, "one machine of 16 cores (assumed)": 16, "64 nodes of 32 cores (assumed)": 2048}
LISTED_AT_ONCE = 1000  # S3's ListObjectsV2


def synthetic(scenes: int, shard_scenes: int, clip_frames: int) -> Manifest:
    request = Request(simgen="0", preset="p", config={}, seed=0, scenes=scenes, shard_scenes=shard_scenes)
    rng = np.random.default_rng(0)

    def entries() -> Iterator[ShardEntry]:
        for number in range(request.shards):
            clips = len(request.scenes_of(number))
            yield ShardEntry(
                name=shard_name(number), sha256=rng.bytes(32).hex(), bytes=6_000_000 + number % 1000,
                first_scene=number * shard_scenes, clips=clips, frames=clips * clip_frames, quarantined=(),
            )  # fmt: skip

    return Manifest(format=DATA_SET_FORMAT, request=request, categories=("bolt",), shards=ShardTable(entries()))


def write_synthetic_index(folder: Path, manifest: Manifest) -> Path:
    def places() -> Iterator[list[int]]:
        for number in range(manifest.request.shards):
            yield [375_000 * k for k in range(len(manifest.request.scenes_of(number)) + 1)]

    count = manifest.request.scenes + manifest.request.shards
    digest = bytes.fromhex(file_sha256(folder / MANIFEST))
    write_atomically(folder / index.INDEX, index.chunks(digest, count, places()))
    return folder / index.INDEX


def cost(name: str, wall: float, cpu: float, more: str = "") -> None:
    print(f"| {name} | {cpu:.2f} | {wall:.2f} | {more} |", flush=True)


class Timer:
    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def __call__(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def peak_kib() -> int:
    """Of this process since it began."""
    return peak_bytes() // 1024


def read(folder: Path) -> None:
    """In a process of its own: what reading costs, as JSON."""
    before = peak_kib()
    timer = Timer()
    data = DataSet(folder)
    wall, cpu = timer()
    peak = peak_kib()
    timer = Timer()
    order = np.random.default_rng(0).permutation(len(data.manifest.shards))
    clips = np.random.default_rng(0).permutation(len(data))
    shuffle = timer()
    looks = np.random.default_rng(1).integers(0, len(data), 10_000)
    timer = Timer()
    for i in looks:
        shard = int(np.searchsorted(data._starts, i, side="right")) - 1
        with (folder / index.INDEX).open("rb") as file:
            index.span(file, int(i) + shard)
    look = timer()
    print(json.dumps({
        "open": [wall, cpu], "imports_kib": before, "peak_kib": peak, "shuffle": shuffle, "look": look,
        "order_bytes": order.nbytes, "clips_bytes": clips.nbytes,
    }))  # fmt: skip


def measure(frames: int, clip_frames: int, shard_clips: int, files: bool) -> None:
    scenes = frames // clip_frames
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        timer = Timer()
        manifest = synthetic(scenes, shard_clips, clip_frames)
        made = timer()
        print(f"{frames} frames, {scenes} clips, {manifest.request.shards} shards; load {os.getloadavg()[0]:.1f}\n")
        print("| | CPU s | s by the clock | |\n|---|---|---|---|")
        cost("the table of shards, made in memory", *made)
        timer = Timer()
        write_manifest(folder / MANIFEST, manifest)
        cost("the manifest, written", *timer(), f"{(folder / MANIFEST).stat().st_size / 1e6:.0f} MB")
        timer = Timer()
        path = write_synthetic_index(folder, manifest)
        cost("the index, written", *timer(), f"{path.stat().st_size / 1e6:.0f} MB")
        del manifest
        child = subprocess.run(
            [sys.executable, __file__, "--read", name], check=True, stdout=subprocess.PIPE, text=True
        )
        answer = json.loads(child.stdout)
        memory = (
            f"peak {answer['peak_kib'] / 1024:.0f} MiB, of which {answer['imports_kib'] / 1024:.0f} MiB are imports"
        )
        cost("read, validated, and the index accepted", *answer["open"], memory)
        size = (answer["order_bytes"] + answer["clips_bytes"]) / 1e6
        cost("a shuffled order of all shards and one of all clips", *answer["shuffle"], f"{size:.0f} MB")
        cost("10,000 looks at the index, at random", *answer["look"], "16 bytes each")
        if files:
            list_files(folder / "files", -(-scenes // shard_clips))


def list_files(folder: Path, count: int) -> None:
    folder.mkdir()
    timer = Timer()
    for number in range(count):
        os.close(os.open(folder / shard_name(number), os.O_CREAT | os.O_WRONLY))
    cost("empty files of that number, made", *timer())
    timer = Timer()
    names = sorted(os.listdir(folder))
    cost("listed and sorted", *timer(), f"{len(names)} names")
    requests = -(-count // LISTED_AT_ONCE)
    print(
        f"\nA store that lists {LISTED_AT_ONCE} at once answers {requests} requests for it; the manifest is one read."
    )


def hours(worker_fps: float, frame_bytes: float) -> None:
    """The page's table."""
    print("| frames | data | " + " | ".join(CORES) + " |\n|---|---|" + "---|" * len(CORES))
    for power in (4, 6, 8):
        frames = 10**power
        size = frames * frame_bytes
        data = f"{size / 1e12:.1f} TB" if size >= 1e12 else f"{size / 1e9:.1f} GB"
        times = (frames / worker_fps / cores / 3600 for cores in CORES.values())
        print(f"| 10^{power} | {data} | " + " | ".join(f"{h:.3g} h" for h in times) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10**8)
    parser.add_argument("--clip-frames", type=int, default=8)
    parser.add_argument("--shard-clips", type=int, default=16)
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--rates", nargs=2, type=float, metavar=("FPS", "BYTES"))
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read(options.read)
    elif options.rates:
        hours(*options.rates)
    else:
        measure(options.frames, options.clip_frames, options.shard_clips, options.files)


if __name__ == "__main__":
    main()
