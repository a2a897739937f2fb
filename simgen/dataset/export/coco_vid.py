"""Video instance segmentation in the format of YouTube-VIS: an annotation is a track, with a mask and box per frame.

    annotations.json                     or train.json, val.json, test.json when split
    train/JPEGImages/000041/00003.jpg    scene 41, frame 3; `file_names` are relative to JPEGImages

`segmentations`, `bboxes` (xywh in pixels) and `areas` are null in frames where the part is invisible or not exported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from simgen.dataset.export import coco
from simgen.dataset.export.common.lists import GrowingJson
from simgen.dataset.export.common.masks import rle
from simgen.dataset.export.common.records import FrameRecord, LabelRecord, inside, xywh, xyxy
from simgen.dataset.export.common.selection import PickedClip, Selection
from simgen.spec.errors import ExportError

MAIN = coco.MAIN
TOOL = "YouTube-VIS"
IMAGES = "JPEGImages"


def write(selection: Selection, folder: Path) -> dict[str, int]:
    """Write into `folder`, with one clip at a time in memory. Returns the number of each thing written."""
    head = {"info": coco.info(selection), "licenses": [], "categories": coco.categories(selection)}
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        documents = {
            split: stack.enter_context(
                GrowingJson(folder / coco.document_name(selection, split), head, ("videos", "annotations"))
            )
            for split in selection.splits
        }
        for clip in selection:
            _write_clip(clip, documents[clip.split], folder / clip.split / IMAGES / f"{clip.scene:06d}")
            counts["images"] += len(clip.frames)
    named = {"videos": "videos", "annotations": "tracks"}
    counts.update({named[key]: n for document in documents.values() for key, n in document.counts.items() if n})
    return dict(counts)


def _write_clip(clip: PickedClip, document: GrowingJson, images: Path) -> None:
    images.mkdir(parents=True)
    for t in range(len(clip.frames)):
        (images / f"{t:05d}.jpg").write_bytes(clip.stored.jpeg(t))
    names = [f"{images.name}/{t:05d}.jpg" for t in range(len(clip.frames))]
    size = {"width": clip.labels.width_px, "height": clip.labels.height_px, "length": len(clip.frames)}
    video_id = document.add("videos", {"file_names": names, **size})
    for track in _tracks(clip):
        document.add("annotations", {"video_id": video_id, "iscrowd": 0, **size, **track})


def _tracks(clip: PickedClip) -> Iterator[dict[str, Any]]:
    length = len(clip.frames)
    tracks: dict[int, dict[str, Any]] = {}
    for t, parts in enumerate(clip.frames):
        ids = clip.stored.ids(t)
        for part in parts:
            empty = {key: [None] * length for key in ("segmentations", "bboxes", "areas")}
            start = {"category_id": part.category_id + 1, "track_id": part.track_id, **empty}
            track = tracks.setdefault(part.track_id, start)
            track["segmentations"][t] = rle(ids == part.track_id)
            track["bboxes"][t] = xywh(part.box_xyxy_px)
            track["areas"][t] = part.label.visible_px
    yield from tracks.values()


def read(place: Path) -> Iterator[FrameRecord]:
    """Read an export from its folder, or from one JSON, which is loaded completely.

    Raises:
        ExportError: it is damaged, or of another format.
    """
    for split, path in coco.documents_at(place):
        document = coco.read_document(path, "categories", "videos", "annotations")
        try:
            names = {category["id"]: str(category["name"]) for category in document["categories"]}
            tracks: dict[int, list[Mapping[str, Any]]] = {video["id"]: [] for video in document["videos"]}
            for track in document["annotations"]:
                tracks[track["video_id"]].append(track)
            for video in document["videos"]:
                yield from _frames(video, tracks[video["id"]], names, path, split)
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ExportError(f"{path}: not as YouTube-VIS has it: {error!r}") from error


def _frames(
    video: Mapping[str, Any], tracks: list[Mapping[str, Any]], names: Mapping[int, str], path: Path, split: str
) -> Iterator[FrameRecord]:
    size = int(video["height"]), int(video["width"])
    for t, name in enumerate(video["file_names"]):
        yield FrameRecord(
            split=split,
            scene=int(str(name).partition("/")[0]),
            frame=t,
            width_px=size[1],
            height_px=size[0],
            image=inside(path.parent / split / IMAGES, str(name)),
            labels=tuple(
                LabelRecord(
                    category=names[track["category_id"]],
                    box_xyxy_px=xyxy(track["bboxes"][t], f"{path}: track {track['id']}, frame {t}"),
                    track_id=int(track["track_id"]),
                    mask=coco.mask_of(track["segmentations"][t], size),
                )
                for track in tracks
                if track["bboxes"][t] is not None
            ),
        )
