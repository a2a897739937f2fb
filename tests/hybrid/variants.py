"""Every choice of every table once, as changes to a small detector that has all branches; and how to build one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from hybrid.core.config import ModelConfig, tiny
from hybrid.core.types import Target
from hybrid.model.network import Network


def full(categories: tuple[str, ...], **changes: Any) -> ModelConfig:
    """The preset `tiny` with all branches, changed."""
    return replace(tiny(categories), **({"branches": "cnn+rnn+transformer"} | changes))


SMALL = full(("bolt", "nut"), width=16, queries=8, decoder_layers=2, denoising_queries=8, memory_frames=2)
VARIANTS: dict[str, dict[str, Any]] = {
    "cnn": {"branches": "cnn"},
    "cnn+rnn": {"branches": "cnn+rnn"},
    "cnn+transformer": {"branches": "cnn+transformer"},
    "all": {},
    "conv_lstm": {"temporal": "conv_lstm"},
    "lstm": {"temporal": "lstm"},
    "concat": {"fusion": "concat"},
    "sum": {"fusion": "sum"},
    "cross_attention": {"fusion": "cross_attention"},
    "back_and_forth": {"attention": "back_and_forth"},
    "two levels": {"encoder_levels": 2},
    "best tokens": {"memory_tokens": 3},
    "no memory": {"memory_frames": 0},
    "no denoising": {"denoising_queries": 0},
    "one layer": {"decoder_layers": 1},
    "belt along x": {"belt_order": "x"},
    "belt along y": {"belt_order": "y"},
    "tracks": {"tracks": 6},
    "cnn with tracks": {"branches": "cnn", "tracks": 6},
    "whole boxes": {"branches": "cnn", "tracks": 6, "boxes": "whole"},
    "loud start": {"quiet_start": False},
    "plain head": {"branches": "cnn", "head_convs": 0, "distinct_iou": 1.0},
    "shared tower": {"branches": "cnn", "towers": "shared"},
    "light tower": {"branches": "cnn", "towers": "light"},
    "batch norm in the neck": {"branches": "cnn", "head_convs": 1, "neck_norm": "batch"},
    "pixel norm in the neck": {"branches": "cnn", "head_convs": 1, "neck_norm": "pixel"},
    "everything": {
        "tracks": 6, "belt_order": "x", "attention": "back_and_forth", "encoder_levels": 2, "memory_tokens": 3,
        "fusion": "cross_attention", "temporal": "conv_lstm",
    },
    "resnet18": {"backbone": "resnet18", "branches": "cnn+transformer", "attention": "back_and_forth"},
    "resnet34": {"backbone": "resnet34", "branches": "cnn"},
    "resnet50": {"backbone": "resnet50", "branches": "cnn"},
    "mobilenet_v3": {"backbone": "mobilenet_v3", "branches": "cnn+transformer", "attention": "back_and_forth"},
}  # fmt: skip
TARGET = Target(torch.tensor([[4.0, 6, 20, 18], [24, 4, 40, 28]]), torch.tensor([0, 1]), torch.tensor([7, 3]))


def build(name: str, **changes: Any) -> Network:
    """As after some training: what starts at zero would hide what the decoder and the branches let through."""
    torch.manual_seed(0)
    detector = Network(replace(SMALL, **(VARIANTS[name] | changes))).eval()
    with torch.no_grad():
        for p in detector.decoder.parameters():
            p += 0.05 * torch.randn_like(p)
        for p in [
            p for key, p in detector.named_parameters() if key.startswith(("context.", "between.")) and not p.any()
        ]:
            p += 0.05 * torch.randn_like(p)
        detector.decoder.propose.score.bias += 5.0  # some are objects: the rules of ids must have work
    return detector


def clip(frames: int, height: int = 32, width: int = 48, clips: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.rand(clips, frames, 3, height, width, generator=torch.Generator().manual_seed(seed))
