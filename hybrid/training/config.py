"""How a detector is trained. Values only; `hybrid.training.loop.train` uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hybrid.weights.record import LARGEST_TILE_PX, LEAST_TILE_PX

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]


class AugmentConfig(BaseModel):
    """Augmentation of training clips. One draw holds for all frames of a clip."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strength: Annotated[float, Field(ge=0.0, le=2.0)] = 1.0  # scales all ranges of colour, blur and noise; 0: none
    scale: tuple[float, float] = (0.45, 1.4)  # tile pixels per image pixel, log-uniform; must contain View.scales
    horizontal_flip: Fraction = 0.5
    vertical_flip: Fraction = 0.5
    object_share: Fraction = 0.7  # of the tiles are placed around a random object, the others anywhere
    least_visible: Fraction = 0.35  # a box stays in the labels if this fraction of its area is inside the tile
    occluders: Fraction = 0.0  # of the clips get moving occluders; the labels must be boxes of whole objects
    copy_paste: Fraction = 0.0  # of the samples get one to four labelled parts pasted, cut out along their outlines
    mosaic: Fraction = 0.0  # of the samples are four tiles of half the side, side by side
    fourier: Fraction = 0.0  # of the samples of a source with photos to match get the photos' low frequencies (FDA)
    histogram: Fraction = 0.0  # of these samples get the colours of such a photo
    still_drift_px: Annotated[float, Field(ge=0.0)] = 2.0  # a still that is repeated as a clip moves up to this a frame

    @model_validator(mode="after")
    def _scale_is_ordered(self) -> AugmentConfig:
        low, high = self.scale
        if not 0.1 <= low <= high <= 10:
            raise ValueError(f"scale: needs 0.1 <= low <= high <= 10, got {self.scale}")
        if self.fourier + self.histogram > 1:
            raise ValueError(f"fourier and histogram: need 1 or less together, got {self.fourier} and {self.histogram}")
        return self


class TrainConfig(BaseModel):
    """The settings of one training run.

    The first group decides the weights (see `identity`). The second group decides how the run is carried out.

    >>> config = TrainConfig(steps=500, batch_clips=4, learning_rate=1e-3)
    >>> config.tile_px
    256
    >>> config.identity() == config.model_copy(update={"workers": 4}).identity()
    True
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: Count = 2000
    batch_clips: Count = 8  # over all devices together
    clip_length: Count = 1  # frames
    tile_px: Annotated[int, Field(ge=LEAST_TILE_PX, le=LARGEST_TILE_PX, multiple_of=32)] = 256
    learning_rate: Annotated[float, Field(gt=0.0)] = 5e-4
    backbone_rate: Fraction = 1.0  # the backbone's learning rate as a fraction of it; 0 freezes the backbone
    frozen_stages: Annotated[int, Field(ge=0, le=3)] = 0  # how many of the backbone's first stages are frozen
    stage_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0  # the rate of each stage as a fraction of the next one's
    cnn_steps: Annotated[int, Field(ge=0)] = 0  # steps in which the CNN learns alone, before the other branches join
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.05
    warmup_steps: Annotated[int, Field(ge=0)] = 100  # where `steps` is not more than this: a tenth of `steps`
    schedule: Literal["cosine", "constant"] = "cosine"
    last_rate: Fraction = 0.01  # the learning rate at the end of the cosine, as a fraction of the peak
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9995  # upper limit, see hybrid.training.schedule.ema_decay
    grad_clip: Annotated[float, Field(gt=0.0)] = 1.0  # largest norm of all gradients together
    seed: Annotated[int, Field(ge=0)] = 0
    augment: AugmentConfig = AugmentConfig()
    blank_probability: Fraction = 0.1  # of blanking a frame of a clip; the first frame is never blanked
    longest_step: Count = 1  # a sample takes every n-th frame of a clip, n drawn from 1 to this: other frame rates
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast

    log_every: Count = 20
    checkpoint_every_s: Annotated[float, Field(ge=0.0)] = 120.0
    workers: Annotated[int, Field(ge=0)] = 1  # processes that make samples; 0: the training process itself
    threads: Annotated[int, Field(ge=0)] = 0  # of torch; 0: torch's default
    cache_mb: Annotated[int, Field(ge=0)] = 512  # of decoded images, in each worker
    device: str = "auto"  # auto: cuda if available

    @model_validator(mode="after")
    def _stages_fit_into_the_steps(self) -> TrainConfig:
        if self.warmup_steps >= self.steps:  # a short run: the default would never reach the peak rate
            object.__setattr__(self, "warmup_steps", self.steps // 10)
        if self.cnn_steps and self.cnn_steps >= self.steps:
            raise ValueError(f"cnn_steps: needs fewer than steps = {self.steps}, got {self.cnn_steps}")
        return self

    def identity(self) -> dict[str, object]:
        """The settings that decide the weights, as JSON. A resumed run may change the others, such as `workers`."""
        return self.model_dump(mode="json", exclude=set(_CARRYING_OUT))

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any]) -> TrainConfig:
        """The config in a run's JSON. Keys of earlier versions get today's names; missing keys get their defaults.

        Raises:
            ValueError: a key or a value is unknown.
        """
        augment = {EARLIER_AUGMENT_KEYS.get(key, key): value for key, value in plain.get("augment", {}).items()}
        return cls(**{**plain, "augment": augment})


_CARRYING_OUT = ("log_every", "checkpoint_every_s", "workers", "threads", "cache_mb", "device")
EARLIER_AUGMENT_KEYS = {"in_front": "occluders"}  # the name in files of earlier versions, and the name now
