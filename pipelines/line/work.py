"""One call of the command: what was asked, what there is already, and what is left to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hybrid.core.errors import RunError
from hybrid.core.progress import minutes
from hybrid.weights.line import LineDetector, write_line_detector
from hybrid.weights.record import RUN
from pipelines.line.conclusion import NAMES, conclusion
from pipelines.line.contents import Line
from pipelines.line.running.engine import Pace, Step, carry_out
from pipelines.line.sizes import FINE_TUNE, PHOTOS_ALONE, PRETRAIN, Costs, Sizes, at_pace, check_time, fitted
from pipelines.line.state import EARLIER, LineState, read_state, set_aside, stale, write_state
from pipelines.line.steps import RUNS, Shape, chosen, plan, rest_seconds, trainings

DEFAULT_MINUTES = 60.0
QUICK = Sizes(scenes=4, steps={PRETRAIN: 4, FINE_TUNE: 3, PHOTOS_ALONE: 3})
ADDED_SHARE = 0.3  # of the time, for photos that were labelled after the line was begun
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What the command line asks for."""

    minutes: float | None = None
    quick: bool = False
    again: bool = False
    compare: bool = False
    workers: int = 1
    sizes: Sizes | None = None  # as the demo has them
    costs: Costs | None = None
    small: bool = False
    first: Sequence[Step] = ()  # steps before those of the line
    whole: str | None = None  # the command after a trial; None: this one, with a time

    @property
    def words(self) -> str | None:
        """The size that was asked for; None: not said."""
        if self.sizes is not None:
            return "a quick demo" if self.quick else "the demo"
        return "--quick" if self.quick else None if self.minutes is None else f"--minutes {self.minutes:g}"


@dataclass
class Work:
    """A line with its state, which is written after each change."""

    line: Line
    given: Path  # the folder as the user wrote it
    ask: Ask
    state: LineState
    names: tuple[str, ...]  # trainings
    shape: Shape
    costs: Costs = field(default_factory=Costs)

    @classmethod
    def begin(cls, line: Line, given: Path, ask: Ask, dry_run: bool, tell: Tell) -> Work:
        """Check what there is, and measure what is not known yet.

        Raises:
            RunError: results are of something else than what the folder holds now, or of another size.
            DataError: the time is too short.
        """
        state = read_state(line.result)
        if state is not None and ask.words not in (None, state.asked) and not ask.again:
            raise RunError(
                f"{given}: was begun with {state.asked}, now {ask.words} is asked for: ask as before to continue, or "
                "say --again to begin anew; earlier results are kept"
            )
        if state is None or (ask.again and ask.words not in (None, state.asked)):
            made = [one for one in line.result.iterdir() if not one.name.startswith(EARLIER)] if state else []
            if not dry_run:
                _say_aside(set_aside(line.result, made), tell)
            state = LineState(asked=ask.words or f"--minutes {DEFAULT_MINUTES:g}")
        work = cls(line, given, ask, state, trainings(line, ask.compare or _compared(state)), Shape(line, ask.small))
        work._size(dry_run, tell)
        work._drop_stale(dry_run, tell)
        return work

    @property
    def minutes(self) -> float | None:
        """The time that all may take; None where the sizes are given."""
        said = self.state.asked.removeprefix("--minutes ")
        return float(said) if said != self.state.asked and said.replace(".", "", 1).isdecimal() else None

    @property
    def sizes_given(self) -> Sizes | None:
        return self.ask.sizes or (QUICK if self.state.asked == "--quick" else None)

    def _size(self, dry_run: bool, tell: Tell) -> None:
        """Measure the costs where the sizes depend on them, and divide the time."""
        state = self.state
        if self.sizes_given is None and state.costs is None:
            from pipelines.line.trial import ABOUT_S, measured  # loads torch

            tell(f"timing a few scenes and steps: about {minutes(ABOUT_S)}")
            began_s = time.monotonic()
            costs = measured(self.line, self.shape, self.ask.workers, lambda line: None)
            state = replace(state, costs=costs, spent_s={**state.spent_s, "trial": time.monotonic() - began_s})
        self.costs = state.costs or self.ask.costs or self.costs
        added = [name for name in self.names if name not in state.trainings]
        if self.minutes is not None and added:
            whole_s, spent_s = 60 * self.minutes, sum(state.spent_s.values())
            if not state.trainings:
                check_time(self.minutes, spent_s, self.costs, self.names, rest_seconds(self.line, self.costs))
            more_s = spent_s + ADDED_SHARE * whole_s * len(added) if state.trainings else whole_s
            state = replace(state, budget_s=max(state.budget_s, more_s))
        self.state = replace(state, trainings=self.names)
        if not dry_run:
            write_state(self.line.result, self.state)

    def _drop_stale(self, dry_run: bool, tell: Tell) -> None:
        """Refuse results that are of something else, or set them aside where that was asked for.

        What costs little is simply made again.
        """
        steps = self.steps(Pace())
        found = stale(self.state, steps)
        dear = [step for step in steps if step.name in found and not step.costs_little]
        if dear and not self.ask.again:
            raise RunError(
                f"{self.given}: changed since “{dear[0].title}”: {found[dear[0].name]}; put it back, or say --again to "
                f"make this and what follows from it anew ({len(dear)} of {len(steps)} steps; earlier results are kept)"
            )
        if dry_run:
            return
        _say_aside(set_aside(self.line.result, [step.result.parent for step in dear]), tell)
        for step in steps:
            if step.name in found and step.costs_little:
                step.result.unlink(missing_ok=True)
        self.state = self.state.without(list(found))
        write_state(self.line.result, self.state)

    def sizes(self, pace: Pace) -> Sizes:
        """How much is rendered and trained: as decided, or as it fits into the time that is left."""
        if self.sizes_given is not None:
            return self.sizes_given
        state = self.state
        decided = Sizes(scenes=state.scenes, steps=state.steps)
        left_s = state.budget_s - sum(state.spent_s.values())
        rest_s = rest_seconds(self.line, self.costs)
        return fitted(left_s, at_pace(self.costs, pace), self.names, rest_s, decided)

    def steps(self, pace: Pace) -> list[Step]:
        """The steps in order. Their expected times are by the costs, not by the pace."""
        compare = PHOTOS_ALONE in self.names
        of_line = plan(self.line, self.sizes(pace), self.costs, self.shape, compare, self.ask.workers)
        return [*self.ask.first, *of_line]

    def told(self) -> list[str]:
        """The plan with its times."""
        steps = self.steps(Pace())
        rows = [(step.title, "done" if self._is_done(step) else minutes(step.expected_s)) for step in steps]
        wide = max(len(title) for title, _ in rows)
        left_s = sum(step.expected_s for step in steps if not self._is_done(step))
        return [
            f"{self.given}: {', '.join(self.line.categories)}",
            *(f"  {title.ljust(wide)}  {time:>6}" for title, time in rows),
            f"  {'in all'.ljust(wide)}  {minutes(left_s):>6}",
            "Nothing was written.",
        ]

    def done(self) -> list[str]:
        """Carry out all that is left, and say what came out.

        Raises:
            RunError: a step failed.
        """
        logs = self.line.result / "logs"
        carry_out(self.steps, self._is_done, self._begins, self._ends, self.line.folder, logs)
        self._state_detector()
        after_trial = None
        if self.ask.quick or self.state.asked == "--quick":
            after_trial = self.ask.whole or f"python -m pipelines.line {self.given} --minutes 60 --again"
        return conclusion(self.line, self.given, self.names, after_trial)

    def _is_done(self, step: Step) -> bool:
        return step.name in self.state.made_of and step.result.exists()

    def _begins(self, step: Step) -> bool:
        """Note what a step is made of, and its size, before it begins."""
        state = self.state
        is_whole = step.name not in state.made_of
        scenes = step.size if step.name == "render" else state.scenes
        steps = {**state.steps, step.name: step.size} if step.name in self.names else state.steps
        made_of = {**state.made_of, step.name: dict(step.made_of)}
        self._keep(replace(state, scenes=scenes, steps=steps, made_of=made_of))
        return is_whole

    def _ends(self, step: Step, seconds: float) -> None:
        before = self.state.spent_s.get(step.name, 0.0)
        self._keep(replace(self.state, spent_s={**self.state.spent_s, step.name: before + seconds}))
        if step.name in self.names and step.result.exists():
            self._state_detector()

    def _state_detector(self) -> None:
        """Say which run is the line's detector, for `hybrid predict`."""
        finished = [name for name in self.names if (self.line.folder / RUNS / name / RUN).exists()]
        name = chosen(finished)
        write_line_detector(self.line.folder, LineDetector(run=f"runs/{name}", why=NAMES[name]))

    def _keep(self, state: LineState) -> None:
        self.state = state
        write_state(self.line.result, state)


def _compared(state: LineState) -> bool:
    return PHOTOS_ALONE in state.trainings


def _say_aside(folder: Path | None, tell: Tell) -> None:
    if folder is not None:
        tell(f"earlier results are now in {folder}")
