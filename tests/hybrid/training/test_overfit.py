"""A detector that can learn nothing by heart learns nothing at all."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hybrid.core.boxes import pairwise_iou
from hybrid.core.types import Target
from hybrid.data.clips import FrameRecord
from hybrid.losses.criterion import Criterion
from hybrid.metrics.detection import score
from hybrid.model.network import Network
from hybrid.predict.postprocess import postprocess
from tests.hybrid.variants import full

SMALL = full(("bright", "dark"), width=32, queries=16, decoder_layers=2, denoising_queries=24)


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


def eight_clips():
    """Of two frames with three parts each, of many sizes, places and ways to go, which never overlap."""
    generator = torch.Generator().manual_seed(0)
    images = 0.5 + 0.02 * torch.randn(8, 2, 3, 64, 80, generator=generator)
    rows = []
    for clip in images:
        size = torch.randint(10, 22, (3, 2), generator=generator)
        x = torch.tensor([2, 28, 54]) + torch.randint(0, 4, (3,), generator=generator)
        y = torch.randint(2, 38, (3,), generator=generator)
        labels = torch.randint(0, 2, (3,), generator=generator)
        speed = torch.randint(0, 3, (3, 2), generator=generator)
        row = []
        for t in range(2):
            low = torch.stack([x, y], 1) + speed * t
            boxes = torch.cat([low, low + size], 1)
            for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
                clip[t, :, box[1] : box[3], box[0] : box[2]] = (0.95, 0.1)[label]
            row.append(Target(boxes.float(), labels))
        rows.append(row)
    return images, rows


def learn(detector, images, targets, steps, rate, batch):
    """As an engine would, but for what it does to the data: batches of clips as they are."""
    criterion, generator = Criterion(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(detector.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randperm(len(images), generator=generator)[:batch]
        own = [targets[k] for k in chosen]
        output, _ = detector(images[chosen], None, own, generator)
        loss = criterion(output, own)["total"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 1.0)
        optimizer.step()
        schedule.step()


@pytest.fixture(scope="module")
def learned():
    """A detector that knows eight clips by heart."""
    torch.manual_seed(0)
    images, targets = eight_clips()
    detector = Network(SMALL)
    learn(detector, images, targets, steps=200, rate=3e-3, batch=4)
    return detector.eval(), images, targets


@torch.no_grad()
def detected(detector, images, threshold=0.0):
    detections = postprocess(detector(images)[0], limit=20, threshold=threshold)
    return [frame for clip in detections for frame in clip]


def average_precision(detections, targets):
    """COCO's, the mean over IoU 0.50 to 0.95."""
    frames = [
        FrameRecord(
            name="f", path=Path("f"), width_px=80, height_px=64,
            boxes_xyxy_px=one.boxes_xyxy_px.numpy(), labels=one.labels.numpy(),
        )
        for clip in targets
        for one in clip
    ]  # fmt: skip
    reached = score(detections, frames, SMALL.categories).overall
    assert reached.boxes == 8 * 2 * 3
    return reached.ap


@pytest.mark.slow
def test_eight_clips_are_learned_by_heart(learned):
    detector, images, targets = learned
    assert average_precision(detected(detector, images), targets) >= 0.95


@pytest.mark.slow
def test_bfloat16_finds_what_float32_finds(learned):
    """Under autocast every detection of 0.5 or more is there, at IoU 0.97 or more and 0.02 near in its score."""
    detector, images, targets = learned
    exact = detected(detector, images, threshold=0.5)
    with torch.autocast("cpu", torch.bfloat16):
        rough = detected(detector, images)
    assert average_precision(rough, targets) >= 0.95
    assert sum(len(one.scores) for one in exact) >= 8 * 2 * 3
    for one, other in zip(exact, rough, strict=True):
        same = one.labels[:, None] == other.labels
        near = (one.scores[:, None] - other.scores).abs() <= 0.02
        overlap = pairwise_iou(one.boxes_xyxy_px, other.boxes_xyxy_px)
        assert ((overlap >= 0.97) & same & near).any(1).all()


@pytest.mark.slow
@pytest.mark.parametrize("branches", ["cnn", "cnn+rnn+transformer"])
def test_a_few_frames_are_learned_to_the_pixel(branches):
    torch.manual_seed(0)
    images, targets = squares()
    detector = Network(replace(SMALL, branches=branches))
    learn(detector, images, targets, steps=60, rate=2e-3, batch=1)
    with torch.no_grad():
        detections = postprocess(detector.eval()(images)[0], limit=2)
    for clip, truth in zip(detections, targets, strict=True):
        for frame, target in zip(clip, truth, strict=True):
            order = frame.labels.argsort()
            assert frame.labels[order].tolist() == [0, 1]
            assert pairwise_iou(frame.boxes_xyxy_px[order], target.boxes_xyxy_px).diag().min() > 0.75
