"""COCO JSON, with `videos` for sequences. Its boxes are xywh in pixels, its category ids begin at 1.

    annotations.json         or train.json, val.json, test.json when split
    images/000041_003.jpg    scene 41, frame 3

In addition to COCO's keys an image has `video_id` and `frame_index`, an annotation has `track_id` (the same part in all
frames of a video), `amodal_bbox` (the whole part, clipped to the frame) and `visible_share`. Masks are compressed RLE,
as in pycocotools.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from simgen.dataset.export.common.lists import GrowingJson
from simgen.dataset.export.common.masks import from_rle, rle
from simgen.dataset.export.common.records import FrameRecord, LabelRecord, Mask, inside, xywh, xyxy
from simgen.dataset.export.common.selection import SPLITS, PickedClip, Selection, VisiblePart
from simgen.dataset.format.coco_json import read_coco_json
from simgen.spec.errors import CocoError, ExportError

MAIN = "annotations.json"
IMAGES = "images"
TOOL = "pycocotools"


def write(selection: Selection, folder: Path) -> dict[str, int]:
    """Write into `folder`, with one clip at a time in memory. Returns the number of each thing written."""
    (folder / IMAGES).mkdir()
    head = {"info": info(selection), "categories": categories(selection)}
    with ExitStack() as stack:
        documents = {
            split: stack.enter_context(
                GrowingJson(folder / document_name(selection, split), head, ("images", "annotations", "videos"))
            )
            for split in selection.splits
        }
        for clip in selection:
            _write_clip(clip, documents[clip.split], folder / IMAGES)
    return dict(sum((Counter(document.counts) for document in documents.values()), Counter()))


def document_name(selection: Selection, split: str) -> str:
    return f"{split}.json" if selection.is_split else MAIN


def info(selection: Selection) -> dict[str, str]:
    return {"description": f"simgen {selection.data.manifest.request.preset}"}


def categories(selection: Selection) -> list[dict[str, object]]:
    return [{"id": i, "name": name} for i, name in enumerate(selection.categories, start=1)]


def _write_clip(clip: PickedClip, document: GrowingJson, images: Path) -> None:
    video_id = document.add("videos", {"name": f"{clip.scene:06d}"})
    for t, parts in enumerate(clip.frames):
        name = f"{clip.scene:06d}_{t:03d}.jpg"
        (images / name).write_bytes(clip.stored.jpeg(t))
        size = {"width": clip.labels.width_px, "height": clip.labels.height_px}
        place = {"video_id": video_id, "frame_index": t}
        image_id = document.add("images", {"file_name": f"{IMAGES}/{name}", **size, **place})
        ids = clip.stored.ids(t)
        for part in parts:
            document.add("annotations", {"image_id": image_id, **_annotation(part, ids)})


def _annotation(part: VisiblePart, ids: Int32[np.ndarray, "h w"]) -> dict[str, Any]:
    return {
        "category_id": part.category_id + 1,
        "bbox": xywh(part.box_xyxy_px),
        "area": part.label.visible_px,
        "segmentation": rle(ids == part.track_id),
        "iscrowd": 0,
        "track_id": part.track_id,
        "amodal_bbox": xywh(part.label.amodal_box_xyxy_px or part.box_xyxy_px),
        "visible_share": part.label.visible_share,
    }


def read(place: Path) -> Iterator[FrameRecord]:
    """Read an export from its folder, or from one JSON, which is loaded completely.

    Raises:
        ExportError: it is damaged, or of another format.
    """
    for split, path in documents_at(place):
        document = read_document(path, "categories", "videos", "images", "annotations")
        try:
            yield from _frames(document, path, split)
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ExportError(f"{path}: not as COCO has it: {error!r}") from error


def documents_at(place: Path) -> list[tuple[str, Path]]:
    """The splits of an export and their JSON files: the file itself, or the files in a folder.

    Raises:
        ExportError: there is none.
    """
    if place.is_file():
        return [(place.stem if place.stem in SPLITS else SPLITS[0], place)]
    if (place / MAIN).is_file():
        return [(SPLITS[0], place / MAIN)]
    found = [(split, place / f"{split}.json") for split in SPLITS if (place / f"{split}.json").is_file()]
    if not found:
        raise ExportError(f"{place}: no {MAIN} and no train.json")
    return found


def read_document(path: Path, *tables: str) -> dict[str, Any]:
    """The JSON object in a COCO file that has these tables.

    Raises:
        ExportError: it cannot be read, or a table is missing.
    """
    try:
        return read_coco_json(path, dict.fromkeys(tables, ()))
    except CocoError as error:
        raise ExportError(f"{path}: {error}") from None


def _frames(document: Mapping[str, Any], path: Path, split: str) -> Iterator[FrameRecord]:
    names = {category["id"]: str(category["name"]) for category in document["categories"]}
    scenes = {video["id"]: int(video["name"]) for video in document["videos"]}
    of_image: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in document["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    for image in document["images"]:
        size = int(image["height"]), int(image["width"])
        yield FrameRecord(
            split=split,
            scene=scenes[image["video_id"]],
            frame=int(image["frame_index"]),
            width_px=size[1],
            height_px=size[0],
            image=inside(path.parent, str(image["file_name"])),
            labels=tuple(
                LabelRecord(
                    category=names[annotation["category_id"]],
                    box_xyxy_px=xyxy(annotation["bbox"], f"{path}: annotation {annotation['id']}"),
                    track_id=int(annotation["track_id"]),
                    mask=mask_of(annotation["segmentation"], size),
                )
                for annotation in of_image.pop(image["id"], [])
            ),
        )
    if of_image:
        raise ExportError(f"{path}: annotations of images that are not there: {sorted(of_image)[:5]}")


def mask_of(segmentation: Mapping[str, Any], size: tuple[int, int]) -> Mask:
    """The mask of an RLE object, whose size must be that of the image (height, width).

    Raises:
        ValueError: it is not, or the run lengths are damaged.
    """
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"a mask of {segmentation['size']} in a picture of {size}")
    return from_rle(segmentation["counts"], *size)
