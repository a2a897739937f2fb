"""Rendered clips as the followers get them: a detector's boxes of each frame, made once, and the truth."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from hybrid.data.pixels import DecodedImages
from hybrid.metrics.line_truth import LineFrame
from hybrid.training.follow.clips import KnownClip, read_known
from hybrid.training.follow.vary import frames_kept

PICTURES = DecodedImages(2_000_000_000)  # bytes


@dataclass(frozen=True)
class LineClip(KnownClip):
    """One clip. A follower may look at everything but `truth`; `belt_px` is what an encoder on the belt would tell."""

    belt_px: Float[np.ndarray, "t 2"]  # how far the belt moved in the picture since the frame before

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
        return (PICTURES.read(record) for record in self.records)


def read_clips(folder: Path, stored: Path, weights: str) -> list[LineClip]:
    """The clips of a simulated data set, with the detections of these weights.

    Half of the clips lose some frames, drawn by the clip's number: one to three at a time.

    Args:
        folder: the data set.
        stored: folder of the detections, one .npz for each clip; what is missing there is made.
        weights: as `Detector.load` takes them.
    """
    clips = []
    for one in read_known(folder, stored, weights):
        kept = frames_kept(len(one.truth), np.random.default_rng(int(one.name)))
        columns = ([column[k] for k in kept] for column in (one.detections, one.times_s, one.records, one.truth))
        detections, times_s, records, truth = columns
        clips.append(LineClip(one.name, detections, times_s, records, truth, _belt_px(truth)))
    return clips


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
