"""Results in the formats of other tools: COCO's result list, MOTChallenge's track lines. Readers and writers.

COCO's boxes are (x, y, width, height) in pixels from 0. MOTChallenge's boxes are in pixels from 1, and its frames and
tracks are numbered from 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hybrid.core.errors import DataError
from hybrid.predict.result import Result
from simgen.dataset.store.files import write_atomically


def write_coco_results(results: Iterable[Result], path: Path) -> Path:
    """Write a COCO result list, which `loadRes` of COCO's API reads.

    Images are numbered from 1 in the order of the results. Category k has the id k + 1. `file_name`, `category` and
    `track_id` are keys of ours, which the API ignores.
    """
    rows = [
        {
            "image_id": image,
            "file_name": result.name,
            "category_id": int(label) + 1,
            "category": result.categories[int(label)],
            "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])],
            "score": float(score),
            "track_id": int(track),
        }
        for image, result in enumerate(results, 1)
        for box, score, label, track in zip(
            result.boxes_xyxy_px, result.scores, result.labels, result.track_ids, strict=True
        )
    ]
    write_atomically(path, json.dumps(rows).encode())
    return path


def read_coco_results(path: Path, names: Sequence[str], categories: tuple[str, ...]) -> list[Result]:
    """Read a COCO result list: a result for each frame of `names`, in their order.

    Raises:
        DataError: the file is no such list, or has other frames or categories.
    """
    try:
        rows = json.loads(path.read_text())
        table = [
            (int(r["image_id"]), [float(v) for v in r["bbox"]], float(r["score"]), int(r["category_id"]) - 1,
             int(r.get("track_id", -1)))
            for r in rows
        ]  # fmt: skip
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: no COCO result list: {error!r}") from None
    for image, box, *_ in table:
        if not 1 <= image <= len(names) or len(box) != 4:
            raise DataError(f"{path}: image {image} with a box of {len(box)} numbers; there are {len(names)} images")
    results = []
    for image, name in enumerate(names, 1):
        own = [row for row in table if row[0] == image]
        boxes = np.array([[x, y, x + w, y + h] for _, (x, y, w, h), *_ in own], np.float32).reshape(-1, 4)
        scores = np.array([row[2] for row in own], np.float32)
        labels, tracks = (np.array([row[k] for row in own], np.int64) for k in (3, 4))
        try:
            results.append(Result(name, None, boxes, scores, labels, categories, tracks))
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None
    return results


def write_mot(results: Iterable[Result], path: Path) -> Path:
    """Write MOTChallenge lines: frame, track, left, top, width, height, score, -1, -1, -1.

    Detections without a track are left out.
    """
    lines = []
    for frame, result in enumerate(results, 1):
        for box, score, track in zip(result.boxes_xyxy_px, result.scores, result.track_ids.tolist(), strict=True):
            if track >= 0:
                left, top, right, bottom = (float(v) for v in box)
                lines.append(
                    f"{frame},{track + 1},{left + 1:.2f},{top + 1:.2f},{right - left:.2f},{bottom - top:.2f},"
                    f"{float(score):.4f},-1,-1,-1"
                )
    write_atomically(path, "".join(line + "\n" for line in lines).encode())
    return path


def read_mot(path: Path, frames: int) -> list[Result]:
    """Read MOTChallenge lines as results of `frames` frames. The format has no categories: all are "object".

    Raises:
        DataError: a line does not have this format.
    """
    rows: list[list[tuple[float, ...]]] = [[] for _ in range(frames)]
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            frame, track, left, top, width, height, score = (float(word) for word in line.split(",")[:7])
            if not all(map(math.isfinite, (left, top, width, height, score))) or not 1 <= frame <= frames or track < 1:
                raise ValueError
        except ValueError:
            raise DataError(f"{path}:{number}: no line of {frames} frames in MOTChallenge's format: {line!r}") from None
        x, y = left - 1, top - 1
        rows[int(frame) - 1].append((x, y, x + width, y + height, score, track - 1))
    results = []
    for k, own in enumerate(rows):
        table = np.array(own, np.float64).reshape(-1, 6)
        columns = (table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), np.zeros(len(table), np.int64))
        try:
            results.append(Result(f"frame {k + 1}", None, *columns, ("object",), table[:, 5].astype(np.int64)))
        except ValueError as error:
            raise DataError(f"{path}: {error}") from None
    return results
