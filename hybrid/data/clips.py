"""Clips with boxes, as every reader of `hybrid.data` returns them.

A source lists its frames: the location of each image and its boxes. Pixels are read on demand. Items that cannot be
used (a missing image, a box outside its image, an unknown category) are skipped, counted and named in
`ClipSource.skipped`. Only a data set without any usable image is an error.
Images are RGB. Boxes are (x_min, y_min, x_max, y_max) in pixels, max exclusive. Other conventions are converted by the
readers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from hybrid.core.errors import DataError
from simgen.dataset.store.locations import Location

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
Image = UInt8[np.ndarray, "h w 3"]
Outline = tuple[Float32[np.ndarray, "_ 2"], ...]  # polygons (x, y) round the pieces of an object; (): it has none


def _no_boxes() -> Float32[np.ndarray, "m 4"]:
    return np.zeros((0, 4), np.float32)


def _no_labels() -> Int64[np.ndarray, " m"]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """One labelled frame: the location of its encoded image, its size and its boxes."""

    name: str
    path: Location
    offset: int = 0  # of the image in the file, in bytes: a shard holds many images
    length: int | None = None  # of the image, in bytes; None: up to the end of the file
    width_px: int
    height_px: int
    upright: bool = False  # True: turn the image of a file as its EXIF tag says
    boxes_xyxy_px: Float32[np.ndarray, "n 4"]
    labels: Int64[np.ndarray, " n"]  # index into ClipSource.categories
    track_ids: Int64[np.ndarray, " n"] | None = None  # each box's object within its clip; None: unknown
    visible_share: Float32[np.ndarray, " n"] | None = None  # of each object's pixels; None: unknown
    hidden: Bool[np.ndarray, " n"] | None = None  # occluded now, but visible earlier in the clip; None: none is
    depth_at: tuple[int, int] | None = None  # offset and length of the depth image in the same file; None: no depth
    ids_at: tuple[int, int] | None = None  # of the image of ids, by which `track_ids` have masks; None: no ids
    outlines: tuple[Outline, ...] | None = None  # of the visible pixels of each box's object; None: none has one
    ignore_boxes_xyxy_px: Float32[np.ndarray, "m 4"] = field(default_factory=_no_boxes)  # neither object nor background
    ignore_labels: Int64[np.ndarray, " m"] = field(default_factory=_no_labels)  # of these regions; -1: every category


@dataclass(frozen=True)
class Clip:
    """Consecutive frames of one camera; a photograph is a clip of one."""

    name: str
    frames: tuple[FrameRecord, ...]
    label: int = -1  # the class of the whole clip, an index into ModelConfig.clip_classes; -1: unlabelled


@dataclass(frozen=True)
class ClipSource:
    """Labelled clips that share one list of categories.

    `skipped` maps each reason to the names of the items that were left out for it.

    >>> source = read_coco(Path("photos/photos.json"))
    >>> len(source), source.counts()
    (4, {'bolt': 6, 'washer': 6})
    >>> [clip.name for clip in source.only(["images/0.png", "images/3.png"]).clips]
    ['images/0.png', 'images/3.png']
    >>> shots = source.take(2)  # to fine-tune on
    >>> others = source.take(2, start=2)  # to validate on
    """

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
        """The number of boxes of each category."""
        labels = np.concatenate([np.zeros(0, np.int64), *(frame.labels for frame in self.frames)])
        totals = np.bincount(labels, minlength=len(self.categories))
        return {name: int(total) for name, total in zip(self.categories, totals, strict=True)}

    def take(self, count: int, seed: int = 0, start: int = 0) -> ClipSource:
        """`count` clips of one fixed shuffle, from position `start` of it.

        Calls with the same seed and ranges that do not overlap share no clip: few-shot training sets, then validation.

        Raises:
            DataError: the source has too few clips.
        """
        if count < 1 or start < 0 or start + count > len(self):
            raise DataError(f"{self.name}: cannot take clips {start}..{start + count} of {len(self)}")
        order = np.random.default_rng(seed).permutation(len(self))[start : start + count]
        return replace(self, clips=tuple(self.clips[i] for i in order))

    def labelled(self, labels: Mapping[str, int]) -> ClipSource:
        """The same clips with a class for each clip name in `labels`, for a clip head; other clips keep theirs.

        Raises:
            DataError: no clip has such a name.
        """
        unknown = sorted(labels.keys() - {clip.name for clip in self.clips})
        if unknown:
            raise DataError(f"{self.name}: no clip {unknown[:5]}; there are {[c.name for c in self.clips][:20]}")
        return replace(self, clips=tuple(replace(c, label=labels.get(c.name, c.label)) for c in self.clips))

    def only(self, clip_names: Iterable[str]) -> ClipSource:
        """The clips with these names, in the order of the source.

        Raises:
            DataError: no clip has such a name.
        """
        wanted = set(clip_names)
        missing = wanted - {clip.name for clip in self.clips}
        if missing:
            raise DataError(f"{self.name}: no clip {sorted(missing)}; there are {[c.name for c in self.clips][:20]}")
        return replace(self, clips=tuple(clip for clip in self.clips if clip.name in wanted))


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder, by name; folders below it are not looked into. Empty where there is none."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())


class Skips:
    """Collects the items that a reader leaves out, by reason.

    >>> skips = Skips(most=1)
    >>> for frame in ("belt_000002", "belt_000003"):
    ...     skips.add("video frame damaged", frame)
    >>> skips.done()
    {'video frame damaged': ('belt_000002',)}
    >>> skips.told()
    ['video frame damaged: 2, such as belt_000002']
    """

    def __init__(self, most: int | None = None) -> None:
        """`most`: items that are kept of each reason, for a stream without an end; the others are counted."""
        self._most = most
        self._items: defaultdict[str, list[str]] = defaultdict(list)
        self._counts: Counter[str] = Counter()

    def add(self, reason: str, item: str) -> None:
        self._counts[reason] += 1
        if self._most is None or len(self._items[reason]) < self._most:
            self._items[reason].append(item)

    def done(self) -> dict[str, tuple[str, ...]]:
        """The items that were kept, by reason."""
        return {reason: tuple(items) for reason, items in sorted(self._items.items())}

    def told(self) -> list[str]:
        """A line for each reason: how many items, and the first one."""
        return [_line(reason, self._counts[reason], items[0]) for reason, items in self.done().items()]


def skipped_lines(skipped: Mapping[str, Sequence[str]]) -> list[str]:
    """A line for each reason why items were left out: how many, and the first one.

    >>> skipped_lines({"image file missing": ("a.jpg", "b.jpg")})
    ['image file missing: 2, such as a.jpg']
    """
    return [_line(reason, len(items), items[0]) for reason, items in skipped.items() if items]


def _line(reason: str, count: int, first: str) -> str:
    return f"{reason}: {count}, such as {first}"
