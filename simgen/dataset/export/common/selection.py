"""The clips and labels to export: filters, and splits.

All frames of a scene are in the same split. The position of scene k is the fractional part of (k + 1) times the golden
ratio. So its split depends on k and the shares alone, more scenes move none of the others, and any run of consecutive
scenes is divided nearly by the shares (a Weyl sequence of low discrepancy: Knuth, TAOCP vol. 3, 6.4).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simgen.dataset.format.archive import StoredClip
from simgen.dataset.format.reader import DataSet
from simgen.spec.errors import ExportError
from simgen.spec.frames import FrameLabels, Labels, PartLabel

SPLITS = ("train", "val", "test")
_GOLDEN = 0x9E3779B97F4A7C15  # the golden ratio's fractional part times 2**64
Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which labels to leave out, and how to split the scenes. Invisible parts are never exported."""

    categories: tuple[str, ...] | None = None  # these alone; class ids follow this order
    min_visible: float = 0.0  # least visible share
    min_size_px: float = 0.0  # least shorter side of the visible box
    shares: tuple[float, ...] | None = None  # of train, val and test

    def __post_init__(self) -> None:
        if not 0 <= self.min_visible <= 1:
            raise ExportError(f"--min-visible: needs a share from 0 to 1, got {self.min_visible:g}")
        if not (0 <= self.min_size_px < math.inf):
            raise ExportError(f"--min-size: needs pixels, got {self.min_size_px:g}")
        shares = self.shares
        if shares is not None and not (
            len(shares) in (2, 3) and all(0 <= s <= 1 for s in shares) and abs(sum(shares) - 1) < 1e-6
        ):
            got = ",".join(f"{share:g}" for share in shares)
            raise ExportError(f"--split: needs two or three shares (train,val,test) that add up to 1, got {got}")


@dataclass(frozen=True)
class VisiblePart:
    """A label to export. It has a box."""

    label: PartLabel
    box_xyxy_px: Box
    category_id: int  # from 0, in the order of the selection's categories

    @property
    def track_id(self) -> int:
        return self.label.track_id


@dataclass(frozen=True)
class PickedClip:
    """A clip to export. `frames` has the labels that pass the filters, frame by frame."""

    split: str
    stored: StoredClip
    labels: Labels
    frames: tuple[tuple[VisiblePart, ...], ...]

    @property
    def scene(self) -> int:
        return self.stored.index


class Selection:
    """Iterate over the clips once, with one in memory. `dropped` counts the labels left out, by reason.

    Raises:
        ExportError: an unknown category, or too few scenes for a split.
    """

    def __init__(self, data: DataSet, filters: Filters, step: Callable[[], None] = lambda: None) -> None:
        self.data, self.filters, self._step = data, filters, step
        self.dropped: Counter[str] = Counter()
        self.clips: Counter[str] = Counter()  # by split
        self.categories = data.categories if filters.categories is None else filters.categories
        if unknown := set(self.categories) - set(data.categories):
            raise ExportError(f"--categories: no {sorted(unknown)}; there are {', '.join(data.categories)}")
        if len(set(self.categories)) != len(self.categories) or not self.categories:
            raise ExportError(f"--categories: needs each of them once, got {', '.join(self.categories)}")
        self._ids = {name: i for i, name in enumerate(self.categories)}
        self.splits = self._splits()

    @property
    def is_split(self) -> bool:
        return self.filters.shares is not None

    def split_of(self, scene: int) -> str:
        """The split of a scene."""
        if self.filters.shares is None:
            return SPLITS[0]
        position = ((scene + 1) * _GOLDEN % 2**64) / 2**64
        end = 0.0
        chosen = SPLITS[0]
        for name, share in zip(SPLITS, self.filters.shares, strict=False):
            chosen = name if share > 0 else chosen
            end += share
            if position < end:
                return chosen
        return chosen  # rounding: the shares add up to slightly less than 1

    def _splits(self) -> tuple[str, ...]:
        if self.filters.shares is None:
            return SPLITS[:1]
        asked = tuple(name for name, share in zip(SPLITS, self.filters.shares, strict=False) if share > 0)
        manifest = self.data.manifest
        left = set(asked)
        for shard in manifest.shards:
            lost = {scene.index for scene in shard.quarantined}
            for scene in range(shard.first_scene, shard.first_scene + shard.clips + len(lost)):
                if scene not in lost:
                    left.discard(self.split_of(scene))
                if not left:
                    return asked
        raise ExportError(f"--split: too few scenes: none of {manifest.clips} falls to {', '.join(sorted(left))}")

    def __iter__(self) -> Iterator[PickedClip]:
        for stored in self.data:
            split = self.split_of(stored.index)
            labels = stored.labels()
            self.clips[split] += 1
            yield PickedClip(split, stored, labels, tuple(self._frame(frame) for frame in labels.frames))
            self._step()

    def _frame(self, frame: FrameLabels) -> tuple[VisiblePart, ...]:
        visible = []
        for part in frame.parts:
            reason = self._reason(part)
            if reason is not None:
                self.dropped[reason] += 1
            elif part.box_xyxy_px is not None:
                visible.append(VisiblePart(part, part.box_xyxy_px, self._ids[part.category]))
        return tuple(visible)

    def _reason(self, part: PartLabel) -> str | None:
        """The first reason to leave a label out; None to export it."""
        if part.category not in self._ids:
            return "of other categories"
        if part.box_xyxy_px is None:
            return "not visible"
        if part.visible_share < self.filters.min_visible:
            return f"less than {self.filters.min_visible:g} visible"
        x0, y0, x1, y1 = part.box_xyxy_px
        if min(x1 - x0, y1 - y0) < self.filters.min_size_px:
            return f"smaller than {self.filters.min_size_px:g} px"
        return None
