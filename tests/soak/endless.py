"""Stream very many tiny frames through all that follows the network, and see that nothing grows.

    python tests/soak/endless.py --frames 100000

The network is a stand-in that answers at once: a belt with parts that pass under a bridge, with some missed, some false
and some weak detections. All else is in use: the post-processing, the follower and its track network, the counter with
a line and a region, and all writers (video, JSON lines, events). After a warm-up the number of allocated blocks, the
memory and the time a frame must stay.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hybrid.core.types import State
from hybrid.data.clips import Skips
from hybrid.predict.counting import CountLine, Region
from hybrid.predict.detector import Detector
from hybrid.predict.following import linking_at
from hybrid.predict.io.sinks import Sinks
from hybrid.predict.io.video import Source, SourceFrame, clips_by_size
from hybrid.predict.linking import Judge
from hybrid.predict.postprocess import Answer
from hybrid.predict.runtime.onnx_engine import OnnxEngine
from hybrid.predict.tiles import WHOLE

HEIGHT, WIDTH = 48, 96
SIDE, GAP, SPEED = 8.0, 24.0, 1.5  # pixels, a frame
BRIDGE = (40.0, 56.0)  # what is between is hidden
QUERIES = 8
SCORE = 0.4


class Belt(OnnxEngine):
    """In the place of a network: what it would find on a belt that never stops."""

    def __init__(self) -> None:
        self.categories, self.tracks = ("bolt", "nut"), False
        self._frame, self._rng = 0, np.random.default_rng(0)

    def __call__(
        self, images: Tensor, state: State | None, elapsed: Tensor | None = None, depth_m: Tensor | None = None
    ) -> tuple[Answer, State]:
        at = SPEED * self._frame
        first = int(at // GAP)
        scores, boxes = torch.zeros(1, 1, QUERIES, 2), torch.zeros(1, 1, QUERIES, 4)
        for k in range(int(WIDTH // GAP) + 1):
            number, x = first - k, at % GAP + GAP * k
            if BRIDGE[0] < x < BRIDGE[1] or self._rng.random() < 0.05:
                continue
            y = 14.0 + 20.0 * (number % 2)
            boxes[0, 0, k] = torch.tensor([x - SIDE / 2, y - SIDE / 2, x + SIDE / 2, y + SIDE / 2])
            boxes[0, 0, k] += torch.from_numpy(self._rng.normal(0, 0.3, 4).astype(np.float32))
            scores[0, 0, k, number % 2] = 0.3 if self._rng.random() < 0.05 else 0.85
        if self._rng.random() < 0.02:  # a false alarm
            boxes[0, 0, -1], scores[0, 0, -1, 0] = torch.tensor([70.0, 36.0, 78.0, 44.0]), 0.5
        self._frame += 1
        return Answer(scores, boxes, (HEIGHT, WIDTH)), State()


@dataclass(frozen=True)
class Mark:
    """What a run takes after so many frames."""

    frames: int
    blocks: int  # allocated by Python
    memory_mb: float  # of the process
    frame_ms: float  # of the core, a frame since the last mark
    followed: int
    counted: int


def marks(frames: int, every: int, folder: Path) -> Iterator[Mark]:
    """Run, and tell where it stands each time so many frames have gone by. What is written goes to `folder`."""
    torch.set_num_threads(1)
    judge, skips = Judge.load(), Skips()
    detector = Detector(Belt(), WHOLE, SCORE, linking=linking_at(SCORE, judge), judge=judge)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    given = (SourceFrame(f"belt_{k:06d}", image, k / 25 + 0.2 * (k % 500 == 0)) for k in range(frames))
    source = Source("belt", clips_by_size(given, skips), frames, 25.0, skips)
    places = (CountLine.vertical(0.8, "exit"), Region(((0.1, 0.1), (0.3, 0.1), (0.3, 0.9), (0.1, 0.9)), "tray"))
    began_s = time.process_time()
    with Sinks(source, folder / "belt.avi", show=False, places=places) as sinks:
        for number, (picture, result) in enumerate(detector.watch(source), 1):
            sinks.put(picture, result)
            if number % every == 0:
                gc.collect()
                spent_s = time.process_time() - began_s
                counted = sum(sinks.counted.counter.counts["exit"].values())
                followed = 0 if result.followed is None else len(result.followed)
                yield Mark(number, sys.getallocatedblocks(), memory_mb(), 1e3 * spent_s / every, followed, counted)
                began_s = time.process_time()


def memory_mb() -> float:
    """What the process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("frames   blocks  memory MB  ms a frame  followed  counted")
        for one in marks(arguments.frames, arguments.every, Path(folder)):
            print(
                f"{one.frames:6d} {one.blocks:8d} {one.memory_mb:10.1f} {one.frame_ms:11.2f} {one.followed:9d} "
                f"{one.counted:8d}",
                flush=True,
            )


if __name__ == "__main__":
    main()
