"""How a detector is trained. Values only; `hybrid.training.loop.train` follows them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]


class AugmentConfig(BaseModel):
    """What happens to a training tile, alike in all frames of its clip."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strength: Annotated[float, Field(ge=0.0, le=2.0)] = 1.0  # scales every range of colour, blur and noise; 0: none
    scale: tuple[float, float] = (0.45, 1.4)  # tile pixels for each image pixel, log-uniform; holds View.scales
    horizontal_flip: Share = 0.5
    vertical_flip: Share = 0.5
    object_share: Share = 0.7  # of the tiles are laid around a random object
    least_visible: Share = 0.35  # of a box's area that the tile's edge must leave
    in_front: Share = 0.0  # of the clips have things drawn in front; their boxes must be of whole things
    still_drift_px: Annotated[float, Field(ge=0.0)] = 2.0  # a still shown as a clip moves up to so far each frame

    @model_validator(mode="after")
    def _ordered(self) -> AugmentConfig:
        low, high = self.scale
        if not 0.1 <= low <= high <= 10:
            raise ValueError(f"scale: needs 0.1 <= low <= high <= 10, got {self.scale}")
        return self


class TrainConfig(BaseModel):
    """One training run: what decides its weights, then how it is carried out (see `identity`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: Count = 2000
    batch_clips: Count = 8  # over all devices together
    clip_length: Count = 1  # frames
    tile_px: Annotated[int, Field(ge=32, multiple_of=32)] = 256
    learning_rate: Annotated[float, Field(gt=0.0)] = 5e-4
    backbone_rate: Share = 1.0  # the backbone learns at this share of it; 0 keeps the backbone as it is
    frozen_stages: Annotated[int, Field(ge=0, le=3)] = 0  # the backbone's first stages that stay as they are
    stage_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0  # each stage learns at this share of the next one's rate
    cnn_steps: Annotated[int, Field(ge=0)] = 0  # for so long the CNN learns alone; then the other parts join
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.05
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    schedule: Literal["cosine", "constant"] = "cosine"
    last_rate: Share = 0.01  # share of the learning rate that the cosine ends at
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9995  # at most, see hybrid.training.schedule.ema_decay
    grad_clip: Annotated[float, Field(gt=0.0)] = 1.0  # largest norm of all gradients together
    seed: Annotated[int, Field(ge=0)] = 0
    augment: AugmentConfig = AugmentConfig()
    blank_probability: Share = 0.1  # of each frame of a clip but its first
    longest_step: Count = 1  # every so many-th frame of a clip, drawn from 1 up to this: teaches other frame rates
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast

    log_every: Count = 20
    checkpoint_every_s: Annotated[float, Field(ge=0.0)] = 120.0
    workers: Annotated[int, Field(ge=0)] = 1  # processes that make tiles; 0: in the training process
    threads: Annotated[int, Field(ge=0)] = 0  # of torch; 0: as torch chooses
    cache_mb: Annotated[int, Field(ge=0)] = 512  # of decoded images, in each worker
    device: str = "auto"  # auto: cuda where there is one

    @model_validator(mode="after")
    def _fits(self) -> TrainConfig:
        if self.warmup_steps >= self.steps and self.warmup_steps > 0:
            raise ValueError(f"warmup_steps: needs fewer than steps = {self.steps}, got {self.warmup_steps}")
        if self.cnn_steps and self.cnn_steps >= self.steps:
            raise ValueError(f"cnn_steps: needs fewer than steps = {self.steps}, got {self.cnn_steps}")
        return self

    def identity(self) -> dict[str, object]:
        """What decides the weights. A run may be resumed with other workers, not with another learning rate."""
        return self.model_dump(mode="json", exclude=set(_CARRYING_OUT))


_CARRYING_OUT = ("log_every", "checkpoint_every_s", "workers", "threads", "cache_mb", "device")
