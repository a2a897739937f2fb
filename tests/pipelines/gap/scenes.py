"""Photos with boxes, and detections of them that are sometimes wrong. No picture is on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, FrameRecord

SIDE_PX = 400


def scattered(
    frames: int, seed: int, parts: int = 6, shift_px: float = 3.0, false: int = 2, missed: float = 0.2
) -> tuple[list[Detections], list[FrameRecord]]:
    """`parts` boxes of two categories a photo; detections are moved by some pixels, some are missed, some are false."""
    rng = np.random.default_rng(seed)
    detections, records = [], []
    for k in range(frames):
        corners, sides = rng.uniform(0, SIDE_PX - 60, (parts, 2)), rng.uniform(15, 60, (parts, 2))
        boxes = np.concatenate([corners, corners + sides], 1).astype(np.float32)
        labels = rng.integers(0, 2, parts).astype(np.int64)
        kept = rng.random(parts) >= missed
        moved = boxes[kept] + rng.normal(0, shift_px, (int(kept.sum()), 4)).astype(np.float32)
        corners = rng.uniform(0, SIDE_PX - 40, (false, 2)).astype(np.float32)
        wrong = np.concatenate([corners, corners + 30], 1)
        found = np.concatenate([moved, wrong]).astype(np.float32)
        scores = np.concatenate([rng.uniform(0.3, 1.0, len(moved)), rng.uniform(0.05, 0.7, false)])
        named = np.concatenate([labels[kept], rng.integers(0, 2, false)])
        order = np.argsort(-scores)
        detections.append(
            Detections(
                torch.from_numpy(found[order]),
                torch.from_numpy(scores[order].astype(np.float32)),
                torch.from_numpy(named[order].astype(np.int64)),
            )
        )
        records.append(
            FrameRecord(
                name=f"{k}.png", path=Path(f"{k}.png"), width_px=SIDE_PX, height_px=SIDE_PX, boxes_xyxy_px=boxes,
                labels=labels,
            )
        )  # fmt: skip
    return detections, records


def source_of(records: list[FrameRecord], categories: tuple[str, ...] = ("bolt", "nut")) -> ClipSource:
    return ClipSource("photos", categories, tuple(Clip(one.name, (one,)) for one in records))
