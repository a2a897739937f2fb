"""The sections of a report, in the order of the page.

Shares, AP and recall are 0 to 1; differences and losses are in points (100 x AP50). All words are plain text: the page
escapes them. What was not measured is a `Figure` with its reason, never a missing key.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from pipelines.gap.schema.figure import STRICT, Figure
from pipelines.gap.schema.over_time import OverTime

Verdict = Literal["beyond", "covered", "not_decided", "cannot_be_told", "too_few"]
Evidence = Literal["measured", "up_to", "screened", "counted", "coverage", "guess"]  # of an action, the best one first
_JPEG = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]+=*")
Made = Literal["pattern", "plan", "exif", "guessed", "clips", "photos"]  # how photos were sorted into sessions


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What a group of runs reaches on one data set."""

    ap: Figure  # COCO's, the mean over IoU 0.50 to 0.95
    ap50: Figure
    ap75: Figure
    recall: Figure  # of the 100 best detections a picture and category, the mean over IoU 0.50 to 0.95
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Runs that differ in their seed alone, measured."""

    name: str
    runs: tuple[str, ...]  # names of the runs, one for each seed
    trained_on: str
    photos: int | None  # labelled photos trained on; 0: simulation alone; None: not known
    arm: Literal["simulation", "photos", "unknown"]  # whether it saw simulation first or with the photos
    simulated: Measures
    real: Measures
    by_seed: tuple[float, ...] = ()  # AP50 on the photos
    by_session: tuple[tuple[str, float], ...] = ()  # AP50 of each session, where there are too few for an interval
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """AP50 on the photos of one group of runs minus that of another, paired by sessions and seeds; in points."""

    first: str
    second: str
    difference: Figure
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Named:
    """A figure with its label."""

    label: str
    figure: Figure
    so: str = ""  # what follows from it, in words
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The first screen."""

    sentence: str  # one sentence with figures
    lead: str  # two or three more
    looked_at: str  # the run that the sections below are about, and why this one
    in_use: tuple[Named, ...]  # parts found, false alarms a photo, at which score
    gap: Figure  # simulated validation minus photos, points of AP50, of a run that saw no photo
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """AP50 at one number of labelled photos."""

    photos: int
    ap50: Figure
    by_seed: tuple[float, ...]
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class ScenesPoint:
    """AP50 on the photos at one number of simulated scenes, after simulation alone."""

    scenes: int
    ap50: Figure
    by_seed: tuple[float, ...]
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """Whether more scenes of the same kind pay, or only other ones."""

    points: tuple[ScenesPoint, ...]
    stop: str  # one sentence: more scenes, other scenes, or not known
    gain_of_double: Figure  # points of AP50 that twice as many scenes bring
    left: Figure  # points of AP50 that no number of such scenes wins
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class LabelEfficiency:
    """How many labelled photos simulation is worth, and whether more of them pay."""

    simulation: tuple[CurvePoint, ...]  # simulation first
    photos: tuple[CurvePoint, ...]  # photos alone, the same pretrained start
    worth: Figure  # photos more that it would take without simulation
    worth_in_words: str  # such as 22 photos, more than all 52, not known
    high_is_all: bool  # the interval's upper end is at least the number of all photos: write it as "> all"
    missing: tuple[str, ...]  # runs that it would take
    missing_hours: Figure
    stop: str  # one sentence: whether to stop labelling
    gain_of_ten: Figure  # points of AP50 that ten more photos bring
    scenes: Scenes
    worth_at: int | None = None  # the number of photos with simulation that `worth` starts from
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Group:
    """One row of a table of losses: a class, a size, a level of brightness."""

    group: str
    measure: str  # such as AP50, or recall at equal false alarms
    simulated: Figure
    real: Figure
    lost: Figure  # points, simulated minus real
    so: str = ""
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that divide the objects by one property."""

    title: str
    rows: tuple[Group, ...]
    note: str = ""
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where detections fail."""

    tables: tuple[Table, ...]
    errors: tuple[Named, ...]  # kinds as in TIDE: points of AP50 that repairing the kind alone would win
    calibration: tuple[Named, ...]  # D-ECE, before and after a repair
    reliability: tuple[tuple[float, float, int], ...]  # mean score, share that is right, detections; for a plot
    false_alarms: tuple[Named, ...]  # a photo, and on photos without an object
    time: OverTime | None = None  # None: the test data are single pictures
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Whether the simulated range of one picture statistic covers the real one."""

    name: str
    title: str
    unit: str
    below: Figure  # share of real values under the simulated 5 % quantile
    above: Figure  # share over the simulated 95 % quantile
    simulated: tuple[float, ...]  # quantiles at `Why.levels`
    real: tuple[float, ...]
    distance: Figure  # Wasserstein-1 in pooled standard deviations: a description, never a ground for advice
    verdict: Verdict
    so: str
    knobs: str  # keys of the simulation's config that change it
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Features:
    """Distance of real to simulated parts in features, of one category."""

    group: str
    distance: Figure  # MMD squared; p by permuting whole sessions and scenes
    floor: Figure  # the 95th percentile between halves of the real sessions
    unlike: Figure  # share of real parts that no simulated one resembles
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class MapPoint:
    """A part on the map of features: near each other lies what looks alike to the detector."""

    x: float
    y: float
    of: Literal["simulated", "real", "stand-in"]
    group: str
    picture: str | None = None  # the key of its thumbnail in `Report.pictures`
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Why:
    """What the simulation does not cover."""

    levels: tuple[float, ...]  # of the quantiles in `coverage`
    coverage: tuple[Coverage, ...]
    features: tuple[Features, ...]
    note: str  # what the photos are that were compared
    map: tuple[MapPoint, ...] = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Knob:
    """What one change does to AP50 on photos."""

    name: str
    change: str  # in words
    kind: Literal["change the photos", "retrain", "paste", "screen", "regress"]
    effect: Figure  # points of AP50, paired
    so: str
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Action:
    """One line of what to do."""

    action: str
    knob: str  # keys of the config, or a command
    from_value: str
    to_value: str
    because: str
    evidence: Evidence
    effect: Figure  # points of AP50
    cost: str
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class ToLabel:
    """A photo to label next."""

    photo: str
    because: str
    picture: str | None = None  # the key of its thumbnail in `Report.pictures`
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class DoNext:
    """What to do, in this order."""

    actions: tuple[Action, ...]
    next_config: str  # the actions as a preset (YAML); empty: none of them is one
    label: tuple[ToLabel, ...]
    label_note: str  # whether this choice has beaten a random one
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One reading of the test photos."""

    time: str
    runs: str
    purpose: str
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Trust:
    """How far to trust the report."""

    sessions: int
    sessions_made: Made
    sessions_in_words: str
    icc: tuple[Named, ...]  # how alike pictures of a session are, by statistic
    readings: tuple[Reading, ...]
    readings_in_words: str
    smallest_difference: Figure  # points of AP50 between two detectors that would be seen 4 times out of 5
    seeds: str
    left_out: tuple[str, ...]  # what could not be measured or read, each with its count and reason
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished run."""

    name: str
    trained_on: str
    branches: str
    steps: int
    steps_on_target: int  # of it and the runs that it started from, on photos or what stands in for them
    steps_in_all: int
    seconds: float
    simulated: Measures  # without intervals: see `Performance`
    real: Measures
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One data set of the report."""

    role: Literal["simulated", "test", "pool"]
    path: str
    images: int
    boxes: int
    note: str
    left_out: tuple[str, ...] = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of the page."""

    caption: str
    kind: Literal["scene", "missed", "false alarm", "pair", "photo"]
    of: Literal["simulated", "real", "stand-in"]
    uri: str | None = None  # a JPEG as a data URI, which stands in the file of pictures; None: it is not there
    pair: str | None = None  # of kind pair: the key of the picture beside it
    sha256: str | None = None  # of the URI, its first 16 digits, in report.json; None: photos are left out
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    def __post_init__(self) -> None:
        if self.uri is not None and not _JPEG.fullmatch(self.uri):
            raise ValueError(f"a picture must be a JPEG as a data URI, not {self.uri:.40}")

    def named(self) -> Picture:
        """The hash in the place of the picture, as report.json has it."""
        return self if self.uri is None else replace(self, uri=None, sha256=picture_hash(self.uri))


def picture_hash(uri: str) -> str:
    """The first 16 digits of the sha256 of a data URI."""
    return hashlib.sha256(uri.encode()).hexdigest()[:16]
