"""A video preset as ONNX in float32 and in 8 bits: AP on simulated clips, and what a frame costs, in one run.

python benchmarks/video_int8.py --data data/clips --calibrate data/other-clips [--checkpoint RUN] [--preset lite-video]

Where the checkpoint is no video detector, its weights are loaded into the preset as a training would begin with them:
so detection is that of the checkpoint, and what follows the objects is untrained. Both files see the same frames in
turns, frame by frame with their own states; ms are the core's (process time), one thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import torch

from hybrid.core.config import PRESETS
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource, FrameRecord
from hybrid.data.pixels import decode
from hybrid.data.shards import read_shards
from hybrid.metrics.detection import score
from hybrid.model.network import Network
from hybrid.model.transfer import load_compatible
from hybrid.predict.following import of_objects
from hybrid.predict.onnx import OnnxDetector, exported
from hybrid.predict.runtime.int8 import quantised
from hybrid.predict.runtime.onnx_engine import OnnxEngine
from hybrid.predict.stream import TileStates, step
from hybrid.predict.tiles import View
from hybrid.weights.checkpoint import load
from simgen.spec.evenly import evenly

WHOLE = View(tile_px=None, scales=(1.0,), threshold=0.01)


def video_network(checkpoint: Path, preset: str) -> Network:
    trained = load(checkpoint)
    if trained.config.tracks:
        return trained
    network = Network(PRESETS[preset](trained.config.categories), pretrained=False).eval()
    missing, _ = load_compatible(network, trained.state_dict(), network.config.categories, trained.config.categories)
    print(f"{len(missing)} of {len(network.state_dict())} tensors are the preset's own: {missing[:3]} ...")
    return network


def pictures(source: ClipSource, count: int, folder: Path) -> list[Path]:
    files = []
    for k, frame in enumerate(evenly(source.frames, count)):
        files.append(folder / f"{k:03d}.png")
        cv2.imwrite(str(files[-1]), decode(frame)[..., ::-1])
    return files


def run(engines: dict[str, OnnxEngine], clips: Sequence[Sequence[FrameRecord]]) -> None:
    """Detections of all frames by each engine, in turns; printed with the times."""
    found: dict[str, list[Detections]] = {name: [] for name in engines}
    times: dict[str, list[float]] = {name: [] for name in engines}
    for frames in clips:
        states: dict[str, TileStates | None] = dict.fromkeys(engines)
        for frame in frames:
            image = decode(frame)
            for name, engine in engines.items():
                began = time.process_time()
                ((rows, states[name]),) = step(engine, [image], [states[name]], WHOLE)
                times[name].append(1e3 * (time.process_time() - began))
                found[name].append(of_objects(rows))
    every = [frame for frames in clips for frame in frames]
    base = statistics.median(times["float32"])
    print("| | AP | AP50 | AP75 | detections of 0.3 or more | ms (median) | quartiles | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name in engines:
        overall = score(found[name], every, next(iter(engines.values())).categories).overall
        low, middle, high = statistics.quantiles(times[name], n=4)
        sure = sum(int((one.scores >= 0.3).sum()) for one in found[name])
        points = " | ".join("none" if x is None else f"{100 * x:.1f}" for x in (overall.ap, overall.ap50, overall.ap75))
        print(f"| {name} | {points} | {sure} | {middle:.0f} | {low:.0f} to {high:.0f} | {middle / base:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="simulated clips to measure on")
    parser.add_argument("--calibrate", type=Path, required=True, help="other simulated clips, for the ranges")
    parser.add_argument("--checkpoint", type=Path, default=Path("fasteners"))
    parser.add_argument("--preset", default="lite-video", choices=[name for name in PRESETS if "video" in name])
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--frames", type=int, default=16, help="of each clip, the first ones")
    parser.add_argument("--pictures", type=int, default=48, help="to calibrate on")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of the exporter, about what is fixed in a trace
    network = video_network(arguments.checkpoint, arguments.preset)
    source = read_shards(arguments.data, boxes=network.config.boxes)
    clips = [clip.frames[: arguments.frames] for clip in evenly(source.clips, arguments.clips)]
    height, width = clips[0][0].height_px, clips[0][0].width_px
    content = exported(network, height, width)
    with tempfile.TemporaryDirectory() as folder:
        small, used = quantised(content, pictures(read_shards(arguments.calibrate), arguments.pictures, Path(folder)))
    print(f"{arguments.preset}, {width}x{height}, {len(clips)} clips of {arguments.frames} frames; {used} pictures")
    print(f"{len(content) / 1e6:.1f} MB in float32, {len(small) / 1e6:.1f} MB in 8 bits\n")
    run({"float32": OnnxEngine(OnnxDetector(content, 1)), "int8": OnnxEngine(OnnxDetector(small, 1))}, clips)


if __name__ == "__main__":
    main()
