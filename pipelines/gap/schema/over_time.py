"""What report.json says of clips from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.gap.schema.figure import STRICT, Figure


@dataclass(frozen=True, kw_only=True)
class TimeRow:
    """What happens from frame to frame, on both sides."""

    name: str
    so: str  # what is counted
    simulated: Figure
    real: Figure
    difference: Figure  # real minus simulated
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class ClipCount:
    """How many parts are in a clip of the test data, and how many are reported."""

    clip: str
    frames: int
    parts: Figure  # labelled, each once
    tracks: Figure  # reported, each once
    labelled: Figure  # a frame
    reported: Figure  # a frame
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT


@dataclass(frozen=True, kw_only=True)
class OverTime:
    """Of clips: flicker, identities, parts found again, counts."""

    rows: tuple[TimeRow, ...]
    clips: tuple[ClipCount, ...]
    note: str
    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
