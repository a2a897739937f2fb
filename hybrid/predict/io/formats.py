"""Results in the formats of other tools: COCO's result list, MOTChallenge's track lines. Readers and writers.

COCO's boxes are (x, y, width, height) in pixels from 0. MOTChallenge's boxes are in pixels from 1, and its frames and
tracks are numbered from 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from hybrid.core.errors import DataError
from hybrid.predict.result import Result
from simgen.dataset.store.files import write_atomically
from simgen.spec.errors import TextFileError
from simgen.spec.text.json_text import read_json, read_text

MAX_BYTES = 2**30  # of a list of results
MOST = 2**31  # of any number in one


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
        rows = [_result_row(row) for row in read_json(path, MAX_BYTES)]
    except TextFileError as error:
        raise DataError(str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{path}: no COCO result list: {error!r:.200}") from None
    of_image: dict[int, list[_Row]] = {}
    for row in rows:
        if not 1 <= row.image <= len(names) or len(row.xywh) != 4:
            raise DataError(
                f"{path}: image {row.image} with a box of {len(row.xywh)} numbers; there are {len(names)} images"
            )
        of_image.setdefault(row.image, []).append(row)
    results = []
    for image, name in enumerate(names, 1):
        own = of_image.get(image, [])
        table = np.array([[row.xywh[0], row.xywh[1], row.xywh[0] + row.xywh[2], row.xywh[1] + row.xywh[3], row.score]
                          for row in own], np.float64).reshape(-1, 5)  # fmt: skip
        labels, tracks = (np.array([getattr(row, key) for row in own], np.int64) for key in ("label", "track"))
        results.append(_checked(path, name, table, labels, categories, tracks))
    return results


class _Row(NamedTuple):
    """One detection of a COCO result list."""

    image: int
    xywh: list[float]
    score: float
    label: int
    track: int


def _result_row(row: Any) -> _Row:
    """Raises ValueError, KeyError, TypeError, AttributeError or OverflowError where a value is of another kind."""
    numbers = [int(row["image_id"]), int(row["category_id"]) - 1, int(row.get("track_id", -1))]
    if any(abs(number) > MOST for number in numbers):
        raise ValueError(f"a number of more than {MOST}: {max(numbers, key=abs)}")
    image, label, track = numbers
    return _Row(image, [float(value) for value in row["bbox"]], float(row["score"]), label, track)


def _checked(
    path: Path,
    name: str,
    table: Float64[np.ndarray, "n 5"],
    labels: Int64[np.ndarray, " n"],
    categories: tuple[str, ...],
    tracks: Int64[np.ndarray, " n"],
) -> Result:
    """The result of boxes (xyxy) and scores that were read.

    Raises:
        DataError: a value is impossible.
    """
    if not (np.abs(table) <= MOST).all():  # NaN as well
        raise DataError(f"{path}: {name}: a number that is not finite, or of more than {MOST}")
    columns = table.astype(np.float32)
    try:
        return Result(name, None, columns[:, :4], columns[:, 4], labels, categories, tracks)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None


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
        lines = read_text(path, MAX_BYTES).splitlines()
    except TextFileError as error:
        raise DataError(str(error)) from None
    for number, line in enumerate(lines, 1):
        try:
            frame, track, left, top, width, height, score = (float(word) for word in line.split(",")[:7])
            numbers = (frame, track, left, top, width, height, score)
            if not all(abs(one) <= MOST for one in numbers) or not 1 <= frame <= frames or track < 1:
                raise ValueError
            if frame != int(frame) or track != int(track):
                raise ValueError
        except ValueError:
            raise DataError(
                f"{path}:{number}: no line of {frames} frames in MOTChallenge's format: {line!r:.200}"
            ) from None
        x, y = left - 1, top - 1
        rows[int(frame) - 1].append((x, y, x + width, y + height, score, track - 1))
    results = []
    for k, own in enumerate(rows):
        table = np.array(own, np.float64).reshape(-1, 6)
        labels = np.zeros(len(table), np.int64)
        results.append(
            _checked(path, f"frame {k + 1}", table[:, :5], labels, ("object",), table[:, 5].astype(np.int64))
        )
    return results
