"""A detector with every branch learns eight clips by heart: what is there, what a blank frame hides, and who is who.

COCO's AP at IoU 0.5: at 10 px a side a box that is one pixel off has an IoU of 0.7, so the mean up to 0.95 asks for
tenths of a pixel, which a run of this size does not reach.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.boxes import pairwise_iou
from hybrid.config import tiny
from hybrid.data import FrameRecord
from hybrid.detector import Detector, postprocess
from hybrid.losses import Criterion
from hybrid.metrics import score
from hybrid.types import Detections
from tests.hybrid.moving import CLIPS, FRAMES, GREY, HEIGHT, WIDTH, blanked, moving_parts

STEPS, CNN_STEPS = 160, 30


@pytest.fixture(scope="module")
def learned() -> Detector:
    """The CNN first, then all parts, with frames blanked."""
    torch.manual_seed(0)
    images, targets = moving_parts()
    detector = Detector(
        replace(tiny(("bright", "dark")), width=32, heads=2, queries=8, denoising_queries=16, memory_frames=2, tracks=4)
    )
    criterion, noise = Criterion(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(detector.parameters(), 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS, pct_start=0.1)
    for step in range(STEPS):
        output, _ = detector(blanked(images, 0.3, noise), None, targets, noise, None, step < CNN_STEPS)
        optimizer.zero_grad()
        criterion(output, targets)["total"].backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return detector.eval()


@torch.no_grad()
def found(detector: Detector, blank: int | None = None, cnn_only: bool = False) -> list[list[Detections]]:
    images, _ = moving_parts()
    if blank is not None:
        images[:, blank] = GREY
    return postprocess(detector(images, cnn_only=cnn_only)[0], limit=10)


def ap50(detections: list[list[Detections]], frames: tuple[int, ...]) -> float:
    _, targets = moving_parts()
    truth = [
        FrameRecord(
            name=f"{c} {t}", path=Path("none"), width_px=WIDTH, height_px=HEIGHT,
            boxes_xyxy_px=targets[c][t].boxes_xyxy_px.numpy(), labels=targets[c][t].labels.numpy().astype(np.int64),
        )
        for c in range(CLIPS) for t in frames
    ]  # fmt: skip
    ap = score([detections[c][t] for c in range(CLIPS) for t in frames], truth, ("bright", "dark")).overall.ap50
    assert ap is not None
    return ap


def test_eight_clips_are_learned(learned: Detector) -> None:
    assert ap50(found(learned), tuple(range(FRAMES))) >= 0.95


def test_a_blank_frame_is_answered_from_what_came_before(learned: Detector) -> None:
    for blank in (1, 2):
        assert ap50(found(learned, blank), (blank,)) >= 0.5
        assert ap50(found(learned, blank, cnn_only=True), (blank,)) < 0.1


def test_each_object_keeps_an_id_of_its_own(learned: Detector) -> None:
    """Through the clip, and through one whose middle frame is blank."""
    _, targets = moving_parts()
    for blank in (None, 1):
        kept = 0
        for clip, truth in zip(found(learned, blank), targets, strict=True):
            ids: dict[int, set[int]] = {}
            for frame, target in zip(clip, truth, strict=True):
                assert frame.track_ids is not None
                best = (pairwise_iou(target.boxes_xyxy_px, frame.boxes_xyxy_px) >= 0.5).int().argmax(1)  # the surest
                for name, one in zip(target.track_ids.tolist(), frame.track_ids[best].tolist(), strict=True):
                    ids.setdefault(name, set()).add(one)
            kept += sum(len(one) == 1 and min(one) >= 0 for one in ids.values())
            assert ids[5] != ids[6]
        assert kept >= 0.8 * 2 * CLIPS
