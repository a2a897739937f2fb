"""What polygons of a COCO JSON outline on photos. The file may come from anywhere: every number is checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from simgen.dataset.format.coco_rows import LARGEST

MAX_JSON_BYTES = 64 * 2**20
MAX_POINTS = 10_000  # of a thing's polygons
NEEDED = {"images": ("id", "file_name"), "annotations": ("image_id",), "categories": ("id", "name")}


def polygons_of(value: Any) -> list[Float64[np.ndarray, "_ 2"]]:
    """The polygons of an annotation's `segmentation`; empty where it has none that can be used."""
    if not isinstance(value, list):
        return []
    lists = [one for one in value if isinstance(one, list) and len(one) >= 6 and len(one) % 2 == 0]
    if sum(map(len, lists)) > 2 * MAX_POINTS or len(lists) < len(value):
        return []
    if not all(type(number) in (int, float) and abs(number) < LARGEST for one in lists for number in one):
        return []  # NaN is not below anything
    return [np.array(one, np.float64).reshape(-1, 2) for one in lists]
