"""What looks at time, told by what an object is and by how it moves: `hybrid classify compare` on clips of a belt.

python benchmarks/classify_clips.py DATA [--out CSV] : writes classes.csv for `hybrid classify compare --labels`

DATA is a data set that simgen rendered from a preset with a belt, all with one frame interval. A clip's class is how
fast its parts move in the picture: the slower third of the clips is `slow`, the faster third `fast`, the others have no
class. The speed is the median over a clip's boxes of the way of their centres from frame to frame, in pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hybrid.data.clips import Clip
from hybrid.data.shards import read_shards


def speed_px(clip: Clip) -> float:
    """The median way of a box's centre from a frame to the next, in pixels; 0 where no part is seen twice."""
    ways: list[float] = []
    before: dict[int, np.ndarray] = {}
    for frame in clip.frames:
        centres = (frame.boxes_xyxy_px[:, :2] + frame.boxes_xyxy_px[:, 2:]) / 2
        ids = frame.track_ids if frame.track_ids is not None else np.zeros(0, np.int64)
        now = {int(track): centre for track, centre in zip(ids, centres, strict=False)}
        ways += [float(np.linalg.norm(now[track] - before[track])) for track in now.keys() & before.keys()]
        before = now
    return float(np.median(ways)) if ways else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("classes.csv"))
    options = parser.parse_args()
    speeds = {clip.name: speed_px(clip) for clip in read_shards(options.data).clips}
    ordered = sorted(speeds, key=lambda name: speeds[name])
    third = len(ordered) // 3
    rows = [f"{name},slow" for name in ordered[:third]] + [f"{name},fast" for name in ordered[-third:]]
    options.out.write_text("\n".join(["clip,class", *rows]) + "\n")
    low, high = speeds[ordered[third - 1]], speeds[ordered[-third]]
    print(f"{options.out}: {third} clips up to {low:.1f} px a frame are slow, {third} from {high:.1f} px are fast")


if __name__ == "__main__":
    main()
