"""Check a COCO JSON with its images, real or simulated: keys, ids, boxes, masks, tracks, and the images."""

from __future__ import annotations

import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from simgen.dataset.check.pictures import PictureError, Pictures, decoded
from simgen.dataset.check.report import Box, Picture, Problem, Report
from simgen.dataset.check.statistics import Statistics
from simgen.dataset.export.common.masks import from_rle
from simgen.dataset.format.coco_json import read_coco_json
from simgen.spec.errors import CocoError

MAX_PICTURE_BYTES = 512 * 2**20
OUTSIDE_PX = 1.0  # by which a box may leave the image, because tools round differently
MASK_PX = 2.0  # by which a box may differ from the bounds of its mask, on each side
AREA_SHARE = 0.1  # by which the area may differ from that of the mask
LISTS: dict[str, dict[str, type]] = {
    "images": {"id": int, "file_name": str, "width": int, "height": int},
    "annotations": {"id": int, "image_id": int, "category_id": int, "bbox": list},
    "categories": {"id": int, "name": str},
}
OPTIONAL: dict[str, dict[str, Any]] = {
    "images": {"video_id": (int, str), "frame_index": int},
    "annotations": {"track_id": (int, str)},
}


def check_coco(path: Path, report: Report, step: Callable[[], None] = lambda: None) -> None:
    """Check a COCO JSON and its images. `step` is called after each image."""
    try:
        document = read_coco_json(path, dict.fromkeys(LISTS, ()))
    except CocoError as error:
        report.add([Problem("schema" if error.readable else "file", path.name, str(error))])
        return
    rows = {}
    for name in LISTS:
        rows[name], problems = _rows(document[name], name)
        report.add(problems)
    names = {row["id"]: row["name"] for row in rows["categories"]}
    report.add(_twice(Counter(names.values()), "category", "categories", "the name {!r} is used {} times"))
    images = {row["id"]: row for row in rows["images"]}
    of_image: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in rows["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    for identity in sorted(of_image.keys() - images.keys()):
        text = f"{len(of_image[identity])} annotations of image {identity}, which is not listed"
        report.add([Problem("annotation", "annotations", text)])
    report.add(_twice(Counter(str(row["file_name"]) for row in rows["images"]), "annotation", "images",
                      "the file {!r} is listed {} times"))  # fmt: skip
    report.add(_videos(rows["images"], of_image))
    context = _Context(path.parent.resolve(), names, Pictures(), Statistics(), report)
    report.clips = len({row.get("video_id", ("image", row["id"])) for row in rows["images"]})
    for image in images.values():
        report.add(_image(context, image, of_image.get(image["id"], [])))
        step()
    report.add(context.statistics.outliers())


@dataclass(frozen=True)
class _Context:
    root: Path
    names: Mapping[int, str]
    pictures: Pictures
    statistics: Statistics
    report: Report


def _rows(rows: list[Any], name: str) -> tuple[list[Mapping[str, Any]], list[Problem]]:
    """The rows with all needed keys, each id once; and the problems of the others."""
    good: dict[int, Mapping[str, Any]] = {}
    problems = []
    for place, row in enumerate(rows):
        wrong = _wrong_key(row, name)
        if wrong is not None:
            problems.append(Problem("schema", f"{name}[{place}]", wrong))
        elif row["id"] in good:
            problems.append(Problem("annotation", f"{name}[{place}]", f"the id {row['id']} was used before"))
        else:
            good[row["id"]] = row
    return list(good.values()), problems


def _wrong_key(row: Any, name: str) -> str | None:
    if not isinstance(row, dict):
        return f"needs an object, got {row!r:.60}"
    for key, kind in {**LISTS[name], **OPTIONAL.get(name, {})}.items():
        value = row.get(key)
        may_lack = key in OPTIONAL.get(name, {}) and value is None
        if not may_lack and (isinstance(value, bool) or not isinstance(value, kind)):
            return f"{key!r}: got {value!r:.60}" if key in row else f"has no {key!r}"
    return None


def _twice(counts: Counter[str], kind: str, where: str, text: str) -> Iterator[Problem]:
    return (Problem(kind, where, text.format(name, count)) for name, count in counts.items() if count > 1)


def _videos(images: list[Mapping[str, Any]], of_image: Mapping[int, list[Mapping[str, Any]]]) -> Iterator[Problem]:
    """Check videos: consecutive frames of one size, one category for a track, and each track once in a frame."""
    videos: defaultdict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for image in images:
        if image.get("video_id") is not None:
            videos[image["video_id"]].append(image)
    for video, frames in videos.items():
        where = f"video {video}"
        indices = [frame["frame_index"] for frame in frames if frame.get("frame_index") is not None]
        if len(indices) < len(frames):
            yield Problem("schema", where, "a frame has no frame_index")
            continue
        if sorted(indices) != list(range(min(indices), min(indices) + len(indices))):
            yield Problem("track", where, f"frames lack or stand twice: it has {sorted(indices)!s:.80}")
        if len({(frame["width"], frame["height"]) for frame in frames}) > 1:
            yield Problem("track", where, "its frames differ in size")
        yield from _tracks(where, frames, of_image)


def _tracks(
    where: str, frames: list[Mapping[str, Any]], of_image: Mapping[int, list[Mapping[str, Any]]]
) -> Iterator[Problem]:
    known: dict[Any, int] = {}
    for frame in sorted(frames, key=lambda frame: int(frame["frame_index"])):
        at = f"{where}: frame {frame['frame_index']}"
        tracks = [row for row in of_image.get(frame["id"], []) if row.get("track_id") is not None]
        yield from _twice(
            Counter(str(row["track_id"]) for row in tracks), "track", at, "track {} stands there {} times"
        )
        for row in tracks:
            before = known.setdefault(str(row["track_id"]), row["category_id"])
            if before != row["category_id"]:
                text = f"track {row['track_id']} changes from category {before} to {row['category_id']}"
                yield Problem("track", at, text)


def _image(context: _Context, image: Mapping[str, Any], annotations: list[Mapping[str, Any]]) -> Iterator[Problem]:
    where = f"{image['file_name']!s:.200}"
    size = int(image["width"]), int(image["height"])
    context.report.frames += 1
    file = _file(context.root, image["file_name"])
    picture = None if isinstance(file, str) else Picture(file)
    if picture is None:
        yield Problem("file", where, str(file))
    else:
        yield from _picture(context, image, where, size, picture)
    used: Counter[tuple[object, ...]] = Counter()
    for annotation in annotations:
        at = f"{where}: annotation {annotation['id']}"
        name = context.names.get(annotation["category_id"])
        box = _box(annotation["bbox"])
        boxes = () if box is None else (box,)
        if name is None:
            yield Problem("category", at, f"category {annotation['category_id']} is not listed", picture, boxes)
        for kind, text in _annotation(annotation, box, size):
            yield Problem(kind, at, text, picture, boxes)
        used[annotation["category_id"], box] += 1
        if box is not None and used[annotation["category_id"], box] == 2:
            yield Problem("annotation", at, "another one has the same category and box", picture, boxes)
        if box is not None and name is not None:
            context.report.labels[name] += 1
            if picture is not None and box[0] > 0 and box[1] > 0 and box[2] < size[0] and box[3] < size[1]:
                context.statistics.add(name, box, at, picture)


def _file(root: Path, name: str) -> Path | str:
    """The file of an image, or the reason why it is refused."""
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or "\0" in name or name[1:2] == ":":
        return "refused: the file name leads out of the folder"
    try:
        path = (root / pure).resolve()
        info = path.stat()
    except (OSError, RuntimeError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if not path.is_relative_to(root):
        return "refused: a link that leads out of the folder"
    if not stat.S_ISREG(info.st_mode):
        return "refused: no plain file"
    if info.st_size > MAX_PICTURE_BYTES:
        return f"refused: {info.st_size} bytes"
    return path


def _picture(
    context: _Context, image: Mapping[str, Any], where: str, size: tuple[int, int], picture: Picture
) -> Iterator[Problem]:
    try:
        data = picture.read()
        pixels = decoded(data)
    except (PictureError, OSError) as error:
        yield Problem("picture", where, str(error))
        return
    stored = pixels.shape[1], pixels.shape[0]
    if size not in (stored, stored[::-1]):  # with or without the rotation of its EXIF tag
        text = f"{stored[0]} x {stored[1]} pixels, the JSON says {size[0]} x {size[1]}"
        yield Problem("picture", where, text, picture)
    video = image.get("video_id")
    clip = where if video is None else f"video {video}"
    yield from context.pictures.look(clip, where, picture, data, pixels)


def _box(box: list[Any]) -> Box | None:
    if len(box) != 4 or not all(isinstance(v, int | float) and abs(v) < 1e9 for v in box):  # nor NaN
        return None
    x, y, width, height = (float(v) for v in box)
    return x, y, x + width, y + height


def _annotation(annotation: Mapping[str, Any], box: Box | None, size: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """The problems of an annotation, as (kind, text)."""
    if box is None:
        yield "schema", f"needs a bbox of four numbers, got {annotation['bbox']!r:.60}"
        return
    if box[2] <= box[0] or box[3] <= box[1]:
        yield "box", f"the bbox {annotation['bbox']} is empty"
        return
    if box[0] < -OUTSIDE_PX or box[1] < -OUTSIDE_PX or box[2] > size[0] + OUTSIDE_PX or box[3] > size[1] + OUTSIDE_PX:
        yield "box", f"the bbox {annotation['bbox']} reaches out of {size[0]} x {size[1]} pixels"
    share = annotation.get("visible_share")
    if share is not None and not (isinstance(share, int | float) and 0 < share <= 1):
        yield "visibility", f"visible_share {share!r:.40} with a box"
    segmentation = annotation.get("segmentation")
    if segmentation:
        try:
            bounds, area = _extent(segmentation, size)
        except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            yield "mask", f"damaged: {error!s:.120}"
            return
        if bounds is None or any(abs(a - b) > MASK_PX for a, b in zip(bounds, box, strict=True)):
            yield "mask", f"its bounds are {bounds}, the box {box}"
        stated = annotation.get("area")
        if area is not None and isinstance(stated, int | float) and abs(stated - area) > max(4, AREA_SHARE * area):
            yield "mask", f"it has {area} pixels, the annotation says {stated:g}"


def _extent(segmentation: Any, size: tuple[int, int]) -> tuple[Box | None, int | None]:
    """The bounds of a mask; and its area, if it is given as pixels (RLE)."""
    width, height = size
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"of size {segmentation['size']!r:.40} in a picture of {[height, width]}")
        mask = from_rle(segmentation["counts"], height, width)
        ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(ys):
            return None, 0
        return (float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)), int(mask.sum())
    points = np.concatenate([_polygon(polygon) for polygon in segmentation])
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return (x0, y0, x1, y1), None


def _polygon(numbers: Any) -> np.ndarray:
    points = np.asarray(numbers, np.float64)
    if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise ValueError("a polygon needs three points or more, of two numbers each")
    return points.reshape(-1, 2)
