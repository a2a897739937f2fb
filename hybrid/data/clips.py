"""Clips with boxes: from simulated shards, from COCO JSON, from YOLO folders. Foreign box conventions end here.

A source is a list of where frames lie and what is in them; pixels are read when they are asked for. What a data set
holds that cannot be used (a missing image, a box outside it, a category that the model does not know) is left out,
counted and named in `ClipSource.skipped`; only a set of which nothing remains is an error.
Images are RGB. Boxes are (x_min, y_min, x_max, y_max) in pixels, max exclusive.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from hybrid.core.config import BoxesOf
from simgen.dataset.store.locations import Place

LARGEST_IMAGE_PX = 100_000_000  # a header that promises more is refused before anything is decoded
LEAST_SIDE_PX = 3.0  # smaller boxes are no use to learn from
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

Image = UInt8[np.ndarray, "h w 3"]


class DataError(ValueError):
    """A data set that cannot be used; the message says which and why."""


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


# --- pixels ---------------------------------------------------------------------------------------------------------


def decode(record: FrameRecord) -> Image:
    """The frame's pixels.

    Raises:
        DataError: it cannot be decoded, or has another size than its record says.
    """
    import cv2

    with record.path.open("rb") as file:
        file.seek(record.offset)
        encoded = np.frombuffer(file.read(-1 if record.length is None else record.length), np.uint8)
    flags = cv2.IMREAD_COLOR if record.upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(encoded, flags) if len(encoded) else None
    if image is None:
        raise DataError(f"{record.path}: {record.name} cannot be decoded")
    if image.shape[:2] != (record.height_px, record.width_px):
        raise DataError(
            f"{record.path}: {record.name} is {image.shape[1]}x{image.shape[0]}, "
            f"not {record.width_px}x{record.height_px}"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def decode_depth_m(record: FrameRecord) -> Float32[np.ndarray, "h w"]:
    """The frame's depth along the optical axis, in metres; 0 where it is not known, as everywhere without depth.

    Raises:
        DataError: it cannot be decoded, or has another size than the image.
    """
    if record.depth_at is None:
        return np.zeros((record.height_px, record.width_px), np.float32)
    from simgen.dataset.format.png16 import decode_depth

    offset, length = record.depth_at
    with record.path.open("rb") as file:
        file.seek(offset)
        encoded = file.read(length)
    try:
        depth_m = decode_depth(encoded)
    except ValueError as error:
        raise DataError(f"{record.path}: the depth of {record.name} cannot be decoded: {error}") from error
    if depth_m.shape != (record.height_px, record.width_px):
        raise DataError(f"{record.path}: the depth of {record.name} is {depth_m.shape[1]}x{depth_m.shape[0]}")
    return np.where(np.isfinite(depth_m), depth_m, 0.0).astype(np.float32)


def read_image(path: Path) -> Image | str:
    """An image file's pixels, turned as its EXIF says, or why it is of no use."""
    found = _inspect(path)
    if isinstance(found, str):
        return found
    width, height, turned = found
    width, height = (height, width) if turned else (width, height)
    record = FrameRecord(
        name=path.name, path=path, width_px=width, height_px=height, upright=turned,
        boxes_xyxy_px=np.zeros((0, 4), np.float32), labels=np.zeros(0, np.int64),
    )  # fmt: skip
    return decode(record)


def read_depth(path: Path, unit_m: float) -> Float32[np.ndarray, "h w"] | str:
    """A depth camera's picture, 16 bits a pixel, in metres, or why it is of no use; 0 is unknown."""
    import cv2

    found = _inspect(path)
    if isinstance(found, str):
        return found.replace("image", "depth", 1)
    stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 2:
        return "depth file is not of one channel of 16 bits"
    return (stored * np.float32(unit_m)).astype(np.float32)


class DecodedImages:
    """The last decoded frames, up to a number of bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes, self._held_bytes = limit_bytes, 0
        self._images: OrderedDict[tuple[Place, int], Image] = OrderedDict()

    def read(self, record: FrameRecord) -> Image:
        key = (record.path, record.offset)
        if key in self._images:
            self._images.move_to_end(key)
            return self._images[key]
        image = decode(record)
        image.setflags(write=False)
        self._images[key] = image
        self._held_bytes += image.nbytes
        while self._held_bytes > self._limit_bytes and self._images:
            self._held_bytes -= self._images.popitem(last=False)[1].nbytes
        return image


_EXIF_ORIENTATION = 0x0112


def _inspect(path: Path) -> tuple[int, int, bool] | str:
    """(width, height, whether EXIF turns it by a quarter) as stored, or why the file is of no use."""
    from PIL import Image as Pillow

    if not path.is_file():
        return "image file missing"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Pillow.open(path) as image:
                if image.width * image.height > LARGEST_IMAGE_PX:
                    return f"image refused: more than {LARGEST_IMAGE_PX} pixels"
                turned = image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
                width, height = image.size
                image.draft("L", (width // 8, height // 8))  # JPEG: all of the bytes, an eighth of the pixels
                image.load()
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        return f"image refused: more than {LARGEST_IMAGE_PX} pixels"
    except Exception:  # a broken file makes Pillow raise nearly anything: OSError, SyntaxError, struct.error, ...
        return "image file cannot be decoded"
    return width, height, turned


def _inside(root: Path, file_name: str) -> Path | None:
    """The file below `root`, or None where the name leads out of it."""
    name = PurePosixPath(file_name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:", file_name) or "\0" in file_name:
        return None
    return root / name


@dataclass(frozen=True)
class _Box:
    """A box as a data set states it, before it is checked."""

    what: str
    label: int
    xyxy_px: Sequence[float]
    track_id: int = -1
    visible_share: float = math.nan
    hidden: bool = False


def _checked(
    boxes: Iterable[_Box], width_px: int, height_px: int, skips: Skips
) -> tuple[Float32[np.ndarray, "n 4"], Int64[np.ndarray, " n"]]:
    """The boxes that lie in the image, clipped to it."""
    kept = _inside_image(boxes, width_px, height_px, skips)
    limit = np.array([width_px, height_px, width_px, height_px], np.float32)
    stated = np.array([box.xyxy_px for box in kept], np.float32).reshape(-1, 4)
    return np.clip(stated, 0, limit), np.array([box.label for box in kept], np.int64)


def _inside_image(boxes: Iterable[_Box], width_px: int, height_px: int, skips: Skips) -> list[_Box]:
    """Those that are of use once they are clipped to the image."""
    kept: list[_Box] = []
    limit = np.array([width_px, height_px, width_px, height_px], np.float32)
    for box in boxes:
        stated = np.asarray(box.xyxy_px, np.float32)
        clipped = np.clip(stated, 0, limit)
        sides = clipped[2:] - clipped[:2]
        if not np.isfinite(stated).all() or (stated[2:] <= stated[:2]).any():
            skips.add("box without an area", box.what)
        elif sides.min() <= 0:
            skips.add("box outside its image", box.what)
        elif sides.min() < LEAST_SIDE_PX:
            skips.add(f"box with a side under {LEAST_SIDE_PX:g} px", box.what)
        else:
            if np.abs(stated - clipped).max() > 1:
                skips.add("box reached outside its image: clipped", box.what)
            kept.append(box)
    return kept


def _finished(name: str, categories: Sequence[str], clips: Iterable[Clip], skips: Skips) -> ClipSource:
    source = ClipSource(name, tuple(categories), tuple(clip for clip in clips if clip.frames), skips.done())
    if not source.clips:
        why = "; ".join(f"{reason}: {len(what)} (such as {what[0]})" for reason, what in source.skipped.items())
        raise DataError(f"{name}: no usable image. {why or 'It lists none.'}")
    return source


# --- simulated shards ------------------------------------------------------------------------------------------------


def from_shards(
    folder: Place,
    categories: Sequence[str] | None = None,
    least_visible: float = 0.2,
    boxes: BoxesOf = "visible",
) -> ClipSource:
    """The clips of a finished simgen data set. A part counts where `least_visible` of it or more can be seen.

    Boxes of whole parts, clipped to the frame, go on while a part is hidden: from when it has been seen in its clip
    until its box has left the frame (`FrameRecord.hidden`).

    Raises:
        DataError: the data set is damaged or unfinished, or holds no clip.
    """
    from simgen.dataset.format.reader import DataSet
    from simgen.spec.errors import ShardError

    skips = Skips()
    try:
        data_set = DataSet(folder)
        known = tuple(categories) if categories is not None else data_set.categories
        clips = []
        for stored in data_set:
            labels = stored.meta()["labels"]
            size = int(labels["width_px"]), int(labels["height_px"])
            frames, seen = [], set[int]()
            for number, frame in enumerate(labels["frames"]):
                name = f"{stored.index:06d}.f{number:03d}"
                member, depth = stored.members[f"f{number:03d}.jpg"], stored.members.get(f"f{number:03d}.depth.png")
                stated = _sim_boxes(
                    frame["parts"], f"scene {name}", known, least_visible, seen if boxes == "whole" else None, skips
                )
                kept = _inside_image(stated, *size, skips)
                xyxy, found = _checked(kept, *size, Skips())
                frames.append(
                    FrameRecord(
                        name=name,
                        path=stored.path,
                        offset=member.offset,
                        length=member.size,
                        width_px=size[0],
                        height_px=size[1],
                        boxes_xyxy_px=xyxy,
                        labels=found,
                        track_ids=np.array([box.track_id for box in kept], np.int64),
                        visible_share=np.array([box.visible_share for box in kept], np.float32),
                        hidden=np.array([box.hidden for box in kept], bool) if boxes == "whole" else None,
                        depth_at=None if depth is None else (depth.offset, depth.size),
                    )
                )
            clips.append(Clip(f"{stored.index:06d}", tuple(frames)))
    except ShardError as error:
        raise DataError(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: a clip's labels are not as simgen writes them: {error!r}") from error
    return _finished(str(folder), known, clips, skips)


def _sim_boxes(
    parts: Iterable[Mapping[str, Any]],
    frame: str,
    known: Sequence[str],
    least_visible: float,
    seen: set[int] | None,
    skips: Skips,
) -> Iterable[_Box]:
    """Visible boxes where `seen` is None; else whole ones, of parts `seen` in the clip so far, which is added to."""
    for part in parts:
        what, track_id, share = f"{frame} part {part['track_id']}", int(part["track_id"]), float(part["visible_share"])
        hidden = part["box_xyxy_px"] is None or share < least_visible
        if seen is not None and not hidden:
            seen.add(track_id)
        box = part["box_xyxy_px"] if seen is None else part["amodal_box_xyxy_px"]
        if part["category"] not in known:
            skips.add(f"category {part['category']!r} not known to the model", what)
        elif seen is None and hidden:
            skips.add(f"part of which less than {least_visible:g} can be seen", what)
        elif seen is not None and track_id not in seen:
            skips.add(f"part of which less than {least_visible:g} has been seen so far", what)
        elif box is None:
            skips.add("part outside the frame", what)
        else:
            yield _Box(what, known.index(part["category"]), box, track_id, share, hidden)


# --- COCO JSON ------------------------------------------------------------------------------------------------------


def from_coco(path: Path, categories: Sequence[str] | None = None, boxes: BoxesOf = "visible") -> ClipSource:
    """A COCO JSON, its images beside it. With `videos`, `video_id` and `frame_index` its images are sequences.

    Args:
        path: the JSON.
        categories: the model's; without them the file's own, by id.
        boxes: whole: `amodal_bbox` where an annotation has one, as simgen writes it, else its `bbox`.

    Raises:
        DataError: the file is no COCO JSON, or none of its images can be used.
    """
    document = _coco_document(path)
    skips = Skips()
    names = {c["id"]: str(c["name"]) for c in document["categories"]}
    known = tuple(categories) if categories is not None else tuple(dict.fromkeys(names[i] for i in sorted(names)))
    stated = _coco_boxes(document["annotations"], names, known, boxes, skips)
    frames: dict[Any, FrameRecord] = {}
    order: dict[Any, tuple[Any, int]] = {}
    for image in document["images"]:
        if image["id"] in frames:
            skips.add("image id used before", str(image["file_name"]))
            continue
        record = _coco_frame(path.parent, image, stated.pop(image["id"], []), skips)
        if record is not None:
            frames[image["id"]] = record
            order[image["id"]] = (image.get("video_id"), image.get("frame_index", 0))
    for orphans in stated.values():
        for box in orphans:
            skips.add("annotation without a usable image", box.what)
    videos = {video["id"]: str(video.get("name", video["id"])) for video in document.get("videos", [])}
    return _finished(str(path), known, _grouped(frames, order, videos, skips), skips)


def _coco_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no JSON: {error}") from None
    needed = {
        "images": ("id", "file_name"),
        "annotations": ("image_id", "category_id", "bbox"),
        "categories": ("id", "name"),
    }
    for key, fields in needed.items():
        rows = document.get(key) if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise DataError(f"{path}: no COCO JSON: it needs a list under {key!r}")
        for place, row in enumerate(rows):
            missing = [name for name in fields if not isinstance(row, dict) or name not in row]
            if missing:
                raise DataError(f"{path}: {key}[{place}] has no {missing[0]!r}")
    return dict(document)


def _coco_boxes(
    annotations: Iterable[Mapping[str, Any]],
    names: Mapping[Any, str],
    known: Sequence[str],
    boxes_of: BoxesOf,
    skips: Skips,
) -> dict[Any, list[_Box]]:
    boxes: defaultdict[Any, list[_Box]] = defaultdict(list)
    seen: set[Any] = set()
    for place, annotation in enumerate(annotations):
        what = f"annotation {annotation.get('id', f'at place {place}')}"
        name = names.get(annotation["category_id"])
        box = annotation["bbox"]
        if boxes_of == "whole":
            box = annotation.get("amodal_bbox", box)
        if annotation.get("id", what) in seen:
            skips.add("annotation id used before", what)
        elif name not in known:
            skips.add(f"category {name!r} not known to the model", what)
        elif annotation.get("iscrowd"):
            skips.add("crowd region", what)
        elif not (isinstance(box, list) and len(box) == 4 and all(isinstance(v, (int, float)) for v in box)):
            skips.add("box that is not four numbers", what)
        else:
            x, y, width, height = map(float, box)
            track = annotation.get("track_id")
            one = _Box(what, known.index(name), (x, y, x + width, y + height), track if _is_id(track) else -1)
            boxes[annotation["image_id"]].append(one)
        seen.add(annotation.get("id", what))
    return dict(boxes)


def _is_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _coco_frame(root: Path, image: Mapping[str, Any], boxes: Sequence[_Box], skips: Skips) -> FrameRecord | None:
    name = str(image["file_name"])
    path = _inside(root, name)
    found = "file name refused: it leaves the data set's folder" if path is None else _inspect(path)
    if path is None or isinstance(found, str):
        skips.add(str(found), name)
        return None
    width, height, turned = found
    stored, shown = (width, height), (height, width) if turned else (width, height)
    stated = (image.get("width", shown[0]), image.get("height", shown[1]))
    if stated not in (stored, shown):
        skips.add("image of another size than stated", name)
        return None
    upright = turned and stated == shown
    kept = _inside_image(boxes, *stated, skips)
    xyxy, labels = _checked(kept, *stated, Skips())
    tracks = np.array([box.track_id for box in kept], np.int64)
    return FrameRecord(
        name=name,
        path=path,
        width_px=stated[0],
        height_px=stated[1],
        upright=upright,
        boxes_xyxy_px=xyxy,
        labels=labels,
        track_ids=tracks if (tracks >= 0).any() else None,
    )


def _grouped(
    frames: Mapping[Any, FrameRecord], order: Mapping[Any, tuple[Any, int]], videos: Mapping[Any, str], skips: Skips
) -> list[Clip]:
    """Stills as clips of one; the frames of a video in their order, cut where the size changes or a frame lacks."""
    clips = [Clip(frames[i].name, (frames[i],)) for i in frames if order[i][0] is None]
    of_video: defaultdict[Any, list[tuple[int, FrameRecord]]] = defaultdict(list)
    for i, record in frames.items():
        if order[i][0] is not None:
            of_video[order[i][0]].append((order[i][1], record))
    for video, members in of_video.items():
        name = videos.get(video, str(video))
        members.sort(key=lambda member: member[0])
        for piece, run in enumerate(_unbroken(members)):
            clips.append(Clip(name if piece == 0 else f"{name}+{piece}", run))
            if piece:
                skips.add("sequence cut: a frame lacks or the size changes", f"{name} before {run[0].name}")
    return clips


def _unbroken(members: Sequence[tuple[int, FrameRecord]]) -> list[tuple[FrameRecord, ...]]:
    runs: list[list[tuple[int, FrameRecord]]] = []
    for index, record in members:
        last = runs[-1][-1] if runs else None
        same = last is not None and (last[1].width_px, last[1].height_px) == (record.width_px, record.height_px)
        if last is not None and same and index == last[0] + 1:
            runs[-1].append((index, record))
        else:
            runs.append([(index, record)])
    return [tuple(record for _, record in run) for run in runs]


# --- YOLO folders ---------------------------------------------------------------------------------------------------


def from_yolo(
    path: Path, split: str = "train", categories: Sequence[str] | None = None, names: Sequence[str] | None = None
) -> ClipSource:
    """A YOLO data set: a folder with `data.yaml`, or that file, or a folder of `images` and `labels` (give `names`).

    A label line is `class x_centre y_centre width height`, or `class` and an outline, in shares of the image's sides.

    Raises:
        DataError: no names or no images are found, or none can be used.
    """
    folder, own_names = yolo_layout(path, split, names)
    known = tuple(categories) if categories is not None else own_names
    skips = Skips()
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    clips = []
    for file in files:
        record = _yolo_frame(folder, file, own_names, known, skips)
        if record is not None:
            clips.append(Clip(record.name, (record,)))
    return _finished(f"{path} ({split})", known, clips, skips)


def yolo_layout(path: Path, split: str, names: Sequence[str] | None) -> tuple[Path, tuple[str, ...]]:
    """The folder of a split's images, and the names of the classes.

    Raises:
        DataError: as `from_yolo`.
    """
    listing = path if path.is_file() else path / "data.yaml"
    if not listing.is_file():
        folder = path / "images" / split if (path / "images" / split).is_dir() else path / "images"
        if names is None or not folder.is_dir():
            raise DataError(f"{path}: no data.yaml; without it the folder needs `images`, and the classes' names given")
        return folder, tuple(names)
    stated = _yolo_listing(listing)
    try:
        classes = stated["names"]
        own = tuple(str(classes[i]) for i in range(len(classes)))
        place = stated[split]
    except (KeyError, TypeError) as error:
        raise DataError(f"{listing}: needs `names` (0, 1, 2, ...) and {split!r}: {error!r}") from None
    if not isinstance(place, str):
        raise DataError(f"{listing}: {split}: give one folder, got {place!r}")
    below = _inside(listing.parent, re.sub(r"^(\.\./)+", "", place))  # Roboflow writes ../train/images for train/images
    if below is None or not below.is_dir():
        raise DataError(f"{listing}: {split}: {place!r} is no folder below {listing.parent}")
    return below, tuple(names) if names is not None else own


def _yolo_listing(file: Path) -> dict[str, Any]:
    import yaml

    try:
        stated = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: is no YAML: {error}") from None
    if not isinstance(stated, dict):
        raise DataError(f"{file}: needs `names` and splits, got {type(stated).__name__}")
    return stated


def measuring_split(path: Path) -> str:
    """The split of a YOLO data set to measure on: `test`, or `val` where it states no `test`."""
    listing = path if path.is_file() else path / "data.yaml"
    return "test" if _yolo_listing(listing).get("test") else "val"


def _yolo_frame(
    folder: Path, file: Path, own_names: Sequence[str], known: Sequence[str], skips: Skips
) -> FrameRecord | None:
    name = file.relative_to(folder).as_posix()
    found = _inspect(file)
    if isinstance(found, str):
        skips.add(found, name)
        return None
    width, height, turned = found
    width, height = (height, width) if turned else (width, height)
    boxes = []
    for place, line in enumerate(_yolo_lines(file)):
        what = f"{name} line {place + 1}"
        numbers = _numbers(line)
        if numbers is None or not (len(numbers) == 5 or (len(numbers) >= 7 and len(numbers) % 2)):
            skips.add("label line that is no box", what)
            continue
        index = int(numbers[0])
        label = own_names[index] if 0 <= index < len(own_names) else f"class {index}"
        if label not in known:
            skips.add(f"category {label!r} not known to the model", what)
            continue
        boxes.append(_Box(what, known.index(label), _yolo_box(numbers[1:], width, height)))
    xyxy, labels = _checked(boxes, width, height, skips)
    return FrameRecord(
        name=name, path=file, width_px=width, height_px=height, upright=turned, boxes_xyxy_px=xyxy, labels=labels
    )


def _yolo_lines(file: Path) -> list[str]:
    """The lines of the image's label file: its path with the last `images` read as `labels`. No file, no parts."""
    parts = list(file.parent.parts)
    places = [place for place, part in enumerate(parts) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    labels = Path(*parts) / (file.stem + ".txt")
    return (
        [line for line in labels.read_text(errors="replace").splitlines() if line.strip()] if labels.is_file() else []
    )


def _numbers(line: str) -> list[float] | None:
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _yolo_box(shares: Sequence[float], width_px: int, height_px: int) -> list[float]:
    """The xyxy box of a centre and a size, or of an outline's points, in pixels."""
    points = np.array(shares).reshape(-1, 2) * (width_px, height_px)
    if len(points) == 2:
        centre, size = points
        return [*(centre - size / 2).tolist(), *(centre + size / 2).tolist()]
    return [*points.min(0).tolist(), *points.max(0).tolist()]
