"""Tiny labelled pictures for tests: bright rectangles on grey noise, as COCO or YOLO data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CATEGORIES = ("bolt", "washer")
COLOURS = ((230, 60, 40), (40, 200, 60))  # RGB


def picture(
    rng: np.random.Generator, width: int, height: int, boxes: list[list[float]], labels: list[int]
) -> np.ndarray:
    image = rng.integers(90, 130, (height, width, 3)).astype(np.uint8)
    for (x, y, w, h), label in zip(boxes, labels, strict=True):
        image[int(y) : int(y + h), int(x) : int(x + w)] = COLOURS[label]
    return image


def draw_boxes(rng: np.random.Generator, width: int, height: int, count: int) -> list[list[float]]:
    """xywh boxes inside the image, with whole-numbered edges."""
    sizes = rng.integers(10, 24, (count, 2))
    corners = (rng.random((count, 2)) * (np.array([width, height]) - sizes)).astype(int)
    return np.concatenate([corners, sizes], 1).astype(float).tolist()


def coco_document(images: int = 4, size: tuple[int, int] = (120, 90), boxes: int = 3, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    document: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 7, "name": "bolt"}, {"id": 11, "name": "washer"}],
    }
    for i in range(images):
        document["images"].append({"id": i + 1, "file_name": f"images/{i}.png", "width": size[0], "height": size[1]})
        for box in draw_boxes(rng, *size, boxes):
            k = len(document["annotations"])
            document["annotations"].append(
                {"id": k + 1, "image_id": i + 1, "category_id": (7, 11)[k % 2], "bbox": box, "iscrowd": 0}
            )
    return document


def write_coco(folder: Path, document: dict[str, Any], seed: int = 0) -> Path:
    """Write the document, and a picture for each of its images that has a place inside the folder."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    place = {category["id"]: CATEGORIES.index(category["name"]) for category in document["categories"][:2]}
    for image in document["images"]:
        rows = [a for a in document["annotations"] if a["image_id"] == image["id"] and a["category_id"] in place]
        pixels = picture(
            rng, image["width"], image["height"], [a["bbox"] for a in rows], [place[a["category_id"]] for a in rows]
        )
        cv2.imwrite(str(folder / image["file_name"]), pixels[..., ::-1])
    path = folder / "annotations.json"
    path.write_text(json.dumps(document))
    return path


def write_video(folder: Path, frames: int = 5, size: tuple[int, int] = (120, 90)) -> Path:
    """One sequence of a bolt that moves to the right, two pixels a frame."""
    document = coco_document(frames, size, boxes=0)
    document["videos"] = [{"id": 3, "name": "belt"}]
    for i, image in enumerate(document["images"]):
        image |= {"video_id": 3, "frame_index": i}
        row = {"id": i + 1, "image_id": i + 1, "category_id": 7, "bbox": [20.0 + 2 * i, 30.0, 24.0, 16.0], "iscrowd": 0}
        document["annotations"].append(row)
    return write_coco(folder, document)
