"""The summary of a data set, and how it is collected: clip by clip, in memory that does not grow with their number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from simgen.dataset.format.archive import StoredClip
from simgen.dataset.format.plain import from_plain
from simgen.dataset.format.reader import DataSet
from simgen.dataset.statistics.draws import Source
from simgen.dataset.statistics.histogram import Bins, Spread
from simgen.dataset.statistics.knobs import KnobTable
from simgen.spec.errors import ShardError
from simgen.spec.evenly import evenly
from simgen.spec.frames import Labels, PartLabel
from simgen.spec.scene import SceneSpec

COLUMNS, ROWS = 32, 20  # of the map of positions
WHOLE = 0.99  # visible share from which on a part counts as whole
MOST_LINES = 20  # of damage that are kept; the others are counted


@dataclass
class Category:
    """The parts of one category, in all frames."""

    boxes: int = 0
    hidden: int = 0  # inside the frame, but no pixel is seen
    cut: int = 0  # its box touches the frame's edge
    whole: int = 0  # nothing covers it
    size_px: Spread = field(default_factory=Spread)  # square root of the box's area
    visible: Bins = field(default_factory=lambda: Bins.empty(0.0, 1.0, 10))


@dataclass
class Summary:
    """What is in a data set. Counts are of what was read: damaged clips are told in `damage`."""

    place: str
    preset: str
    seed: int
    scenes_asked: int
    quarantined: dict[str, int]  # scenes that could not be made, by reason
    knobs: KnobTable
    clips: int = 0
    frames: int = 0
    empty_clips: int = 0  # without any part
    empty_frames: int = 0  # without any box
    redrawn: Counter[int] = field(default_factory=Counter)  # clips, by how often their parts were drawn before
    on_photo: int = 0
    decoys: int = 0
    clips_with_decoys: int = 0
    boxes_a_frame: Counter[int] = field(default_factory=Counter)
    categories: dict[str, Category] = field(default_factory=dict)
    places: list[list[int]] = field(default_factory=lambda: [[0] * COLUMNS for _ in range(ROWS)])
    frame_px: Counter[tuple[int, int]] = field(default_factory=Counter)
    damage: list[str] = field(default_factory=list)
    damaged: int = 0

    @property
    def boxes(self) -> int:
        return sum(category.boxes for category in self.categories.values())

    @property
    def faults(self) -> int:
        """Damaged shards and clips, knobs outside their range, scenes that their config does not draw."""
        return self.damaged + len(self.knobs.outside) + self.knobs.strangers


def summary(
    data: DataSet,
    source: Source | None,
    clips: int | None = None,
    step: Callable[[], None] = lambda: None,
    no_source: str = "",
) -> Summary:
    """Read a data set's labels and scenes, never its pictures.

    Args:
        source: the data set's config, whose knobs are compared with the scenes; None where it cannot be read.
        clips: how many to read, spread evenly; None: all.
        step: called after each clip.
        no_source: why there is none.
    """
    request = data.manifest.request
    reasons = Counter(scene.reason for scene in data.manifest.quarantined)
    found = Summary(
        place=str(data.folder),
        preset=request.preset,
        seed=request.seed,
        scenes_asked=request.scenes,
        quarantined=dict(reasons.most_common(MOST_LINES)),
        knobs=KnobTable(source, no_source),
        categories={name: Category() for name in data.categories},
    )
    for clip in _clips(data, clips, found):
        try:
            _add(found, clip)
        except ShardError as error:
            _damage(found, error)
        step()
    return found


def _clips(data: DataSet, wanted: int | None, found: Summary) -> Iterator[StoredClip]:
    """The clips, shard by shard, or some of them, spread evenly. A damaged shard is noted and left out."""
    if wanted is not None and wanted < len(data):
        for i in evenly(range(len(data)), wanted):
            try:
                yield data[i]
            except ShardError as error:
                _damage(found, error)
        return
    for shard in range(len(data.manifest.shards)):
        try:
            table = data.table(shard)
        except ShardError as error:
            _damage(found, error)
            continue
        yield from table.values()


def _damage(found: Summary, error: ShardError) -> None:
    found.damaged += 1
    if len(found.damage) < MOST_LINES:
        found.damage.append(str(error))


def _add(found: Summary, clip: StoredClip) -> None:
    meta = clip.meta()
    try:
        labels, spec = from_plain(Labels, meta["labels"]), from_plain(SceneSpec, meta["spec"])
    except (ValueError, KeyError) as error:
        raise clip.damaged("json", error) from error
    found.clips += 1
    found.frames += len(labels.frames)
    found.frame_px[labels.width_px, labels.height_px] += 1
    found.empty_clips += not spec.parts
    found.on_photo += spec.stage.photo is not None
    found.decoys += len(spec.decoys or ())
    found.clips_with_decoys += bool(spec.decoys)
    if spec.attempt:
        found.redrawn[spec.attempt] += 1
    for frame in labels.frames:
        boxes = 0
        for part in frame.parts:
            boxes += _add_part(found, part, labels)
        found.boxes_a_frame[boxes] += 1
        found.empty_frames += not boxes
    found.knobs.add(spec)


def _add_part(found: Summary, part: PartLabel, labels: Labels) -> int:
    """Count a part in a frame. Returns 1 if it has a box."""
    category = found.categories.setdefault(part.category, Category())
    if part.box_xyxy_px is None:
        category.hidden += part.amodal_box_xyxy_px is not None
        return 0
    x0, y0, x1, y1 = part.box_xyxy_px
    category.boxes += 1
    category.cut += x0 <= 0 or y0 <= 0 or x1 >= labels.width_px or y1 >= labels.height_px
    category.whole += part.visible_share >= WHOLE
    category.size_px.add(max(0.0, (x1 - x0) * (y1 - y0)) ** 0.5)
    category.visible.add(part.visible_share)
    column = int((x0 + x1) / 2 / labels.width_px * COLUMNS)
    row = int((y0 + y1) / 2 / labels.height_px * ROWS)
    found.places[min(max(row, 0), ROWS - 1)][min(max(column, 0), COLUMNS - 1)] += 1
    return 1


def to_json(found: Summary) -> str:
    """The summary as JSON, of the format "simgen-stats/1"."""
    categories = {
        name: {
            "boxes": one.boxes,
            "hidden": one.hidden,
            "cut": one.cut,
            "whole": one.whole,
            "size_px": {f"p{100 * q:.0f}": one.size_px.quantile(q) for q in (0.05, 0.5, 0.95)},
            "visible_share_tenths": one.visible.counts,
        }
        for name, one in sorted(found.categories.items())
    }
    plain = {
        "format": "simgen-stats/1",
        "place": found.place,
        "preset": found.preset,
        "seed": found.seed,
        "scenes_asked": found.scenes_asked,
        "clips": found.clips,
        "frames": found.frames,
        "boxes": found.boxes,
        "empty_clips": found.empty_clips,
        "empty_frames": found.empty_frames,
        "on_photo": found.on_photo,
        "decoys": found.decoys,
        "clips_with_decoys": found.clips_with_decoys,
        "drawn_again": {str(k): n for k, n in sorted(found.redrawn.items())},
        "quarantined": found.quarantined,
        "boxes_a_frame": {str(k): n for k, n in sorted(found.boxes_a_frame.items())},
        "frame_px": [[*size, count] for size, count in sorted(found.frame_px.items())],
        "positions": found.places,
        "categories": categories,
        "knobs": found.knobs.plain(),
        "damaged": found.damaged,
        "damage": found.damage,
    }
    return json.dumps(plain, indent=1, allow_nan=False) + "\n"
