"""A detector that can learn nothing by heart learns nothing at all."""

from dataclasses import replace

import pytest
import torch

from hybrid.boxes import pairwise_iou
from hybrid.config import tiny
from hybrid.detector import Detector, postprocess
from hybrid.losses import Criterion
from hybrid.types import Target

SMALL = replace(tiny(("bright", "dark")), width=32, queries=16, decoder_layers=2, denoising_queries=24)


def squares():
    """A clip of two frames with a bright and a dark part that move."""
    images = torch.full((1, 2, 3, 64, 80), 0.5)
    images += 0.02 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    row = []
    for t in range(2):
        boxes = torch.tensor([[6, 8, 16, 20], [40, 10, 70, 36]]) + torch.tensor([4, 2, 4, 2]) * t
        for box, level in zip(boxes.tolist(), (0.95, 0.1), strict=True):
            images[0, t, :, box[1] : box[3], box[0] : box[2]] = level
        row.append(Target(boxes.float(), torch.tensor([0, 1])))
    return images, [row]


@pytest.mark.parametrize("parts", ["cnn", "cnn+rnn+transformer"])
def test_a_few_frames_are_learned_to_the_pixel(parts):
    torch.manual_seed(0)
    images, targets = squares()
    detector, criterion = Detector(replace(SMALL, parts=parts)), Criterion()
    optimizer = torch.optim.AdamW(detector.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=60)
    noise = torch.Generator().manual_seed(0)
    for _ in range(60):
        output, _ = detector(images, None, targets, noise)
        loss = criterion(output, targets)["total"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        found = postprocess(detector.eval()(images)[0], limit=2)
    for clip, truth in zip(found, targets, strict=True):
        for frame, target in zip(clip, truth, strict=True):
            order = frame.labels.argsort()
            assert frame.labels[order].tolist() == [0, 1]
            assert pairwise_iou(frame.boxes_xyxy_px[order], target.boxes_xyxy_px).diag().min() > 0.75
