"""The detector against other detectors: the same samples, steps, image size and optimizer, from random weights.

python -m benchmarks.against --data ABLATION/data --out DIR [--size full|small|toy] [--seeds N] [--only NAME]
    [--page DIR]

The others are torchvision's FCOS, RetinaNet and Faster R-CNN on this project's backbone and pyramid; SSDLite on
MobileNetV3 (at its own 320 px); and RT-DETR v2 from `transformers` (left out where that is not installed) on a residual
network as large as the backbone. This detector takes part three times: its CNN alone; with all branches; and following
objects, as the video presets do. The latter two train on clips, and their CNN alone for the first half of the steps.
Size `full` has a ResNet-18; `small` has the backbone `tiny`, which a CPU can train. Every step has the same number of
frames. AP is measured some times during training, on whole frames of scenes that no detector trained on. All use group
norm where they allow it, since nothing is pretrained. Each result is written to DIR/NAME-SEED.json and is not computed
again. `--costs-only` trains nothing and measures latency and memory only.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
from pathlib import Path

import torch

from benchmarks.ablation.plan import LEAST_VISIBLE
from benchmarks.against.measure import cost, run, with_costs
from benchmarks.against.page import costs_page, page
from benchmarks.against.rivals import RIVALS, SIZES
from hybrid.data.shards import read_shards


def _has_transformers() -> bool:
    return importlib.util.find_spec("transformers") is not None


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
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.cost:
        height, width = map(int, options.shape.split("x"))
        print(json.dumps(cost(options.cost, tuple(options.categories.split(",")), SIZES[options.size], height, width)))
        return
    if options.costs_only:
        names = [name for name in options.only or RIVALS if name != "RT-DETR v2" or _has_transformers()]
        text = costs_page(
            {name: with_costs({"name": name, "seed": 0}, options, ("a", "b", "c")) for name in names}, options
        )
        if options.page:
            (options.page / f"{datetime.date.today()}-against-cost.md").write_text(text)
        print(text)
        return
    if options.data is None or options.out is None:
        parser.error("needs --data and --out")
    source = read_shards(options.data / "train", least_visible=LEAST_VISIBLE)
    test = read_shards(options.data / "test", source.categories, LEAST_VISIBLE)
    test = test.take(min(len(test), SIZES[options.size].test_clips))
    names = list(options.only or RIVALS)
    left_out = [f"{name}, not chosen" for name in RIVALS if name not in names]
    if "RT-DETR v2" in names and not _has_transformers():
        names.remove("RT-DETR v2")
        left_out.append("RT-DETR v2, since `transformers` is not installed")
    results = [run(name, seed, options, source, test) for seed in range(options.seeds) for name in names]
    results = [with_costs(one, options, source.categories) for one in results]
    text = page(results, options, left_out)
    (options.out / "against.md").write_text(text)
    if options.page:
        (options.page / f"{datetime.date.today()}-against.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
