"""The problems that a check finds. All are counted, and a limited number of each kind is stored."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simgen.dataset.store.locations import Location

Box = tuple[float, float, float, float]
MAX_OF_A_KIND = 100  # stored problems of each kind; the others are only counted
FORMAT = "simgen-check/1"

ERRORS = {
    "annotation": "two annotations say the same, or an id is used twice",
    "blank": "a picture of one colour",
    "box": "a box that is empty, outside its picture, or not that of its mask",
    "category": "a category that is not known",
    "checksum": "a file that is not the one that the manifest lists",
    "depth": "depth that does not fit the ids",
    "duplicate": "the same picture twice, in different clips",
    "file": "a file that is missing, cut short, hostile or unreadable",
    "flow": "flow that does not lead to where the poses do",
    "ids": "an id map that does not fit the labels",
    "manifest": "a table of contents that is not of its shards",
    "mask": "a mask that is damaged or does not fit",
    "picture": "a picture that cannot be decoded or has another size",
    "saturated": "a picture that is nearly all black or white",
    "schema": "a key or a type that is not as it should be",
    "track": "a track that breaks, jumps or changes",
    "visibility": "a visible share that does not fit the pixels",
}
WARNINGS = {
    "crowd": "a region of a crowd: neither part nor background in training",
    "frozen": "the same picture twice in one clip",
    "near-duplicate": "pictures of different clips that look the same",
    "place": "a picture in another folder, or spelled otherwise, than stated",
    "plain": "a picture of nearly one colour, as its ids say that it should be",
    "small": "a box that is too small to learn from: ignored in training",
    "statistics": "labels unlike the others of their category",
    "unused": "a category that no annotation bears: a new detector does not learn it",
}


@dataclass(frozen=True)
class Picture:
    """The location of an encoded image."""

    path: Location
    offset: int = 0
    size: int | None = None  # None: to the end of the file

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(-1 if self.size is None else self.size)


@dataclass(frozen=True)
class Problem:
    kind: str  # a row of ERRORS or WARNINGS
    where: str
    text: str
    picture: Picture | None = None  # to draw
    boxes_xyxy_px: tuple[Box, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.kind in ERRORS

    def __str__(self) -> str:
        return f"{'' if self.is_error else 'warning: '}{self.where}: {self.text}"


@dataclass
class Report:
    """The result of the check of a data set."""

    path: Location
    form: str  # "simgen" | "coco"
    clips: int = 0
    frames: int = 0
    labels: Counter[str] = field(default_factory=Counter)  # by category
    counts: Counter[str] = field(default_factory=Counter)  # of problems, by kind
    _kept: defaultdict[str, list[Problem]] = field(default_factory=lambda: defaultdict(list))

    def add(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            assert problem.kind in ERRORS or problem.kind in WARNINGS, problem.kind
            self.counts[problem.kind] += 1
            if len(self._kept[problem.kind]) < MAX_OF_A_KIND:
                self._kept[problem.kind].append(problem)

    @property
    def problems(self) -> list[Problem]:
        """The stored problems: errors first, each kind in the order in which it was found."""
        return [problem for kind in (*ERRORS, *WARNINGS) for problem in self._kept.get(kind, ())]

    @property
    def errors(self) -> int:
        return sum(count for kind, count in self.counts.items() if kind in ERRORS)

    @property
    def warnings(self) -> int:
        return sum(count for kind, count in self.counts.items() if kind in WARNINGS)

    @property
    def lines(self) -> list[str]:
        more = [
            f"and {count - MAX_OF_A_KIND} more of the kind {kind!r}"
            for kind, count in sorted(self.counts.items())
            if count > MAX_OF_A_KIND
        ]
        return [*map(str, self.problems), *more]

    def to_json(self) -> str:
        plain: dict[str, Any] = {
            "format": FORMAT,
            "path": str(self.path),
            "form": self.form,
            "clips": self.clips,
            "frames": self.frames,
            "labels": dict(sorted(self.labels.items())),
            "errors": self.errors,
            "warnings": self.warnings,
            "counts": dict(sorted(self.counts.items())),
            "problems": [
                {"kind": p.kind, "error": p.is_error, "where": p.where, "text": p.text} for p in self.problems
            ],
        }
        return json.dumps(plain, indent=1, allow_nan=False) + "\n"
