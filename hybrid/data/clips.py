"""Clips with boxes: from simulated shards, from COCO JSON, from YOLO folders. Foreign box conventions end here.

A source is a list of where frames lie and what is in them; pixels are read when they are asked for. What a data set
holds that cannot be used (a missing image, a box outside it, a category that the model does not know) is left out,
counted and named in `ClipSource.skipped`; only a set of which nothing remains is an error.
Images are RGB. Boxes are (x_min, y_min, x_max, y_max) in pixels, max exclusive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from hybrid.core.errors import DataError
from simgen.dataset.store.locations import Place

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
Image = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """Where one frame's encoded bytes lie, and what is in it."""

    name: str
    path: Place
    offset: int = 0  # of the image in the file: shards hold many
    length: int | None = None  # to the end of the file
    width_px: int
    height_px: int
    upright: bool = False  # turn it as its EXIF tag says
    boxes_xyxy_px: Float32[np.ndarray, "n 4"]
    labels: Int64[np.ndarray, " n"]  # index into ClipSource.categories
    track_ids: Int64[np.ndarray, " n"] | None = None  # which object of its clip each box is; None: not told
    visible_share: Float32[np.ndarray, " n"] | None = None  # of each object's pixels; None: not told
    hidden: Bool[np.ndarray, " n"] | None = None  # here, but seen earlier in the clip; None: none is
    depth_at: tuple[int, int] | None = None  # offset and length of the depth in the same file; None: there is none


@dataclass(frozen=True)
class Clip:
    """Consecutive frames of one camera; a photograph is a clip of one."""

    name: str
    frames: tuple[FrameRecord, ...]
    label: int = -1  # its class as a whole, a place in ModelConfig.clip_classes; -1: not told


@dataclass(frozen=True)
class ClipSource:
    """Clips that share one list of categories. `skipped` tells, for each reason, what was left out."""

    name: str
    categories: tuple[str, ...]
    clips: tuple[Clip, ...]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def frames(self) -> tuple[FrameRecord, ...]:
        return tuple(frame for clip in self.clips for frame in clip.frames)

    def counts(self) -> dict[str, int]:
        """Boxes of each category."""
        found = np.concatenate([np.zeros(0, np.int64), *(frame.labels for frame in self.frames)])
        totals = np.bincount(found, minlength=len(self.categories))
        return {name: int(total) for name, total in zip(self.categories, totals, strict=True)}

    def take(self, count: int, seed: int = 0, start: int = 0) -> ClipSource:
        """`count` clips of one fixed shuffle from place `start`: shots to train on, then others to choose epochs by."""
        if count < 1 or start < 0 or start + count > len(self):
            raise DataError(f"{self.name}: cannot take clips {start}..{start + count} of {len(self)}")
        order = np.random.default_rng(seed).permutation(len(self))[start : start + count]
        return replace(self, clips=tuple(self.clips[i] for i in order))

    def labelled(self, labels: Mapping[str, int]) -> ClipSource:
        """With the class of each clip by its name, for a clip head; clips that are not named stay without.

        Raises:
            DataError: a name is no clip's.
        """
        unknown = sorted(labels.keys() - {clip.name for clip in self.clips})
        if unknown:
            raise DataError(f"{self.name}: no clip {unknown[:5]}; there are {[c.name for c in self.clips][:20]}")
        return replace(self, clips=tuple(replace(c, label=labels.get(c.name, c.label)) for c in self.clips))

    def only(self, clip_names: Iterable[str]) -> ClipSource:
        """The clips of these names, in the source's order."""
        wanted = set(clip_names)
        missing = wanted - {clip.name for clip in self.clips}
        if missing:
            raise DataError(f"{self.name}: no clip {sorted(missing)}; there are {[c.name for c in self.clips][:20]}")
        return replace(self, clips=tuple(clip for clip in self.clips if clip.name in wanted))


class Skips:
    """Collects what is left out while a source is read."""

    def __init__(self) -> None:
        self._found: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, reason: str, what: str) -> None:
        self._found[reason].append(what)

    def done(self) -> dict[str, tuple[str, ...]]:
        return {reason: tuple(found) for reason, found in sorted(self._found.items())}
