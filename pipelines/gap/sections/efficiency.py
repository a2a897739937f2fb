"""How many labelled photos simulation is worth, and whether to label more: from finished runs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from pipelines.gap.schema.figure import Figure, counted, not_measured
from pipelines.gap.schema.sections import CurvePoint, LabelEfficiency, Scenes
from pipelines.gap.sections.runs import POINTS, RunGroup, figure_of
from pipelines.gap.stats.curve import LEAST_NUMBERS, LEAST_SEEDS, MORE, WORTH_IT, fitted, photos_alone
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import LEAST_SESSIONS

NUMBERS = (1, 2, 5, 10, 20)  # of photos to train on, and all of them
MOST_FITS = 100  # of the draws
Arm = Mapping[int, RunGroup]
Table = Float[np.ndarray, "seeds draws"]


def label_efficiency(
    groups: Sequence[RunGroup], sessions: PhotoSessions, pool: int | None, scenes: Scenes
) -> LabelEfficiency:
    """The two curves, and what follows from them.

    Args:
        groups: of runs.
        sessions: of the test photos.
        pool: how many labelled photos there are to train on; None: not known.
        scenes: what the numbers of scenes say, see `pipelines.gap.sections.scenes`.
    """
    simulation, photos = _arm(groups, "simulation"), _arm(groups, "photos")
    missing, hours = _missing(simulation, photos, pool)
    at = max((n for n in simulation if n <= max(photos, default=0)), default=None)
    worth, words, is_all = _worth(simulation, photos, at)
    gain, stop = _stop(simulation, sessions)
    return LabelEfficiency(
        simulation=_points(simulation, sessions), photos=_points(photos, sessions), worth=worth, worth_in_words=words,
        high_is_all=is_all, missing=missing if worth.status != "measured" else (),
        missing_hours=hours if worth.status != "measured" else counted(0.0, "hours"), stop=stop, gain_of_ten=gain,
        worth_at=at, scenes=scenes,
    )  # fmt: skip


def _arm(groups: Sequence[RunGroup], arm: str) -> dict[int, RunGroup]:
    """The group with the most scenes of each number of photos, the first of them: not chosen by the test photos."""
    found: dict[int, RunGroup] = {}
    for group in sorted(groups, key=lambda one: -(one.first.scenes or 0)):
        if group.first.arm == arm and group.photos is not None and np.isfinite(group.members[0].on_real.ap50[0]):
            found.setdefault(group.photos, group)
    return dict(sorted(found.items()))


def _points(arm: Arm, sessions: PhotoSessions) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(
            photos=photos, ap50=figure_of([one.on_real for one in group.members], "ap50", sessions),
            by_seed=tuple(float(one.on_real.ap50[0]) for one in group.members),
        )
        for photos, group in arm.items()
    )  # fmt: skip


def _missing(simulation: Arm, photos: Arm, pool: int | None) -> tuple[tuple[str, ...], Figure]:
    """The runs that a complete curve takes, and how long they would train."""
    largest = pool or max([*simulation, *photos, 0])
    numbers = [n for n in NUMBERS if n < largest] + ([largest] if largest else [])
    lacking, seconds, known = dict[tuple[str, int], list[int]](), 0.0, True
    for words, arm, start in (("simulation first", simulation, [0]), ("photos alone", photos, [])):
        times = [one.run.seconds for group in arm.values() for one in group.members if group.photos]
        for number in [*start, *numbers]:
            have = len(arm[number].members) if number in arm else 0
            if have < LEAST_SEEDS:
                lacking.setdefault((words, LEAST_SEEDS - have), []).append(number)
                seconds += (LEAST_SEEDS - have) * (float(np.mean(times)) if times else 0.0)
                known &= bool(times)
    rows = [_in_words(*key, on) for key, on in lacking.items()]
    if not known:
        return tuple(rows), not_measured("no run of this kind has been timed", "hours")
    return tuple(rows), counted(seconds / 3600, "hours", note="by the runs that were timed")


def _in_words(way: str, runs: int, numbers: Sequence[int]) -> str:
    """Runs that are missing, in one line: photos alone: 3 runs of other seeds on each of 1, 2 and 5 photos."""
    *first, last = map(str, numbers)
    on = f"each of {', '.join(first)} and {last}" if first else last
    return f"{way}: {runs} run{'' if runs == 1 else 's'} of other seeds on {on} photos"


def _worth(simulation: Arm, photos: Arm, number: int | None) -> tuple[Figure, str, bool]:
    unit = "photos"
    seeds = min([len(group.members) for group in [*simulation.values(), *photos.values()]], default=0)
    if len(photos) < LEAST_NUMBERS or seeds < LEAST_SEEDS or number is None:
        need = f"Runs on {LEAST_NUMBERS} numbers of photos alone are needed, with {LEAST_SEEDS} seeds each"
        have = f"there are {len(photos)} and {seeds}"
        return not_measured(f"{need}; {have}.", unit), "not known", False
    alone = drawn(photos)
    first = drawn({number: simulation[number]})[number]
    draws = np.array(
        [photos_alone({n: float(v[k]) for n, v in alone.items()}, float(first[k])) for k in range(len(first))]
    )
    return _worth_in_words(draws, number, max(photos))


def _worth_in_words(draws: np.ndarray, number: int, most: int) -> tuple[Figure, str, bool]:
    """Of K on each draw, the first of them on all photos. Draws beyond the curve count as beyond it."""
    value, rest = float(draws[0]), draws[1:]
    if value == -np.inf:
        text = f"fewer than the least number of photos that was trained on alone, with {number} photos of its own"
        return not_measured(f"The curve does not go down so far: {text}.", "photos"), text, False
    if value == np.inf:
        text = f"more than all: {most} photos alone do not reach what simulation reaches with {number}"
        return not_measured(f"The curve does not go up so far: {text}.", "photos"), text, True
    if len(rest) < 2:
        figure = counted(value - number, "photos", note="No interval: fewer than five sessions.")
        return figure, f"{value - number:.0f} photos", False
    low, high = (float(np.quantile(rest, level, method="inverted_cdf")) for level in (0.025, 0.975))
    is_all = high == np.inf
    low, high = max(low, 0.0) if np.isfinite(low) else 0.0, min(high, float(most))
    figure = Figure(
        status="measured", value=value - number, low=min(low, value) - number, high=max(high, value) - number,
        unit="photos", method="the middle 95 % of draws of sessions and seeds",
        note=f"With {number} photos of its own simulation does the work of {value:.0f} photos alone.",
    )  # fmt: skip
    ends = f"{low - number:.0f} to {'more than all' if is_all else f'{high - number:.0f}'}"
    return figure, f"{value - number:.0f} photos [{ends}]", is_all


def drawn(arm: Arm) -> dict[int, np.ndarray]:
    """AP50 of each number of photos or scenes on each draw of sessions and seeds; first on all, the mean of seeds."""
    rng, tables = np.random.default_rng(0), {n: np.array([m.on_real.ap50 for m in g.members]) for n, g in arm.items()}
    values = {}
    for number, table in tables.items():
        chosen = rng.integers(len(table), size=(len(table), table.shape[1] - 1))
        rest = np.take_along_axis(table[:, 1:], chosen, 0).mean(0)
        values[number] = np.nan_to_num(np.concatenate([[table[:, 0].mean()], rest]))
    return values


def _stop(simulation: Arm, sessions: PhotoSessions) -> tuple[Figure, str]:
    """What ten more photos would bring after simulation, and whether they are worth it."""
    if len(simulation) < LEAST_NUMBERS or sessions.count < LEAST_SESSIONS:
        missing = (
            f"Runs on {LEAST_NUMBERS} numbers of photos after simulation are needed, and {LEAST_SESSIONS} sessions; "
            f"there are {len(simulation)} and {sessions.count}."
        )
        return not_measured(missing, POINTS), f"Not known. {missing}"
    most = max(simulation)
    if most < MORE:
        return not_measured(f"The curve ends at {most} photos.", POINTS), "Not yet: too few photos were tried to tell."
    values, numbers = drawn(simulation), np.array(sorted(simulation), np.float64)
    errors = 1 - np.array([values[int(n)] for n in numbers])
    gains = np.array([fitted(numbers, errors[:, k]).gain(most) for k in range(min(errors.shape[1], MOST_FITS + 1))])
    value, low, high = float(gains[0]), *(float(np.quantile(gains[1:], level)) for level in (0.05, 0.95))
    figure = Figure(
        status="measured", value=value, low=min(low, value), high=max(high, value), unit=POINTS,
        method="error c + a (N+1)^-b, fitted on each draw of sessions and seeds; 5 % to 95 %", n=most,
    )  # fmt: skip
    if figure.high is not None and figure.high < WORTH_IT:
        return figure, f"Stop: {MORE} more photos bring less than {WORTH_IT} points of AP50."
    return figure, f"Not yet: {MORE} more photos may bring up to {figure.high:.1f} points of AP50."
