"""Real clips: tracking alone, on the boxes of the labels with drop-outs.

The labels stand for a good detector, with boxes that are off by a fiftieth of their sides. Where a hand is over a part
(`occluded_by_hand`), or in gaps that are drawn, the followers get no box. What they must tell is still in the labels.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.line.clips import LineClip
from benchmarks.line.measure import ALONE, follow
from benchmarks.line.rivals import RIVALS
from hybrid.data.clips import FrameRecord
from hybrid.metrics.line import combined, figures, tally_clip
from hybrid.metrics.line_truth import EDGE_PX, LineFrame
from hybrid.metrics.video import FrameDetections

SEEDS = 40  # of the gaps and of the boxes' errors
ERROR = 0.02  # standard deviation of a box's sides, as a share of its size
SCORE = 0.9
METRICS = ("hidden recall", "clear recall", "false alarms per frame", "id switches per 1,000 parts",
           "found again, old id", "found again, new id", "counted wrong per 1,000", "IDF1, all")  # fmt: skip


def measured(folder: Path, gaps: list[int] | None, choices: dict[str, Any]) -> str:
    """A Markdown table of a data set with `track_id`.

    Args:
        folder: with annotations.json.
        gaps: the shortest and the longest drop-out, one for each part and seed; None: where a hand is.
        choices: settings and scores of the followers, as `choose` wrote them. The one that needs an encoder is left
            out.
    """
    clips = [clip for seed in range(SEEDS) for clip in _clips(folder, gaps, seed)]
    lines = ["| | " + " | ".join(METRICS) + " |", "|---" * (len(METRICS) + 1) + "|"]
    for name in RIVALS:
        if name == "belt speed" or name not in choices:
            continue
        settings = {} if name == ALONE else choices[name]["settings"]
        told = follow(name, settings, clips, 0.0)
        score = 0.0 if name == ALONE else choices[name]["score"]
        total = combined([tally_clip(rows, clip.truth, score) for rows, clip in zip(told, clips, strict=True)])
        found = figures(total)
        lines.append(f"| {name} | " + " | ".join(f"{found[metric]:.3g}" for metric in METRICS) + " |")
    lines.append(f"\n{len(clips)} runs of {len(clips) // SEEDS} clips, {total.hidden:.0f} hidden boxes, "
                 f"{total.returns:.0f} returns, {total.crossings:.0f} crossings of a line")  # fmt: skip
    return "\n".join(lines)


def _clips(folder: Path, gaps: list[int] | None, seed: int) -> list[LineClip]:
    given = json.loads((folder / "annotations.json").read_text())
    rows: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in given["annotations"]:
        rows[row["image_id"]].append(row)
    clips = []
    for video in given["videos"]:
        images = sorted(
            (one for one in given["images"] if one["video_id"] == video["id"]), key=lambda i: i["frame_index"]
        )
        rng = np.random.default_rng([seed, video["id"]])
        hidden = _gaps([rows[one["id"]] for one in images], gaps, rng)
        truth = [_truth(image, rows[image["id"]], hidden[k]) for k, image in enumerate(images)]
        seen = set[int]()
        for k, frame in enumerate(truth):  # as in `read_shards`: who was not yet seen is not asked for
            seen |= set(frame.ids[frame.shares > 0].tolist())
            frame.ignored[:] |= ~np.isin(frame.ids, list(seen))
            assert images[k]["frame_index"] == k
        clips.append(
            LineClip(
                f"{video['name']} {seed}",
                [_detected(frame, rng) for frame in truth],
                [k / video["fps"] for k in range(len(images))],
                [_record(folder, image) for image in images],
                truth,
                np.zeros((len(images), 2)),
            )
        )
    return clips


def _gaps(frames: list[list[dict[str, Any]]], gaps: list[int] | None, rng: np.random.Generator) -> list[set[int]]:
    """The tracks that are hidden in each frame."""
    if gaps is None:
        return [{row["track_id"] for row in rows if row.get("occluded_by_hand")} for rows in frames]
    hidden: list[set[int]] = [set() for _ in frames]
    for track in sorted({row["track_id"] for rows in frames for row in rows}):
        there = [k for k, rows in enumerate(frames) if any(row["track_id"] == track for row in rows)]
        length = int(rng.integers(gaps[0], gaps[1] + 1))
        first = int(rng.integers(3, max(4, len(there) - length - 3)))
        for k in there[first : first + length]:
            hidden[k].add(track)
    return hidden


def _truth(image: dict[str, Any], rows: list[dict[str, Any]], hidden: set[int]) -> LineFrame:
    boxes = np.array([row["bbox"] for row in rows], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    ids = np.array([row["track_id"] for row in rows], np.int64)
    shares = np.array([row["track_id"] not in hidden for row in rows], np.float32)
    size = np.array([image["width"], image["height"]], np.float32)
    cut = np.any((boxes[:, :2] < EDGE_PX) | (boxes[:, 2:] > size - EDGE_PX), axis=1)
    none = np.zeros(len(rows), bool)
    return LineFrame(
        boxes,
        boxes * shares[:, None],
        shares,
        np.zeros(len(rows), np.int64),
        ids,
        cut,
        none,
        (image["height"], image["width"]),
    )


def _detected(frame: LineFrame, rng: np.random.Generator) -> FrameDetections:
    rows = frame.shares > 0
    boxes = frame.whole_xyxy_px[rows]
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes = (boxes + ERROR * sides * rng.normal(size=boxes.shape)).astype(np.float32)
    count = len(boxes)
    return FrameDetections(boxes, np.full(count, SCORE, np.float32), frame.labels[rows], np.full(count, -1, np.int64))


def _record(folder: Path, image: dict[str, Any]) -> FrameRecord:
    return FrameRecord(
        name=image["file_name"],
        path=folder / image["file_name"],
        width_px=image["width"],
        height_px=image["height"],
        boxes_xyxy_px=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int64),
    )
