"""The detectors that are compared, behind one interface, and the sizes of the comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hybrid.core.config import tiny
from hybrid.core.types import Detections, State
from hybrid.losses.criterion import Criterion
from hybrid.model.frame.backbone import BACKBONES, Pyramid
from hybrid.model.network import Network
from hybrid.predict.stream import predict
from hybrid.training.samples.batch import TrainBatch

LIMIT = 100


@dataclass(frozen=True, kw_only=True)
class Size:
    backbone: str = "resnet18"
    width: int = 128  # of the pyramid and of what follows it
    heads: int = 8
    decoder_layers: int = 3
    queries: int = 100
    learning_rate: float = 4e-4
    steps: int = 800
    frames: int = 12  # of a step
    clip: int = 3  # frames of a clip, for the one rival that takes clips
    tile_px: int = 128
    test_clips: int = 60
    measures: int = 5
    shapes: tuple[str, ...] = ("128x160", "480x640")  # of frames, height first, of which the cost is measured


SMALL = Size(
    backbone="tiny", width=64, heads=4, decoder_layers=2, queries=60, learning_rate=8e-4, steps=400, test_clips=40
)
SIZES = {"full": Size(), "small": SMALL, "toy": replace(SMALL, steps=2, frames=3, test_clips=1, measures=1, shapes=())}


class Rival(nn.Module):
    """A detector behind one interface."""

    clip_length = 1
    slower = 1.0  # its learning rate divided by the others'

    def loss(self, batch: TrainBatch, done: float) -> Tensor:
        """The loss of a batch. `done` is the share of the steps so far."""
        raise NotImplementedError

    def detect(self, clips: Tensor) -> list[Detections]:
        """The detections in each frame of uint8 clips [b, t, 3, h, w]."""
        raise NotImplementedError

    def frame(self, image: Tensor) -> None:
        """Process one frame [3, h, w], 0 to 1, as from a camera; for the latency."""
        raise NotImplementedError


class Own(Rival):
    """This detector."""

    CNN_SHARE = 0.5  # of the steps, before the other branches join

    def __init__(
        self, categories: tuple[str, ...], size: Size, branches: str, clip_length: int, tracks: int = 0
    ) -> None:
        super().__init__()
        self.clip_length = clip_length
        config = replace(
            tiny(categories), branches=branches, backbone=size.backbone, width=size.width, heads=size.heads,
            decoder_layers=size.decoder_layers, queries=size.queries, denoising_queries=size.queries,
            tracks=tracks,
        )  # fmt: skip
        self.net = Network(config)
        self.state: State | None = None
        self.image_shape: tuple[int, ...] = ()

    def loss(self, batch: TrainBatch, done: float) -> Tensor:
        targets, alone = batch.targets(), done < self.CNN_SHARE and self.clip_length > 1
        output, _ = self.net(batch.images.float() / 255, None, targets, cnn_only=alone)
        return Criterion()(output, targets)["total"]

    def detect(self, clips: Tensor) -> list[Detections]:
        return [one for clip in predict(self.net, clips, LIMIT) for one in clip]

    def frame(self, image: Tensor) -> None:
        if self.image_shape != image.shape:
            self.state, self.image_shape = None, tuple(image.shape)
        _, self.state = self.net(image[None, None], self.state)


class Torchvision(Rival):
    """A detector of torchvision: it takes a list of images and returns a list of dictionaries."""

    def __init__(self, net: nn.Module, first_label: int) -> None:
        super().__init__()
        self.net, self.first_label = net, first_label

    def loss(self, batch: TrainBatch, done: float) -> Tensor:
        targets = [
            {"boxes": t.boxes_xyxy_px, "labels": t.labels + self.first_label} for clip in batch.targets() for t in clip
        ]
        losses = self.net(list(batch.images.flatten(0, 1).float() / 255), targets)
        return torch.stack([value for value in losses.values()]).sum()

    def detect(self, clips: Tensor) -> list[Detections]:
        answers = self.net(list(clips.flatten(0, 1).float() / 255))
        return [Detections(one["boxes"], one["scores"], one["labels"] - self.first_label) for one in answers]

    def frame(self, image: Tensor) -> None:
        self.net([image])


class RtDetr(Rival):
    """RT-DETR v2 of `transformers`, built from its config: its own widths on a ResNet-18, ours on the small one."""

    slower = 0.5

    def __init__(self, categories: int, size: Size) -> None:
        super().__init__()
        from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

        full = size.backbone == "resnet18"
        channels = [64, 128, 256, 512] if full else [32, 80, 128, 128]
        backbone = RTDetrResNetConfig(
            embedding_size=channels[0], hidden_sizes=channels, depths=[2, 2, 2, 2] if full else [1, 2, 2, 2],
            layer_type="basic", out_features=["stage2", "stage3", "stage4"],
        )  # fmt: skip
        width, heads = size.width, size.heads
        narrow: dict[str, Any] = {
            "d_model": width, "encoder_hidden_dim": width, "encoder_ffn_dim": 4 * width, "decoder_ffn_dim": 4 * width,
            "decoder_in_channels": [width] * 3, "encoder_attention_heads": heads, "decoder_attention_heads": heads,
        }  # fmt: skip
        config = RTDetrV2Config(
            backbone_config=backbone, use_timm_backbone=False, encoder_in_channels=channels[1:],
            num_labels=categories, num_queries=size.queries, decoder_layers=size.decoder_layers,
            freeze_backbone_batch_norms=False, anchor_image_size=None, **({} if full else narrow),
        )  # fmt: skip
        self.net = RTDetrV2ForObjectDetection(config)

    def loss(self, batch: TrainBatch, done: float) -> Tensor:
        images = batch.images.flatten(0, 1).float() / 255
        height, width = images.shape[-2:]
        scale = torch.tensor([width, height, width, height], dtype=torch.float32)
        labels = []
        for target in (t for clip in batch.targets() for t in clip):
            low, high = target.boxes_xyxy_px[:, :2], target.boxes_xyxy_px[:, 2:]
            labels.append(
                {"class_labels": target.labels, "boxes": torch.cat([(low + high) / 2, high - low], 1) / scale}
            )
        return self.net(pixel_values=images, labels=labels).loss  # type: ignore[no-any-return]

    def detect(self, clips: Tensor) -> list[Detections]:
        images = clips.flatten(0, 1).float() / 255
        height, width = images.shape[-2:]
        output = self.net(pixel_values=images)
        scores, place = output.logits.sigmoid().flatten(1).topk(LIMIT, 1)
        count = output.logits.shape[-1]
        boxes = output.pred_boxes.gather(1, (place // count)[..., None].expand(-1, -1, 4))
        half = boxes[..., 2:] / 2
        corners = torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)
        corners = corners * torch.tensor([width, height, width, height], dtype=torch.float32)
        return [Detections(b, s, p % count) for b, s, p in zip(corners, scores, place, strict=True)]

    def frame(self, image: Tensor) -> None:
        self.net(pixel_values=image[None])


class Features(nn.Module):
    """This project's backbone and pyramid as torchvision's detectors take them, with a coarser map on top."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.backbone = BACKBONES[size.backbone]("none", "auto", True)
        self.pyramid = Pyramid(self.backbone.channels, size.width)
        self.out_channels = size.width

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.pyramid(self.pyramid.lateral(self.backbone(images)))
        maps = (*maps, F.max_pool2d(maps[-1], 1, 2))
        return {str(k): x for k, x in enumerate(maps)}


def _settings(size: Size, limit: str = "detections_per_img") -> dict[str, Any]:
    """Settings by which frames are not resized, and at most LIMIT detections are returned."""
    return {"min_size": size.tile_px, "max_size": 4096, limit: LIMIT}


def _anchors(levels: int) -> Any:
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    sizes = tuple((12 * 2**k, int(12 * 2 ** (k + 0.5))) for k in range(levels))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * levels)


def fcos(categories: tuple[str, ...], size: Size) -> Rival:
    from torchvision.models.detection import FCOS
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    anchors = AnchorGenerator(tuple((8 * 2**k,) for k in range(4)), ((1.0,),) * 4)
    made = FCOS(Features(size), len(categories), anchor_generator=anchors, score_thresh=0.05, **_settings(size))
    return Torchvision(made, 0)


def retinanet(categories: tuple[str, ...], size: Size) -> Rival:
    from torchvision.models.detection import RetinaNet

    return Torchvision(RetinaNet(Features(size), len(categories), anchor_generator=_anchors(4), **_settings(size)), 0)


def faster_rcnn(categories: tuple[str, ...], size: Size) -> Rival:
    from torchvision.models.detection import FasterRCNN
    from torchvision.ops import MultiScaleRoIAlign

    pool = MultiScaleRoIAlign(["0", "1", "2"], output_size=7, sampling_ratio=2)
    settings = _settings(size, "box_detections_per_img")
    made = FasterRCNN(
        Features(size), len(categories) + 1, rpn_anchor_generator=_anchors(4), box_roi_pool=pool, **settings
    )
    return Torchvision(made, 1)


def ssdlite(categories: tuple[str, ...], size: Size) -> Rival:
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    net = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=len(categories) + 1, detections_per_img=LIMIT
    )
    return Torchvision(net, 1)


RIVALS: dict[str, Callable[[tuple[str, ...], Size], Rival]] = {
    "hybrid, cnn": lambda categories, size: Own(categories, size, "cnn", 1),
    "hybrid, whole": lambda categories, size: Own(categories, size, "cnn+rnn+transformer", size.clip),
    "hybrid, video": lambda categories, size: Own(categories, size, "cnn", size.clip, tracks=30),
    "FCOS": fcos,
    "RetinaNet": retinanet,
    "Faster R-CNN": faster_rcnn,
    "SSDLite": ssdlite,
    "RT-DETR v2": lambda categories, size: RtDetr(len(categories), size),
}
OWN = tuple(RIVALS)[:3]
