"""The problems that a check finds. All are counted, and a limited number of each kind is stored."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simgen.dataset.store.locations import Location
from simgen.spec.text.printable import printable

Box = tuple[float, float, float, float]
SHOWN = 4  # places in the line of a group of equal problems
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
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
    "index": "an index that leads to other bytes than those of the clips",
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
    "reading": "a picture that training reads in a way of its own, such as 12 bits in a file of 16",
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
class Group:
    """Problems of one kind whose texts differ in numbers alone."""

    first: Problem
    count: int = 0
    places: list[str] = field(default_factory=list)  # the first ones

    def __str__(self) -> str:
        if self.count == 1:
            return str(self.first)
        others, more = self.places[1:], self.count - len(self.places)
        listed = "; ".join(others) + (f"; and {more} more" if more else "")
        return f"{self.first} ({self.count} times; also at {listed})"


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
    _groups: dict[tuple[str, str], Group] = field(default_factory=dict)

    def add(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            assert problem.kind in ERRORS or problem.kind in WARNINGS, problem.kind
            self.counts[problem.kind] += 1
            if len(self._kept[problem.kind]) < MAX_OF_A_KIND:
                self._kept[problem.kind].append(problem)
            self._group(problem)

    def _group(self, problem: Problem) -> None:
        key = problem.kind, _NUMBER.sub("0", problem.text)
        if key not in self._groups and sum(kind == problem.kind for kind, _ in self._groups) >= MAX_OF_A_KIND:
            key = problem.kind, ""  # counted with the others for which there is no room
        group = self._groups.setdefault(key, Group(problem))
        group.count += 1
        if group.count <= SHOWN:
            group.places.append(problem.where)

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
        """A line for each group of problems that differ in their numbers alone: errors first."""
        order = [*ERRORS, *WARNINGS]
        groups = sorted(self._groups.items(), key=lambda item: (order.index(item[0][0]), not item[0][1]))
        return [
            printable(str(group) if text else f"and {group.count} other problems of the kind {kind!r}")
            for (kind, text), group in groups
        ]

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
