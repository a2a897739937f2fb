"""Simulated clips for the track network: what a detector finds in each frame, and what is really there."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import UInt8

from hybrid.core.errors import DataError
from hybrid.core.progress import Progress, silent
from hybrid.data.clips import FrameRecord
from hybrid.data.pixels import decode
from hybrid.data.shards import read_shards
from hybrid.metrics.line_truth import LineFrame, line_frames
from hybrid.metrics.video import FrameDetections
from hybrid.predict.detector import Detector
from hybrid.predict.following import MOST_TIMES, elapsed
from hybrid.weights.released import RULES
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import location

LEAST_SCORE = 0.05  # of the stored detections
FEWEST_FRAMES = 4


@dataclass(frozen=True)
class KnownClip:
    """A clip, what a detector finds in it, and what is there."""

    name: str
    detections: list[FrameDetections]
    times_s: list[float]
    records: list[FrameRecord]
    truth: list[LineFrame]

    def images(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Its pictures."""
        return (decode(record) for record in self.records)

    @property
    def steps(self) -> list[float]:
        """Since the frame before, in usual intervals, as a stream has them."""
        return [step_at(self.times_s[: number + 1]) for number in range(len(self.times_s))]


def step_at(times_s: Sequence[float]) -> float:
    """The last of these frames' time since the one before, in usual intervals, as the detector takes it."""
    return elapsed(times_s[-1], times_s[:-1][-MOST_TIMES:])


def read_known(folder: Path, stored: Path, weights: str, progress: Progress = silent) -> list[KnownClip]:
    """The clips of a simulated data set, with the detections of these weights, each frame by itself.

    Args:
        folder: the data set.
        stored: folder of the detections, one .npz for each clip; what is missing there is made.
        weights: as `Detector.load` takes them.
        progress: told of the clips.

    Raises:
        DataError: it is no data set of clips with track ids, or none has FEWEST_FRAMES frames.
    """
    visible = read_shards(str(folder), least_visible=0.0)
    whole = read_shards(str(folder), visible.categories, boxes="whole")
    times_s = {f"{clip.index:06d}": [f["time_s"] for f in clip.meta()["labels"]["frames"]]
               for clip in DataSet(location(str(folder)))}  # fmt: skip
    detector: Detector | None = None
    clips = []
    for number, (of_whole, of_visible) in enumerate(zip(whole.clips, visible.clips, strict=True)):
        if len(of_whole.frames) < FEWEST_FRAMES:
            continue
        file = stored / f"{of_whole.name}.npz"
        if not file.exists():
            detector = detector or Detector.load(weights, score=LEAST_SCORE, follower=RULES)
            _detect(detector, of_whole.frames, visible.categories, file)
        truth = line_frames(of_whole, of_visible)
        detections = _stored(file)
        if len(detections) != len(truth):
            raise DataError(f"{file}: is of {len(detections)} frames, the clip has {len(truth)}: delete it")
        clips.append(KnownClip(of_whole.name, detections, times_s[of_whole.name], list(of_whole.frames), truth))
        progress(number + 1, len(whole.clips), {})
    if not clips:
        raise DataError(f"{folder}: holds no clip of {FEWEST_FRAMES} frames or more; render with timing.frames=24")
    return clips


def stored_name(weights: str) -> str:
    """A folder's name for the detections of these weights: another detector has another one."""
    return f"detections-{hashlib.sha256(weights.encode()).hexdigest()[:12]}"


def _detect(detector: Detector, frames: Sequence[FrameRecord], categories: tuple[str, ...], file: Path) -> None:
    """Detect each frame by itself, and store all rows with the categories of the data set."""
    columns: dict[str, list[np.ndarray]] = {"boxes": [], "scores": [], "labels": [], "frames": []}
    missing = sorted(set(detector.categories) - set(categories))
    if missing:
        raise DataError(f"the clips' categories {list(categories)} lack the detector's {missing}")
    of_set = np.array([categories.index(name) for name in detector.categories])
    for number, record in enumerate(frames):
        result = detector.predict(decode(record))
        assert not isinstance(result, list)
        columns["boxes"].append(result.boxes_xyxy_px)
        columns["scores"].append(result.scores)
        columns["labels"].append(of_set[result.labels])
        columns["frames"].append(np.full(len(result), number))
    arrays = {name: np.concatenate(rows) for name, rows in columns.items()}
    content = io.BytesIO()
    np.savez_compressed(content, count=len(frames), allow_pickle=False, **arrays)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, content.getvalue())


def _stored(file: Path) -> list[FrameDetections]:
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as rows:
            every = [rows["frames"] == number for number in range(int(rows["count"]))]
            boxes, scores, labels = rows["boxes"], rows["scores"], rows["labels"]
    except (BadZipFile, KeyError, ValueError, EOFError) as error:
        raise DataError(f"{file}: is damaged ({error!s:.80}): delete it, then it is made again") from None
    return [
        FrameDetections(
            boxes[own].reshape(-1, 4).astype(np.float32),
            scores[own].astype(np.float32),
            labels[own].astype(np.int64),
            np.full(int(own.sum()), -1, np.int64),
        )
        for own in every
    ]
