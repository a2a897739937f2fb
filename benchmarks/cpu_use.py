"""What a frame costs in use on one CPU thread: torch and ONNX Runtime, float32 and int8, and YOLO11n beside them.

python benchmarks/cpu_use.py [--yolo NAME=FILE.onnx ...] [--checkpoint RUN] [--rounds 20]

All rows take turns in one process: one call of each, then the next of each. Time is the core's (process time), since
other programs may share the machine; ratios are of medians. Without a checkpoint the weights are the preset's initial
ones, which change nothing about the time. YOLO's files come from `ultralytics`, installed apart, from random weights:

    YOLO("yolo11n.yaml").export(format="onnx", imgsz=640, opset=18)
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hybrid.core.config import PRESETS, TRAINED_PX
from hybrid.model.network import Network
from hybrid.predict.detector import Detector, trained_view
from hybrid.predict.onnx import OnnxDetector, exported
from hybrid.predict.runtime.cache import PLACE
from hybrid.predict.runtime.int8 import quantised
from hybrid.predict.runtime.onnx_engine import OnnxEngine
from hybrid.predict.tiles import View, view_of
from hybrid.weights.checkpoint import load

HEIGHT, WIDTH = 480, 640
WHOLE = View(tile_px=None, scales=(1.0,))
Call = Callable[[], object]


def torch_rows(network: Network, compiled: bool) -> dict[str, Call]:
    """The bare network in torch."""
    images = torch.rand(1, 1, 3, HEIGHT, WIDTH)
    plain = network.to(memory_format=torch.contiguous_format)
    rows: dict[str, Call] = {}
    channels_last = replaced(network).to(memory_format=torch.channels_last)
    rows["torch"] = lambda: plain(images)
    rows["torch, channels_last"] = lambda: channels_last(images)

    class Bare(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = channels_last

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            output, _ = self.network(x)
            return output.logits, output.boxes_xyxy_px

    traced = torch.jit.freeze(torch.jit.trace(Bare().eval(), (images,), check_trace=False))
    rows["torch, traced and frozen"] = lambda: traced(images)
    rows["torch, bf16"] = lambda: in_bf16(channels_last, images)
    if compiled:
        fast = torch.compile(Bare().eval())
        rows["torch, compiled"] = lambda: fast(images)
    return rows


def in_bf16(network: Network, images: torch.Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        network(images)


def replaced(network: Network) -> Network:
    """A copy."""
    copy = Network(network.config, pretrained=False).eval()
    copy.load_state_dict(network.state_dict())
    return copy


def onnx_rows(network: Network, view: View, folder: Path) -> dict[str, Call]:
    """The exported step, and `Detector.predict` with all that goes before and after it: one look, and by default."""
    import cv2

    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    for k in range(4):
        cv2.imwrite(str(folder / f"{k}.png"), np.roll(image, 40 * k, 0))
    content = exported(network, HEIGHT, WIDTH)
    small, _ = quantised(content, sorted(folder.glob("*.png")))
    steps = {"float32": OnnxDetector(content, 1), "int8": OnnxDetector(small, 1)}
    rows: dict[str, Call] = {f"ONNX Runtime, {name}": lambda s=step: s.step(image) for name, step in steps.items()}  # type: ignore[misc]
    for name, step in steps.items():
        detector = Detector(OnnxEngine(step), WHOLE)
        rows[f"Detector.predict, {name}, one look"] = lambda d=detector: d.predict(image)  # type: ignore[misc]
    usual = Detector(network, view, runtime="onnx")
    scales = " and ".join(f"{scale:g}" for scale in view.scales_of(WIDTH, HEIGHT))
    rows[f"Detector.predict, float32, as by default at the scales {scales}"] = lambda: usual.predict(image)
    return rows


def other_row(file: Path) -> Call:
    """Another detector's file: one input of a fixed size."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    value = np.random.default_rng(0).random(given.shape, np.float32)
    return lambda: session.run(None, {given.name: value})


def measured(rows: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """The core's milliseconds of each call, in turns; the first two of each are for warming up."""
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds + 2):
        for name, call in rows.items():
            began = time.process_time()
            call()
            times[name].append(1e3 * (time.process_time() - began))
    return {name: values[2:] for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="lite", choices=sorted(PRESETS))
    parser.add_argument("--checkpoint", type=Path, help="a run, in the place of the preset's initial weights")
    parser.add_argument("--yolo", action="append", default=[], metavar="NAME=FILE", help="another detector's .onnx")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--compiled", action="store_true", help="torch.compile too, which needs a C++ compiler")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = replace(PRESETS[arguments.preset](("bolt", "nut", "washer")), weights="none")
    network, view = Network(config).eval(), view_of(TRAINED_PX)
    if arguments.checkpoint is not None:
        network, view = load(arguments.checkpoint), trained_view(arguments.checkpoint)
    warnings.simplefilter("ignore")  # of the tracer, about what is fixed in a trace
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        os.environ[PLACE] = folder  # the exported steps are deleted with it
        rows = torch_rows(network, arguments.compiled) | onnx_rows(network, view, Path(folder))
        rows |= {name: other_row(Path(file)) for name, _, file in (one.partition("=") for one in arguments.yolo)}
        times = measured(rows, arguments.rounds)
    base = statistics.median(times[list(rows)[-1]])
    print(f"{WIDTH}x{HEIGHT}, one thread, {arguments.rounds} rounds; ratios to {list(rows)[-1]}\n")
    print("| | ms (median) | quartiles | ratio |\n|---|---|---|---|")
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"| {name} | {middle:.0f} | {low:.0f} to {high:.0f} | {middle / base:.2f} |")


if __name__ == "__main__":
    main()
