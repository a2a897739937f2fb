"""The detector against what a user would pick instead: the same samples, steps, image size and optimizer, from scratch.

python -m benchmarks.against --data ABLATION/data --out DIR [--size full|small|toy] [--seeds N] [--only NAME]
    [--page DIR]

torchvision's FCOS, RetinaNet and Faster R-CNN on this project's backbone and pyramid, SSDLite on MobileNetV3 (at its
own 320 px), RT-DETR v2 from `transformers` (needed for this alone; left out where it is missing) on a residual network
of its own as large as the backbone, and this detector: its CNN alone; whole, and following objects as the video presets
do, both on clips (the CNN alone for the first half of the steps, as it is meant to be trained). Full: a ResNet-18;
small: the backbone `tiny`, at which scale a CPU gets somewhere. Every step sees as many frames. AP is measured a few
times on the way, on whole frames of scenes that nobody trained on. Group norm everywhere where a part allows it, since
nothing comes pretrained. Each rival leaves DIR/NAME-SEED.json behind and is not run again. `--costs-only` trains
nothing and measures latency and memory alone.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.ablation.plan import LEAST_VISIBLE
from hybrid.core.config import tiny
from hybrid.core.types import Detections, State
from hybrid.data.clips import ClipSource
from hybrid.data.shards import read_shards
from hybrid.losses.criterion import Criterion
from hybrid.metrics.detection import score
from hybrid.model.frame.backbone import BACKBONES, Pyramid
from hybrid.model.network import Network
from hybrid.predict.stream import predict
from hybrid.training.config import AugmentConfig, TrainConfig
from hybrid.training.samples.batch import Batches, TrainBatch
from hybrid.training.samples.sampler import WeightedSource
from hybrid.training.schedule import rate
from simgen.dataset.store.files import write_atomically

LIMIT = 100
REPEATS = 15  # of a latency; the median is told


@dataclass(frozen=True, kw_only=True)
class Size:
    backbone: str = "resnet18"
    width: int = 128  # of the pyramid and of what stands on it
    heads: int = 8
    decoder_layers: int = 3
    queries: int = 100
    learning_rate: float = 4e-4
    steps: int = 800
    frames: int = 12  # of a step
    clip: int = 3  # frames of a clip, for the one rival that takes clips
    tile_px: int = 128
    test_clips: int = 60
    measures: int = 5
    shapes: tuple[str, ...] = ("128x160", "480x640")  # of frames, height first, of which the cost is measured


SMALL = Size(
    backbone="tiny", width=64, heads=4, decoder_layers=2, queries=60, learning_rate=8e-4, steps=400, test_clips=40
)
SIZES = {"full": Size(), "small": SMALL, "toy": replace(SMALL, steps=2, frames=3, test_clips=1, measures=1, shapes=())}


class Rival(nn.Module):
    """A detector behind one interface."""

    clip_length = 1
    slower = 1.0  # its learning rate as a share of the others'

    def loss(self, batch: TrainBatch, done: float) -> Tensor:
        """`done`: the share of the steps that have been."""
        raise NotImplementedError

    def detect(self, clips: Tensor) -> list[Detections]:
        """Of uint8 clips [b, t, 3, h, w], frame by frame."""
        raise NotImplementedError

    def frame(self, image: Tensor) -> None:
        """One frame of 0..1, [3, h, w], as from a camera: for the latency."""
        raise NotImplementedError


class Own(Rival):
    """This detector."""

    CNN_SHARE = 0.5  # of the steps, before the other branches join

    def __init__(
        self, categories: tuple[str, ...], size: Size, branches: str, clip_length: int, tracks: int = 0
    ) -> None:
        super().__init__()
        self.clip_length = clip_length
        config = replace(
            tiny(categories), branches=branches, backbone=size.backbone, width=size.width, heads=size.heads,
            decoder_layers=size.decoder_layers, queries=size.queries, denoising_queries=size.queries,
            tracks=tracks,
        )  # fmt: skip
        self.net = Network(config)
        self.state: State | None = None
        self.seen: tuple[int, ...] = ()

    def loss(self, batch: TrainBatch, done: float) -> Tensor:
        targets, alone = batch.targets(), done < self.CNN_SHARE and self.clip_length > 1
        output, _ = self.net(batch.images.float() / 255, None, targets, cnn_only=alone)
        return Criterion()(output, targets)["total"]

    def detect(self, clips: Tensor) -> list[Detections]:
        return [one for clip in predict(self.net, clips, LIMIT) for one in clip]

    def frame(self, image: Tensor) -> None:
        if self.seen != image.shape:
            self.state, self.seen = None, tuple(image.shape)
        _, self.state = self.net(image[None, None], self.state)


class Torchvision(Rival):
    """One of torchvision's, which take lists of images and give lists of dictionaries."""

    def __init__(self, net: nn.Module, first_label: int) -> None:
        super().__init__()
        self.net, self.first_label = net, first_label

    def loss(self, batch: TrainBatch, done: float) -> Tensor:
        targets = [
            {"boxes": t.boxes_xyxy_px, "labels": t.labels + self.first_label} for clip in batch.targets() for t in clip
        ]
        losses = self.net(list(batch.images.flatten(0, 1).float() / 255), targets)
        return torch.stack([value for value in losses.values()]).sum()

    def detect(self, clips: Tensor) -> list[Detections]:
        found = self.net(list(clips.flatten(0, 1).float() / 255))
        return [Detections(one["boxes"], one["scores"], one["labels"] - self.first_label) for one in found]

    def frame(self, image: Tensor) -> None:
        self.net([image])


class RtDetr(Rival):
    """RT-DETR v2 of `transformers`, built from its config: its own widths on a ResNet-18, ours on the small one."""

    slower = 0.5

    def __init__(self, categories: int, size: Size) -> None:
        super().__init__()
        from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

        full = size.backbone == "resnet18"
        channels = [64, 128, 256, 512] if full else [32, 80, 128, 128]
        backbone = RTDetrResNetConfig(
            embedding_size=channels[0], hidden_sizes=channels, depths=[2, 2, 2, 2] if full else [1, 2, 2, 2],
            layer_type="basic", out_features=["stage2", "stage3", "stage4"],
        )  # fmt: skip
        width, heads = size.width, size.heads
        narrow: dict[str, Any] = {
            "d_model": width, "encoder_hidden_dim": width, "encoder_ffn_dim": 4 * width, "decoder_ffn_dim": 4 * width,
            "decoder_in_channels": [width] * 3, "encoder_attention_heads": heads, "decoder_attention_heads": heads,
        }  # fmt: skip
        config = RTDetrV2Config(
            backbone_config=backbone, use_timm_backbone=False, encoder_in_channels=channels[1:],
            num_labels=categories, num_queries=size.queries, decoder_layers=size.decoder_layers,
            freeze_backbone_batch_norms=False, anchor_image_size=None, **({} if full else narrow),
        )  # fmt: skip
        self.net = RTDetrV2ForObjectDetection(config)

    def loss(self, batch: TrainBatch, done: float) -> Tensor:
        images = batch.images.flatten(0, 1).float() / 255
        height, width = images.shape[-2:]
        scale = torch.tensor([width, height, width, height], dtype=torch.float32)
        labels = []
        for target in (t for clip in batch.targets() for t in clip):
            low, high = target.boxes_xyxy_px[:, :2], target.boxes_xyxy_px[:, 2:]
            labels.append(
                {"class_labels": target.labels, "boxes": torch.cat([(low + high) / 2, high - low], 1) / scale}
            )
        return self.net(pixel_values=images, labels=labels).loss  # type: ignore[no-any-return]

    def detect(self, clips: Tensor) -> list[Detections]:
        images = clips.flatten(0, 1).float() / 255
        height, width = images.shape[-2:]
        output = self.net(pixel_values=images)
        scores, place = output.logits.sigmoid().flatten(1).topk(LIMIT, 1)
        count = output.logits.shape[-1]
        boxes = output.pred_boxes.gather(1, (place // count)[..., None].expand(-1, -1, 4))
        half = boxes[..., 2:] / 2
        corners = torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)
        corners = corners * torch.tensor([width, height, width, height], dtype=torch.float32)
        return [Detections(b, s, p % count) for b, s, p in zip(corners, scores, place, strict=True)]

    def frame(self, image: Tensor) -> None:
        self.net(pixel_values=image[None])


class Features(nn.Module):
    """This project's backbone and pyramid as torchvision's detectors take them, with a coarser map on top."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.backbone = BACKBONES[size.backbone]("none", "auto", True)
        self.pyramid = Pyramid(self.backbone.channels, size.width)
        self.out_channels = size.width

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.pyramid(self.pyramid.lateral(self.backbone(images)))
        maps = (*maps, F.max_pool2d(maps[-1], 1, 2))
        return {str(k): x for k, x in enumerate(maps)}


def _how(size: Size, limit: str = "detections_per_img") -> dict[str, Any]:
    """Frames go in as they are, not resized."""
    return {"min_size": size.tile_px, "max_size": 4096, limit: LIMIT}


def _anchors(levels: int) -> Any:
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    sizes = tuple((12 * 2**k, int(12 * 2 ** (k + 0.5))) for k in range(levels))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * levels)


def fcos(categories: tuple[str, ...], size: Size) -> Rival:
    from torchvision.models.detection import FCOS
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    anchors = AnchorGenerator(tuple((8 * 2**k,) for k in range(4)), ((1.0,),) * 4)
    made = FCOS(Features(size), len(categories), anchor_generator=anchors, score_thresh=0.05, **_how(size))
    return Torchvision(made, 0)


def retinanet(categories: tuple[str, ...], size: Size) -> Rival:
    from torchvision.models.detection import RetinaNet

    return Torchvision(RetinaNet(Features(size), len(categories), anchor_generator=_anchors(4), **_how(size)), 0)


def faster_rcnn(categories: tuple[str, ...], size: Size) -> Rival:
    from torchvision.models.detection import FasterRCNN
    from torchvision.ops import MultiScaleRoIAlign

    pool = MultiScaleRoIAlign(["0", "1", "2"], output_size=7, sampling_ratio=2)
    how = _how(size, "box_detections_per_img")
    made = FasterRCNN(Features(size), len(categories) + 1, rpn_anchor_generator=_anchors(4), box_roi_pool=pool, **how)
    return Torchvision(made, 1)


def ssdlite(categories: tuple[str, ...], size: Size) -> Rival:
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    net = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=len(categories) + 1, detections_per_img=LIMIT
    )
    return Torchvision(net, 1)


RIVALS: dict[str, Callable[[tuple[str, ...], Size], Rival]] = {
    "hybrid, cnn": lambda categories, size: Own(categories, size, "cnn", 1),
    "hybrid, whole": lambda categories, size: Own(categories, size, "cnn+rnn+transformer", size.clip),
    "hybrid, video": lambda categories, size: Own(categories, size, "cnn", size.clip, tracks=30),
    "FCOS": fcos,
    "RetinaNet": retinanet,
    "Faster R-CNN": faster_rcnn,
    "SSDLite": ssdlite,
    "RT-DETR v2": lambda categories, size: RtDetr(len(categories), size),
}

OWN = tuple(RIVALS)[:3]


def training(size: Size, rival: Rival, seed: int) -> TrainConfig:
    return TrainConfig(
        steps=size.steps, batch_clips=size.frames // rival.clip_length, clip_length=rival.clip_length,
        tile_px=size.tile_px, learning_rate=size.learning_rate * rival.slower, seed=seed,
        warmup_steps=min(50, size.steps - 1),
        augment=AugmentConfig(scale=(0.8, 1.25), strength=0.5, object_share=0.5), blank_probability=0.0,
    )  # fmt: skip


def learn(rival: Rival, source: ClipSource, test: ClipSource, size: Size, seed: int) -> Iterator[dict[str, float]]:
    """Train, and now and then tell the step, the AP and the seconds (of the core) of training so far."""
    config = training(size, rival, seed)
    batches = Batches([WeightedSource(source)], config)
    optimizer = torch.optim.AdamW(rival.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    spent = 0.0
    for step in range(size.steps):
        began = time.process_time()
        rival.train()
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * rate(config, step)
        loss = rival.loss(batches[step], step / size.steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(rival.parameters(), config.grad_clip)
        optimizer.step()
        spent += time.process_time() - began
        if not (step + 1) % max(1, size.steps // size.measures):
            yield {"step": step + 1, "seconds": spent, **average_precision(rival, test)}


@torch.no_grad()
def average_precision(rival: Rival, test: ClipSource) -> dict[str, float]:
    from benchmarks.ablation.measure import pixels

    rival.eval()
    found = []
    for clip in test.clips:
        found += rival.detect(torch.from_numpy(pixels(clip)).permute(0, 3, 1, 2)[None])
    overall = score(found, test.frames, test.categories).overall
    return {"ap": 100 * (overall.ap or 0.0), "ap50": 100 * (overall.ap50 or 0.0)}


def cost(name: str, categories: tuple[str, ...], size: Size, height: int, width: int) -> dict[str, float]:
    """Of one frame in this process, which should do nothing else: milliseconds, and the peak of its memory."""
    import resource

    torch.set_num_threads(1)
    (ms,) = turn_about([name], categories, size, height, width)
    return {"ms": ms, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def cost_apart(name: str, asked: argparse.Namespace, categories: Sequence[str], height: int, width: int) -> Any:
    line = [sys.executable, "-m", "benchmarks.against", "--cost", name, "--size", asked.size, "--shape"]
    line += [f"{height}x{width}", "--categories", ",".join(categories)]
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(f"{name}: its cost could not be measured: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run(name: str, seed: int, asked: argparse.Namespace, source: ClipSource, test: ClipSource) -> dict[str, Any]:
    file = asked.out / f"{name.replace(' ', '-').replace(',', '')}-{seed}.json"
    if not file.is_file():
        torch.manual_seed(seed)
        size = SIZES[asked.size]
        rival = RIVALS[name](source.categories, size)
        rows = []
        for row in learn(rival, source, test, size, seed):
            rows.append(row)
            print(f"{time.strftime('%H:%M:%S')} {name} {seed}: {row}", flush=True)
        parameters = sum(p.numel() for p in rival.parameters())
        told: dict[str, Any] = {"name": name, "seed": seed, "rows": rows, "parameters": parameters}
        asked.out.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(told, indent=1).encode())
    return json.loads(file.read_text())  # type: ignore[no-any-return]


def with_costs(result: dict[str, Any], asked: argparse.Namespace, categories: Sequence[str]) -> dict[str, Any]:
    """What a rival of the first seed costs, measured after all have been trained, one after another."""
    if result["seed"]:
        return result
    costs = {
        shape: cost_apart(result["name"], asked, categories, *map(int, shape.split("x")))
        for shape in SIZES[asked.size].shapes
    }
    return result | {"costs": costs}


def steps_to(rows: Sequence[dict[str, float]], ap50: float) -> float | None:
    """Steps after which this AP50 is reached, straight lines drawn between measurements; None: it is not."""
    before = {"step": 0.0, "ap50": 0.0}
    for row in rows:
        if row["ap50"] >= ap50:
            share = (ap50 - before["ap50"]) / max(1e-9, row["ap50"] - before["ap50"])
            return before["step"] + share * (row["step"] - before["step"])
        before = row
    return None


def page(results: Sequence[dict[str, Any]], asked: argparse.Namespace, left_out: Sequence[str]) -> str:
    size = SIZES[asked.size]
    every = max(1, size.steps // size.measures)
    heads = ["", f"AP50 every {every} steps", "AP at the end", *(f"steps of {own} to its AP50" for own in OWN)]
    heads += ["s a step", "parameters", *(f"ms, MB, {s}" for s in size.shapes)]
    lines = [
        "# Against other detectors",
        "",
        f"Measured {datetime.date.today()} by `python -m benchmarks.against --size {asked.size} --seeds {asked.seeds}`"
        f", one CPU core, torch {torch.__version__}, load {os.getloadavg()[0]:.1f} at the end.",
        "",
        f"{size.steps} steps of {size.frames} frames of {size.tile_px} px from random weights, AdamW with a cosine, on "
        "simulated conveyor clips with things passing in front; AP on whole frames of "
        f"{size.test_clips} clips of other scenes. Backbone `{size.backbone}`, width {size.width}, for all but SSDLite "
        "(MobileNetV3-Large) and RT-DETR (a residual network of its own, as large). The learning rate is "
        f"{size.learning_rate:g}, RT-DETR's {size.learning_rate * RtDetr.slower:g}; none was tuned. Steps to a rival's "
        "AP50 are read off straight lines between measurements, at a rate that falls for the whole length, so they are "
        "more than a training of that length would take; a dash: never reached. Seconds and milliseconds are the "
        f"core's; latency is the median of {REPEATS} single frames after two, with random weights. Memory: the "
        "process's peak, torch (some 300 MB) and what the rival imports in it.",
        "",
        "| " + " | ".join(heads) + " |",
        "|---" * len(heads) + "|",
    ]
    names = list(dict.fromkeys(one["name"] for one in results))
    by_name = {name: [one for one in results if one["name"] == name] for name in names}
    lines += [f"| {name} | " + " | ".join(_cells(by_name, name, size)) + " |" for name in names]
    return "\n".join([*lines, "", *_ratios(names, size), *(f"Left out: {name}" for name in left_out), ""])


def _cells(by_name: dict[str, list[dict[str, Any]]], name: str, size: Size) -> list[str]:
    own = by_name[name]
    points = zip(*([row["ap50"] for row in one["rows"]] for one in own), strict=True)
    rows, costs = own[0]["rows"], _costs(own)
    reached = ["" if name in OWN else _reached(by_name.get(mine, []), own) for mine in OWN]
    return [
        ", ".join(" / ".join(f"{v:.1f}" for v in values) for values in points),
        " / ".join(f"{one['rows'][-1]['ap']:.1f}" for one in own),
        *reached,
        f"{rows[-1]['seconds'] / rows[-1]['step']:.2f}",
        f"{own[0]['parameters']:,}",
        *(f"{costs[s]['ms']:.0f}, {costs[s]['mb']:.0f}" if costs else "" for s in size.shapes),
    ]


def _reached(mine: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> str:
    """By seed, the steps that ours took to their last AP50."""
    steps = [steps_to(one["rows"], other["rows"][-1]["ap50"]) for one, other in zip(mine, theirs, strict=False)]
    return " / ".join("-" if count is None else f"{count:.0f}" for count in steps)


def _costs(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    return next((one["costs"] for one in runs if "costs" in one), {})


@torch.no_grad()
def turn_about(names: Sequence[str], categories: tuple[str, ...], size: Size, height: int, width: int) -> list[float]:
    """Milliseconds of a frame by each, in turns in this process: what else the machine does falls on all alike."""
    rivals = [RIVALS[name](categories, replace(size, tile_px=min(height, width))).eval() for name in names]
    image, times = torch.rand(3, height, width), list[list[float]]()
    for _ in range(REPEATS + 2):
        times.append([])
        for rival in rivals:
            began = time.process_time()
            rival.frame(image)
            times[-1].append(time.process_time() - began)
    return [1e3 * statistics.median(column) for column in zip(*times[2:], strict=True)]


def _ratios(names: Sequence[str], size: Size) -> list[str]:
    """The latency of the detector with what it has over single frames, over others'."""
    lines = []
    mine = [name for name in OWN[1:] if name in names]
    for shape in size.shapes if mine else ():
        height, width = map(int, shape.split("x"))
        ms = dict(zip(names, turn_about(names, ("a", "b", "c"), size, height, width), strict=True))
        for one in mine:
            told = ", ".join(f"{ms[one] / ms[name]:.2f} of {name}" for name in names if name not in OWN[1:])
            lines += [f"Latency of `{one}` at {shape}, frames in turns in one process: {told}.", ""]
    return lines


def _has_transformers() -> bool:
    return importlib.util.find_spec("transformers") is not None


def costs_page(results: dict[str, dict[str, Any]], asked: argparse.Namespace) -> str:
    """Latency and memory of untrained rivals."""
    size = SIZES[asked.size]
    lines = [
        "# Against other detectors: what a frame costs",
        "",
        f"Measured {datetime.date.today()} by `python -m benchmarks.against --costs-only --size {asked.size}`, one "
        f"thread, torch {torch.__version__}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end. "
        f"Backbone `{size.backbone}`, width {size.width}, {size.queries} queries; RT-DETR on a residual network of its "
        "own as large, SSDLite on MobileNetV3-Large at its own 320 px. Random weights, one stream of frames. "
        f"Milliseconds are the core's, the median of {REPEATS} frames after two; memory is the process's peak, torch "
        "and what else is imported in it.",
        "",
        "| | " + " | ".join(f"ms, MB, {shape}" for shape in size.shapes) + " |",
        "|---" * (1 + len(size.shapes)) + "|",
    ]
    for name, one in results.items():
        cells = [f"{one['costs'][shape]['ms']:.0f}, {one['costs'][shape]['mb']:.0f}" for shape in size.shapes]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_ratios(list(results), size)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the data sets `train` and `test`")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=list(RIVALS))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--costs-only", action="store_true", help="train nothing: latency and memory alone")
    parser.add_argument("--cost", choices=list(RIVALS), help=argparse.SUPPRESS)
    parser.add_argument("--shape", help=argparse.SUPPRESS)
    parser.add_argument("--categories", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.cost:
        height, width = map(int, asked.shape.split("x"))
        print(json.dumps(cost(asked.cost, tuple(asked.categories.split(",")), SIZES[asked.size], height, width)))
        return
    if asked.costs_only:
        names = [name for name in asked.only or RIVALS if name != "RT-DETR v2" or _has_transformers()]
        text = costs_page(
            {name: with_costs({"name": name, "seed": 0}, asked, ("a", "b", "c")) for name in names}, asked
        )
        if asked.page:
            (asked.page / f"{datetime.date.today()}-against-cost.md").write_text(text)
        print(text)
        return
    if asked.data is None or asked.out is None:
        parser.error("needs --data and --out")
    source = read_shards(asked.data / "train", least_visible=LEAST_VISIBLE)
    test = read_shards(asked.data / "test", source.categories, LEAST_VISIBLE)
    test = test.take(min(len(test), SIZES[asked.size].test_clips))
    names = list(asked.only or RIVALS)
    left_out = [f"{name}, not asked for" for name in RIVALS if name not in names]
    if "RT-DETR v2" in names and not _has_transformers():
        names.remove("RT-DETR v2")
        left_out.append("RT-DETR v2, for want of `transformers`")
    results = [run(name, seed, asked, source, test) for seed in range(asked.seeds) for name in names]
    results = [with_costs(one, asked, source.categories) for one in results]
    text = page(results, asked, left_out)
    (asked.out / "against.md").write_text(text)
    if asked.page:
        (asked.page / f"{datetime.date.today()}-against.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
