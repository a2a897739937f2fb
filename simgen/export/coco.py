"""COCO JSON, with `videos` for its sequences. Boxes are xywh in pixels there, category ids begin at 1.

Beyond COCO's own keys an image has `video_id` and `frame_index`, an annotation has `track_id` (the same part in all
frames of a video), `amodal_bbox` (the whole part, clipped to the frame) and `visible_share`. A part that cannot be seen
in a frame has no annotation there. Masks are compressed RLE, as pycocotools writes it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from jaxtyping import Bool, Int32

from simgen.export.errors import ExportError
from simgen.shards import DataSet, StoredClip
from simgen.types import FrameLabels, PartLabel

Box = tuple[float, float, float, float]


def write(data: DataSet, out: Path, step: Callable[[], None]) -> tuple[Path, dict[str, int]]:
    """Write `out` (a .json, or a folder for `annotations.json`) and `images/` beside it, one clip at a time in memory.

    Raises:
        ExportError: the JSON or the images are there already.
    """
    path = out if out.suffix == ".json" else out / "annotations.json"
    images = path.parent / "images"
    if found := next((p for p in (path, images) if p.exists()), None):
        raise ExportError(f"{found}: is there already; choose another --out")
    images.mkdir(parents=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        counts = _write_json(data, part, images, step)
        os.replace(part, path)
    finally:
        for left in path.parent.glob(f"{part.name}*"):
            left.unlink()
    return path, counts


def _write_json(data: DataSet, part: Path, images: Path, step: Callable[[], None]) -> dict[str, int]:
    """The JSON, list after list, with each list in a file of its own until all are complete."""
    category_ids = {name: i + 1 for i, name in enumerate(data.categories)}
    files = {name: part.with_name(f"{part.name}.{name}") for name in ("images", "annotations", "videos")}
    with ExitStack() as stack:
        lists = {name: _List(stack.enter_context(file.open("w"))) for name, file in files.items()}
        for video_id, clip in enumerate(data, start=1):
            lists["videos"].add({"id": video_id, "name": f"{clip.index:06d}"})
            for image, annotations in _frames(clip, video_id, category_ids, images):
                image_id = lists["images"].add({"id": lists["images"].count + 1, **image})
                for annotation in annotations:
                    ids = {"id": lists["annotations"].count + 1, "image_id": image_id}
                    lists["annotations"].add({**ids, **annotation})
            step()
        counts = {name: one.count for name, one in lists.items()}
    with part.open("w") as whole:
        whole.write('{"info": ' + json.dumps({"description": f"simgen {data.manifest.request.preset}"}))
        whole.write(', "categories": ' + json.dumps([{"id": i, "name": n} for n, i in category_ids.items()]))
        for name, file in files.items():
            whole.write(f', "{name}": [\n')
            with file.open() as one:
                shutil.copyfileobj(one, whole)
            whole.write("\n]")
        whole.write("}\n")
        whole.flush()
        os.fsync(whole.fileno())
    return counts


class _List:
    """The inside of a JSON list, written as it grows."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.count = file, 0

    def add(self, entry: dict[str, Any]) -> int:
        self.file.write((",\n" if self.count else "") + json.dumps(entry, allow_nan=False))
        self.count += 1
        return int(entry["id"])


def _frames(
    clip: StoredClip, video_id: int, category_ids: dict[str, int], images: Path
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each frame's image entry with its annotations; its picture is written to `images`."""
    labels = clip.labels()
    for t, frame in enumerate(labels.frames):
        name = f"{clip.index:06d}_{t:03d}.jpg"
        (images / name).write_bytes(clip.jpeg(t))
        image = {
            "file_name": f"images/{name}",
            "width": labels.width_px,
            "height": labels.height_px,
            "video_id": video_id,
            "frame_index": t,
        }
        yield image, _annotations(frame, clip.ids(t), category_ids)


def _annotations(
    frame: FrameLabels, ids: Int32[np.ndarray, "h w"], category_ids: dict[str, int]
) -> list[dict[str, Any]]:
    return [_annotation(part, ids == part.track_id, category_ids) for part in frame.parts if part.box_xyxy_px]


def _annotation(part: PartLabel, mask: Bool[np.ndarray, "h w"], category_ids: dict[str, int]) -> dict[str, Any]:
    assert part.box_xyxy_px is not None
    return {
        "category_id": category_ids[part.category],
        "bbox": xywh(part.box_xyxy_px),
        "area": part.visible_px,
        "segmentation": {"size": list(mask.shape), "counts": compressed(run_lengths(mask))},
        "iscrowd": 0,
        "track_id": part.track_id,
        "amodal_bbox": xywh(part.amodal_box_xyxy_px or part.box_xyxy_px),
        "visible_share": part.visible_share,
    }


def xywh(box_xyxy_px: Box) -> list[float]:
    x0, y0, x1, y1 = box_xyxy_px
    return [x0, y0, x1 - x0, y1 - y0]


def run_lengths(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """How many pixels are off, on, off, ... down one column after the other."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def compressed(lengths: list[int]) -> str:
    """Run lengths as COCO's text, 5 bits a letter; from the fourth on, the difference to the one before the last.

    The format is that of `rleToString` in pycocotools' maskApi.c.
    """
    letters = []
    for i, length in enumerate(lengths):
        value, more = length - (lengths[i - 2] if i > 2 else 0), True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            letters.append(chr(48 + (bits | 0x20 if more else bits)))
    return "".join(letters)
