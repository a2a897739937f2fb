"""Lines for tests, as if their folders had been checked, and an engine that only notes what it would run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybrid.core.errors import RunError
from pipelines.line.contents import Labelled, Line
from pipelines.line.running.engine import Step

NAMES = ("bolt", "bracket")
PRESET: dict[str, Any] = {"camera": {"distance_m": {"low": 0.5, "high": 0.6}}, "parts": {"mesh": {"sha256": "aa"}}}


def labelled(folder: Path, role: str, names: tuple[str, ...] = NAMES, sha256: str = "1") -> Labelled:
    return Labelled(folder / "photos" / f"{role}.json", names, 12, sha256)


Photos = Labelled | bool


def line(folder: Path, train: Photos = False, test: Photos = False, pictures: int = 0, **changes: Any) -> Line:
    photos = folder / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    names = tuple(f"{k}.jpg" for k in range(pictures))
    for name in names:
        (photos / name).write_bytes(b"a picture")
    whole = Line(
        folder,
        PRESET,
        NAMES,
        (128, 96),
        1,
        labelled(folder, "train") if train is True else train or None,
        labelled(folder, "test") if test is True else test or None,
        photos if pictures else None,
        names,
    )
    return replace(whole, **changes)


class Engine:
    """In the place of `engine.run`: notes each step, writes its result, and lets time pass."""

    def __init__(self, fails: str = "", seconds: Callable[[Step], float] = lambda step: 0.0) -> None:
        self.ran: list[Step] = []
        self.fails, self.seconds, self.now_s = fails, seconds, 1000.0

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.ran]

    def run(self, step: Step, folder: Path, log: Path, line: Callable[[str], None]) -> None:
        self.now_s += self.seconds(step)
        if step.name == self.fails:
            raise RunError(f"{step.title}: the disk is full")
        self.ran.append(step)
        step.result.parent.mkdir(parents=True, exist_ok=True)
        step.result.write_text("{}")

    def clock(self) -> float:
        return self.now_s
