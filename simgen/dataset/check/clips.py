"""Check a simgen data set: its shards against the manifest, and its labels against the pixels under them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Int32
from scipy.ndimage import find_objects

from simgen.dataset.check.flow import wrong_flow
from simgen.dataset.check.pictures import BLANK_SPREAD, PictureError, Pictures, decoded
from simgen.dataset.check.report import Box, Picture, Problem, Report
from simgen.dataset.check.statistics import Statistics
from simgen.dataset.contents import wrong_contents
from simgen.dataset.format.archive import REBUILD, StoredClip, scan_shard
from simgen.dataset.format.clip_index import INDEX
from simgen.dataset.format.manifest import ShardEntry
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.files import file_sha256
from simgen.spec.errors import ShardError
from simgen.spec.frames import FrameLabels, Image, Labels, PartLabel
from simgen.spec.geometry import compose
from simgen.spec.types import CLUTTER

TOLERANCE_PX = 1e-6  # of a box against the id map: it is exact
AMODAL_TOLERANCE_PX = 1.5  # sampling may move visible pixels out of the box of the whole part by a pixel
MAX_SPEED_M_S = 20.0  # of a part in the world: a fall of 20 m
COMPLETELY_VISIBLE = 0.99


def check_shards(data: DataSet, report: Report, step: Callable[[], None]) -> None:
    """Check every shard and clip. `step` is called after each clip."""
    pictures, statistics = Pictures(), Statistics()
    for number, entry in enumerate(data.manifest.shards):
        report.add(_shard(data, number, entry, report, pictures, statistics, step))
    if len(data.manifest.shards) != data.manifest.request.shards:
        listed, expected = len(data.manifest.shards), data.manifest.request.shards
        report.add([Problem("manifest", "manifest.json", f"lists {listed} shards where {expected} belong")])
    report.add(_contents(data))
    report.add(statistics.outliers())


def _shard(
    data: DataSet,
    number: int,
    entry: ShardEntry,
    report: Report,
    pictures: Pictures,
    statistics: Statistics,
    step: Callable[[], None],
) -> Iterator[Problem]:
    path = data.folder / entry.name
    try:
        table = scan_shard(path)  # refuses what is no regular file, before it is read
        if problem := data.unfit(number, table):
            yield Problem("manifest", path.name, problem)
        if path.stat().st_size != entry.bytes or file_sha256(path) != entry.sha256:
            yield _other_file(path.name)
    except OSError as error:
        yield Problem("file", path.name, f"cannot be read: {error.strerror}")
        return
    except ShardError as error:
        if path.is_file() and path.stat().st_size != entry.bytes:
            yield _other_file(path.name)
        yield _damage(error, data)
        return
    yield from _index(data, number, table, path.name)
    for clip in table.values():
        try:
            yield from _clip(clip, data.categories, report, pictures, statistics)
        except ShardError as error:
            yield _damage(error, data)
        step()


def _contents(data: DataSet) -> Iterator[Problem]:
    """A problem for each file that the scenes are made of and that is missing or is another one."""
    for error in wrong_contents(data.folder, data.manifest.request.config):
        yield _damage(error, data)


def _index(data: DataSet, number: int, table: Mapping[int, StoredClip], name: str) -> Iterator[Problem]:
    try:
        problem = data.wrong_index(number, table)
    except (ShardError, ValueError, OSError) as error:
        problem = f"cannot be compared: {error}"
    if problem:
        yield Problem("index", INDEX, f"{name}: {problem}: {REBUILD}")


def _other_file(name: str) -> Problem:
    return Problem("checksum", name, "is not the file of the manifest: its checksum or size differs")


def _damage(error: ShardError, data: DataSet) -> Problem:
    where, _, text = str(error).replace(f"{data.folder}/", "").partition(": ")
    return Problem("file", where, text)


def _clip(
    clip: StoredClip, categories: tuple[str, ...], report: Report, pictures: Pictures, statistics: Statistics
) -> Iterator[Problem]:
    where = f"{clip.path.name}: clip {clip.index}"
    spec, labels = clip.spec(), clip.labels()
    report.clips += 1
    meta = clip.meta()
    stored = json.dumps(meta["spec"], sort_keys=True)  # not converted: later versions may have more fields
    if hashlib.sha256(stored.encode()).hexdigest()[:16] != meta["id"] or spec.index != clip.index:
        yield Problem("schema", where, "its spec does not give the id that it says")
    if not len(labels.frames) == spec.frames == clip.frames:
        said = f"{len(labels.frames)} frames have labels, {clip.frames} have pictures, the spec says {spec.frames}"
        yield Problem("schema", where, said)
        return
    for t, frame in enumerate(labels.frames):
        place = f"{where}: frame {t}"
        picture = picture_of(clip, t)
        report.frames += 1
        if wrong := {part.category for part in frame.parts} - set(categories):
            yield Problem("category", place, f"categories {sorted(wrong)} are not in the manifest", picture)
        if [(part.track_id, part.category) for part in frame.parts] != [
            (k, part.category) for k, part in enumerate(spec.parts)
        ]:
            yield Problem("track", place, "its labels are not those of the spec's parts, in their order", picture)
        try:
            data = clip.jpeg(t)
            image = decoded(data)
        except PictureError as error:
            yield Problem("picture", place, str(error))
            continue
        for problem in pictures.look(where, place, picture, data, image):
            if problem.kind == "blank" and _is_plain(image, clip.ids(t), clip.depth_m(t)):
                yield Problem("plain", place, f"{problem.text}; by its ids nearly all of it is one surface", picture)
            else:
                yield problem
        yield from _frame(clip, t, labels, frame, place, image)
        for part in frame.parts:
            _count(part, labels, report, statistics, f"{place}: part {part.track_id}", picture)
    yield from _motion(clip, labels, where)
    if clip.has_flow and not spec.shutter.row_time_s:  # rows of a rolling shutter have other times
        yield from wrong_flow(clip, labels, where)


def _is_plain(image: Image, ids: Int32[np.ndarray, "h w"], depth_m: Float32[np.ndarray, "h w"]) -> bool:
    """Whether a blank picture is correct: one surface fills the picture, apart from slivers of other things.

    An empty belt is a fair picture. Without depth there is no surface: then nothing was drawn.
    """
    if not (image.shape[:2] == ids.shape == depth_m.shape) or not np.isfinite(depth_m).all():
        return False
    values, counts = np.unique(ids, return_counts=True)
    others = ids != values[counts.argmax()]
    if not others.any():
        return True
    apart = image[others].mean(0) - image[~others].mean(0)
    return bool(np.abs(apart).max() > 2 * BLANK_SPREAD)


def picture_of(clip: StoredClip, t: int) -> Picture:
    member = clip.members[f"f{t:03d}.jpg"]
    return Picture(clip.path, member.offset, member.size)


def _count(
    part: PartLabel, labels: Labels, report: Report, statistics: Statistics, where: str, picture: Picture
) -> None:
    if part.box_xyxy_px is None:
        return
    report.labels[part.category] += 1
    x0, y0, x1, y1 = part.box_xyxy_px
    cut = x0 <= 0 or y0 <= 0 or x1 >= labels.width_px or y1 >= labels.height_px
    if part.visible_share >= COMPLETELY_VISIBLE and not cut:
        statistics.add(part.category, part.box_xyxy_px, where, picture)


def _motion(clip: StoredClip, labels: Labels, where: str) -> Iterator[Problem]:
    for t, (before, after) in enumerate(pairwise(labels.frames), start=1):
        place = f"{where}: frame {t}"
        seconds = after.time_s - before.time_s
        if after.frame != before.frame + 1 or not seconds > 0:
            text = f"is frame {after.frame} at {after.time_s:g} s, after frame {before.frame} at {before.time_s:g} s"
            yield Problem("track", place, text)
            continue
        for one, other in zip(before.parts, after.parts, strict=False):
            metres = float(np.linalg.norm(np.subtract(_position(other, after), _position(one, before))))
            if metres > MAX_SPEED_M_S * seconds:
                boxes = tuple(box for box in (one.unclipped_box_xyxy_px, other.unclipped_box_xyxy_px) if box)
                text = f"part {other.track_id} jumps by {metres:.2f} m in {seconds:.3f} s"
                yield Problem("track", place, text, picture_of(clip, t), boxes)


def _position(part: PartLabel, frame: FrameLabels) -> tuple[float, float, float]:
    return compose(frame.world_from_camera, part.camera_from_part).position_m


def _frame(clip: StoredClip, t: int, labels: Labels, frame: FrameLabels, place: str, image: Image) -> Iterator[Problem]:
    shape = (labels.height_px, labels.width_px)
    ids, depth_m = clip.ids(t), clip.depth_m(t)
    picture = picture_of(clip, t)
    if not (image.shape[:2] == ids.shape == depth_m.shape == shape):
        yield Problem("picture", place, "picture, ids and depth are not all of the size that the labels say", picture)
        return
    if ids.min() < CLUTTER or ids.max() >= len(frame.parts):
        yield Problem("ids", place, f"ids go from {ids.min()} to {ids.max()}, with {len(frame.parts)} parts", picture)
    if not np.isfinite(depth_m[ids >= 0]).all():
        yield Problem("depth", place, "a part's pixel has no depth", picture)
    counts, bounds = _extent_of_ids(ids)
    for part in frame.parts:
        for kind, text in _part(part, counts.get(part.track_id, 0), bounds.get(part.track_id), shape):
            boxes = tuple(box for box in (part.box_xyxy_px, part.amodal_box_xyxy_px) if box)
            yield Problem(kind, f"{place}: part {part.track_id}", text, picture, boxes)


def _extent_of_ids(ids: Int32[np.ndarray, "h w"]) -> tuple[dict[int, int], dict[int, Box]]:
    """The number of pixels of each id, and their bounds."""
    parts = np.maximum(ids + 1, 0)
    counts = {i - 1: int(count) for i, count in enumerate(np.bincount(parts.ravel())) if i and count}
    bounds = {i: _span(*slices) for i, slices in enumerate(find_objects(parts)) if slices is not None}
    return counts, bounds


def _span(rows: slice, columns: slice) -> Box:
    return float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)


def _part(part: PartLabel, visible_px: int, bounds: Box | None, shape: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """The problems of a label, as (kind, text). The id map has `visible_px` pixels of it, within `bounds`."""
    if visible_px != part.visible_px:
        yield "ids", f"{part.visible_px} visible pixels in the labels, {visible_px} in the ids"
    if not 0 <= part.visible_share <= 1 or (part.visible_share > 0) != (visible_px > 0):
        yield "visibility", f"visible share {part.visible_share} with {visible_px} visible pixels"
    box, whole = part.box_xyxy_px, part.amodal_box_xyxy_px
    if (box is None) != (bounds is None):
        yield "box", f"box {box} with {visible_px} visible pixels"
    elif box is not None and bounds is not None:
        if not _near(box, bounds, TOLERANCE_PX):
            yield "box", f"box {box} in the labels, {bounds} in the ids"
        if whole is None or not _inside(box, whole, AMODAL_TOLERANCE_PX):
            yield "box", f"box {box} is not inside the amodal box {whole}"
    if whole is not None and not _inside(whole, (0.0, 0.0, float(shape[1]), float(shape[0])), TOLERANCE_PX):
        yield "box", f"amodal box {whole} is not clipped to the frame"


def _near(one: Box, other: Box, tolerance: float) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def _inside(inner: Box, outer: Box, tolerance: float) -> bool:
    low = all(a >= b - tolerance for a, b in zip(inner[:2], outer[:2], strict=True))
    return low and all(a <= b + tolerance for a, b in zip(inner[2:], outer[2:], strict=True))
