"""The configuration of a network. Values only; `hybrid.model.network.Network` builds the network from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

from hybrid.core.errors import ConfigError

BRANCHES = ("cnn", "cnn+rnn", "cnn+transformer", "cnn+rnn+transformer")
NORMS = ("auto", "group", "frozen", "batch")
ATTENTION = ("after", "back_and_forth")
BELT_ORDER = ("off", "x", "y")
TOWERS = ("apart", "shared", "light")
NECK_NORMS = ("group", "batch", "pixel")
LITE_BACKBONE = "timm:tf_efficientnet_lite0"  # of the preset lite
BoxesOf = Literal["visible", "whole"]  # what a box encloses: the visible part of an object, or the whole object
BOXES: tuple[BoxesOf, ...] = get_args(BoxesOf)
RANGES = {  # (least, most); the upper limits stop a hostile checkpoint header from taking all memory
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
    "embedding": (0, 4096),
}
EARLIER_KEYS = {"parts": "branches"}  # keys of ModelConfig in files of earlier versions, and their names today
INPUTS = (("rgb",), ("rgb", "depth"))
WEIGHTS = ("none", "default", "bundled")  # or a path
GREY = 114  # fills tiles beyond the image, and blank frames
TRAINED_PX = 256  # the side of the training's tiles, where no record tells it
SCORE = 0.3  # the score threshold of a run that states no operating point of its own
NMS_IOU = 0.6  # within a category: of 1,529 photographed and 5,898 simulated parts on tables, 3 each overlap by more
LABEL_IOU = 0.7  # across categories: of 16,173 parts none overlaps by more, except two with two labels each
NESTED_SHARE = 0.9  # within a category: of 2,832 photographed parts 26 lie by more inside another


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture of a network, without its weights. Immutable; checked when it is made.

    A new key is off by default, so that the configs of older checkpoints keep their meaning. `PRESETS` (lite, tiny,
    base and each with -video) are complete configs for a list of categories.

    Raises:
        ConfigError: a value is not allowed. The message names the key, the given value and the allowed ones.

    Example:
        >>> from dataclasses import replace
        >>> from hybrid.core.config import PRESETS, ModelConfig
        >>> ModelConfig(categories=("bolt", "nut"), branches="cnn", width=32).queries
        100
        >>> video = replace(PRESETS["tiny-video"](("bolt", "nut")), tracks=50)
        >>> video.tracks, video.boxes, video.recurrence
        (50, 'whole', False)
        >>> ModelConfig(categories=("bolt",), queries=0)
        Traceback (most recent call last):
        hybrid.core.errors.ConfigError: queries: needs 1 or more, got 0
    """

    categories: tuple[str, ...]  # names of the columns of the logits
    branches: str = "cnn+rnn+transformer"  # one of BRANCHES: recurrence over maps and attention over frames, on or off
    backbone: str = "tiny"  # one of hybrid.model.frame.backbone.BACKBONES, or timm:NAME
    weights: str = "none"  # of the backbone: none, default (its library's download), bundled (by pip), or a file
    width: int = 64  # channels of the pyramid, the tokens and the queries
    heads: int = 4  # attention heads
    queries: int = 100  # per frame of up to 480x640 pixels; a larger one has more, in use
    decoder_layers: int = 2
    points: int = 4  # sampling points of each head on each level
    head_convs: int = 0  # convolutions of the dense score head, and as many of the dense box head
    towers: str = "apart"  # of scores and boxes: one each, shared, or light (shared and depthwise, cheap)
    neck_norm: str = "group"  # of the pyramid and the towers: group (over the whole picture), batch, or pixel
    distinct_iou: float = 1.0  # NMS threshold of the candidates for queries; 1: no NMS
    encoder_layers: int = 1
    memory_frames: int = 4  # past frames that the encoder attends to
    fusion: str = "gated"  # one of hybrid.model.time.fusion.FUSIONS
    gate: float = 0.5  # initial gate of the branches; from 0 they learn late (measured on blanked frames)
    quiet_start: bool = False  # zero-initialise the branches, so that they do not disturb a trained CNN
    denoising_queries: int = 100  # at most, in training; 0: no denoising
    norm: str = "auto"  # of the backbone; auto: frozen batch norm with pretrained weights, else group norm
    temporal: str = "conv_gru"  # one of hybrid.model.time.temporal.TEMPORALS
    attention: str = "after"  # back_and_forth: attention between the stages of the backbone too
    encoder_levels: int = 1  # how many of the coarsest levels the encoder gets its tokens from
    memory_tokens: int = 0  # tokens that the encoder's memory keeps of a frame, the best ones; 0: all, pooled twofold
    tracks: int = 0  # slots for tracked objects; 0: no tracking
    belt_order: str = "off"  # x or y: a recurrence along this image axis over the objects of a frame
    inputs: tuple[str, ...] = ("rgb",)  # one of INPUTS; depth is optional at inference
    depth_dropout: float = 0.3  # share of the training clips whose depth is dropped
    embedding: int = 0  # size of the embedding that tells objects apart, for linking; 0: no embedding head
    boxes: BoxesOf = "visible"  # whole: around the whole object, also while it is hidden (hybrid.data.read_shards)
    clip_classes: tuple[str, ...] = ()  # classes of a whole clip, such as ok and defective; empty: no clip head
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        choices = {
            "branches": BRANCHES,
            "norm": NORMS,
            "attention": ATTENTION,
            "belt_order": BELT_ORDER,
            "boxes": BOXES,
            "towers": TOWERS,
            "neck_norm": NECK_NORMS,
        }
        for name, rows in choices.items():
            if getattr(self, name) not in rows:
                raise ConfigError(f"{name}: there is no {getattr(self, name)!r}; choose from {list(rows)}")
        if not _are_names(self.categories) or not self.categories:
            raise ConfigError(f"categories: needs one or more different names, got {list(self.categories)}")
        if self.weights not in WEIGHTS and not Path(self.weights).is_file():
            raise ConfigError(f"weights: {self.weights!r} is neither one of {list(WEIGHTS)} nor a file")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not hasattr(value, "__index__"):
                raise ConfigError(f"{name}: needs a whole number, got {value!r}")
            if value < low:
                raise ConfigError(f"{name}: needs {low} or more, got {value}")
            if value > high:
                raise ConfigError(f"{name}: needs {high} or less, got {value}")
        if self.width % (4 * self.heads):
            raise ConfigError(f"width: needs a multiple of 4 * heads = {4 * self.heads}, got {self.width}")
        self._check_inputs_and_heads()

    def _check_inputs_and_heads(self) -> None:
        if tuple(self.inputs) not in INPUTS:
            raise ConfigError(f"inputs: there is no {list(self.inputs)}; choose from {[list(row) for row in INPUTS]}")
        for name, share in (("depth_dropout", self.depth_dropout), ("distinct_iou", self.distinct_iou)):
            if not 0 <= share <= 1:
                raise ConfigError(f"{name}: needs a share from 0 to 1, got {share}")
        if not _are_names(self.clip_classes) or len(self.clip_classes) == 1:
            raise ConfigError(
                f"clip_classes: needs none, or two or more different names, got {list(self.clip_classes)}"
            )

    @property
    def recurrence(self) -> bool:
        """Whether the network has the recurrence over maps."""
        return "rnn" in self.branches

    @property
    def needs_clips(self) -> bool:
        """Whether it learns from several frames of a clip; else a clip of one frame teaches it as much for less."""
        return self.branches != "cnn" or self.tracks > 0 or self.embedding > 0 or bool(self.clip_classes)

    @property
    def transformer(self) -> bool:
        """Whether the network has the encoder: attention over frames."""
        return "transformer" in self.branches


def _are_names(names: Sequence[object]) -> bool:
    """Whether these are different strings; one string is not a sequence of names."""
    strings = [] if isinstance(names, str) else [name for name in names if isinstance(name, str)]
    return len(set(strings)) == len(names)


def tiny(categories: tuple[str, ...]) -> ModelConfig:
    """From random weights, on two CPU cores. CNN and attending queries, for still images and moving cameras."""
    return ModelConfig(categories=categories, branches="cnn", head_convs=2, distinct_iou=0.7, quiet_start=True)


def lite(categories: tuple[str, ...]) -> ModelConfig:
    """The default. As `tiny`, with EfficientNet-Lite0 up to stride 16, from the ImageNet weights that pip brings."""
    pretrained = replace(tiny(categories), backbone=LITE_BACKBONE, weights="bundled")
    return replace(pretrained, towers="light", neck_norm="pixel")


def base(categories: tuple[str, ...]) -> ModelConfig:
    """For training on a GPU. As `tiny`, wider, with ResNet-18 up to stride 16."""
    return replace(
        tiny(categories), backbone="resnet18", width=128, heads=8, queries=200, decoder_layers=3, denoising_queries=200
    )


def with_tracks(
    size: Callable[[tuple[str, ...]], ModelConfig], tracks: int
) -> Callable[[tuple[str, ...]], ModelConfig]:
    """The preset for video: it tracks objects and predicts the boxes of whole objects, also while they are hidden."""
    return lambda categories: replace(size(categories), tracks=tracks, boxes="whole")


PRESETS: dict[str, Callable[[tuple[str, ...]], ModelConfig]] = {
    "tiny": tiny,
    "lite": lite,
    "base": base,
    "lite-video": with_tracks(lite, 30),
    "tiny-video": with_tracks(tiny, 30),
    "base-video": with_tracks(base, 50),
}
