"""Running the pipelines in this process, and the small data that they are run on."""

from __future__ import annotations

import importlib
import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

# the preset that `script` makes narrower
SMALL = ["--preset", "tiny", "--steps", "3", "--batch", "2", "--tile", "64", "--clip-length", "2"]
SMALL += ["--workers", "0", "--threads", "1"]


@dataclass(frozen=True)
class Finished:
    returncode: int
    stdout: str
    stderr: str


def narrow(categories: tuple[str, ...]) -> Any:
    """The preset tiny with fewer channels, queries and layers: what the scripts do around it is the same."""
    from hybrid.core.config import tiny

    return replace(
        tiny(categories), width=16, heads=2, queries=20, decoder_layers=1, denoising_queries=10, head_convs=0
    )


def script(name: str, *arguments: object) -> Finished:
    """Run a script in this process: loading torch anew for each would take longer than all else.

    Its presets tiny and tiny-video are `narrow`.
    """
    from hybrid.core.config import PRESETS, with_tracks

    module = importlib.import_module(f"pipelines.{name}")
    out, err = io.StringIO(), io.StringIO()
    line = [str(argument) for argument in arguments]
    presets = patch.dict(PRESETS, {"tiny": narrow, "tiny-video": with_tracks(narrow, 30)})
    with redirect_stdout(out), redirect_stderr(err), presets:
        try:
            module.app(line)
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


def done(result: Finished) -> str:
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def refused(result: Finished) -> str:
    """The one line that a mistake is answered with."""
    assert result.returncode == 2, result.stderr[-3000:]
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, result.stderr[-3000:]
    assert lines[0].startswith("error: ")
    return lines[0]


def photographs(
    folder: Path, categories: tuple[str, ...] = ("bolt", "nut", "washer"), count: int = 6, seed: int = 0
) -> Path:
    """A COCO set of grey rectangles on noise: what matters is its form."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for i in range(count):
        pixels = rng.normal(110, 12, (96, 128, 3)).clip(0, 255).astype(np.uint8)
        for label in range(len(categories)):
            x, y, side = int(rng.integers(100)), int(rng.integers(70)), 12 + 6 * label
            pixels[y : y + side, x : x + side] = 200 - 60 * label
            box = [x, y, min(side, 128 - x), min(side, 96 - y)]
            annotations.append({"id": len(annotations) + 1, "image_id": i, "category_id": label + 1, "bbox": box})
        cv2.imwrite(str(folder / f"{i}.png"), pixels)
        images.append({"id": i, "file_name": f"{i}.png", "width": 128, "height": 96})
    names = [{"id": k + 1, "name": name} for k, name in enumerate(categories)]
    path = folder / "photos.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": names}))
    return path


def yolo(folder: Path, test: str) -> Path:
    """The photographs of two folders as one YOLO folder's `train` and `test`."""
    for split, seed in (("train", 0), ("test", 1)):
        coco = json.loads(photographs(folder / f"{split}-coco", seed=seed).read_text())
        (folder / split / "labels").mkdir(parents=True)
        shutil.copytree(folder / f"{split}-coco", folder / split / "images", ignore=lambda *_: ["photos.json"])
        names = [category["name"] for category in coco["categories"]]
        place = {category["id"]: i for i, category in enumerate(coco["categories"])}
        for image in coco["images"]:
            wide, high = image["width"], image["height"]
            lines = [
                f"{place[a['category_id']]} {(x + w / 2) / wide} {(y + h / 2) / high} {w / wide} {h / high}"
                for a in coco["annotations"]
                if a["image_id"] == image["id"]
                for x, y, w, h in [a["bbox"]]
            ]
            label = folder / split / "labels" / Path(image["file_name"]).with_suffix(".txt")
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("\n".join(lines))
    listing = folder / "data.yaml"
    listing.write_text(json.dumps({"names": names, "train": "train/images", "test": f"{test}/images"}))
    return listing


def record(run: Path) -> dict[str, object]:
    return dict(json.loads((run / "run.json").read_text())["experiment"])
