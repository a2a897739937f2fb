"""The trials of `--iterate` in the report's one display: scenes rendered, steps trained, pictures looked at.

All count in pictures looked at, by the pixels that they compute. So the time left is rough until a training has begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hybrid.core.progress import Progress, Together

LOOK, RENDER, TRAIN = 1.25, 2.0, 3.0  # work for a pixel: looked at (whole and at half size), rendered, trained on
STILLS, CLIPS = 8, 20  # frames in a training step


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What one set of scenes takes, with the trainings on it."""

    scenes: int
    steps: int
    pictures: int  # of the pool
    seeds: int
    scene: float = 1.0  # what one is worth, in pictures looked at
    step: float = 1.0

    @classmethod
    def of(
        cls, *, scenes: int, steps: int, pictures: int, seeds: int, picture_px: int, scene_px: int, step_px: int
    ) -> Sizes:
        """By the pixels of a picture of the pool, of a scene (all frames) and of a training step (all tiles)."""
        look = max(1.0, LOOK * picture_px)
        return cls(
            scenes=scenes, steps=steps, pictures=pictures, seeds=seeds,
            scene=RENDER * scene_px / look, step=TRAIN * step_px / look,
        )  # fmt: skip

    @property
    def whole(self) -> int:
        """All of a set, in pictures looked at."""
        return round(self.scenes * self.scene + self.seeds * (self.steps * self.step + self.pictures))


class TrialProgress:
    """At most so many sets of scenes are to come. Each is announced as one piece; when it begins, as its parts."""

    def __init__(self, show: Together, sizes: Sizes, sets: int) -> None:
        self.show, self.sizes = show, sizes
        self._waiting = [f"trial {k + 1}" for k in range(sets)]
        self._begun = set[str]()
        for name in self._waiting:
            show.expect(name, sizes.whole)

    def at_most(self, sets: int) -> None:
        """No more sets than so many are still to come."""
        while len(self._waiting) > sets:
            self.show.drop(self._waiting.pop())

    def begin(self, name: str, seeds: Sequence[str]) -> None:
        """A set begins; `seeds` names its runs. Nothing changes where it has begun before."""
        if name in self._begun:
            return
        self._begun.add(name)
        if self._waiting:
            self.show.drop(self._waiting.pop(0))
        self.show.expect(_scenes(name), self.sizes.scenes, self.sizes.scene)
        for seed in seeds:
            self.show.expect(_training(name, seed), self.sizes.steps, self.sizes.step)
            self.show.expect(measuring(name, seed), self.sizes.pictures)

    def rendering(self, name: str) -> Progress:
        """The scenes of a set are rendered."""
        return _counts_of(self.show.piece(_scenes(name), self.sizes.scenes), self.sizes.scenes)

    def training(self, name: str, seed: str) -> Progress:
        """A run of a set is trained."""
        return _counts_of(self.show.piece(_training(name, seed), self.sizes.steps), self.sizes.steps)

    def rendered(self, name: str) -> None:
        """The scenes of a set were there already."""
        self.show.drop(_scenes(name))

    def trained(self, name: str, seed: str) -> None:
        """A run of a set was there already."""
        self.show.drop(_training(name, seed))


def _counts_of(report: Progress, size: int) -> Progress:
    """Those counts alone that are of this size: a training also counts the pictures that it measures on."""

    def own(done: int, total: int, values: Mapping[str, float]) -> None:
        if total == size:
            report(done, total, values)

    return own


def measuring(name: str, seed: str) -> str:
    """The piece of work in which a run of a set is measured on the pool."""
    return f"{name}, {seed} on --look"


def _scenes(name: str) -> str:
    return f"{name}, scenes"


def _training(name: str, seed: str) -> str:
    return f"{name}, {seed}"
