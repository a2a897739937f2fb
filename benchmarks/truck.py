"""A real sequence from a moving camera: the presets for stills and for video, and what follows their detections.

    python -m benchmarks.truck split --data annotations.json --out out/truck
    python -m benchmarks.truck train --out out/truck --preset lite --seeds 0 1 2 --steps 250
    python -m benchmarks.truck measure --out out/truck --runs out/truck/lite-s0 out/truck/lite-video-s0

The COCO JSON has `videos`. The first is trained on, the others are measured on; with `--tune N` the last N frames of
the first are kept apart, to choose by (`train --on early`, `measure --on tune`).

Labels without `track_id` get one here: boxes of one category in consecutive frames are the same object where they
overlap, as they are or as if all moved with the largest box of the frame (the wheels of a truck move with it). So an
object that comes back gets a new id. ByteTrack is that of `trackers`: see benchmarks/line/rivals.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32

from hybrid.metrics.video import FrameDetections

if TYPE_CHECKING:
    from hybrid.core.types import Detections
    from hybrid.data.clips import ClipSource

LEAST_IOU = 0.1  # of the boxes of one object in consecutive frames
BATCH = {"lite": (8, 1), "lite-video": (3, 3)}  # clips a step, frames of each: about as many frames for both
TILE_PX = 192
RATE = 30.0  # frames/s, which only ByteTrack asks for
UNSURE = 0.15  # the lowest score that ByteTrack gets to see
BYTETRACK = {"lost_track_buffer": 30, "minimum_iou_threshold": 0.1, "minimum_consecutive_frames": 1}
SURE = ("track_activation_threshold", "high_conf_det_threshold")
FIGURES = ("clear recall", "false alarms per frame", "flicker", "interruptions per 1,000 parts",
           "id switches per 1,000 parts", "IDF1, seen", "HOTA, seen")  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("do", choices=["split", "train", "measure"])
    add("--out", type=Path, required=True)
    add("--data", type=Path, help="COCO JSON with videos")
    add("--tune", type=int, default=19, help="frames at the end of the first video to choose by")
    add("--on", help="train: early or train (default); measure: tune or test (default)")
    add("--preset", choices=list(BATCH), default="lite")
    add("--checkpoint", default="none", help="a run or released weights to start from, in place of ImageNet weights")
    add("--seeds", type=int, nargs="+", default=[0])
    add("--steps", type=int, default=250)
    add("--runs", type=Path, nargs="*", default=[])
    add("--at", type=float, default=0.3, help="measure: the score from which parts are followed")
    add("--false-alarms", type=float, default=1.0, help="measure: a frame; reports count from the score that keeps it")
    add("--scales", type=float, nargs="+", help="measure: the scales of a look (default: those of the product)")
    return parser.parse_args()


def with_track_ids(content: dict[str, Any]) -> dict[str, Any]:
    """The COCO content with `track_id` in each annotation; see the module's docstring."""
    from scipy.optimize import linear_sum_assignment

    boxes_of: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
    for row in content["annotations"]:
        boxes_of[row["image_id"]].append(dict(row))
    known = 0
    for video in content["videos"]:
        images = sorted((i for i in content["images"] if i["video_id"] == video["id"]), key=lambda i: i["frame_index"])
        before: list[dict[str, Any]] = []
        for image in images:
            rows = boxes_of[image["id"]]
            overlap = _overlap(before, rows)
            for i, j in zip(*linear_sum_assignment(-overlap), strict=True):
                if overlap[i, j] >= LEAST_IOU:
                    rows[j]["track_id"] = before[i]["track_id"]
            for row in rows:
                if "track_id" not in row:
                    row["track_id"], known = known, known + 1
            before = rows
    return content | {"annotations": [row for rows in boxes_of.values() for row in rows]}


def _overlap(before: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Float[np.ndarray, "n m"]:
    """IoU of boxes of one category: where they are, or as if all moved with the largest box of the frame."""
    from hybrid.core.overlap import iou

    old, new = _corners(before), _corners(rows)
    if not len(old) or not len(new):
        return np.zeros((len(old), len(new)))
    (a, b), (c, d) = (one[(one[:, 2:] - one[:, :2]).prod(1).argmax()].reshape(2, 2) for one in (old, new))
    scale = (d - c) / (b - a)
    moved = (old - np.tile(a, 2)) * np.tile(scale, 2) + np.tile(c, 2)
    same = np.array([[a["category_id"] == b["category_id"] for b in rows] for a in before])
    return np.where(same, np.maximum(iou(old, new), iou(moved.astype(np.float32), new)), 0.0)


def _corners(rows: list[dict[str, Any]]) -> Float32[np.ndarray, "n 4"]:
    boxes = np.array([row["bbox"] for row in rows], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def split(options: argparse.Namespace) -> None:
    """Write train.json, early.json, tune.json and test.json into --out, and a link to the folder of the pictures."""
    content = with_track_ids(json.loads(options.data.read_text()))
    first = content["videos"][0]["id"]
    last = sum(image["video_id"] == first for image in content["images"]) - options.tune
    parts: dict[str, Callable[[dict[str, Any]], bool]] = {
        "train": lambda image: image["video_id"] == first,
        "early": lambda image: image["video_id"] == first and image["frame_index"] < last,
        "tune": lambda image: image["video_id"] == first and image["frame_index"] >= last,
        "test": lambda image: image["video_id"] != first,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for folder in {Path(image["file_name"]).parts[0] for image in content["images"]}:
        if not (options.out / folder).exists():  # links to folders are followed, those to pictures are refused
            (options.out / folder).symlink_to((options.data.parent / folder).resolve())
    for name, belongs in parts.items():
        images = [image for image in content["images"] if belongs(image)]
        numbers = {image["id"] for image in images}
        rows = [row for row in content["annotations"] if row["image_id"] in numbers]
        (options.out / f"{name}.json").write_text(json.dumps(content | {"images": images, "annotations": rows}))
        print(f"{name}: {len(images)} frames, {len(rows)} boxes, {len({row['track_id'] for row in rows})} track ids")


def train(options: argparse.Namespace) -> None:
    """One run for each seed, in a folder of --out."""
    clips, frames = BATCH[options.preset]
    start = "" if options.checkpoint == "none" else f"-from-{Path(options.checkpoint).name}"
    for seed in options.seeds:
        part = options.on or "train"
        name = f"{options.preset}{start}-s{seed}" + ("" if part == "train" else f"-{part}")
        command = [sys.executable, "-m", "pipelines.finetune_real", "--data", str(options.out / f"{part}.json")]
        command += ["--checkpoint", options.checkpoint, "--preset", options.preset, "--sim", "none"]
        command += ["--steps", str(options.steps), "--batch", str(clips), "--clip-length", str(frames)]
        command += ["--tile", str(TILE_PX), "--lr", "1e-3", "--frozen-stages", "1", "--threads", "1"]
        command += ["--seed", str(seed), "--out", str(options.out / name)]
        print("$", *command, flush=True)
        subprocess.run(command, check=True)


def measure(options: argparse.Namespace) -> None:
    """The figures of each run, as a line of measured.jsonl, and printed."""
    from hybrid.data.pixels import decode
    from hybrid.metrics.detection import score
    from hybrid.metrics.line import combined, false_scores, figures, tally_clip
    from hybrid.metrics.line_truth import labelled_frames
    from hybrid.predict.runtime.choice import Runtime
    from hybrid.predict.stream import stream
    from hybrid.predict.tiles import view_of
    from hybrid.weights.checkpoint import load
    from pipelines.common.data import read

    part = options.on or "test"
    for run in options.runs:
        detector = load(run)
        engine, view = Runtime(detector), view_of(TILE_PX)
        view = replace(view, scales=tuple(options.scales), near_px=0) if options.scales else view
        source = read(options.out / f"{part}.json", detector.config.categories, boxes=detector.config.boxes)
        clips = [list(stream(engine, map(decode, clip.frames), view)) for clip in source.clips]
        metrics = score([one for clip in clips for one in clip], source.frames, source.categories)
        categories = {k: v.ap50 for k, v in metrics.by_category.items() if v.ap50 is not None}
        row = {"run": run.name, "on": part, "scales": view.scales, "ap50": metrics.overall.ap50}
        row |= {"ap": metrics.overall.ap, "by_category": categories}
        row["by_clip"] = {
            clip.name: score(found, clip.frames, source.categories).overall.ap50
            for clip, found in zip(source.clips, clips, strict=True)
        }
        truth, followed = [labelled_frames(clip) for clip in source.clips], dict[str, dict[str, float]]()
        for name, told in ways(clips, source, options.at, engine.tracks).items():
            pairs = list(zip(told, truth, strict=True))
            false = np.sort(np.concatenate([false_scores(*pair) for pair in pairs]))[::-1]
            most = round(options.false_alarms * len(source.frames))
            least = float(np.nextafter(false[most], 2)) if len(false) > most else 0.0
            own = figures(combined([tally_clip(*pair, score=least) for pair in pairs]))
            followed[name] = {"from a score of": least} | {key: own[key] for key in FIGURES}
        with (options.out / "measured.jsonl").open("a") as file:
            file.write(json.dumps(row | {"at": options.at, "followed": followed}) + "\n")
        print(f"{run.name} on {part}, scales {view.scales}: AP50 {row['ap50']:.3f}, AP {row['ap']:.3f}", categories)
        for name, values in followed.items():
            print(f"  {name}: " + ", ".join(f"{key} {value:.3g}" for key, value in values.items()), flush=True)


def ways(
    clips: Sequence[Sequence[Detections]], source: ClipSource, least: float, tracks: bool
) -> dict[str, list[list[FrameDetections]]]:
    """What is reported with each way to follow, from a score of `least`: of each clip, of each frame."""
    from benchmarks.line.clips import LineClip
    from benchmarks.line.rivals import frame_by_frame, library
    from hybrid.predict.following import followed, of_objects
    from hybrid.predict.linking import Judge

    sizes = [(clip.frames[0].height_px, clip.frames[0].width_px) for clip in source.clips]
    pairs = list(zip(clips, sizes, strict=True))

    def ours(judge: Judge | None = None) -> list[list[FrameDetections]]:
        return [[FrameDetections.of(one) for one in followed(clip, size, least, judge)] for clip, size in pairs]

    if tracks:
        return {"its own tracks": ours()}
    told = {"rules": ours(), "belts": ours(Judge.load())}
    for name, follow, low, settings in (
        ("frame by frame", frame_by_frame, least, {}),
        ("ByteTrack", library("ByteTrackTracker"), UNSURE, BYTETRACK | dict.fromkeys(SURE, least)),
    ):
        told[name] = []
        for clip in clips:
            rows = [FrameDetections.of(of_objects(one.take(one.scores >= min(low, least)))) for one in clip]
            times = [k / RATE for k in range(len(rows))]
            told[name].append(follow(LineClip(name, rows, times, [], [], np.zeros((len(rows), 2))), settings))
    return told


if __name__ == "__main__":
    options = arguments()
    {"split": split, "train": train, "measure": measure}[options.do](options)
