"""How fast a data set is read, beside `webdataset` on the same shards with the same decoding.

    python benchmarks/reading.py DATA_SET [--clips 200] [--rounds 5] [--out FILE.md]

Both read the same clips of a local data set in the order of storage and in turns, and hand what they read to the same
functions: OpenCV for pictures, `simgen.dataset.format.reader` for ids and depth, `json.loads` for labels. Four loads:
every byte and nothing decoded; everything decoded; the pictures alone decoded; labels and pictures decoded, which is
what training reads. webdataset has to pass over what it does not decode, this reader does not read it.

CPU time is the process's; medians of the rounds. Random access reads clip K in a shuffled order: by the persisted index
(`simgen index`), and without it, when the headers of a shard are scanned for every clip because its table is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import cv2
import numpy as np

from simgen.dataset.format.png16 import decode_depth, decode_ids
from simgen.dataset.format.reader import DataSet

Decode = dict[str, Callable[[bytes], object]]  # by the end of a member's name


def picture(jpeg: bytes) -> object:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


LOADS: dict[str, Decode] = {
    "every byte, nothing decoded": {"": lambda data: data},
    "everything decoded": {
        "jpg": picture, "ids.png": decode_ids, "depth.png": decode_depth, "json": json.loads},
    "pictures decoded": {"jpg": picture},
    "pictures and labels decoded": {"jpg": picture, "json": json.loads},
}  # fmt: skip


def decoder(name: str, decode: Decode) -> Callable[[bytes], object] | None:
    return next((one for end, one in decode.items() if name.endswith(end)), None)


def ours(folder: Path, clips: int, decode: Decode) -> int:
    """Members decoded."""
    count = 0
    for number, clip in enumerate(DataSet(folder)):
        if number == clips:
            break
        for name in clip.members:
            if one := decoder(name, decode):
                one(clip.read(name))
                count += 1
    return count


def theirs(folder: Path, clips: int, decode: Decode) -> int:
    count = 0
    for number, sample in enumerate(_samples(folder)):
        if number == clips:
            break
        for name, data in sample.items():
            if not name.startswith("__") and (one := decoder(name, decode)):
                one(data)
                count += 1
    return count


def _samples(folder: Path) -> Iterator[dict[str, bytes]]:
    import webdataset

    names = [str(folder / entry.name) for entry in DataSet(folder).manifest.shards]
    return iter(webdataset.WebDataset(names, shardshuffle=False, empty_check=False))


def timed(read: Callable[[], int]) -> tuple[float, float, int]:
    wall, cpu = time.perf_counter(), time.process_time()
    count = read()
    return time.perf_counter() - wall, time.process_time() - cpu, count


def in_turns(rounds: int, *readers: Callable[[], int]) -> list[tuple[float, float, int]]:
    """The medians of each: seconds by the clock, CPU seconds, members."""
    runs = [[timed(read) for read in readers] for _ in range(rounds + 1)][1:]  # the first fills the cache
    assert len({count for run in runs for _, _, count in run}) == 1, "they did not read the same members"
    return [
        (statistics.median(run[i][0] for run in runs), statistics.median(run[i][1] for run in runs), runs[0][i][2])
        for i in range(len(readers))
    ]


def at_random(data: DataSet, order: list[int]) -> int:
    for k in order:
        data[k].read("f000.jpg")
    return len(order)


def scanning(folder: Path, order: list[int]) -> int:
    data = DataSet(folder)
    data._indexed = False
    for k in order:
        data._tables.clear()  # as in a data set whose tables are too many to keep
        data._cached_members = 0
        data[k].read("f000.jpg")
    return len(order)


def report(folder: Path, clips: int, rounds: int) -> str:
    data = DataSet(folder)
    load, clips = os.getloadavg()[0], min(clips, len(data))
    lines = [
        "# Speed of reading",
        "",
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M UTC}, {os.cpu_count()} cores, load average {load:.1f}. "
        f"`benchmarks/reading.py`: {clips} clips of {data[0].frames} frames, {data[0].labels().width_px} pixels wide, "
        f"medians of {rounds} rounds in turns.",
        "",
        "| load | simgen, CPU ms a clip | webdataset, CPU ms a clip | ratio of speeds, CPU | by the clock |",
        "|---|---|---|---|---|",
    ]
    for name, decode in LOADS.items():
        a, b = in_turns(rounds, partial(ours, folder, clips, decode), partial(theirs, folder, clips, decode))
        lines.append(
            f"| {name} | {1e3 * a[1] / clips:.2f} | {1e3 * b[1] / clips:.2f} | {b[1] / a[1]:.2f} | {b[0] / a[0]:.2f} |"
        )
    order = random.Random(0).sample(range(len(data)), min(clips, len(data)))
    if not data._indexed:
        return "\n".join([*lines, "", "No index here: `simgen index` makes one, for the figures of random access.", ""])
    by_index, by_scan = in_turns(rounds, partial(at_random, data, order), partial(scanning, folder, order))
    lines += [
        "",
        f"One picture of clip K, {len(order)} of them in random order: {1e6 * by_index[1] / len(order):.0f} us of CPU "
        f"by the index, {1e6 * by_scan[1] / len(order):.0f} us where the shard is scanned for each "
        f"({data.manifest.shards[0].clips} clips in it), as in a data set of more shards than are kept. "
        "The index keeps nothing in memory.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a Markdown file; default: the terminal")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    text = report(options.folder, options.clips, options.rounds)
    if options.out:
        options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
