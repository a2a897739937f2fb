"""Rendered clips as the followers get them: a detector's boxes of each frame, made once, and the truth."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from hybrid.data.clips import FrameRecord
from hybrid.data.pixels import decode
from hybrid.data.shards import read_shards
from hybrid.metrics.line_truth import LineFrame, line_frames
from hybrid.metrics.video import FrameDetections
from hybrid.predict.detector import Detector
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.locations import location

LEAST_SCORE = 0.05  # of the stored detections
LOSES, LOSS, LONGEST = 0.5, 0.06, 3  # share of the clips that lose frames, how often, and how many at a time


@dataclass(frozen=True)
class LineClip:
    """One clip. A follower may look at everything but `truth`; `belt_px` is what an encoder on the belt would tell."""

    name: str
    detections: list[FrameDetections]
    times_s: list[float]
    records: list[FrameRecord]
    belt_px: Float[np.ndarray, "t 2"]  # how far the belt moved in the picture since the frame before
    truth: list[LineFrame]

    @property
    def size_hw_px(self) -> tuple[int, int]:
        """Of its pictures."""
        return self.records[0].height_px, self.records[0].width_px

    @property
    def is_fast(self) -> bool:
        """Whether a part moves by half its side or more from frame to frame, as a median."""
        sides = [np.sqrt((b[:, 2:] - b[:, :2]).prod(1)) for b in (f.whole_xyxy_px[f.clear] for f in self.truth)]
        side = np.median(np.concatenate(sides)) if sum(map(len, sides)) else np.inf
        return bool(np.median(np.linalg.norm(self.belt_px, axis=1)) >= side / 2)

    def images(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Its pictures."""
        return (decode(record) for record in self.records)


def read_clips(folder: Path, stored: Path, weights: str) -> list[LineClip]:
    """The clips of a simulated data set, with the detections of these weights.

    Half of the clips lose some frames, drawn by the clip's number: one to three at a time.

    Args:
        folder: the data set.
        stored: folder of the detections, one .npz for each clip; what is missing there is made.
        weights: as `Detector.load` takes them.
    """
    visible = read_shards(str(folder), least_visible=0.0)
    whole = read_shards(str(folder), visible.categories, boxes="whole")
    times_s = {f"{clip.index:06d}": [f["time_s"] for f in clip.meta()["labels"]["frames"]]
               for clip in DataSet(location(str(folder)))}  # fmt: skip
    detector: Detector | None = None
    clips = []
    for of_whole, of_visible in zip(whole.clips, visible.clips, strict=True):
        file = stored / f"{of_whole.name}.npz"
        if not file.exists():
            detector = detector or Detector.load(weights, score=LEAST_SCORE)
            _detect(detector, of_whole.frames, visible.categories, file)
        detections = _stored(file)
        truth = line_frames(of_whole, of_visible)
        kept = frames_kept(len(truth), int(of_whole.name))
        clips.append(
            LineClip(
                of_whole.name,
                [detections[k] for k in kept],
                [times_s[of_whole.name][k] for k in kept],
                [of_whole.frames[k] for k in kept],
                _belt_px([truth[k] for k in kept]),
                [truth[k] for k in kept],
            )
        )
    return clips


def frames_kept(count: int, seed: int) -> list[int]:
    """The frames of a clip that a camera delivers; the first is never lost."""
    rng = np.random.default_rng(seed)
    kept, lost = [], 0
    loses = rng.uniform() < LOSES
    for frame in range(count):
        lot, length = rng.uniform(), int(rng.integers(1, LONGEST + 1))
        if loses and not lost and frame and lot < LOSS:
            lost = length
        if lost:
            lost -= 1
        else:
            kept.append(frame)
    return kept


def _detect(detector: Detector, frames: tuple[FrameRecord, ...], categories: tuple[str, ...], file: Path) -> None:
    """Detect each frame by itself, and store all rows with the categories of the data set."""
    columns: dict[str, list[np.ndarray]] = {"boxes": [], "scores": [], "labels": [], "frames": []}
    of_set = np.array([categories.index(name) for name in detector.categories])
    for number, record in enumerate(frames):
        result = detector.predict(decode(record))
        assert not isinstance(result, list)
        columns["boxes"].append(result.boxes_xyxy_px)
        columns["scores"].append(result.scores)
        columns["labels"].append(of_set[result.labels])
        columns["frames"].append(np.full(len(result), number))
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.concatenate(rows) for name, rows in columns.items()}
    np.savez_compressed(file, count=len(frames), allow_pickle=False, **arrays)


def _stored(file: Path) -> list[FrameDetections]:
    with np.load(file, allow_pickle=False) as rows:
        every = [rows["frames"] == number for number in range(int(rows["count"]))]
        boxes, scores, labels = rows["boxes"], rows["scores"], rows["labels"]
    return [
        FrameDetections(
            boxes[own].reshape(-1, 4).astype(np.float32),
            scores[own].astype(np.float32),
            labels[own].astype(np.int64),
            np.full(int(own.sum()), -1, np.int64),
        )
        for own in every
    ]


def _belt_px(truth: list[LineFrame]) -> Float[np.ndarray, "t 2"]:
    """The median way of the parts that are not cut, from the frame before; as before where there are none."""
    moved, last = [np.zeros(2)], np.zeros(2)
    for before, now in itertools.pairwise(truth):
        _, a, b = np.intersect1d(before.ids[~before.cut], now.ids[~now.cut], return_indices=True)
        if len(a):
            old, new = before.whole_xyxy_px[~before.cut][a], now.whole_xyxy_px[~now.cut][b]
            last = np.median((new - old).reshape(-1, 2, 2).mean(1), axis=0)
        moved.append(last)
    return np.array(moved)
