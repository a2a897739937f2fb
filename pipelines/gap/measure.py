"""Measuring finished runs on data sets. Detections are stored beside the report, so that a second report is fast.

The key of a stored measurement is a hash of all that it depends on: the run's weights, the bytes of the pictures, their
boxes, the view (tiles and scales) through which the detector looks at them, the version of the rule that merges what it
finds there, and a change of the pictures, if there is one. If one of these changes, it is measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from hybrid.core.progress import Progress, Together, bar
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource, FrameRecord, Image
from hybrid.data.pixels import decode
from hybrid.metrics.detection import Metrics, Score, evaluate, score
from hybrid.predict.stream import stream
from hybrid.predict.tiles import MERGING
from hybrid.weights.checkpoint import load
from pipelines.common.record import weights_hash
from pipelines.gap.finished import FinishedRun
from pipelines.gap.stats.resampled import Measurement
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import Location

AS_THEY_ARE = "as they are"  # no change


def measure(run: FinishedRun, source: ClipSource, cache: Path, title: str, show: Together | None = None) -> Measurement:
    """The run's metrics and detections on `source`, from the folder `cache` if it has been measured before.

    The categories of `source` must be the run's, in its order; see `pipelines.gap.sets.with_labels_of`. Where it holds
    no box, there are detections and no metrics.
    `title` names the piece of work in `show`; None: it has a progress bar of its own.
    """
    if not any(len(frame.labels) for frame in source.frames):
        found = detect_changed(run, source, cache, AS_THEY_ARE, _same, title, show)
        return Measurement(Metrics(Score(None, None, None, None, 0), {}, {}, len(found)), found)
    path = cache / f"{_key(run, source)}.json"
    detections = _stored(path)
    if detections is not None and len(detections) == len(source.frames):
        _done_before(show, title)
        return Measurement(score(detections, source.frames, source.categories), detections)
    with _shown(show, title, len(source.frames)) as progress:
        evaluation = evaluate(load(run.folder, device=device()), source, run.view, progress)
    about = {"run": str(run.folder), "data": source.name, "metrics": evaluation.metrics.to_plain()}
    _store(path, about, evaluation.detections)
    return Measurement(evaluation.metrics, evaluation.detections)


def detect_changed(
    run: FinishedRun,
    source: ClipSource,
    cache: Path,
    name: str,
    change: Callable[[Image], Image],
    title: str,
    show: Together | None = None,
) -> list[Detections]:
    """The detections in changed pictures, from the cache if there are any. `name` tells the change from others."""
    return detect_made(run, source, cache, name, lambda _, frame: change(decode(frame)), title, show)


def detect_made(
    run: FinishedRun,
    source: ClipSource,
    cache: Path,
    name: str,
    make: Callable[[int, FrameRecord], Image],
    title: str,
    show: Together | None = None,
) -> list[Detections]:
    """As `detect_changed`; `make` gets the number of each frame and the frame. `name` tells all that it depends on."""
    path = cache / f"{_key(run, source, name)}.json"
    stored = _stored(path)
    if stored is not None and len(stored) == len(source.frames):
        _done_before(show, title)
        return stored
    detector, found = load(run.folder, device=device()), list[Detections]()
    with _shown(show, title, len(source.frames)) as progress:
        for clip in source.clips:
            first = len(found)
            pictures = (make(first + k, frame) for k, frame in enumerate(clip.frames))
            for one in stream(detector, pictures, run.view):
                found.append(one)
                progress(len(found), len(source.frames), {})
    _store(path, {"run": str(run.folder), "data": source.name, "change": name}, found)
    return found


@contextmanager
def _shown(show: Together | None, title: str, size: int) -> Iterator[Progress]:
    if show is not None:
        yield show.piece(title, size)
    else:
        with bar(title) as progress:
            yield progress


def _done_before(show: Together | None, title: str) -> None:
    if show is not None:
        show.drop(title)


def _same(image: Image) -> Image:
    return image


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _store(path: Path, about: dict[str, Any], detections: Sequence[Detections]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = about | {"detections": [_to_json(frame) for frame in detections]}
    write_atomically(path, json.dumps(plain).encode())


def _stored(path: Path) -> list[Detections] | None:
    """The detections in a file of the cache; None where there is none, or it is damaged: then they are made again."""
    try:
        return [_from_json(frame) for frame in json.loads(path.read_bytes())["detections"]]
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError):
        return None


def _key(run: FinishedRun, source: ClipSource, change: str = "") -> str:
    tracks = " tracks" if run.model.tracks else ""  # earlier files of networks that track hold none
    about = f"{weights_hash(run.folder)} {asdict(run.view)} merging {MERGING} {source.categories} {change}{tracks}"
    digest = hashlib.sha256(about.encode())
    _add_content(digest, source.frames)
    return digest.hexdigest()[:24]


def content_hash(frames: Sequence[FrameRecord]) -> str:
    """A hash of the bytes of pictures, their boxes and labels."""
    digest = hashlib.sha256()
    _add_content(digest, frames)
    return digest.hexdigest()[:24]


def _add_content(digest: hashlib._Hash, frames: Sequence[FrameRecord]) -> None:
    for frame in frames:
        status = frame.path.stat()
        digest.update(_content(frame.path, frame.offset, frame.length, status.st_mtime_ns, status.st_size))
        digest.update(frame.boxes_xyxy_px.tobytes() + frame.labels.tobytes())


@lru_cache(maxsize=100_000)
def _content(path: Location, offset: int, length: int | None, mtime_ns: int, size: int) -> bytes:
    """The sha256 of a picture's bytes. Within one process, a file of the same time and size is not read again."""
    with path.open("rb") as file:
        file.seek(offset)
        return hashlib.sha256(file.read(-1 if length is None else length)).digest()


_OF_TRACKS = ("track_ids", "unseen", "visible")  # columns that a network has which tracks objects itself


def _to_json(detections: Detections) -> dict[str, Any]:
    plain = {
        "boxes_xyxy_px": detections.boxes_xyxy_px.tolist(),
        "scores": detections.scores.tolist(),
        "labels": detections.labels.tolist(),
    }
    more = {name: getattr(detections, name) for name in _OF_TRACKS}
    return plain | {name: column.tolist() for name, column in more.items() if column is not None}


def _from_json(plain: dict[str, Any]) -> Detections:
    return Detections(
        torch.tensor(plain["boxes_xyxy_px"], dtype=torch.float32).reshape(-1, 4),
        torch.tensor(plain["scores"], dtype=torch.float32),
        torch.tensor(plain["labels"], dtype=torch.int64),
        track_ids=_column(plain.get("track_ids"), torch.int64),
        unseen=_column(plain.get("unseen"), torch.bool),
        visible=_column(plain.get("visible"), torch.float32),
    )


def _column(values: list[Any] | None, kind: torch.dtype) -> torch.Tensor | None:
    return None if values is None else torch.tensor(values, dtype=kind)
