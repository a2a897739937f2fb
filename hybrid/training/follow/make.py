"""A track network from simulated clips: read, follow, teach, measure on held-out clips, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybrid.core.errors import ConfigError
from hybrid.core.progress import Progress, silent
from hybrid.model.objects.track_net import TrackNetConfig
from hybrid.predict.detector import operating_point
from hybrid.predict.following import linking_at
from hybrid.predict.linking import Judge
from hybrid.predict.linking.evidence import NAMES
from hybrid.training.follow.clips import KnownClip, read_known, stored_name
from hybrid.training.follow.lessons import lessons_of
from hybrid.training.follow.measure import false_alarms, figures_of, follow_clip, score_at
from hybrid.training.follow.teach import TeachConfig, teach
from hybrid.weights.follower import save_follower

VARIANTS = 6
LEAST = 0.05  # of what a choice of the score is made from


@dataclass(frozen=True, kw_only=True)
class Making:
    """What a track network is made from."""

    data: Sequence[Path]  # simulated data sets
    weights: str  # of the detector, as `Detector.load` takes them
    holdout: float = 0.15  # share of the clips to choose the score on, and to measure on
    variants: int = VARIANTS  # lessons of each clip
    network: TrackNetConfig = field(default_factory=lambda: TrackNetConfig(inputs=len(NAMES)))
    teaching: TeachConfig = field(default_factory=TeachConfig)

    def __post_init__(self) -> None:
        if not 0 < self.holdout < 1 or self.variants < 1:
            raise ConfigError(f"needs a holdout above 0 and below 1, and 1 variant or more, got {self}")


@dataclass(frozen=True)
class Made:
    """How the network follows the held-out clips, and how the rules alone do, both at the detector's false alarms."""

    clips: int
    held_out: int
    score: float
    network: dict[str, float]
    rules: dict[str, float]


def make_follower(
    making: Making, out: Path, detecting: Progress = silent, following: Progress = silent, training: Progress = silent
) -> Made:
    """Make a track network and write it to `out`; detections are kept beside it, so that a second run is faster.

    Raises:
        DataError: a folder holds no clips whose parts have track ids.
        RunError: there is no such detector.
        ConfigError: there are too few clips to hold some out.
    """
    stored = out.with_name(f"{out.stem}-{stored_name(making.weights)}")
    clips: list[KnownClip] = []
    for number, folder in enumerate(making.data):
        clips += read_known(folder, stored / str(number), making.weights, detecting)
    order = np.random.default_rng(making.teaching.seed).permutation(len(clips))
    held = max(1, round(making.holdout * len(clips)))
    if len(clips) - held < 1:
        raise ConfigError(f"{len(clips)} clips came; 2 or more are needed, of which one is held out")
    apart, taught = [clips[k] for k in order[:held]], [clips[k] for k in order[held:]]
    lessons = lessons_of(taught, making.variants, making.teaching.seed, progress=following)
    network = teach(lessons, making.network, making.teaching, training)
    point, _ = operating_point(Path(making.weights))
    false = false_alarms(apart, point)
    judge = Judge(network, LEAST)
    judged = [follow_clip(clip, linking_at(point, judge), judge) for clip in apart]
    ruled = [follow_clip(clip, linking_at(point)) for clip in apart]
    score, other = score_at(judged, apart, false), score_at(ruled, apart, false)
    made_from = f"detector {making.weights}, {len(taught)} clips of {', '.join(one.name for one in making.data)}"
    save_follower(out, network, NAMES, score, made_from)
    return Made(len(taught), held, score, figures_of(judged, apart, score), figures_of(ruled, apart, other))
