"""What a detector is made of. Values only; `hybrid.model.network.Network` builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

from hybrid.core.errors import ConfigError

BRANCHES = ("cnn", "cnn+rnn", "cnn+transformer", "cnn+rnn+transformer")
NORMS = ("auto", "group", "frozen", "batch")
ATTENTION = ("after", "back_and_forth")
BELT_ORDER = ("off", "x", "y")
BoxesOf = Literal["visible", "whole"]  # what a box goes round: what can be seen of a thing, or all of it
BOXES: tuple[BoxesOf, ...] = get_args(BoxesOf)
RANGES = {  # the upper ends keep a checkpoint's header from asking for a machine's memory
    "width": (16, 4096),
    "heads": (1, 256),
    "queries": (1, 10_000),
    "decoder_layers": (1, 64),
    "points": (1, 64),
    "head_convs": (0, 16),
    "encoder_layers": (1, 64),
    "memory_frames": (0, 1024),
    "denoising_queries": (0, 10_000),
    "encoder_levels": (1, 2),
    "memory_tokens": (0, 10_000),
    "tracks": (0, 10_000),
}
EARLIER_KEYS = {"parts": "branches"}  # what files of earlier versions call a key of ModelConfig, and its name now
INPUTS = (("rgb",), ("rgb", "depth"))
WEIGHTS = ("none", "default")  # or a file
SCORE = 0.3  # detections below it are left out, where a run does not say from which on its own are best
NMS_IOU = 0.6  # of 1,529 photographed and 5,898 simulated parts on tables 3 each overlap one of their category by more

LABEL_IOU = 0.7  # of 16,173 parts none overlaps one of another category by more, but for two that bear two labels


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A detector, but for its weights. `categories` name the columns of the logits.

    A key that came later is off by default, so that older checkpoints are read as they were; PRESETS switch it on.
    """

    categories: tuple[str, ...]
    branches: str = "cnn+rnn+transformer"  # a row of BRANCHES: which branches exist
    backbone: str = "tiny"  # a row of hybrid.model.frame.backbone.BACKBONES
    weights: str = "none"  # the backbone's start: none, default (torchvision's own download), or a state-dict file
    width: int = 64  # channels of the pyramid, the tokens and the queries
    heads: int = 4
    queries: int = 100
    decoder_layers: int = 2
    points: int = 4  # sampling points of each head on each level
    head_convs: int = 0  # that the dense answer's scores, and its boxes, have of their own on each level
    distinct_iou: float = 1.0  # a candidate for a query that overlaps a better one by more is passed over; 1: none is
    encoder_layers: int = 1
    memory_frames: int = 4  # how many past frames the encoder sees
    fusion: str = "gated"  # a row of hybrid.model.time.fusion.FUSIONS
    gate: float = 0.5  # where the gates of the branches start; at 0 they learn late (measured on blanked frames)
    quiet_start: bool = False  # the branches over time add nothing at first, so that a trained CNN is not disturbed
    denoising_queries: int = 100  # at most, in training; 0 switches denoising off
    norm: str = "auto"  # the backbone's; auto: frozen statistics where it starts from weights, else group norm
    temporal: str = "conv_gru"  # a row of hybrid.model.time.temporal.TEMPORALS: what the recurrence is
    attention: str = "after"  # back_and_forth: also between the backbone's stages
    encoder_levels: int = 1  # of the coarsest levels, whose tokens the encoder sees
    memory_tokens: int = 0  # that the encoder remembers of a frame: its best ones; 0: all of them, pooled
    tracks: int = 0  # objects that are followed from frame to frame; 0 switches the recurrence over objects off
    belt_order: str = "off"  # the axis of the image along which the objects of a frame are a sequence
    inputs: tuple[str, ...] = ("rgb",)  # a row of INPUTS: what a frame may consist of; depth may be missing in use
    depth_dropout: float = 0.3  # of the clips' depth in training
    embedding: int = 0  # numbers that tell objects apart, so that they are known again; 0: none
    boxes: BoxesOf = (
        "visible"  # whole: round all of a thing, also while it is hidden; see hybrid.data.shards.read_shards
    )
    clip_classes: tuple[str, ...] = ()  # what a clip as a whole may be, such as ok and defective; empty: not asked
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        known = {"branches": BRANCHES, "norm": NORMS, "attention": ATTENTION, "belt_order": BELT_ORDER, "boxes": BOXES}
        for name, rows in known.items():
            if getattr(self, name) not in rows:
                raise ConfigError(f"{name}: there is no {getattr(self, name)!r}; choose from {list(rows)}")
        if not self.categories or len(set(self.categories)) != len(self.categories):
            raise ConfigError(f"categories: needs one or more different names, got {list(self.categories)}")
        if self.weights not in WEIGHTS and not Path(self.weights).is_file():
            raise ConfigError(f"weights: {self.weights!r} is neither one of {list(WEIGHTS)} nor a file")
        if self.heads < 1 or self.width % (4 * self.heads) or self.width < 16:
            raise ConfigError(f"width: needs a multiple of 4 * heads = {4 * self.heads}, 16 or more, got {self.width}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value < low:
                raise ConfigError(f"{name}: needs {low} or more, got {value}")
            if value > high:
                raise ConfigError(f"{name}: needs {high} or less, got {value}")
        self._check_heads()

    def _check_heads(self) -> None:
        if tuple(self.inputs) not in INPUTS:
            raise ConfigError(f"inputs: there is no {list(self.inputs)}; choose from {[list(row) for row in INPUTS]}")
        for name, share in (("depth_dropout", self.depth_dropout), ("distinct_iou", self.distinct_iou)):
            if not 0 <= share <= 1:
                raise ConfigError(f"{name}: needs a share from 0 to 1, got {share}")
        if not 0 <= self.embedding <= 4096:
            raise ConfigError(f"embedding: needs 0 to 4096 numbers, got {self.embedding}")
        if len(self.clip_classes) == 1 or len(set(self.clip_classes)) != len(self.clip_classes):
            raise ConfigError(
                f"clip_classes: needs none, or two or more different names, got {list(self.clip_classes)}"
            )

    @property
    def recurrence(self) -> bool:
        return "rnn" in self.branches

    @property
    def transformer(self) -> bool:
        return "transformer" in self.branches


def tiny(categories: tuple[str, ...]) -> ModelConfig:
    """Trains on two CPU cores. For stills, and for cameras that move: the CNN, and queries that attend to its maps."""
    return ModelConfig(categories=categories, branches="cnn", head_convs=2, distinct_iou=0.7, quiet_start=True)


def base(categories: tuple[str, ...]) -> ModelConfig:
    """For a GPU: ResNet-18 up to stride 16."""
    return replace(
        tiny(categories), backbone="resnet18", width=128, heads=8, queries=200, decoder_layers=3, denoising_queries=200
    )


def followed(size: Callable[[tuple[str, ...]], ModelConfig], tracks: int) -> Callable[[tuple[str, ...]], ModelConfig]:
    """The same for video: objects are followed from frame to frame, and told as wholes, also while they are hidden."""
    return lambda categories: replace(size(categories), tracks=tracks, boxes="whole")


PRESETS: dict[str, Callable[[tuple[str, ...]], ModelConfig]] = {
    "tiny": tiny,
    "base": base,
    "tiny-video": followed(tiny, 30),
    "base-video": followed(base, 50),
}
