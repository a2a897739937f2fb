"""Which changes are kept: all together are tried first; if that does not help, each alone on top of those kept.

A change is kept only if the lower end of a one-sided 90 % interval of what it wins is above 0, and if other scenes of
the same preset, a change that is none, do not win as surely. Every question costs a look at the pool, and with many
looks chance would win in the end: so there is a limit, and the p are corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from pipelines.gap.advice.widening import Change
from pipelines.gap.schema.figure import Figure, too_few
from pipelines.gap.schema.sections import Knob
from pipelines.gap.stats.interval import LEAST_SESSIONS, difference_figure, holm, spread

POINTS = "points of AP50"
SURE = 0.90  # one-sided
NONE = "no change"


@dataclass(frozen=True)
class Answer:
    """What a change wins on the pool, in points of AP50."""

    figure: Figure
    at_least: float | None  # with 90 % confidence; None: too few sessions to say

    @property
    def helps(self) -> bool:
        return self.at_least is not None and self.at_least > 0


@dataclass(frozen=True)
class Trial:
    """A change that was tried."""

    changes: tuple[Change, ...]
    answer: Answer

    @property
    def name(self) -> str:
        first, *more = self.changes
        return first.key + (f" and {len(more)} more" if more else "")


@dataclass(frozen=True)
class Tried:
    """All trials, and the changes that are kept."""

    trials: tuple[Trial, ...] = ()
    kept: tuple[Change, ...] = ()
    none: Answer | None = None  # what a change that is none wins; None: nothing was to be kept, or it was not asked


Ask = Callable[[tuple[Change, ...], tuple[Change, ...]], Answer | None]  # kept before, candidate -> what it wins


def rounds(changes: Sequence[Change], most: int, ask: Ask) -> Tried:
    """Try changes, at most so many times. `ask` answers None where the pool may not be asked any more."""
    trials, kept, every = list[Trial](), tuple[Change, ...](), tuple(changes)
    for candidate in candidates(every):
        if len(trials) >= most:
            break
        answer = ask(kept, candidate)
        if answer is None:
            break
        trials.append(Trial(candidate, answer))
        if answer.helps:
            note = "Of all these changes together." if len(candidate) > 1 else ""
            measured = replace(answer.figure, note=note)
            kept += tuple(replace(one, evidence="measured", effect=measured) for one in candidate)
            if candidate == every:
                break
    return Tried(tuple(trials), kept)


def checked(tried: Tried, ask: Callable[[], Answer | None]) -> Tried:
    """The same with what a change that is none wins. Where it would be kept, nothing is: the trials tell nothing then.

    Not asked where nothing is kept: the answer could change nothing.
    """
    none = ask() if tried.kept else None
    return replace(tried, kept=() if none is not None and none.helps else tried.kept, none=none)


def candidates(changes: Sequence[Change]) -> list[tuple[Change, ...]]:
    """What is tried, in this order: all together, then each alone."""
    every = tuple(changes)
    alone = [(one,) for one in every] if len(every) > 1 else []
    return [every, *alone] if every else []


def answer_of(differences: Float[np.ndarray, "seeds draws"], sessions: int, photos: int) -> Answer:
    """What a change wins: AP50 with it minus AP50 without, of each pair of seeds; column 0 is all photos once."""
    values = 100 * differences
    if not np.isfinite(values[:, 0]).all():
        return Answer(too_few("no object", POINTS), None)
    by_seed = values[:, 0].tolist()
    figure = difference_figure(differences[:, 0].tolist(), differences[:, 1:], sessions, POINTS, photos)
    width = spread(by_seed, values[:, 1:], sessions) if sessions >= LEAST_SESSIONS else None
    at_least = None if width is None else float(np.mean(by_seed) - student.ppf(SURE, width.freedom) * width.error)
    return Answer(figure, at_least)


def effects(tried: Tried, steps: int, scenes: int) -> tuple[Knob, ...]:
    """The trials as rows of the report, with p corrected over all of them."""
    figures = {str(k): one.answer.figure for k, one in enumerate(tried.trials)}
    corrected = holm(figures | ({} if tried.none is None else {NONE: tried.none.figure}))
    rows = [
        Knob(
            name=one.name, change=f"{scenes} scenes rendered and {steps} steps trained, with it and without",
            kind="retrain", effect=corrected[str(k)], so=_so(one, tried),
        )
        for k, one in enumerate(tried.trials)
    ]  # fmt: skip
    if tried.none is not None:
        change = f"a check: {scenes} other scenes of the same preset, {steps} steps trained"
        rows.append(Knob(name=NONE, change=change, kind="retrain", effect=corrected[NONE], so=_check(tried.none)))
    return tuple(rows)


def _check(none: Answer) -> str:
    if none.helps:
        return "wins as much as a change that would be kept: these trials tell nothing, so nothing is kept"
    return "wins nothing for sure, as it should be"


def _so(trial: Trial, tried: Tried) -> str:
    least = trial.answer.at_least
    if least is None:
        return "not kept: too few sessions to say"
    if trial.answer.helps and tried.none is not None and tried.none.helps:
        return "not kept: other scenes of the same preset win too"
    if trial.answer.helps:
        return f"kept: at least {least:+.1f} with 90 % confidence"
    return f"not kept: it may be as little as {least:+.1f}"
