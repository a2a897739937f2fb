"""Is a data set what it says it is? Checksums, schema, and labels that agree with the pixels under them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from simgen.sensor import decode
from simgen.shards import DataSet, ShardEntry, ShardError, StoredClip, file_sha256
from simgen.types import CLUTTER, FrameLabels, Labels, PartLabel

MAX_PROBLEMS = 100
TOLERANCE_PX = 1e-6  # of a modal box against the ids it was found in: it is exact
AMODAL_TOLERANCE_PX = 1.5  # what is seen may stand out of the whole part's box by a pixel's sampling
Box = tuple[float, float, float, float]


def check_data_set(data: DataSet, step: Callable[[], None] = lambda: None) -> list[str]:
    """What is wrong with a data set, a line each, at most `MAX_PROBLEMS`. `step` is called after each clip."""
    problems: list[str] = []
    for number, entry in enumerate(data.manifest.shards):
        for problem in _shard(data, number, entry, step):
            problems.append(problem)
            if len(problems) == MAX_PROBLEMS:
                return [*problems, f"and perhaps more: stopped after {MAX_PROBLEMS}"]
    if len(data.manifest.shards) != data.manifest.request.shards:
        said, due = len(data.manifest.shards), data.manifest.request.shards
        problems.append(f"manifest.json: lists {said} shards where {due} belong")
    return problems


def _shard(data: DataSet, number: int, entry: ShardEntry, step: Callable[[], None]) -> Iterator[str]:
    path = data.folder / entry.name
    try:
        if path.stat().st_size != entry.bytes or file_sha256(path) != entry.sha256:
            yield f"{path.name}: is not the file of the manifest: its checksum or size differs"
        table = data.table(number)
    except OSError as error:
        yield f"{path.name}: cannot be read: {error.strerror}"
        return
    except ShardError as error:
        yield _relative(error, data.folder)
        return
    due = [*table, *(scene.index for scene in entry.quarantined)]
    if sorted(due) != list(data.manifest.request.scenes_of(number)):
        yield f"{path.name}: holds or leaves out {len(due)} scenes, but not those that are its own"
    for clip in table.values():
        try:
            yield from (f"{path.name}: clip {clip.index}: {problem}" for problem in _clip(clip, data.categories))
        except ShardError as error:
            yield _relative(error, data.folder)
        except ValueError as error:
            yield f"{path.name}: clip {clip.index}: {error}"
        step()


def _relative(error: Exception, folder: Path) -> str:
    return str(error).replace(f"{folder}/", "")


def _clip(clip: StoredClip, categories: tuple[str, ...]) -> Iterator[str]:
    spec, labels = clip.spec(), clip.labels()
    if spec.id != clip.meta()["id"] or spec.index != clip.index:
        yield "its spec does not give the id that it says"
    if not len(labels.frames) == spec.frames == clip.frames:
        yield f"{len(labels.frames)} frames have labels, {clip.frames} have pictures, the spec says {spec.frames}"
        return
    for t, frame in enumerate(labels.frames):
        yield from (f"frame {t}: {problem}" for problem in _frame(clip, t, labels, frame))
        if wrong := {part.category for part in frame.parts} - set(categories):
            yield f"frame {t}: categories {sorted(wrong)} are not in the manifest"
        if [(part.track_id, part.category) for part in frame.parts] != [
            (k, part.category) for k, part in enumerate(spec.parts)
        ]:
            yield f"frame {t}: its labels are not those of the spec's parts, in their order"


def _frame(clip: StoredClip, t: int, labels: Labels, frame: FrameLabels) -> Iterator[str]:
    shape = (labels.height_px, labels.width_px)
    ids, depth_m = clip.ids(t), clip.depth_m(t)
    if not (decode(clip.jpeg(t)).shape[:2] == ids.shape == depth_m.shape == shape):
        yield "picture, ids and depth are not all of the size that the labels say"
        return
    if ids.min() < CLUTTER or ids.max() >= len(frame.parts):
        yield f"ids go from {ids.min()} to {ids.max()}, with {len(frame.parts)} parts"
    if not np.isfinite(depth_m[ids >= 0]).all():
        yield "a part's pixel has no depth"
    for part in frame.parts:
        yield from (f"part {part.track_id}: {problem}" for problem in _part(part, ids, shape))


def _part(part: PartLabel, ids: Int32[np.ndarray, "h w"], shape: tuple[int, int]) -> Iterator[str]:
    mask = ids == part.track_id
    seen = int(mask.sum())
    if seen != part.visible_px:
        yield f"{part.visible_px} visible pixels in the labels, {seen} in the ids"
    if not 0 <= part.visible_share <= 1 or (part.visible_share > 0) != (seen > 0):
        yield f"visible share {part.visible_share} with {seen} visible pixels"
    box, whole = part.box_xyxy_px, part.amodal_box_xyxy_px
    if (box is None) != (seen == 0):
        yield f"box {box} with {seen} visible pixels"
    elif box is not None:
        if not _near(box, _bounds(mask), TOLERANCE_PX):
            yield f"box {box} in the labels, {_bounds(mask)} in the ids"
        if whole is None or not _inside(box, whole, AMODAL_TOLERANCE_PX):
            yield f"box {box} is not inside the amodal box {whole}"
    if whole is not None and not _inside(whole, (0.0, 0.0, float(shape[1]), float(shape[0])), TOLERANCE_PX):
        yield f"amodal box {whole} is not clipped to the frame"


def _bounds(mask: np.ndarray) -> Box:
    xs, ys = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)


def _near(one: Box, other: Box, tolerance: float) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def _inside(inner: Box, outer: Box, tolerance: float) -> bool:
    low = all(a >= b - tolerance for a, b in zip(inner[:2], outer[:2], strict=True))
    return low and all(a <= b + tolerance for a, b in zip(inner[2:], outer[2:], strict=True))
