"""The table of training methods for few photos, or none with labels. Each is a few lines over the engine.

A method is named on the command line (`--method`), several of them joined by a plus: `l2-sp+wise-ft`. Replay of
simulated clips is no method but a part of the data, and goes with each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hybrid.core.errors import ConfigError
from hybrid.data.clips import ClipSource
from hybrid.training.methods.batch_norm import BatchNorm
from hybrid.training.methods.mean_teacher import SURE, MeanTeacher
from hybrid.training.methods.method import Method
from hybrid.training.methods.weights import L2SP, Fresh, FrozenFirst, Measure, WiseFT

PLAIN = "plain"


@dataclass(frozen=True)
class Materials:
    """What a method may need beside the training itself."""

    fresh: Fresh = field(default_factory=Fresh)  # what of the detector did not come from its checkpoint
    measure: Measure | None = None  # on validation photos; None: there are none
    photos: Callable[[], ClipSource] | None = None  # of the camera in question, with labels or without
    unlabelled: Callable[[], ClipSource] | None = None  # None: no --unlabelled
    sure: float = 0.3  # the score from which the checkpoint's detections count


METHODS: dict[str, Callable[[Materials], Method | None]] = {
    PLAIN: lambda given: None,
    "frozen-first": lambda given: FrozenFirst(),
    "l2-sp": lambda given: L2SP(given.fresh),
    "wise-ft": lambda given: WiseFT(given.fresh, given.measure),
    "mean-teacher": lambda given: MeanTeacher(_needed(given.unlabelled, "mean-teacher"), max(given.sure, SURE)),
    "batch-norm": lambda given: BatchNorm(_needed(given.unlabelled or given.photos, "batch-norm")),
}


def method_names(text: str) -> tuple[str, ...]:
    """The methods that `--method` names.

    Raises:
        ConfigError: there is no such method, or one is named twice.
    """
    names = tuple(part.strip() for part in text.split("+"))
    unknown = [name for name in names if name not in METHODS]
    if unknown or len(set(names)) < len(names):
        raise ConfigError(
            f"--method {text}: choose from {list(METHODS)} or auto; several are joined by a plus, as in l2-sp+wise-ft"
        )
    return names


def make_methods(names: tuple[str, ...], given: Materials) -> list[Method]:
    """The methods of these names.

    Raises:
        ConfigError: one needs pictures that are not given.
    """
    made = [METHODS[name](given) for name in names]
    return [method for method in made if method is not None]


def _needed(source: Callable[[], ClipSource] | None, name: str) -> Callable[[], ClipSource]:
    if source is None:
        raise ConfigError(f"--method {name}: learns from pictures without labels; give them: --unlabelled DIR")
    return source
