"""The rows of a COCO JSON, judged in one place: `simgen check` and training read the same.

The file may come from anywhere. A row that cannot be used, or that is read in another way than it is stated, is a
`Finding`: it is counted and named, and no row stops the reading. Ids are whole numbers or text. An id of an annotation
is not needed: tools write 0 or null for all of them, or restart in each image.
"""

from __future__ import annotations

import math
import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from simgen.spec.text.printable import printable

Id = int | str
Value = TypeVar("Value")
LARGEST = 1e9  # of a coordinate, in pixels


@dataclass(frozen=True)
class Finding:
    """Something that is left out, or not read as it is stated."""

    kind: str  # a row of `simgen.dataset.check.report`
    reason: str
    item: str  # which row


@dataclass(frozen=True)
class CocoAnnotation:
    """An annotation that has a place in an image."""

    name: str
    category: str | None  # None: its category is not listed
    xywh_px: tuple[float, float, float, float]
    amodal_xywh_px: tuple[float, float, float, float] | None  # around the whole object, as simgen writes it
    crowd: bool  # a region of many objects: neither an object nor background
    row: Mapping[str, Any]


@dataclass(frozen=True)
class CocoImage:
    """An image with its annotations."""

    file_name: str
    name: str  # the file name, safe to print
    size_px: tuple[int, int] | None  # (width, height) as stated; None: not stated
    video: Id | None = None
    frame_index: int | None = None  # of a frame of a video
    annotations: tuple[CocoAnnotation, ...] = ()


@dataclass(frozen=True)
class CocoContent:
    """What a COCO JSON says."""

    categories: tuple[str, ...]  # by id; without those that no annotation bears
    unused: tuple[str, ...]  # categories that no annotation bears
    images: tuple[CocoImage, ...]
    videos: Mapping[Id, str]  # names
    findings: tuple[Finding, ...]


def coco_content(document: Mapping[str, Any]) -> CocoContent:
    """What the tables of a COCO JSON (https://cocodataset.org/#format-data) say, and what of them cannot be used.

    Args:
        document: of `read_coco_json`, with lists under `images`, `annotations` and `categories`.

    Images that share an id but not a file name are all left out, since their annotations cannot be told apart. Images
    that share a file name are read as one image with the annotations of all.
    """
    found: list[Finding] = []
    names = _categories(document["categories"], found)
    images, image_of = _images(document["images"], found)
    annotations = _annotations(document["annotations"], names, image_of, found)
    borne = {one.category for rows in annotations.values() for one in rows}
    ordered = list(dict.fromkeys(names[key] for key in sorted(names, key=lambda key: (isinstance(key, str), key))))
    unused = tuple(name for name in ordered if name not in borne)
    used = tuple(name for name in ordered if name in borne)
    found += [Finding("unused", "category that no annotation bears", name) for name in unused if used]
    complete = [replace(image, annotations=tuple(annotations.get(key, ()))) for key, image in images.items()]
    videos = _video_names(document.get("videos"), found)
    return CocoContent(used or tuple(ordered), unused, tuple(_in_order(complete, videos, found)), videos, tuple(found))


def as_id(value: Any) -> Id | None:
    """The value as an id; None: it is none. A whole number may be written as 3.0."""
    return value if isinstance(value, str) else whole_number(value)


def whole_number(value: Any) -> int | None:
    """The value as a whole number; None: it is none. It may be written as 3.0 or "3"."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _listed(table: Mapping[Id, Value], value: Any) -> Value | None:
    """The entry with this id. "3" finds 3, and 3 finds "3", where nothing else has that id."""
    key = as_id(value)
    if key is None or key in table:
        return None if key is None else table[key]
    other = whole_number(key) if isinstance(key, str) else str(key) if abs(key) < 2**62 else None
    return None if other is None else table.get(other)


def shown(value: Any) -> str:
    """A value of a file, for a message: safe to print, and short."""
    try:
        return printable(f"{value!r:.60}")
    except RecursionError:
        return f"a deep {type(value).__name__}"


def _categories(rows: Sequence[Any], found: list[Finding]) -> dict[Id, str]:
    """The name of each category by its id."""
    names: dict[Id, str] = {}
    clashing, used = set[Id](), set[str]()
    for place, row in enumerate(rows):
        key = as_id(row.get("id")) if isinstance(row, dict) else None
        name = _category_name(row.get("name")) if isinstance(row, dict) else None
        if key is None or name is None:
            found.append(Finding("schema", "category without a usable id or name", f"categories[{place}]"))
        elif names.get(key, name) != name:
            clashing.add(key)
            found.append(Finding("category", "category id used with two names: not read", f"{names[key]!r}, {name!r}"))
        else:
            if name in used:
                found.append(Finding("category", "category name used twice: read as one category", name))
            names[key] = name
            used.add(name)
    return {key: name for key, name in names.items() if key not in clashing}


def _category_name(value: Any) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return shown(value)
    return printable(value) if isinstance(value, str) and value.strip() else None


def _images(rows: Sequence[Any], found: list[Finding]) -> tuple[dict[Id, CocoImage], dict[Id, Id]]:
    """The images by their ids; and for each usable id, that of the image that it stands for."""
    images: dict[Id, CocoImage] = {}
    image_of: dict[Id, Id] = {}
    id_of_file: dict[str, Id] = {}
    clashing = set[Id]()
    for place, row in enumerate(rows):
        image, key = _image(row, f"images[{place}]", found)
        if image is None or key is None:
            continue
        first = id_of_file.setdefault(_same_file(image), key)
        if key in image_of and _same_file(images[image_of[key]]) != _same_file(image):
            clashing |= {key, image_of[key]}
            found.append(Finding("annotation", "image id used for two files: neither is read", image.name))
            continue
        if first in images:
            found.append(Finding("annotation", "file listed twice: read once, with all annotations", image.name))
        else:
            images[first] = image
        image_of[key] = first
    for key in [key for key in images if key in clashing]:
        name = images.pop(key).name
        found.append(Finding("annotation", "image id used for two files: neither is read", name))
    return images, {key: first for key, first in image_of.items() if first in images}


def _same_file(image: CocoImage) -> str:
    return posixpath.normpath(image.file_name.replace("\\", "/"))


def _image(row: Any, item: str, found: list[Finding]) -> tuple[CocoImage | None, Id | None]:
    """The image of a row, and its id; None where the row lacks one."""
    file_name = row.get("file_name") if isinstance(row, dict) else None
    if not isinstance(file_name, str) or not file_name.strip():
        found.append(Finding("schema", "image without a file name", item))
        return None, None
    name, key = printable(file_name), as_id(row.get("id"))
    if key is None:
        found.append(Finding("schema", "image without a usable id", f"{name}: {shown(row.get('id'))}"))
        return None, None
    width, height = (whole_number(row.get(side)) or 0 for side in ("width", "height"))
    size = (width, height) if 0 < width < LARGEST and 0 < height < LARGEST else None
    stated = [row[side] for side in ("width", "height") if row.get(side) is not None]
    if size is None and stated:
        text = f"{name}: {', '.join(map(shown, stated))}"
        found.append(Finding("schema", "image whose stated size is no size: the file's own is taken", text))
    video = row.get("video_id")
    if video is not None and as_id(video) is None:
        found.append(Finding("schema", "video_id that is no id: read as a still", f"{name}: {shown(video)}"))
    index = row.get("frame_index", row.get("frame_id"))
    return CocoImage(file_name, name, size, as_id(video), whole_number(index)), key


def _video_names(rows: Any, found: list[Finding]) -> dict[Id, str]:
    """The names of the videos. A missing table is as an empty one."""
    if rows is not None and not isinstance(rows, list):
        found.append(Finding("schema", "videos that are no list: not read", f"videos: {shown(rows)}"))
        return {}
    names: dict[Id, str] = {}
    for place, row in enumerate(rows or []):
        key = as_id(row.get("id")) if isinstance(row, dict) else None
        if key is None:
            found.append(Finding("schema", "video without a usable id", f"videos[{place}]"))
        else:
            name = row.get("name")
            names[key] = printable(name) if isinstance(name, str) and name else f"video {shown(key)}"
    return names


def _in_order(images: Sequence[CocoImage], videos: Mapping[Id, str], found: list[Finding]) -> list[CocoImage]:
    """The images; those of a video where no frame has an index are numbered as they are listed."""
    members: defaultdict[Id, list[CocoImage]] = defaultdict(list)
    for image in images:
        if image.video is not None:
            members[image.video].append(image)
    unnumbered = [video for video, frames in members.items() if all(frame.frame_index is None for frame in frames)]
    reason = "video without frame_index: its frames are taken as they are listed"
    found += [Finding("schema", reason, videos.get(video, str(video))) for video in unnumbered]
    counts = dict.fromkeys(unnumbered, 0)
    ordered = []
    for image in images:
        if image.video in counts:
            ordered.append(replace(image, frame_index=counts[image.video]))
            counts[image.video] += 1
        elif image.video is not None and image.frame_index is None:
            found.append(Finding("schema", "frame without a usable frame_index: read as a still", image.name))
            ordered.append(replace(image, video=None))
        else:
            ordered.append(image)
    return ordered


@dataclass
class _Seen:
    """The annotations so far."""

    ids: set[Id] = field(default_factory=set)
    contents: set[tuple[object, ...]] = field(default_factory=set)


def _annotations(
    rows: Sequence[Any], names: Mapping[Id, str], image_of: Mapping[Id, Id], found: list[Finding]
) -> dict[Id, list[CocoAnnotation]]:
    """The annotations of each image, by its id."""
    annotations: defaultdict[Id, list[CocoAnnotation]] = defaultdict(list)
    seen = _Seen()
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            found.append(Finding("schema", "annotation that is no object", f"annotations[{place}]"))
            continue
        item = _annotation_name(row, place, seen, found)
        image = _listed(image_of, row.get("image_id"))
        if image is None:
            text = f"{item}: image {shown(row.get('image_id'))}"
            found.append(Finding("annotation", "annotation without a usable image", text))
            continue
        annotation = _annotation(row, item, names, found)
        if annotation is None:
            continue
        content = (image, annotation.category, annotation.xywh_px, annotation.crowd)
        if content in seen.contents:
            found.append(Finding("annotation", "annotation stated twice: read once", item))
        else:
            annotations[image].append(annotation)
        seen.contents.add(content)
    return annotations


def _annotation_name(row: Mapping[str, Any], place: int, seen: _Seen, found: list[Finding]) -> str:
    """How to name an annotation: by its id where that is its own, else by its place."""
    key = as_id(row.get("id"))
    if key is not None and key not in seen.ids:
        seen.ids.add(key)
        return f"annotation {shown(key)}"
    reason = "annotation id used before: it is read all the same"
    if key is None:
        reason = "annotation without a usable id: it is read all the same"
    found.append(Finding("annotation", reason, f"annotations[{place}]: {shown(row.get('id'))}"))
    return f"annotations[{place}]"


def _annotation(
    row: Mapping[str, Any], item: str, names: Mapping[Id, str], found: list[Finding]
) -> CocoAnnotation | None:
    xywh, amodal = four_numbers(row.get("bbox")), row.get("amodal_bbox")
    if xywh is None or (amodal is not None and four_numbers(amodal) is None):
        text = f"{item}: {shown(row.get('bbox') if xywh is None else amodal)}"
        found.append(Finding("schema", "box that is not four numbers", text))
        return None
    category = _listed(names, row.get("category_id"))
    if category is None:
        reason = "category that is not listed: neither part nor background"
        found.append(Finding("category", reason, f"{item}: category {shown(row.get('category_id'))}"))
    stated = row.get("iscrowd")
    crowd = stated not in (None, 0, "0", "")  # also where it is odd: then it is no background either
    if crowd:
        odd = stated not in (1, "1")
        reason = "iscrowd that is neither 0 nor 1: read as a crowd" if odd else "crowd region"
        found.append(Finding("schema" if odd else "crowd", reason, item))
    return CocoAnnotation(item, category, xywh, four_numbers(amodal), crowd, row)


def four_numbers(value: Any) -> tuple[float, float, float, float] | None:
    """The value as (x, y, width, height); None: it is not four finite numbers below 10^9."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < LARGEST for v in value):
        return None  # NaN is not below anything
    x, y, width, height = (float(v) for v in value)
    return (x, y, width, height) if math.isfinite(x + y + width + height) else None
