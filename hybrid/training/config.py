"""How a detector is trained. Values only; `hybrid.training.loop.train` uses them."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hybrid.weights.record import LARGEST_TILE_PX, LEAST_TILE_PX

MOST_RATE = 1.0  # no detector learns at more
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
LogTo = Literal["files", "tensorboard", "mlflow", "wandb"]


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


Module = Literal[
    "backbone",
    "backbone.0",
    "backbone.1",
    "backbone.2",
    "pyramid",
    "context",
    "between",
    "decoder",
    "depth",
    "clip_head",
]  # parts of a network; backbone.0 to backbone.2 are the backbone's stages, from the finest map


class Stage(BaseModel):
    """Some steps of a training in a row. What a stage does not say is as in the rest of the config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=40)]
    steps: Count
    branches: Literal["cnn", "all"] = "all"  # cnn: the CNN learns alone; the branches over time join in a later stage
    train: tuple[Module, ...] = ()  # the parts that learn; empty: all
    rates: dict[Module, Annotated[float, Field(ge=0.0, le=10.0)]] = {}  # of a part, as a share of the learning rate
    clip_length: Count | None = None
    augment: AugmentConfig | None = None


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
    accumulate: Count = 1  # parts that a batch is computed in, one after the other: less memory, nearly the same steps
    clip_length: Count = 1  # frames
    truncate: Annotated[int, Field(ge=0)] = 0  # gradients flow back through this many frames at most; 0: the whole clip
    tile_px: Annotated[int, Field(ge=LEAST_TILE_PX, le=LARGEST_TILE_PX, multiple_of=32)] = 256
    learning_rate: float = 5e-4
    backbone_rate: Fraction = 1.0  # the backbone's learning rate as a fraction of it; 0 freezes the backbone
    frozen_stages: Annotated[int, Field(ge=0, le=3)] = 0  # how many of the backbone's first stages are frozen
    stage_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0  # the rate of each stage as a fraction of the next one's
    cnn_steps: Annotated[int, Field(ge=0)] = 0  # steps in which the CNN learns alone, before the other branches join
    stages: tuple[Stage, ...] = ()  # in order, in place of cnn_steps; `steps` is their sum
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

    validate_every: Annotated[int, Field(ge=0)] = 0  # steps between measurements on held-out clips; 0: at the end only
    patience: Annotated[int, Field(ge=0)] = 0  # measurements without a better AP after which the run ends; 0: never

    log_every: Count = 20
    checkpoint_every_s: Annotated[float, Field(ge=0.0)] = 120.0
    workers: Annotated[int, Field(ge=0)] = 1  # processes that make samples; 0: the training process itself
    threads: Annotated[int, Field(ge=0)] = 0  # of torch; 0: torch's default
    cache_mb: Annotated[int, Field(ge=0)] = 512  # of decoded images, in each worker
    device: str = "auto"  # auto: cuda if available
    log_to: LogTo = "files"  # beside the run's own files
    pictures_every_s: Annotated[float, Field(ge=0.0)] = (
        600.0  # between pictures of sample detections; 0: at the end only
    )

    @model_validator(mode="before")
    @classmethod
    def _sum_of_the_stages(cls, given: Any) -> Any:
        stages = given.get("stages") if isinstance(given, dict) else None
        if not stages or "steps" in given or not isinstance(stages, list | tuple):
            return given
        counts = [one.get("steps") if isinstance(one, dict) else getattr(one, "steps", None) for one in stages]
        return {**given, "steps": sum(counts)} if all(type(one) is int and one > 0 for one in counts) else given

    @field_validator("learning_rate")
    @classmethod
    def _rate_can_train(cls, rate: float) -> float:
        if not 0 < rate <= MOST_RATE:
            raise ValueError(f"needs more than 0 and at most {MOST_RATE:g}; usual are 1e-4 to 1e-3")
        return rate

    @model_validator(mode="after")
    def _stages_fit_into_the_steps(self) -> TrainConfig:
        if self.warmup_steps >= self.steps:  # a short run: the default would never reach the peak rate
            object.__setattr__(self, "warmup_steps", self.steps // 10)
        if self.patience and not self.validate_every:
            raise ValueError(f"patience: {self.patience} measurements need validate_every, the steps between them")
        if self.batch_clips % self.accumulate:
            raise ValueError(f"accumulate: {self.batch_clips} clips cannot be cut into {self.accumulate} equal parts")
        total = sum(stage.steps for stage in self.stages)
        if self.stages and (self.cnn_steps or total != self.steps):
            raise ValueError(
                f"stages: {total} steps together; needs steps = {total}, got {self.steps}, and no cnn_steps"
            )
        if self.cnn_steps and self.cnn_steps >= self.steps:
            raise ValueError(f"cnn_steps: needs fewer than steps = {self.steps}, got {self.cnn_steps}")
        return self

    def with_steps(self, steps: int) -> TrainConfig:
        """The config for another number of steps, with its stages in the same proportions."""
        changed: dict[str, Any] = {"steps": steps, "warmup_steps": min(self.warmup_steps, steps // 10)}
        if self.stages and steps >= len(self.stages):
            counts = in_proportion([stage.steps for stage in self.stages], steps)
            pairs = zip(self.stages, counts, strict=True)
            changed["stages"] = tuple(stage.model_copy(update={"steps": count}) for stage, count in pairs)
        elif self.stages:
            changed["stages"] = ()
        return self.model_copy(update=changed)

    def plan(self) -> tuple[Stage, ...]:
        """The stages in order: `stages`, or what `cnn_steps` says, or one stage of all steps."""
        if self.stages:
            return self.stages
        rest = Stage(name="all", steps=self.steps - self.cnn_steps)
        return (Stage(name="cnn", steps=self.cnn_steps, branches="cnn"), rest) if self.cnn_steps else (rest,)

    def stage_of(self, step: int) -> int:
        """The index of a step's stage in `plan`; that of the last one after the end."""
        ends = list(itertools.accumulate(stage.steps for stage in self.plan()))
        return min(bisect_right(ends, step), len(ends) - 1)

    def for_step(self, step: int) -> TrainConfig:
        """The config with the clip length and the augmentation of a step's stage."""
        if not self.stages:
            return self
        stage = self.stages[self.stage_of(step)]
        changed = {"clip_length": stage.clip_length, "augment": stage.augment}
        return self.model_copy(update={name: value for name, value in changed.items() if value is not None})

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


def in_proportion(counts: Sequence[int], total: int) -> list[int]:
    """Counts of 1 or more with this sum, in nearly the proportions of `counts`; `total` is not below their number."""
    ends = [round(total * sum(counts[: k + 1]) / sum(counts)) for k in range(len(counts))]
    own = [max(1, end - start) for start, end in zip([0, *ends], ends, strict=False)]
    while sum(own) != total:
        own[own.index(max(own))] += 1 if sum(own) < total else -1
    return own


_CARRYING_OUT = (
    "log_every", "checkpoint_every_s", "workers", "threads", "cache_mb", "device", "log_to", "pictures_every_s",
)  # fmt: skip
EARLIER_AUGMENT_KEYS = {"in_front": "occluders"}  # the name in files of earlier versions, and the name now
