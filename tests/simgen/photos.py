"""Photographs of an empty place that tests draw themselves."""

from __future__ import annotations

import json

import cv2
import numpy as np


def drawn(width=160, height=120, seed=0, level=0.45, colour=(1.0, 0.97, 0.92)):
    """A surface with soft spots and fine grain, of every grey around a level."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 9)
    picture = level + 1.2 * soft + rng.normal(0, 0.02, (height, width))
    return np.clip(np.rint(255 * picture[..., None] * np.asarray(colour)), 1, 250).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return path


def folder(path, count=2, **options):
    """A folder of drawn photos."""
    for k in range(count):
        save(path / f"empty{k}.png", drawn(seed=k, **options))
    return path


def write_area(path, corners_px, names=("empty0",)):
    """A COCO JSON in which the photos have these corners."""
    images = [{"id": k, "file_name": f"{name}.jpg"} for k, name in enumerate(names)]
    rows = [
        {"image_id": k, "category_id": 1, "bbox": [0, 0, 9, 9], "segmentation": [np.ravel(corners_px).tolist()]}
        for k in range(len(names))
    ]
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": [{"id": 1, "name": "table"}]}))
    return path
